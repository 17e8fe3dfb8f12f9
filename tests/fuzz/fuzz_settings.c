/* Settings: a .env file of any bytes is loaded or refused with one clean line; what was loaded,
 * printed as a .env file, loads as the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/settings.h"

struct program {
    const char *host;
    const char *format;
    int64_t pool_max;
    int64_t percent;
    uint64_t timeout_us;
    uint64_t size_bytes;
    bool flag;
};

#define FIELD(member) .offset = offsetof(struct program, member)

static const struct bh_setting table[] = {
    { "HOST", BH_SETTING_TEXT, "127.0.0.1", .help = "Text.", FIELD(host) },
    { "FORMAT", BH_SETTING_CHOICE, "auto", .choices = "text|auto", .help = "Choice.",
      FIELD(format) },
    { "POOL_MAX", BH_SETTING_INT, "40", 1, 10000, .help = "Number.", FIELD(pool_max) },
    { "PERCENT", BH_SETTING_PERCENT, "90", .help = "Percent.", FIELD(percent) },
    { "TIMEOUT", BH_SETTING_DURATION, "30s", .unit = "s", .help = "Time.", FIELD(timeout_us) },
    { "SIZE", BH_SETTING_SIZE, "64MB", .unit = "MB", .help = "Size.", FIELD(size_bytes) },
    { "FLAG", BH_SETTING_BOOL, "on", .help = "Flag.", FIELD(flag) },
};

/* Loads `text` from a file in memory; 0 or the error, whose message was checked. */
static int load(const struct bh_str text, struct program *const ret_program,
                struct bh_settings_origin **const ret_origin)
{
    static int fd = -1;
    static char path[32];
    if (fd < 0) {
        fd = memfd_create("env", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    bh_assert(ftruncate(fd, 0) == 0);
    bh_assert(pwrite(fd, text.data, text.size, 0) == (ssize_t)text.size);
    struct bh_error error = { .code = 0 };
    const int result = bh_settings_load(table, BH_COUNT_OF(table), path, NULL, ret_program,
                                        ret_origin, &error);
    if (result != 0) {
        bh_assert(error.code == result && error.message[0] != '\0');
        bh_assert(bh_str_is_utf8(bh_str_from(error.message)));
        for (const char *at = error.message; *at != '\0'; at++)
            bh_assert((unsigned char)*at >= 0x20 && *at != 0x7F);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    const struct bh_str text = { .data = (const char *)data, .size = size };
    struct program first;
    struct bh_settings_origin *first_origin = NULL;
    if (load(text, &first, &first_origin) != 0)
        return 0;
    bh_assert(first.pool_max >= 1 && first.pool_max <= 10000);
    bh_assert(first.percent >= 1 && first.percent <= 100);

    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf printed;
    bh_buf_init(&printed, 1 << 20);
    bh_settings_print(table, BH_COUNT_OF(table), first_origin, &printed);
    bh_assert(bh_buf_error(&printed) == 0);
    struct program second;
    struct bh_settings_origin *second_origin = NULL;
    const int result = load(bh_buf_peek(&printed), &second, &second_origin);
    /* quoting may push a text that just fits past the file's largest size */
    bh_assert(result == 0 || (result == BH_ELIMIT && printed.size > 65536));
    if (result == 0) {
        bh_assert(strcmp(first.host, second.host) == 0);
        bh_assert(strcmp(first.format, second.format) == 0);
        bh_assert(first.pool_max == second.pool_max && first.percent == second.percent);
        bh_assert(first.timeout_us == second.timeout_us && first.size_bytes == second.size_bytes);
        bh_assert(first.flag == second.flag);
    }
    bh_settings_origin_destroy(first_origin);
    bh_settings_origin_destroy(second_origin);
    return 0;
}
