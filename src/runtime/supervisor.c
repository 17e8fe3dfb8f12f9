/*
 * One thread, one poll. Each turn: take signals, reap, read channels and control clients, then see
 * whose time is over. All decisions are in the functions named after what happened.
 */
#include "bulkhead/runtime/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/http/server.h"
#include "bulkhead/runtime/control.h"
#include "runtime/control_server.h"
#include "runtime/notify.h"
#include "runtime/restart_damper.h"
#include "runtime/worker_process.h"

#define WORKERS_MAX 6 /* one serves, one starts, the others leave */
#define ABORT_US (2 * BH_SECOND_US)
#define NUMBER_BYTES 16
#define POLL_FDS (2 + WORKERS_MAX + BH_CONTROL_CLIENTS_MAX)

struct supervisor {
    const struct bh_supervisor_options *options;
    struct bh_supervisor_settings settings;
    int signal_fd;
    int listener_fd; /* -1 once it leaves */
    struct bh_notify notify;
    struct bh_control_server control;
    struct bh_restart_damper damper;
    struct bh_worker workers[WORKERS_MAX];

    uint64_t begun_us;
    unsigned generation, crashes, replacements;
    char reason[BH_WORKER_TEXT_MAX]; /* why the newest worker was started */
    uint64_t start_us;               /* when to start a worker; BH_NEVER_US: no need */
    uint64_t ping_us;                /* when systemd wants its next sign of life */
    bool again;                      /* a SIGHUP came while a worker was starting */
    unsigned stops;                  /* how often it was told to leave */
    bool is_over;
    int status;
};

/* ---- Looking ---- */

static struct bh_worker *find(struct supervisor *const self, const enum bh_worker_state state)
{
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (self->workers[i].state == state)
            return &self->workers[i];
    return NULL;
}

static unsigned count(const struct supervisor *const self, const enum bh_worker_state state)
{
    unsigned found = 0;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        found += self->workers[i].state == state;
    return found;
}

static const char *end_text(const int status, char text[64])
{
    if (WIFSIGNALED(status))
        snprintf(text, 64, "was ended by %s", strsignal(WTERMSIG(status)));
    else
        snprintf(text, 64, "ended with status %d", WEXITSTATUS(status));
    return text;
}

static int exit_status_of(const int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- Answering commands ---- */

static void answer(struct bh_control_client *const client, const bool ok, const char *const message)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, BH_CONTROL_ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &text);
    bh_json_object_begin(&json);
    bh_json_kv_bool(&json, "ok", ok);
    bh_json_kv_string(&json, "message", bh_str_from(message));
    bh_json_object_end(&json);
    bh_buf_append_byte(&text, '\n');
    bh_control_client_answer(client, bh_buf_peek(&text));
}

/* Those who wait for a replacement learn how it went. */
static void answer_all(struct supervisor *const self, const bool ok, const char *const message)
{
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        if (self->control.clients[i].is_waiting)
            answer(&self->control.clients[i], ok, message);
}

static const char *state_text(struct supervisor *const self)
{
    if (self->stops > 0)
        return "stopping";
    if (find(self, BH_WORKER_STARTING))
        return find(self, BH_WORKER_SERVING) ? "replacing" : "starting";
    return find(self, BH_WORKER_SERVING) ? "serving" : "waiting";
}

static void answer_status(struct supervisor *const self, struct bh_control_client *const client)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, BH_CONTROL_ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &text);
    const struct bh_worker *const worker = find(self, BH_WORKER_SERVING);
    const uint64_t now_us = bh_time_now_us();
    bh_json_object_begin(&json);
    bh_json_kv_bool(&json, "ok", true);
    bh_json_kv_string(&json, "state", bh_str_from(state_text(self)));
    bh_json_kv_int(&json, "supervisor_pid", getpid());
    bh_json_kv_int(&json, "uptime_seconds", (int64_t)((now_us - self->begun_us) / BH_SECOND_US));
    bh_json_kv_int(&json, "worker_pid", worker ? worker->pid : 0);
    bh_json_kv_int(&json, "worker_uptime_seconds",
                   worker ? (int64_t)((now_us - worker->started_us) / BH_SECOND_US) : 0);
    bh_json_kv_int(&json, "generation", self->generation);
    bh_json_kv_string(&json, "started_because", bh_str_from(self->reason));
    bh_json_kv_int(&json, "workers_leaving", count(self, BH_WORKER_LEAVING));
    bh_json_kv_int(&json, "replacements", self->replacements);
    bh_json_kv_int(&json, "crashes", self->crashes);
    bh_json_object_end(&json);
    bh_buf_append_byte(&text, '\n');
    bh_control_client_answer(client, bh_buf_peek(&text));
}

/* ---- Starting and replacing ---- */

static int start_worker(struct supervisor *const self, const char *const reason,
                        struct bh_error *const reterr)
{
    struct bh_worker *const worker = find(self, BH_WORKER_NONE);
    if (!worker)
        return bh_error_set(reterr, BH_EBUSY, "%d workers are still leaving", WORKERS_MAX - 1);
    char generation[NUMBER_BYTES], crashes[NUMBER_BYTES];
    snprintf(generation, sizeof(generation), "%u", self->generation + 1);
    snprintf(crashes, sizeof(crashes), "%u", self->crashes);
    const char *const arguments[] = { self->options->program,
                                      self->options->command,
                                      "--generation",
                                      generation,
                                      "--crashes",
                                      crashes,
                                      NULL };
    /* exec(3) takes them as mutable and leaves them as they are */
    const int result = bh_worker_spawn(worker, (char *const *)(uintptr_t)arguments,
                                       self->listener_fd, reterr);
    if (result)
        return result;
    self->generation++;
    self->start_us = BH_NEVER_US;
    snprintf(self->reason, sizeof(self->reason), "%s", reason);
    worker->deadline_us = worker->started_us + self->settings.start_timeout_us;
    bh_log_info("supervisor", "Started worker %d (%s)", (int)worker->pid, reason);
    return 0;
}

/* A new worker beside the one that serves. */
static void replace(struct supervisor *const self, const char *const reason)
{
    struct bh_error error;
    if (start_worker(self, reason, &error) == 0)
        return;
    bh_log_error("supervisor", "No new worker (%s): %s; the old one goes on", reason,
                 error.message);
    answer_all(self, false, error.message);
    bh_notify_send(&self->notify, "READY=1");
}

static void worker_failed(struct supervisor *const self, const uint64_t lived_us)
{
    uint64_t delay_us = 0;
    if (self->stops > 0)
        return;
    self->crashes++;
    if (!bh_restart_damper_ended(&self->damper, lived_us, &delay_us)) {
        bh_log_error("supervisor",
                     "The worker ended %u times in a row, none of them within %.0f s of serving: "
                     "giving up with status %d",
                     self->damper.row, (double)BH_RESTART_SETTLED_US / 1e6, BH_SUPERVISOR_GAVE_UP);
        self->status = BH_SUPERVISOR_GAVE_UP;
        self->is_over = true;
        return;
    }
    bh_log_warning("supervisor", "Starting the worker again in %.1f s; connections wait meanwhile",
                   (double)delay_us / 1e6);
    self->start_us = bh_time_now_us() + delay_us;
}

static void tell_to_leave(struct supervisor *const self, struct bh_worker *const worker,
                          const char letter)
{
    worker->state = BH_WORKER_LEAVING;
    worker->deadline_us = bh_time_now_us() + self->settings.leave_timeout_us;
    bh_worker_tell(worker, letter);
}

static void reload(struct supervisor *const self)
{
    if (find(self, BH_WORKER_STARTING)) {
        self->again = true;
        return;
    }
    bh_notify_reloading(&self->notify);
    struct bh_supervisor_settings settings = self->settings;
    struct bh_error error;
    if (self->options->reload &&
        self->options->reload(self->options->argument, &settings, &error) != 0) {
        bh_log_error("supervisor", "Not reloaded, the worker goes on as it is: %s", error.message);
        answer_all(self, false, error.message);
        bh_notify_send(&self->notify, "READY=1");
        return;
    }
    if (settings.port != self->options->settings.port ||
        strcmp(settings.host, self->options->settings.host) != 0)
        bh_log_warning("supervisor", "The address stays as it is: a new HOST or PORT takes a stop "
                                     "and a start");
    self->settings = settings;
    replace(self, "reload");
}

/* ---- What workers say ---- */

static void worker_is_ready(struct supervisor *const self, struct bh_worker *const worker)
{
    char message[160];
    struct bh_worker *const old = find(self, BH_WORKER_SERVING);
    const uint64_t now_us = bh_time_now_us();
    worker->state = BH_WORKER_SERVING;
    worker->deadline_us = BH_NEVER_US;
    worker->beat_us = now_us;
    if (old) {
        tell_to_leave(self, old, 'P');
        self->replacements++;
        snprintf(message, sizeof(message), "worker %d has replaced %d, %.2f s after its start",
                 (int)worker->pid, (int)old->pid, (double)(now_us - worker->started_us) / 1e6);
    } else {
        snprintf(message, sizeof(message), "worker %d serves, %.2f s after its start",
                 (int)worker->pid, (double)(now_us - worker->started_us) / 1e6);
    }
    bh_log_info("supervisor", "%c%s", message[0] - 'a' + 'A', message + 1);
    answer_all(self, true, message);
    bh_notify_send(&self->notify, "READY=1\nSTATUS=Worker %d serves", (int)worker->pid);
    if (self->again) {
        self->again = false;
        reload(self);
    }
}

static void hear(struct supervisor *const self, struct bh_worker *const worker, const char letter)
{
    if (letter == 'R' && worker->state == BH_WORKER_STARTING && self->stops == 0)
        worker_is_ready(self, worker);
    else if (letter == 'B')
        worker->beat_us = bh_time_now_us();
    else if (letter == 'X' && worker->state == BH_WORKER_SERVING && self->stops == 0 &&
             !find(self, BH_WORKER_STARTING))
        replace(self, worker->reason);
    else if (letter == 'L' && worker->state == BH_WORKER_SERVING) {
        tell_to_leave(self, worker, 'P');
        if (self->stops == 0 && !find(self, BH_WORKER_STARTING))
            self->start_us = bh_time_now_us();
    }
}

static void hear_all(struct supervisor *const self)
{
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct bh_worker *const worker = &self->workers[i];
        for (char letter; worker->state != BH_WORKER_NONE && (letter = bh_worker_receive(worker));)
            hear(self, worker, letter);
    }
}

/* ---- Ends ---- */

static void starting_ended(struct supervisor *const self, const struct bh_worker *const worker,
                           const int status)
{
    char text[64], message[BH_WORKER_TEXT_MAX + 128];
    snprintf(message, sizeof(message), "the new worker %s before it served%s%s",
             end_text(status, text), worker->reason[0] != '\0' ? ": " : "", worker->reason);
    answer_all(self, false, message);
    if (find(self, BH_WORKER_SERVING)) {
        bh_log_error("supervisor", "Not replaced, the old worker goes on: %s", message);
        bh_notify_send(&self->notify, "READY=1");
    } else if (self->generation == 1) { /* it has told why */
        self->status = exit_status_of(status);
        self->is_over = true;
    } else {
        bh_log_error("supervisor", "No worker serves: %s", message);
        worker_failed(self, 0);
    }
}

static void worker_ended(struct supervisor *const self, struct bh_worker *const worker,
                         const int status)
{
    char text[64];
    const enum bh_worker_state state = worker->state;
    const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (self->stops > 0 && state == BH_WORKER_LEAVING)
        self->status = self->status ? self->status : exit_status_of(status);
    else if (state == BH_WORKER_STARTING && self->stops == 0)
        starting_ended(self, worker, status);
    else if (state == BH_WORKER_SERVING) {
        bh_log_error("supervisor", "Worker %d %s", (int)worker->pid, end_text(status, text));
        if (!find(self, BH_WORKER_STARTING))
            worker_failed(self, bh_time_now_us() - worker->started_us);
    } else if (!well)
        bh_log_warning("supervisor", "Worker %d, which was leaving, %s", (int)worker->pid,
                       end_text(status, text));
    else
        bh_log_info("supervisor", "Worker %d has left", (int)worker->pid);
    bh_worker_forget(worker);
}

/* Any child: as the first process of a container this one also gets the orphans. */
static void reap(struct supervisor *const self)
{
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < WORKERS_MAX; i++) {
            struct bh_worker *const worker = &self->workers[i];
            if (worker->state == BH_WORKER_NONE || worker->pid != pid)
                continue;
            for (char letter; (letter = bh_worker_receive(worker));) /* its last words */
                hear(self, worker, letter);
            worker_ended(self, worker, status);
        }
    }
}

/* ---- Signals and commands ---- */

static void stop(struct supervisor *const self, const int number)
{
    static const char letters[] = { 'S', 'N' };
    if (self->stops == 2) {
        for (size_t i = 0; i < WORKERS_MAX; i++)
            if (self->workers[i].state != BH_WORKER_NONE)
                kill(self->workers[i].pid, SIGKILL);
        bh_log_flush();
        _exit(128 + number);
    }
    const char letter = letters[self->stops++];
    bh_log_info("supervisor", "%s: the worker %s", strsignal(number),
                letter == 'S' ? "finishes what is in flight" : "closes what is left");
    bh_notify_send(&self->notify, "STOPPING=1");
    answer_all(self, false, "the service is stopping");
    if (self->listener_fd >= 0)
        close(self->listener_fd);
    self->listener_fd = -1;
    self->start_us = BH_NEVER_US;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct bh_worker *const worker = &self->workers[i];
        if (worker->state == BH_WORKER_STARTING) /* it serves nobody yet */
            kill(worker->pid, SIGKILL);
        else if (worker->state == BH_WORKER_SERVING)
            tell_to_leave(self, worker, letter);
        else if (worker->state == BH_WORKER_LEAVING && letter == 'N')
            bh_worker_tell(worker, letter);
    }
}

static void take_signals(struct supervisor *const self)
{
    struct signalfd_siginfo taken;
    while (read(self->signal_fd, &taken, sizeof(taken)) == (ssize_t)sizeof(taken)) {
        if (taken.ssi_signo == SIGHUP && self->stops == 0)
            reload(self);
        else if (taken.ssi_signo == SIGTERM || taken.ssi_signo == SIGINT)
            stop(self, (int)taken.ssi_signo);
    }
}

static void obey(struct supervisor *const self, struct bh_control_client *const client)
{
    if (strcmp(client->command, "status") == 0)
        answer_status(self, client);
    else if (self->stops > 0)
        answer(client, false, "the service is stopping");
    else if (find(self, BH_WORKER_STARTING))
        answer(client, false, "a new worker is starting already: try again when it serves");
    else if (strcmp(client->command, "reload") == 0)
        reload(self);
    else if (strcmp(client->command, "restart") == 0)
        replace(self, "restart");
    else
        answer(client, false, "unknown command: reload, restart or status");
}

static void serve_clients(struct supervisor *const self)
{
    const uint64_t now_us = bh_time_now_us();
    if (self->control.fd < 0)
        return;
    bh_control_server_accept(&self->control, now_us);
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        if (bh_control_client_read(&self->control.clients[i], now_us))
            obey(self, &self->control.clients[i]);
}

/* ---- Time ---- */

static bool is_hung(const struct supervisor *const self, const struct bh_worker *const worker,
                    const uint64_t now_us)
{
    return worker->state == BH_WORKER_SERVING && self->settings.hang_timeout_us > 0 &&
           worker->deadline_us == BH_NEVER_US &&
           now_us - worker->beat_us >= self->settings.hang_timeout_us;
}

static void check_worker(struct supervisor *const self, struct bh_worker *const worker,
                         const uint64_t now_us)
{
    if (is_hung(self, worker, now_us)) {
        bh_log_error("supervisor", "Worker %d stands still for %.1f s: ending it", (int)worker->pid,
                     (double)(now_us - worker->beat_us) / 1e6);
        kill(worker->pid, SIGABRT); /* leaves a core where cores are kept */
        kill(worker->pid, SIGCONT); /* one that was suspended takes it only so */
        worker->deadline_us = now_us + ABORT_US;
    } else if (now_us >= worker->deadline_us) {
        bh_log_error("supervisor", "Worker %d did not %s in time: killing it", (int)worker->pid,
                     worker->state == BH_WORKER_STARTING ? "start" : "end");
        kill(worker->pid, SIGKILL);
        worker->deadline_us = BH_NEVER_US;
    }
}

static void keep_time(struct supervisor *const self)
{
    const uint64_t now_us = bh_time_now_us();
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (self->workers[i].state != BH_WORKER_NONE)
            check_worker(self, &self->workers[i], now_us);
    if (now_us >= self->start_us && self->stops == 0) {
        struct bh_error error;
        self->start_us = BH_NEVER_US;
        if (start_worker(self, find(self, BH_WORKER_LEAVING) ? "the old one leaves" : "it ended",
                         &error) != 0) {
            bh_log_error("supervisor", "%s", error.message);
            worker_failed(self, 0);
        }
    }
    if (self->notify.watchdog_us > 0 && now_us >= self->ping_us) {
        bh_notify_send(&self->notify, "WATCHDOG=1");
        self->ping_us = now_us + self->notify.watchdog_us / 3;
    }
}

static uint64_t next_time(const struct supervisor *const self)
{
    uint64_t next_us = self->notify.watchdog_us > 0 ? self->ping_us : BH_NEVER_US;
    next_us = self->start_us < next_us ? self->start_us : next_us;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        const struct bh_worker *const worker = &self->workers[i];
        if (worker->state == BH_WORKER_NONE)
            continue;
        next_us = worker->deadline_us < next_us ? worker->deadline_us : next_us;
        const uint64_t hung_us = worker->beat_us + self->settings.hang_timeout_us;
        if (worker->state == BH_WORKER_SERVING && worker->deadline_us == BH_NEVER_US &&
            self->settings.hang_timeout_us > 0 && hung_us < next_us)
            next_us = hung_us;
    }
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++) {
        const struct bh_control_client *const client = &self->control.clients[i];
        if (client->fd >= 0 && !client->is_waiting && client->until_us < next_us)
            next_us = client->until_us;
    }
    return next_us;
}

static void wait_for_something(const struct supervisor *const self)
{
    struct pollfd fds[POLL_FDS];
    nfds_t used = 0;
    fds[used++] = (struct pollfd){ .fd = self->signal_fd, .events = POLLIN };
    fds[used++] = (struct pollfd){ .fd = self->control.fd, .events = POLLIN };
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (self->workers[i].state != BH_WORKER_NONE)
            fds[used++] = (struct pollfd){ .fd = self->workers[i].channel, .events = POLLIN };
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        if (!self->control.clients[i].is_waiting)
            fds[used++] = (struct pollfd){ .fd = self->control.clients[i].fd, .events = POLLIN };
    const uint64_t next_us = next_time(self), now_us = bh_time_now_us();
    const uint64_t left_ms = next_us > now_us ? (next_us - now_us) / BH_MS_US + 1 : 0;
    (void)!poll(fds, used, next_us == BH_NEVER_US ? -1 : (int)(left_ms < 60000 ? left_ms : 60000));
}

/* ---- Life ---- */

static void supervise(struct supervisor *const self)
{
    while (!self->is_over) {
        wait_for_something(self);
        hear_all(self); /* first: a worker that was asked something has said that it serves */
        take_signals(self);
        reap(self);
        serve_clients(self);
        if (!self->is_over)
            keep_time(self);
        if (self->stops > 0 && count(self, BH_WORKER_NONE) == WORKERS_MAX)
            self->is_over = true;
    }
}

static int begin(struct supervisor *const self, struct bh_error *const reterr)
{
    struct bh_error error;
    const int result = bh_http_listen(self->settings.host, self->settings.port, &self->listener_fd,
                                      reterr);
    if (result)
        return result;
    if (bh_control_server_init(&self->control, self->options->control_path, &error) != 0)
        bh_log_warning("supervisor", "%s: signals alone reach this one", error.message);
    bh_notify_init(&self->notify);
    return start_worker(self, "start", reterr);
}

int bh_supervisor_run(const struct bh_supervisor_options *const options, int *const ret_status,
                      struct bh_error *const reterr)
{
    struct supervisor *const self = calloc(1, sizeof(*self));
    if (!self)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the supervisor");
    self->options = options;
    self->settings = options->settings;
    self->listener_fd = self->control.fd = self->notify.fd = -1;
    self->begun_us = bh_time_now_us();
    self->start_us = BH_NEVER_US;
    self->damper.limit = options->settings.restart_limit;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        self->workers[i].channel = -1;

    sigset_t taken, before;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGCHLD);
    sigprocmask(SIG_BLOCK, &taken, &before);
    self->signal_fd = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
    int result = self->signal_fd < 0 ? bh_error_errno(reterr, errno, "no descriptor for signals")
                                     : begin(self, reterr);
    if (result == 0) {
        supervise(self);
        *ret_status = self->status;
    }
    bh_control_server_fini(&self->control);
    bh_notify_fini(&self->notify);
    if (self->listener_fd >= 0)
        close(self->listener_fd);
    if (self->signal_fd >= 0)
        close(self->signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(self);
    return result;
}
