/* Memory's files: any bytes are read or refused; what is accepted is within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "overload/memory_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    const struct bh_str text = { (const char *)data, size };
    uint64_t value = 0;
    double share = 0;
    char path[BH_MEMORY_PATH_MAX];
    (void)!bh_memory_number(text, &value);
    (void)!bh_memory_field(text, BH_STR("inactive_file"), &value);
    (void)!bh_memory_field(text, BH_STR("MemTotal:"), &value);
    for (unsigned column = 0; column < 4; column++)
        (void)!bh_memory_column(text, column, &value);
    if (bh_memory_pressure(text, &share) == 0)
        bh_assert(share >= 0 && share < 101);
    for (unsigned version = 1; version <= 2; version++) {
        if (bh_memory_cgroup(text, version, path) != 0)
            continue;
        bh_assert(strlen(path) < sizeof(path));
        bh_assert(path[0] == '\0' || (path[0] == '/' && !strstr(path, "/..")));
    }
    return 0;
}
