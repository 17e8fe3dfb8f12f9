/*
 * libcurl does the talking. Under TLS the key of the certificate file is pinned in place of names,
 * dates and signatures: HOST (127.0.0.1, 0.0.0.0) need be no name of the certificate's.
 */
#include "cli/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

#define URL_SIZE 1024
#define KEY_SIZE 512
#define STATUS_LINE_SIZE 128
#define PIN_PREFIX "sha256//"
#define PIN_SIZE (sizeof(PIN_PREFIX) + 4 * ((SHA256_DIGEST_LENGTH + 2) / 3)) /* base64 */

struct exchange {
    const struct tome_fetch_address *address;
    CURL *easy;
    struct curl_slist *headers;
    struct bh_buf *body;
    char status_line[STATUS_LINE_SIZE];
    char detail[CURL_ERROR_SIZE];
};

/* ---- What libcurl hands over ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is curl_write_callback */
static size_t take_header(char *const data, const size_t size, const size_t count,
                          void *const argument)
{
    struct exchange *const exchange = argument;
    struct bh_str line = { data, size * count };
    if (bh_str_starts_with(line, BH_STR("HTTP/"))) {
        line = bh_str_split(&line, '\r');
        snprintf(exchange->status_line, sizeof(exchange->status_line), "%.*s", BH_STR_ARGS(line));
    }
    return size * count;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as above */
static size_t take_body(char *const data, const size_t size, const size_t count,
                        void *const argument)
{
    struct exchange *const exchange = argument;
    bh_buf_append(exchange->body, data, size * count);
    return bh_buf_error(exchange->body) ? 0 : size * count;
}

/* ---- Asking ---- */

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory to ask the server");
}

/* As CURLOPT_PINNEDPUBLICKEY wants it: the hash of the first certificate's key. */
static int make_pin(const char *const path, unsigned char *const pin, struct bh_error *const reterr)
{
    unsigned char hash[SHA256_DIGEST_LENGTH], *key = NULL;
    FILE *const file = fopen(path, "re");
    if (!file)
        return bh_error_errno(reterr, errno, "cannot open the certificate %s", path);
    X509 *const certificate = PEM_read_X509(file, NULL, NULL, NULL);
    const int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key) : -1;
    const bool is_hashed = size > 0 &&
                           EVP_Digest(key, (size_t)size, hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(key);
    X509_free(certificate);
    fclose(file);
    if (!is_hashed)
        return bh_error_set(reterr, BH_EINVAL, "%s holds no certificate in PEM", path);
    EVP_EncodeBlock(mempcpy(pin, PIN_PREFIX, strlen(PIN_PREFIX)), hash, sizeof(hash));
    return 0;
}

static int secure(const struct exchange *const exchange, struct bh_error *const reterr)
{
    unsigned char pin[PIN_SIZE];
    const int result = make_pin(exchange->address->tls_cert_file, pin, reterr);
    if (result != 0)
        return result;
    curl_easy_setopt(exchange->easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(exchange->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    return curl_easy_setopt(exchange->easy, CURLOPT_PINNEDPUBLICKEY, pin) == CURLE_OK
               ? 0
               : no_memory(reterr);
}

static int set_up(struct exchange *const exchange, const char *const target,
                  struct bh_error *const reterr)
{
    const struct tome_fetch_address *const address = exchange->address;
    CURL *const easy = exchange->easy;
    const bool is_v6 = strchr(address->host, ':') != NULL;
    const bool is_tls = address->tls_cert_file[0] != '\0';
    char url[URL_SIZE], key[KEY_SIZE];
    const int url_size = snprintf(url, sizeof(url), "%s://%s%s%s:%u%s", is_tls ? "https" : "http",
                                  is_v6 ? "[" : "", address->host, is_v6 ? "]" : "", address->port,
                                  target);
    /* Without a key: a header that libcurl leaves out. */
    const int key_size = snprintf(key, sizeof(key), "X-API-Key: %s", address->api_key);
    if ((size_t)url_size >= sizeof(url) || (size_t)key_size >= sizeof(key))
        return bh_error_set(reterr, BH_EINVAL, "the host's name or the key is too long");
    exchange->headers = curl_slist_append(NULL, key);
    if (!exchange->headers || curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
        return no_memory(reterr);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, is_tls ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(address->timeout_us / BH_MS_US));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->detail);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    return is_tls ? secure(exchange, reterr) : 0;
}

/* ---- The outcome ---- */

static int unavailable(const struct tome_fetch_address *const address, const char *const why,
                       struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_EUNAVAILABLE, "no server answers at %s port %u: %s",
                        address->host, address->port, why);
}

static int failure(const struct exchange *const exchange, const CURLcode code,
                   struct bh_error *const reterr)
{
    const struct tome_fetch_address *const address = exchange->address;
    const char *const detail = exchange->detail[0] != '\0' ? exchange->detail
                                                           : curl_easy_strerror(code);
    long system_error = 0;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &system_error);
        return unavailable(address, system_error ? strerror((int)system_error) : detail, reterr);
    case CURLE_OPERATION_TIMEDOUT:
        return unavailable(address, "it did not answer in time", reterr);
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return bh_error_set(reterr, BH_EACCESS,
                            "what answers at %s port %u does not show the certificate %s: was it "
                            "replaced without tomehub reload?",
                            address->host, address->port, address->tls_cert_file);
    case CURLE_SSL_CONNECT_ERROR:
        return bh_error_set(reterr, BH_ESYNTAX, "no TLS with %s port %u: %s", address->host,
                            address->port, detail);
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: no status line */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
        return bh_error_set(reterr, BH_ESYNTAX, "what answers there is not this service");
    case CURLE_PARTIAL_FILE:
        return bh_error_set(reterr, BH_ESYNTAX, "the answer is not whole");
    case CURLE_WRITE_ERROR:
        return bh_error_set(reterr, bh_buf_error(exchange->body), "the answer is too long");
    case CURLE_OUT_OF_MEMORY:
        return no_memory(reterr);
    default:
        return unavailable(address, detail, reterr);
    }
}

int tome_fetch(const struct tome_fetch_address *const address, const char *const target,
               struct bh_buf *const body, struct bh_error *const reterr)
{
    struct exchange exchange = { .address = address, .easy = curl_easy_init(), .body = body };
    int result = exchange.easy ? set_up(&exchange, target, reterr) : no_memory(reterr);
    if (result == 0) {
        long status = 0;
        const CURLcode code = curl_easy_perform(exchange.easy);
        curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK)
            result = failure(&exchange, code, reterr);
        else if (status != 200)
            result = bh_error_set(reterr, BH_ESYNTAX, "the server answered \"%s\"",
                                  exchange.status_line);
    }
    curl_slist_free_all(exchange.headers);
    curl_easy_cleanup(exchange.easy);
    return result;
}
