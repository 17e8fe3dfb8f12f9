#include "cmocka_setup.h"

#include <errno.h>
#include <string.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

static void test_every_code_has_name_and_text(void **const state)
{
    (void)state;
#define X(name, value, text)                         \
    assert_string_equal(bh_error_name(name), #name); \
    assert_string_equal(bh_error_text(name), text);  \
    assert_int_equal(name, value);
    BH_ERROR_TABLE(X)
#undef X
    assert_string_equal(bh_error_name(BH_OK), "BH_OK");
    assert_string_equal(bh_error_text(-1000), "unknown error");
    assert_string_equal(bh_error_name(1), "BH_E?");
}

static void test_set(void **const state)
{
    (void)state;
    struct bh_error error;
    memset(&error, '#', sizeof(error));
    assert_int_equal(bh_error_set(&error, BH_EBUSY, "%s has %d", "pool", 3), BH_EBUSY);
    assert_int_equal(error.code, BH_EBUSY);
    assert_string_equal(error.sqlstate, "");
    assert_string_equal(error.message, "pool has 3");
    assert_int_equal(error.retry_s, 0);
    assert_int_equal(bh_error_set(NULL, BH_EIO, "not wanted"), BH_EIO);
    assert_int_equal(bh_error_set_retry(&error, BH_EUNAVAILABLE, 7, "in %d s", 7), BH_EUNAVAILABLE);
    assert_int_equal(error.retry_s, 7);
    assert_string_equal(error.message, "in 7 s");
    assert_int_equal(bh_error_set_retry(NULL, BH_EIO, 1, "not wanted"), BH_EIO);
}

/* Characters of 1 to 4 bytes at every position against the end. */
static void test_long_messages_end_on_a_character(void **const state)
{
    (void)state;
    static const char *const characters[] = { "a", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };
    for (size_t i = 0; i < BH_COUNT_OF(characters); i++) {
        const size_t size = strlen(characters[i]);
        for (size_t shift = 0; shift < 4; shift++) {
            char text[500];
            memset(text, 'x', sizeof(text));
            for (size_t at = shift; at + size < sizeof(text); at += size)
                memcpy(text + at, characters[i], size);
            text[480] = '\0';
            struct bh_error error;
            (void)bh_error_set(&error, BH_EINVAL, "%s", text);
            const size_t kept = strlen(error.message);
            assert_in_range(kept, sizeof(error.message) - 4, sizeof(error.message) - 1);
            assert_memory_equal(error.message, text, kept);
            assert_true(bh_str_is_utf8(bh_str_from(error.message)));
        }
    }
}

static void test_errno(void **const state)
{
    (void)state;
    static const struct {
        int errno_value;
        int code;
    } cases[] = { { ENOSPC, BH_ENOSPACE }, { EDQUOT, BH_ENOSPACE }, { ENOENT, BH_ENOTFOUND },
                  { EACCES, BH_EACCESS },  { EPERM, BH_EACCESS },   { ENOMEM, BH_ENOMEM },
                  { EEXIST, BH_EEXISTS },  { ECONNRESET, BH_EIO } };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct bh_error error;
        assert_int_equal(bh_error_errno(&error, cases[i].errno_value, "file %d", 7), cases[i].code);
        assert_true(bh_str_starts_with(bh_str_from(error.message), BH_STR("file 7: ")));
        assert_true(bh_str_ends_with(bh_str_from(error.message),
                                     bh_str_from(strerror(cases[i].errno_value))));
    }
    assert_int_equal(bh_error_errno(NULL, EIO, "not wanted"), BH_EIO);
    struct bh_error error;
    (void)bh_error_errno(&error, ENOSPC, "%0400d", 0);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_name_and_text),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_long_messages_end_on_a_character),
        cmocka_unit_test(test_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
