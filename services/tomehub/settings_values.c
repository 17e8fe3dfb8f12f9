/* The few values that need more than a look-up. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "settings.h"

bool tome_settings_is_loopback(const struct tome_settings *const settings)
{
    const char *const host = settings->host;
    if (strcmp(host, "localhost") == 0)
        return true;
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    struct in6_addr v6;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* `path` against the working directory, without resolving links: the file need not exist yet. */
static int absolute_path(const char *const path, const char *const suffix, char *const buffer,
                         const size_t size, struct bh_error *const reterr)
{
    char directory[PATH_MAX] = "";
    if (path[0] != '/' && getcwd(directory, sizeof(directory)) == NULL)
        return bh_error_errno(reterr, errno, "cannot tell the working directory");
    const int written = snprintf(buffer, size, "%s%s%s%s", directory, path[0] == '/' ? "" : "/",
                                 path, suffix);
    if (written < 0 || (size_t)written >= size)
        return bh_error_set(reterr, BH_EINVAL, "the path %s is too long", path);
    return 0;
}

bool tome_settings_is_postgres(const struct tome_settings *const settings)
{
    const struct bh_str url = bh_str_from(settings->database_url);
    return bh_str_starts_with(url, BH_STR("postgresql:")) ||
           bh_str_starts_with(url, BH_STR("postgres:"));
}

int tome_settings_database_path(const struct tome_settings *const settings, char *const buffer,
                                const size_t size, struct bh_error *const reterr)
{
    static const char scheme[] = "sqlite:";
    const char *const url = settings->database_url;
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 || url[sizeof(scheme) - 1] == '\0')
        return bh_error_set(reterr, BH_EINVAL,
                            "DATABASE_URL takes sqlite:PATH, such as sqlite:library.db, or "
                            "postgresql://USER@HOST:PORT/DATABASE");
    return absolute_path(url + sizeof(scheme) - 1, "", buffer, size, reterr);
}

int tome_settings_data_dir(const struct tome_settings *const settings, char *const buffer,
                           const size_t size, struct bh_error *const reterr)
{
    if (settings->data_dir[0] != '\0')
        return absolute_path(settings->data_dir, "", buffer, size, reterr);
    if (tome_settings_is_postgres(settings))
        return absolute_path("tomehub.uploads", "", buffer, size, reterr);
    char database[PATH_MAX] = "";
    const int error = tome_settings_database_path(settings, database, sizeof(database), reterr);
    return error != 0 ? error : absolute_path(database, ".uploads", buffer, size, reterr);
}

int tome_settings_control_path(const struct tome_settings *const settings, char *const buffer,
                               const size_t size, struct bh_error *const reterr)
{
    char base[PATH_MAX] = "";
    const int error = tome_settings_is_postgres(settings)
                          ? tome_settings_data_dir(settings, base, sizeof(base), reterr)
                          : tome_settings_database_path(settings, base, sizeof(base), reterr);
    char suffix[32];
    snprintf(suffix, sizeof(suffix), ".control-%lld", (long long)settings->port);
    return error != 0 ? error : absolute_path(base, suffix, buffer, size, reterr);
}

enum bh_log_level tome_settings_log_level(const struct tome_settings *const settings)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    for (size_t level = 0; level < BH_COUNT_OF(names); level++)
        if (strcmp(settings->log_level, names[level]) == 0)
            return (enum bh_log_level)level;
    return BH_LOG_INFO;
}

enum bh_log_format tome_settings_log_format(const struct tome_settings *const settings)
{
    static const char *const names[] = { "auto", "text", "json" };
    for (size_t format = 0; format < BH_COUNT_OF(names); format++)
        if (strcmp(settings->log_format, names[format]) == 0)
            return (enum bh_log_format)format;
    return BH_LOG_AUTO;
}
