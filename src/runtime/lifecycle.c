/*
 * Starting and leaving. The first loop runs on the calling thread and takes the signals; the others
 * get a thread each. Leaving is a sequence of posted steps: mark, wait, drain every loop, stop.
 *
 * Signals that end the process are read from a descriptor, not caught: no handler ever runs on a
 * fiber's stack, and none is put off until a fiber runs again that may never do so.
 */
#include "bulkhead/runtime/lifecycle.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "runtime/worker_link.h"

#define LOOPS_MAX 256
#define BEAT_MS 500

struct lifecycle;

/* One loop with what starts and drains it. */
struct member {
    struct lifecycle *lifecycle;
    struct bh_loop *loop;
    pthread_t thread;
    bool has_thread;
    bool attached; /* serves connections, so it is to be drained */
    int attach_result;
    struct bh_task drain;   /* first loop → this loop: begin to drain */
    struct bh_task drained; /* this loop → first loop: nothing left */
    struct bh_task ping;    /* first loop → this loop: are you turning? */
    atomic_bool has_turned; /* since the ping */
};

struct lifecycle {
    const struct bh_lifecycle_options *options;
    struct bh_http_server *server;
    int signal_fd;
    struct member members[LOOPS_MAX];
    unsigned count;
    sem_t member_began; /* a member's thread has written its attach_result */

    /* First loop's thread from here on. */
    uv_poll_t signals;
    uv_timer_t timer; /* the shutdown delay, then the time-out */
    struct bh_worker_link link;
    uv_timer_t beat;
    enum { SERVING, DELAYING, DRAINING, STOPPED } phase;
    uint64_t deadline_us;
    unsigned draining;
    int start_result;
    struct bh_error start_error;
};

static atomic_bool leaving;
static atomic_int supervisor_fd; /* 0: none */
static atomic_uint_fast64_t started_us;

bool bh_lifecycle_is_leaving(void)
{
    return atomic_load_explicit(&leaving, memory_order_relaxed);
}

uint64_t bh_lifecycle_started_us(void)
{
    return atomic_load_explicit(&started_us, memory_order_relaxed);
}

bool bh_lifecycle_request_replacement(const char *const reason)
{
    const int fd = atomic_load_explicit(&supervisor_fd, memory_order_relaxed);
    if (fd > 0)
        bh_worker_link_say(fd, 'X', reason);
    return fd > 0;
}

static unsigned usable_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (unsigned)count;
}

/* ---- Leaving ---- */

static void all_drained(struct lifecycle *const lifecycle)
{
    lifecycle->phase = STOPPED;
    if (lifecycle->options->on_stop)
        lifecycle->options->on_stop(lifecycle->options->service);
    uv_close((uv_handle_t *)&lifecycle->signals, NULL);
    uv_close((uv_handle_t *)&lifecycle->timer, NULL);
    uv_close((uv_handle_t *)&lifecycle->beat, NULL);
    bh_worker_link_unwatch(&lifecycle->link);
    bh_loop_stop(lifecycle->members[0].loop);
}

static void member_drained(struct bh_task *const task)
{
    struct lifecycle *const lifecycle = BH_CONTAINER_OF(task, struct member, drained)->lifecycle;
    if (--lifecycle->draining == 0)
        all_drained(lifecycle);
}

/* On the member's loop: no connection is left there. */
static void no_connection_left(void *const argument)
{
    struct member *const member = argument;
    struct lifecycle *const lifecycle = member->lifecycle;
    bh_loop_post(lifecycle->members[0].loop, &member->drained);
    if (member != &lifecycle->members[0])
        bh_loop_stop(member->loop);
}

static void drain_member(struct bh_task *const task)
{
    struct member *const member = BH_CONTAINER_OF(task, struct member, drain);
    const struct lifecycle *const lifecycle = member->lifecycle;
    bh_http_server_drain(lifecycle->server, member->loop, lifecycle->deadline_us,
                         no_connection_left, member);
}

static void drain_all(struct lifecycle *const lifecycle)
{
    lifecycle->phase = DRAINING;
    uv_timer_stop(&lifecycle->timer);
    uv_timer_stop(&lifecycle->beat); /* a loop that ends must not be pinged */
    if (lifecycle->options->on_drain)
        lifecycle->options->on_drain(lifecycle->options->service);
    for (unsigned i = 0; i < lifecycle->count; i++)
        lifecycle->draining += lifecycle->members[i].attached;
    if (lifecycle->draining == 0)
        all_drained(lifecycle);
    for (unsigned i = 0; i < lifecycle->count; i++) {
        if (lifecycle->members[i].attached)
            bh_loop_post(lifecycle->members[i].loop, &lifecycle->members[i].drain);
    }
}

static void delay_over(uv_timer_t *const timer)
{
    drain_all(timer->data);
}

static void begin_to_leave(struct lifecycle *const lifecycle, const char *const why)
{
    const struct bh_lifecycle_options *const options = lifecycle->options;
    atomic_store(&leaving, true);
    bh_http_server_mark_draining(lifecycle->server);
    bh_log_info("lifecycle", "%s: not ready any more, finishing what is in flight within %.1f s",
                why, (double)options->shutdown_timeout_us / 1e6);
    lifecycle->phase = DELAYING;
    lifecycle->deadline_us = bh_time_now_us() + options->shutdown_delay_us +
                             options->shutdown_timeout_us;
    uv_timer_start(&lifecycle->timer, delay_over, options->shutdown_delay_us / 1000, 0);
}

/* The service stays ready: whoever still asks this process is sent on to the other one. */
static void pass_on(struct lifecycle *const lifecycle)
{
    if (lifecycle->phase != SERVING)
        return;
    bh_log_info("lifecycle", "Another worker serves: finishing what is in flight within %.1f s",
                (double)lifecycle->options->shutdown_timeout_us / 1e6);
    bh_http_server_mark_replaced(lifecycle->server);
    lifecycle->deadline_us = bh_time_now_us() + lifecycle->options->shutdown_timeout_us;
    drain_all(lifecycle);
}

static void close_now(struct lifecycle *const lifecycle, const char *const why)
{
    bh_log_warning("lifecycle", "%s: closing what is left", why);
    lifecycle->deadline_us = bh_time_now_us();
    drain_all(lifecycle);
}

static void leave(struct lifecycle *const lifecycle, const int number)
{
    if (lifecycle->phase == SERVING) {
        begin_to_leave(lifecycle, strsignal(number));
    } else if (lifecycle->phase == DELAYING) {
        close_now(lifecycle, strsignal(number));
    } else if (lifecycle->phase == DRAINING) {
        bh_log_warning("lifecycle", "%s again: leaving what is left", strsignal(number));
        bh_log_flush();
        _exit(128 + number);
    }
}

static void supervisor_wishes(struct bh_worker_link *const link, const enum bh_link_wish wish)
{
    struct lifecycle *const lifecycle = BH_CONTAINER_OF(link, struct lifecycle, link);
    switch (wish) {
    case BH_LINK_STOP:
        if (lifecycle->phase == SERVING)
            begin_to_leave(lifecycle, "The service stops");
        break;
    case BH_LINK_ORPHANED:
        if (lifecycle->phase == SERVING)
            begin_to_leave(lifecycle, "The supervisor is gone");
        break;
    case BH_LINK_REPLACED:
        pass_on(lifecycle);
        break;
    case BH_LINK_NOW:
        if (lifecycle->phase == SERVING || lifecycle->phase == DELAYING)
            close_now(lifecycle, "Told to end now");
        else if (lifecycle->phase == DRAINING)
            leave(lifecycle, SIGTERM);
        break;
    }
}

static void read_signals(uv_poll_t *const handle, const int status, const int events)
{
    (void)status;
    (void)events;
    struct lifecycle *const lifecycle = handle->data;
    const int channel = lifecycle->options->supervisor_fd;
    struct signalfd_siginfo signal;
    while (read(lifecycle->signal_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
        if (channel > 0 && signal.ssi_signo == SIGINT)
            continue; /* a terminal sends it to all of a group; the supervisor passes it on */
        if (channel > 0 && lifecycle->phase == SERVING)
            bh_worker_link_say(channel, 'L', "");
        leave(lifecycle, (int)signal.ssi_signo);
    }
}

/* ---- Signs of life ---- */

static void turned(struct bh_task *const task)
{
    atomic_store(&BH_CONTAINER_OF(task, struct member, ping)->has_turned, true);
}

static void beat(uv_timer_t *const timer)
{
    struct lifecycle *const lifecycle = timer->data;
    for (unsigned i = 0; i < lifecycle->count; i++)
        if (!atomic_load(&lifecycle->members[i].has_turned))
            return; /* its ping is still under way */
    bh_worker_link_say(lifecycle->options->supervisor_fd, 'B', "");
    for (unsigned i = 0; i < lifecycle->count; i++) {
        atomic_store(&lifecycle->members[i].has_turned, false);
        bh_loop_post(lifecycle->members[i].loop, &lifecycle->members[i].ping);
    }
}

/* ---- Starting ---- */

static void *member_main(void *const argument)
{
    struct member *const member = argument;
    member->attach_result = bh_http_server_attach(member->lifecycle->server, member->loop);
    member->attached = member->attach_result == 0;
    sem_post(&member->lifecycle->member_began);
    if (member->attached)
        bh_loop_run(member->loop);
    return NULL;
}

/* The first member serves on this thread; each other one gets its own. */
static int start_member(struct member *const member)
{
    struct lifecycle *const lifecycle = member->lifecycle;
    if (member == &lifecycle->members[0]) {
        const int result = bh_http_server_attach(lifecycle->server, member->loop);
        member->attached = result == 0;
        return result;
    }
    if (bh_thread_start(member_main, member, &member->thread) != 0)
        return BH_ENOMEM;
    member->has_thread = true;
    while (sem_wait(&lifecycle->member_began) != 0)
        continue;
    return member->attach_result;
}

static void start(void *const argument)
{
    struct lifecycle *const lifecycle = argument;
    const struct bh_lifecycle_options *const options = lifecycle->options;
    int result = 0;
    if (options->on_start)
        result = options->on_start(options->service, &lifecycle->start_error);
    for (unsigned i = 0; result == 0 && i < lifecycle->count; i++) {
        result = start_member(&lifecycle->members[i]);
        if (result)
            bh_error_set(&lifecycle->start_error, result, "cannot start event loop %u: %s", i,
                         bh_error_text(result));
    }
    lifecycle->start_result = result;
    if (result) {
        lifecycle->deadline_us = bh_time_now_us();
        drain_all(lifecycle);
        return;
    }
    bh_log_info("lifecycle", "Serving on %s://%s:%u with %u event loops",
                options->http.tls ? "https" : "http", options->host,
                bh_http_server_port(lifecycle->server), lifecycle->count);
    if (options->supervisor_fd > 0) {
        bh_worker_link_say(options->supervisor_fd, 'R', "");
        uv_timer_start(&lifecycle->beat, beat, BEAT_MS, BEAT_MS);
    }
}

static void begin(uv_timer_t *const timer)
{
    struct lifecycle *const lifecycle = timer->data;
    const int result = bh_fiber_spawn(lifecycle->members[0].loop, start, lifecycle);
    bh_assert(result == 0);
}

static int create_members(struct lifecycle *const lifecycle, struct bh_error *const reterr)
{
    const unsigned wanted = lifecycle->options->loops;
    const unsigned count = wanted == 0 ? usable_cores() : wanted > LOOPS_MAX ? LOOPS_MAX : wanted;
    for (unsigned i = 0; i < count; i++) {
        struct member *const member = &lifecycle->members[i];
        *member = (struct member){ .lifecycle = lifecycle,
                                   .drain = { .run = drain_member },
                                   .drained = { .run = member_drained },
                                   .ping = { .run = turned },
                                   .has_turned = true };
        const int result = bh_loop_create(NULL, &member->loop);
        if (result)
            return bh_error_set(reterr, result, "cannot create event loop %u: %s", i,
                                bh_error_text(result));
        lifecycle->count++;
    }
    return 0;
}

/* A request's larger buffers come and go by the thousand: giving their pages back to the kernel and
 * taking them again costs more than the request (a 50-row query: 20.2 against 16.4 µs). */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

/* The soft limit is 1,024 as a rule, for programs that select(); each client takes a descriptor. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void serve(struct lifecycle *const lifecycle)
{
    uv_loop_t *const uv = bh_loop_uv(lifecycle->members[0].loop);
    uv_poll_init(uv, &lifecycle->signals, lifecycle->signal_fd);
    uv_timer_init(uv, &lifecycle->timer);
    uv_timer_init(uv, &lifecycle->beat);
    lifecycle->signals.data = lifecycle;
    lifecycle->timer.data = lifecycle;
    lifecycle->beat.data = lifecycle;
    if (lifecycle->options->supervisor_fd > 0)
        bh_worker_link_watch(&lifecycle->link, uv, lifecycle->options->supervisor_fd,
                             supervisor_wishes);
    uv_poll_start(&lifecycle->signals, UV_READABLE, read_signals);
    uv_timer_start(&lifecycle->timer, begin, 0, 0);
    bh_loop_run(lifecycle->members[0].loop);
}

int bh_lifecycle_run(const struct bh_lifecycle_options *const options,
                     struct bh_error *const reterr)
{
    struct lifecycle *const lifecycle = calloc(1, sizeof(*lifecycle));
    if (!lifecycle)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to start");
    lifecycle->options = options;
    sem_init(&lifecycle->member_began, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    keep_freed_memory();
    allow_descriptors();
    atomic_store(&supervisor_fd, options->supervisor_fd);
    if (options->supervisor_fd > 0)
        signal(SIGHUP, SIG_IGN);
    atomic_store(&started_us, bh_time_now_us());

    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, &before);
    int result = 0;
    lifecycle->signal_fd = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    if (lifecycle->signal_fd < 0)
        result = bh_error_set(reterr, BH_ELIMIT, "no descriptor to take signals from: %s",
                              strerror(errno));
    if (result == 0)
        result = bh_http_server_create(&options->http, options->host, options->port,
                                       options->router, options->service, &lifecycle->server,
                                       reterr);
    if (result == 0)
        result = create_members(lifecycle, reterr);
    if (result == 0) {
        serve(lifecycle);
        result = lifecycle->start_result;
        if (result && reterr)
            *reterr = lifecycle->start_error;
        if (result == 0)
            bh_log_info("lifecycle", "Stopped: nothing was left in flight");
    }
    for (unsigned i = 0; i < lifecycle->count; i++) {
        if (lifecycle->members[i].has_thread)
            pthread_join(lifecycle->members[i].thread, NULL);
    }
    for (unsigned i = 0; i < lifecycle->count; i++)
        bh_loop_destroy(lifecycle->members[i].loop);
    bh_http_server_destroy(lifecycle->server);
    if (lifecycle->signal_fd >= 0)
        close(lifecycle->signal_fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sem_destroy(&lifecycle->member_began);
    free(lifecycle);
    return result;
}
