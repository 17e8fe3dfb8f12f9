/* What processes that died left behind: jobs without anybody, uploads without a job. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "ingest/internal.h"

#define FILES_AT_ONCE 256
/* How long a job whose file is not here waits for the machine that has it. */
#define ELSEWHERE_US (3600 * BH_SECOND_US)

/* A file that is not here may be on another machine's disk, whose server is only restarting. All
 * processes of an SQLite file are on one machine: there a file that is not here is nowhere. */
static bool can_take(const struct tome_ingest *const ingest, const struct tome_job_left *const job)
{
    return ingest->instance.session == NULL || access(job->input.data, R_OK) == 0 ||
           bh_time_wall_us() - job->created_at > (int64_t)ELSEWHERE_US;
}

/* Of what `dead` has left, all that can be taken up here. */
static int take_over(struct tome_ingest *const ingest, const int64_t dead,
                     struct bh_arena *const arena, int64_t *const ret_taken,
                     struct bh_error *const reterr)
{
    const struct tome_job_left *left = NULL;
    size_t left_count = 0, count = 0;
    const int result = tome_jobs_left(ingest->options.db, dead, arena, &left, &left_count, reterr);
    if (result != 0)
        return result;
    int64_t *const jobs = bh_arena_calloc(arena, left_count + 1, sizeof(*jobs));
    if (jobs == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to look for jobs left behind");
    for (size_t i = 0; i < left_count; i++)
        if (can_take(ingest, &left[i]))
            jobs[count++] = left[i].id;
    if (count == 0)
        return 0;
    return tome_jobs_take_over(ingest->options.db, ingest->instance.number, dead, jobs, count,
                               ret_taken, reterr);
}

int tome_recover_jobs(struct tome_ingest *const ingest, int64_t *const ret_count,
                      struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create((size_t)16 * 1024 * 1024, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to look for jobs left behind");
    const int64_t *instances = NULL;
    size_t count = 0;
    int result = tome_jobs_instances(ingest->options.db, arena, &instances, &count, reterr);
    for (size_t i = 0; result == 0 && i < count; i++) {
        int64_t taken = 0;
        if (tome_instance_is_alive(&ingest->instance, instances[i]))
            continue;
        result = take_over(ingest, instances[i], arena, &taken, reterr);
        if (result == 0 && taken > 0)
            bh_log_info("ingest", "Took over %lld jobs of a process that has ended",
                        (long long)taken);
        *ret_count += taken;
    }
    return result;
}

/* Whether a file of that name is one of ours (see spool.h), and its process has ended. */
static bool is_orphan(const struct tome_ingest *const ingest, const char *const name)
{
    char *end = NULL;
    errno = 0;
    const uint64_t instance = strtoull(name, &end, 16);
    if (errno != 0 || end == name || *end != '-' || instance > INT64_MAX)
        return false;
    if (strspn(end + 1, "0123456789") != strlen(end + 1))
        return false;
    return !tome_instance_is_alive(&ingest->instance, (int64_t)instance);
}

/* The next orphans of the folder, as paths in the arena. */
static size_t next_orphans(const struct tome_ingest *const ingest, DIR *const folder,
                           struct bh_arena *const arena, struct bh_str paths[FILES_AT_ONCE])
{
    size_t count = 0;
    for (const struct dirent *entry; count < FILES_AT_ONCE && (entry = readdir(folder)) != NULL;) {
        if (!is_orphan(ingest, entry->d_name))
            continue;
        const char *const path = bh_arena_printf(arena, "%s/%s", ingest->options.data_dir,
                                                 entry->d_name);
        if (path != NULL)
            paths[count++] = bh_str_from(path);
    }
    return count;
}

int tome_recover_files(struct tome_ingest *const ingest, struct bh_error *const reterr)
{
    DIR *const folder = opendir(ingest->options.data_dir);
    if (folder == NULL)
        return bh_error_errno(reterr, errno, "cannot read the folder of uploads %s",
                              ingest->options.data_dir);
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    int result = bh_arena_create((size_t)4 * 1024 * 1024, &arena);
    struct bh_str paths[FILES_AT_ONCE];
    bool needed[FILES_AT_ONCE];
    size_t removed = 0;
    for (size_t count = 1; result == 0 && count > 0;) {
        bh_arena_reset(arena);
        count = next_orphans(ingest, folder, arena, paths);
        if (count > 0)
            result = tome_jobs_inputs_needed(ingest->options.db, paths, count, arena, needed,
                                             reterr);
        for (size_t i = 0; result == 0 && i < count; i++)
            removed += !needed[i] && unlink(paths[i].data) == 0;
    }
    closedir(folder);
    if (removed > 0)
        bh_log_info("ingest", "Removed %zu uploads that a process left unfinished", removed);
    return result;
}
