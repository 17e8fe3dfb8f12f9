/*
 * OpenSSL reads and writes through a BIO of ours, which points at the io of the step in hand: so
 * nothing is copied on the way, and nothing is kept that OpenSSL does not keep itself.
 */
#include "bulkhead/tls/tls_session.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"

#define SESSION_MAGIC 0x544c5353u
#define WRITE_BYTES_MAX ((size_t)1 << 30) /* of one call of OpenSSL's, which counts in int */

struct bh_tls_session {
    BH_MAGIC_FIELD;
    struct bh_tls *tls;
    SSL *ssl;
    struct bh_tls_io *io; /* of the step in hand */
};

/* ---- The BIO ---- */

static int bio_read(BIO *const bio, char *const to, const int size)
{
    struct bh_tls_session *const session = BIO_get_data(bio);
    struct bh_str *const input = &session->io->input;
    BIO_clear_retry_flags(bio);
    if (input->size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const size_t count = input->size < (size_t)size ? input->size : (size_t)size;
    memcpy(to, input->data, count);
    input->data += count;
    input->size -= count;
    return (int)count;
}

static int bio_write(BIO *const bio, const char *const data, const int size)
{
    struct bh_tls_session *const session = BIO_get_data(bio);
    struct bh_buf *const output = session->io->output;
    BIO_clear_retry_flags(bio);
    bh_buf_append(output, data, (size_t)size);
    return bh_buf_error(output) ? -1 : size;
}

static long bio_control(BIO *const bio, const int command, const long number, void *const pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method; /* made once, for the life of the process */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bulkhead");
    if (!method || BIO_meth_set_read(method, bio_read) != 1 ||
        BIO_meth_set_write(method, bio_write) != 1 || BIO_meth_set_ctrl(method, bio_control) != 1) {
        BIO_meth_free(method);
        method = NULL;
    }
}

/* ---- Life ---- */

static int set_host(struct bh_tls_session *const session, const char *const host)
{
    char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro wants it to be writable */
    unsigned char address[sizeof(struct in6_addr)];
    snprintf(name, sizeof(name), "%s", host);
    const bool is_address = inet_pton(AF_INET, host, address) == 1 ||
                            inet_pton(AF_INET6, host, address) == 1;
    X509_VERIFY_PARAM *const wanted = SSL_get0_param(session->ssl);
    const bool is_set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1
                                   : SSL_set_tlsext_host_name(session->ssl, name) == 1 &&
                                         SSL_set1_host(session->ssl, host) == 1;
    return is_set ? 0 : BH_ENOMEM;
}

int bh_tls_session_create(struct bh_tls *const tls, const char *const host,
                          struct bh_tls_session **const ret_session)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bh_magic_check(tls, BH_TLS_MAGIC);
    pthread_once(&once, make_method);
    struct bh_tls_session *const session = calloc(1, sizeof(*session));
    if (!session || !method) {
        free(session);
        return BH_ENOMEM;
    }
    session->magic = SESSION_MAGIC;
    session->tls = tls;
    session->ssl = SSL_new(tls->context);
    BIO *const bio = session->ssl ? BIO_new(method) : NULL;
    if (!bio || (host[0] != '\0' && set_host(session, host) < 0)) {
        BIO_free(bio);
        bh_tls_session_destroy(session);
        ERR_clear_error();
        return BH_ENOMEM;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    if (tls->is_server)
        SSL_set_accept_state(session->ssl);
    else
        SSL_set_connect_state(session->ssl);
    *ret_session = session;
    return 0;
}

void bh_tls_session_destroy(struct bh_tls_session *const session)
{
    if (!session)
        return;
    bh_magic_check(session, SESSION_MAGIC);
    SSL_free(session->ssl);
    session->magic = 0;
    free(session);
}

/* ---- Steps ---- */

static void begin(struct bh_tls_session *const session, struct bh_tls_io *const io)
{
    bh_magic_check(session, SESSION_MAGIC);
    session->io = io;
    ERR_clear_error();
}

/* The handshake failed: in whose eyes, and why. */
static int explain(const struct bh_tls_session *const session, struct bh_error *const reterr)
{
    const long verified = SSL_get_verify_result(session->ssl);
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return bh_error_set(reterr, BH_EACCESS, "the peer's certificate is not accepted: %s",
                            X509_verify_cert_error_string(verified));
    const bool is_alert = reason > SSL_AD_REASON_OFFSET;
    const int alert = reason - SSL_AD_REASON_OFFSET;
    if (is_alert && alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_ACCESS_DENIED)
        return bh_error_set(reterr, BH_EACCESS, "the peer does not accept our certificate (%s)",
                            bh_tls_reason());
    if (is_alert)
        return bh_error_set(reterr, BH_ESYNTAX, "the peer ended it (%s)", bh_tls_reason());
    return bh_error_set(reterr, BH_ESYNTAX, "%s",
                        bh_tls_reason()[0] != '\0' ? bh_tls_reason() : "no TLS was spoken");
}

int bh_tls_session_handshake(struct bh_tls_session *const session, struct bh_tls_io *const io,
                             struct bh_error *const reterr)
{
    begin(session, io);
    const int result = SSL_do_handshake(session->ssl);
    if (result == 1)
        return 1;
    if (SSL_get_error(session->ssl, result) == SSL_ERROR_WANT_READ)
        return 0;
    const int explained = explain(session, reterr);
    ERR_clear_error();
    return explained;
}

bool bh_tls_session_is_resumed(const struct bh_tls_session *const session)
{
    return SSL_session_reused(session->ssl) == 1;
}

int bh_tls_session_look(struct bh_tls_session *const session, struct bh_tls_io *const io)
{
    char byte;
    begin(session, io);
    const int count = SSL_peek(session->ssl, &byte, 1);
    if (count == 1)
        return 1;
    const int error = SSL_get_error(session->ssl, count);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ     ? 0
           : error == SSL_ERROR_ZERO_RETURN ? BH_ECLOSED
                                            : BH_ESYNTAX;
}

size_t bh_tls_session_read(struct bh_tls_session *const session, struct bh_tls_io *const io,
                           char *const to, const size_t size)
{
    begin(session, io);
    const int count = SSL_read(session->ssl, to, size < INT_MAX ? (int)size : INT_MAX);
    bh_assert(count > 0); /* it was looked at, and lies in OpenSSL's buffer */
    return (size_t)count;
}

bool bh_tls_session_has_more(const struct bh_tls_session *const session)
{
    return SSL_pending(session->ssl) > 0;
}

int bh_tls_session_write(struct bh_tls_session *const session, struct bh_tls_io *const io,
                         const struct bh_str data)
{
    begin(session, io);
    for (size_t at = 0; at < data.size;) {
        const size_t left = data.size - at;
        const size_t size = left < WRITE_BYTES_MAX ? left : WRITE_BYTES_MAX;
        if (SSL_write(session->ssl, data.data + at, (int)size) != (int)size) {
            ERR_clear_error();
            return bh_buf_error(io->output) ? bh_buf_error(io->output) : BH_EIO;
        }
        at += size;
    }
    return 0;
}

void bh_tls_session_finish(struct bh_tls_session *const session, struct bh_tls_io *const io)
{
    begin(session, io);
    (void)SSL_shutdown(session->ssl); /* 0: said, and not yet heard in return */
    ERR_clear_error();
}
