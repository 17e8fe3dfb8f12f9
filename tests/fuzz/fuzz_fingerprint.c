/* Shapes of statements: any text is read to its end, gives one line within bounds, and that line is
 * its own shape. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "db/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    char *const text = malloc(count + 1);
    bh_assert(text != NULL);
    if (count > 0)
        memcpy(text, bytes, count);
    text[count] = '\0';
    struct bh_fingerprint one, two, again;
    bh_fingerprint_plain(text, &one);
    bh_fingerprint_plain(text, &two);
    bh_assert(one.id == two.id && strcmp(one.text, two.text) == 0);
    const size_t size = strlen(one.text);
    bh_assert(size < BH_FINGERPRINT_TEXT_SIZE);
    bh_assert(strpbrk(one.text, "\t\n\v\f\r") == NULL);
    if (size <= BH_FINGERPRINT_TEXT_MAX / 2) { /* certainly not cut */
        bh_fingerprint_plain(one.text, &again);
        bh_assert(strcmp(one.text, again.text) == 0);
    }
    free(text);
    return 0;
}
