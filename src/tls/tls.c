/*
 * Contexts. Files are opened and read here, once; sessions never touch the disk.
 *
 * Sessions are resumed by tickets alone: nothing is kept for a client that may come back. The keys
 * of the tickets are the process's own and are made anew with each, as each reload does.
 */
#include "bulkhead/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tls/tls_internal.h"

/* Forward secrecy and authenticated encryption; the client, who knows whether it has AES in
 * hardware, chooses among them. */
#define CIPHERS_1_2                                              \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"

const char *bh_tls_reason(void)
{
    const char *const text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "";
}

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for TLS");
}

static int create(const bool is_server, struct bh_tls **const ret_tls,
                  struct bh_error *const reterr)
{
    struct bh_tls *const tls = calloc(1, sizeof(*tls));
    char groups[] = GROUPS; /* OpenSSL's macro wants it to be writable */
    SSL_CTX *const context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!tls || !context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, CIPHERS_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1) {
        SSL_CTX_free(context);
        free(tls);
        return no_memory(reterr);
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    *tls = (struct bh_tls){ .magic = BH_TLS_MAGIC, .context = context, .is_server = is_server };
    *ret_tls = tls;
    return 0;
}

void bh_tls_destroy(struct bh_tls *const tls)
{
    if (!tls)
        return;
    bh_magic_check(tls, BH_TLS_MAGIC);
    SSL_CTX_free(tls->context);
    tls->magic = 0;
    free(tls);
}

/* Ends the making of one: into *ret_tls, or destroyed if `result` says that it failed. */
static int give(struct bh_tls *const tls, const int result, struct bh_tls **const ret_tls)
{
    ERR_clear_error();
    if (result < 0)
        bh_tls_destroy(tls);
    else
        *ret_tls = tls;
    return result;
}

int64_t bh_tls_expires_s(const struct bh_tls *const tls)
{
    return tls->expires_s;
}

/* ---- Files ---- */

static void close_cleanup(FILE **const file)
{
    if (*file)
        fclose(*file);
}

static int open_file(const char *const path, const char *const what, FILE **const ret_file,
                     struct bh_error *const reterr)
{
    *ret_file = fopen(path, "re");
    return *ret_file ? 0 : bh_error_errno(reterr, errno, "cannot open the %s %s", what, path);
}

static int64_t seconds_of(const ASN1_TIME *const time)
{
    struct tm parts = { 0 };
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

/* The first certificate of the file. */
static int read_certificate(const char *const path, X509 **const ret_certificate,
                            struct bh_error *const reterr)
{
    BH_CLEANUP(close_cleanup) FILE *file = NULL;
    const int result = open_file(path, "certificate", &file, reterr);
    if (result < 0)
        return result;
    *ret_certificate = PEM_read_X509(file, NULL, NULL, NULL);
    if (*ret_certificate)
        return 0;
    return bh_error_set(reterr, BH_EINVAL,
                        "%s holds no certificate: it must be PEM, with the server's own first "
                        "(%s)",
                        path, bh_tls_reason());
}

static int use_certificate(struct bh_tls *const tls, const char *const path,
                           struct bh_error *const reterr)
{
    X509 *first = NULL;
    const int result = read_certificate(path, &first, reterr);
    if (result < 0)
        return result;
    X509_free(first);
    if (SSL_CTX_use_certificate_chain_file(tls->context, path) != 1)
        return bh_error_set(reterr, BH_EINVAL, "the certificates of %s cannot be used: %s", path,
                            bh_tls_reason());
    tls->expires_s = seconds_of(X509_get0_notAfter(SSL_CTX_get0_certificate(tls->context)));
    return 0;
}

/* Instead of OpenSSL's own, which asks at the terminal. */
static int no_passphrase(char *const buffer, const int size, const int is_writing, void *const flag)
{
    (void)is_writing;
    if (size > 0)
        buffer[0] = '\0';
    *(bool *)flag = true;
    return -1;
}

static int check_key_access(FILE *const file, const char *const path, struct bh_error *const reterr)
{
    struct stat status;
    if (fstat(fileno(file), &status) != 0)
        return bh_error_errno(reterr, errno, "cannot look at the key %s", path);
    if (!S_ISREG(status.st_mode))
        return bh_error_set(reterr, BH_EINVAL, "the key %s is no file", path);
    if (status.st_mode & S_IRWXO)
        return bh_error_set(reterr, BH_EACCESS,
                            "the key %s is open to everybody on this machine: chmod o= %s", path,
                            path);
    return 0;
}

static int use_key(struct bh_tls *const tls, const char *const path, const char *const certificate,
                   struct bh_error *const reterr)
{
    BH_CLEANUP(close_cleanup) FILE *file = NULL;
    bool wants_passphrase = false;
    int result = open_file(path, "key", &file, reterr);
    if (result == 0)
        result = check_key_access(file, path, reterr);
    if (result < 0)
        return result;
    EVP_PKEY *const key = PEM_read_PrivateKey(file, NULL, no_passphrase, &wants_passphrase);
    if (wants_passphrase)
        result = bh_error_set(reterr, BH_EINVAL,
                              "the key %s has a passphrase, which nobody is there to type: remove "
                              "it with openssl pkey -in %s -out FILE",
                              path, path);
    else if (!key)
        result = bh_error_set(reterr, BH_EINVAL, "%s holds no private key in PEM (%s)", path,
                              bh_tls_reason());
    else if (SSL_CTX_use_PrivateKey(tls->context, key) != 1 ||
             SSL_CTX_check_private_key(tls->context) != 1)
        result = bh_error_set(reterr, BH_EINVAL,
                              "the key %s is not that of the certificate %s: both must come from "
                              "one request, and the server's own certificate must be the first",
                              path, certificate);
    EVP_PKEY_free(key);
    return result;
}

/* ---- A server's ---- */

/* A client that names protocols and not ours (h2 alone, say) is refused, as RFC 7301 wants it. */
static int choose_protocol(SSL *const ssl, const unsigned char **const ret_name,
                           unsigned char *const ret_size, const unsigned char *const offered,
                           const unsigned size, void *const argument)
{
    static const unsigned char known[] = "\x08http/1.1";
    (void)ssl;
    (void)argument;
    unsigned char *found = NULL;
    if (SSL_select_next_proto(&found, ret_size, known, sizeof(known) - 1, offered, size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = found;
    return SSL_TLSEXT_ERR_OK;
}

int bh_tls_server_create(const char *const certificate_file, const char *const key_file,
                         struct bh_tls **const ret_tls, struct bh_error *const reterr)
{
    struct bh_tls *tls = NULL;
    ERR_clear_error();
    int result = create(true, &tls, reterr);
    if (result < 0)
        return result;
    result = use_certificate(tls, certificate_file, reterr);
    if (result == 0)
        result = use_key(tls, key_file, certificate_file, reterr);
    SSL_CTX_set_alpn_select_cb(tls->context, choose_protocol, NULL);
    return give(tls, result, ret_tls);
}

/* ---- A client's ---- */

int bh_tls_client_create(const char *const ca_file, struct bh_tls **const ret_tls,
                         struct bh_error *const reterr)
{
    struct bh_tls *tls = NULL;
    ERR_clear_error();
    int result = create(false, &tls, reterr);
    if (result < 0)
        return result;
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    X509 *first = NULL;
    if (!ca_file || ca_file[0] == '\0') {
        if (SSL_CTX_set_default_verify_paths(tls->context) != 1)
            result = no_memory(reterr);
    } else {
        result = read_certificate(ca_file, &first, reterr);
        if (result == 0 && SSL_CTX_load_verify_file(tls->context, ca_file) != 1)
            result = bh_error_set(reterr, BH_EINVAL, "the certificates of %s cannot be used: %s",
                                  ca_file, bh_tls_reason());
    }
    X509_free(first);
    return give(tls, result, ret_tls);
}
