#include "runtime/auth_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define AGE_MAX_S INT64_C(31536000)

bool bh_auth_fetch_is_url(const char *const source)
{
    return strstr(source, "://") != NULL;
}

/* The host of a URL behind its scheme, without its port; nothing where a user stands before it. */
static struct bh_str host_of(const struct bh_str url)
{
    struct bh_str rest = url;
    struct bh_str authority = bh_str_split(&rest, '/');
    if (authority.size == 0 || memchr(authority.data, '@', authority.size) != NULL)
        return BH_STR_NONE;
    return bh_str_split(&authority, authority.data[0] == '[' ? ']' : ':');
}

int bh_auth_fetch_check(const char *const source, struct bh_error *const reterr)
{
    const struct bh_str text = bh_str_from(source), plain = BH_STR("http://");
    if (!bh_auth_fetch_is_url(source) || bh_str_starts_with(text, BH_STR("https://")))
        return 0;
    if (bh_str_starts_with(text, plain)) {
        const struct bh_str host = host_of(
            (struct bh_str){ text.data + plain.size, text.size - plain.size });
        if (bh_str_equal(host, BH_STR("127.0.0.1")) || bh_str_equal(host, BH_STR("localhost")) ||
            bh_str_equal(host, BH_STR("[::1")))
            return 0;
    }
    return bh_error_set(reterr, BH_EINVAL,
                        "keys that decide who is let in are fetched by https, not from %s", source);
}

/* ---- Files ---- */

int bh_auth_fetch_file(const char *const path, struct bh_buf *const buf,
                       struct bh_error *const reterr)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bh_error_errno(reterr, errno, "cannot read %s", path);
    ssize_t count = 1;
    while (count > 0) {
        char bytes[4096];
        count = read(fd, bytes, sizeof(bytes));
        if (count < 0 && errno == EINTR)
            count = 1;
        else if (count > 0)
            bh_buf_append(buf, bytes, (size_t)count);
    }
    const int error = errno;
    close(fd);
    if (count < 0)
        return bh_error_errno(reterr, error, "cannot read %s", path);
    return bh_buf_error(buf) == 0 ? 0 : bh_error_set(reterr, BH_ELIMIT, "%s is too long", path);
}

/* ---- HTTP ---- */

/* The value of max-age in a Cache-Control field, or -1. */
static int64_t age_of(struct bh_str directives)
{
    int64_t age_s = -1;
    while (directives.size > 0) {
        struct bh_str seconds = bh_str_trim(bh_str_split(&directives, ','));
        const struct bh_str name = bh_str_split(&seconds, '=');
        int64_t told_s = 0;
        if (bh_str_equal_nocase(name, BH_STR("max-age")) &&
            bh_str_to_int64(seconds, 0, AGE_MAX_S, &told_s) == 0)
            age_s = told_s;
    }
    return age_s;
}

static int read_body(struct bh_transfer *const transfer, const uint64_t until_us,
                     struct bh_buf *const buf, struct bh_error *const reterr)
{
    struct bh_str piece = BH_STR_NONE;
    do {
        const int result = bh_transfer_read(transfer, until_us, &piece, reterr);
        if (result != 0)
            return result;
        bh_buf_append_str(buf, piece);
    } while (piece.size > 0 && bh_buf_error(buf) == 0);
    return bh_buf_error(buf) == 0 ? 0 : bh_error_set(reterr, BH_ELIMIT, "it is too long");
}

int bh_auth_fetch_url(struct bh_client *const client, const char *const url,
                      const uint64_t until_us, struct bh_buf *const buf, int64_t *const ret_age_s,
                      struct bh_error *const reterr)
{
    const struct bh_client_request request = { .method = "GET", .url = url };
    struct bh_transfer *transfer = NULL;
    struct bh_error error;
    int64_t age_s = -1;
    int result = bh_client_open(client, &request, until_us, &transfer, &error);
    if (result == 0 && bh_transfer_status(transfer) != 200)
        result = bh_error_set(&error, BH_EUNAVAILABLE, "status %d", bh_transfer_status(transfer));
    if (result == 0) {
        age_s = age_of(bh_transfer_header(transfer, "Cache-Control"));
        result = read_body(transfer, until_us, buf, &error);
    }
    bh_transfer_close(transfer);
    /* Whatever it was: who is asked for the keys is not there, which refuses nobody's token. */
    if (result != 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "cannot fetch %s: %s", url, error.message);
    *ret_age_s = age_s;
    return 0;
}
