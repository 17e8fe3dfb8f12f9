/* Walks folders with fts(3), expands patterns with glob(3). */
#include "cli/paths.h"

#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulkhead/base/str.h"

static int append(struct tome_paths *const paths, const char *const path,
                  struct bh_error *const reterr)
{
    if (paths->count == paths->capacity) {
        const size_t capacity = paths->capacity == 0 ? 64 : 2 * paths->capacity;
        char **const grown = reallocarray(paths->paths, capacity, sizeof(*grown));
        if (grown == NULL)
            return bh_error_set(reterr, BH_ENOMEM, "out of memory");
        paths->paths = grown;
        paths->capacity = capacity;
    }
    char *const absolute = realpath(path, NULL);
    if (absolute == NULL)
        return bh_error_errno(reterr, errno, "%s", path);
    paths->paths[paths->count++] = absolute;
    return 0;
}

/* In a folder there is more than books. */
static bool is_book(const char *const name)
{
    static const char *const endings[] = { ".epub", ".pdf", ".html",     ".htm", ".xhtml",
                                           ".md",   ".txt", ".markdown", ".text" };
    const char *const dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < BH_COUNT_OF(endings); i++)
        if (bh_str_equal_nocase(bh_str_from(dot), bh_str_from(endings[i])))
            return true;
    return false;
}

static int by_name(const FTSENT **const a, const FTSENT **const b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_folder(struct tome_paths *const paths, const char *const folder,
                      struct bh_error *const reterr)
{
    char *const root = strdup(folder);
    if (root == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    char *const roots[] = { root, NULL };
    FTS *const tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    int result = tree != NULL ? 0 : bh_error_errno(reterr, errno, "%s", folder);
    for (FTSENT *entry; result == 0 && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
            result = bh_error_errno(reterr, entry->fts_errno, "%s", entry->fts_path);
        else if (entry->fts_level > 0 && entry->fts_name[0] == '.')
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_F && is_book(entry->fts_name))
            result = append(paths, entry->fts_path, reterr);
    }
    if (tree != NULL)
        fts_close(tree);
    free(root);
    return result;
}

static int add_existing(struct tome_paths *const paths, const char *const path,
                        const struct stat *const status, struct bh_error *const reterr)
{
    return S_ISDIR(status->st_mode) ? add_folder(paths, path, reterr) : append(paths, path, reterr);
}

int tome_paths_add(struct tome_paths *const paths, const char *const argument,
                   struct bh_error *const reterr)
{
    struct stat status;
    if (stat(argument, &status) == 0)
        return add_existing(paths, argument, &status, reterr);
    const int errno_value = errno;
    glob_t found = { 0 };
    int result = glob(argument, 0, NULL, &found);
    if (result != 0)
        result = bh_error_errno(reterr, errno_value, "%s", argument);
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
        if (stat(found.gl_pathv[i], &status) == 0)
            result = add_existing(paths, found.gl_pathv[i], &status, reterr);
    globfree(&found);
    return result;
}

void tome_paths_fini(struct tome_paths *const paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->paths[i]);
    free(paths->paths);
    *paths = (struct tome_paths){ 0 };
}
