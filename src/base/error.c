#include "bulkhead/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/str.h"

#undef bh_error_set

const char *bh_error_text(const int code)
{
    switch (code) {
    case BH_OK:
        return "success";
#define X(name, value, text) \
    case name:               \
        return text;
        BH_ERROR_TABLE(X)
#undef X
    default:
        return "unknown error";
    }
}

const char *bh_error_name(const int code)
{
    switch (code) {
    case BH_OK:
        return "BH_OK";
#define X(name, value, text) \
    case name:               \
        return #name;
        BH_ERROR_TABLE(X)
#undef X
    default:
        return "BH_E?";
    }
}

/* A message that was cut may end in a part of a character. */
static void trim_cut_character(struct bh_error *const error)
{
    const size_t size = strlen(error->message);
    if (size < sizeof(error->message) - 1)
        return;
    size_t begin = size - 1;
    while (begin > size - 4 && ((unsigned char)error->message[begin] & 0xC0) == 0x80)
        begin--;
    if (bh_str_utf8_sequence(error->message + begin, size - begin) == 0)
        error->message[begin] = '\0';
}

__attribute__((format(printf, 3, 0))) static void format_message(struct bh_error *const error,
                                                                 const int code,
                                                                 const char *const format,
                                                                 va_list arguments)
{
    error->code = code;
    error->sqlstate[0] = '\0';
    error->retry_s = 0;
    if (vsnprintf(error->message, sizeof(error->message), format, arguments) < 0)
        error->message[0] = '\0';
    trim_cut_character(error);
}

int bh_error_set(struct bh_error *const reterr, const int code, const char *const format, ...)
{
    if (reterr) {
        va_list arguments;
        va_start(arguments, format);
        format_message(reterr, code, format, arguments);
        va_end(arguments);
    }
    return code;
}

int bh_error_set_retry(struct bh_error *const reterr, const int code, const unsigned retry_s,
                       const char *const format, ...)
{
    if (reterr) {
        va_list arguments;
        va_start(arguments, format);
        format_message(reterr, code, format, arguments);
        va_end(arguments);
        reterr->retry_s = retry_s;
    }
    return code;
}

static int code_of_errno(const int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return BH_ENOSPACE;
    case ENOENT:
        return BH_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return BH_EACCESS;
    case ENOMEM:
        return BH_ENOMEM;
    case EEXIST:
        return BH_EEXISTS;
    default:
        return BH_EIO;
    }
}

int bh_error_errno(struct bh_error *const reterr, const int errno_value, const char *const format,
                   ...)
{
    const int code = code_of_errno(errno_value);
    if (reterr) {
        va_list arguments;
        va_start(arguments, format);
        format_message(reterr, code, format, arguments);
        va_end(arguments);
        const size_t used = strlen(reterr->message);
        char reason[128];
        snprintf(reterr->message + used, sizeof(reterr->message) - used, ": %s",
                 strerror_r(errno_value, reason, sizeof(reason)));
        trim_cut_character(reterr);
    }
    return code;
}
