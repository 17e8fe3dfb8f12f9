#include "runtime/auth_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/time.h"

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

static int read_file(const char *const path, struct bh_buf *const buf,
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

static size_t take_body(char *const data, const size_t size, const size_t count, void *const buf)
{
    bh_buf_append(buf, data, size * count);
    return bh_buf_error(buf) == 0 ? size * count : 0;
}

static size_t take_field(const char *const data, const size_t size, const size_t count,
                         void *const age_s)
{
    struct bh_str value = { data, size * count };
    const struct bh_str name = bh_str_split(&value, ':');
    if (!bh_str_equal_nocase(name, BH_STR("Cache-Control")))
        return size * count;
    while (value.size > 0) {
        struct bh_str seconds = bh_str_trim(bh_str_split(&value, ','));
        while (seconds.size > 0 && strchr("\r\n", seconds.data[seconds.size - 1]) != NULL)
            seconds.size--;
        const struct bh_str directive = bh_str_split(&seconds, '=');
        int64_t age = 0;
        if (bh_str_equal_nocase(directive, BH_STR("max-age")) &&
            bh_str_to_int64(seconds, 0, AGE_MAX_S, &age) == 0)
            *(int64_t *)age_s = age;
    }
    return size * count;
}

static void begin_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void set_options(CURL *const curl, const char *const url, const uint64_t timeout_us,
                        struct bh_buf *const buf, int64_t *const age_s, char *const message)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout_us / BH_MS_US));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, buf);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_field);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, age_s);
}

static int read_url(const char *const url, const uint64_t timeout_us, struct bh_buf *const buf,
                    int64_t *const age_s, struct bh_error *const reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char message[CURL_ERROR_SIZE] = "";
    long status = 0;
    pthread_once(&once, begin_curl);
    CURL *const curl = curl_easy_init();
    if (!curl)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a transfer");
    set_options(curl, url, timeout_us, buf, age_s, message);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "cannot fetch %s: %s", url,
                            message[0] ? message : curl_easy_strerror(code));
    return status == 200
               ? 0
               : bh_error_set(reterr, BH_EUNAVAILABLE, "cannot fetch %s: status %ld", url, status);
}

int bh_auth_fetch(const char *const source, const uint64_t timeout_us, struct bh_buf *const buf,
                  int64_t *const ret_age_s, struct bh_error *const reterr)
{
    int64_t age_s = -1;
    const int result = bh_auth_fetch_is_url(source)
                           ? read_url(source, timeout_us, buf, &age_s, reterr)
                           : read_file(source, buf, reterr);
    if (result == 0)
        *ret_age_s = age_s;
    return result;
}
