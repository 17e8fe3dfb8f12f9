/* What processes that died left behind: jobs without anybody, uploads without a job. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "ingest/internal.h"

#define FILES_AT_ONCE 256

int tome_recover_jobs(struct tome_ingest *const ingest, int64_t *const ret_count,
                      struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(1024 * 1024, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to look for jobs left behind");
    const int64_t *instances = NULL;
    size_t count = 0;
    int result = tome_jobs_instances(ingest->options.db, arena, &instances, &count, reterr);
    for (size_t i = 0; result == 0 && i < count; i++) {
        int64_t taken = 0;
        if (tome_instance_is_alive(&ingest->instance, instances[i]))
            continue;
        result = tome_jobs_take_over(ingest->options.db, ingest->instance.number, instances[i],
                                     &taken, reterr);
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
