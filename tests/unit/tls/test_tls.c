/* Sessions against each other, without a socket between them; and a hostile client. */
#include "bulkhead/tls/tls.h"

#include <openssl/ssl.h>

#include "bulkhead/tls/tls_session.h"
#include "cmocka_setup.h"
#include "certificates.h"

#define OUTPUT_MAX 65536

/* ---- Two sessions and what lies between them ---- */

struct side {
    struct bh_tls_session *session;
    struct bh_buf output; /* what it has said and the other has not heard */
    bool is_done;
    int result;
    struct bh_error error;
};

struct pair {
    struct bh_tls *server_tls, *client_tls;
    struct side server, client;
    size_t piece; /* bytes heard at a time */
};

static struct bh_tls *make_server(void)
{
    struct bh_tls *tls = NULL;
    struct bh_error error;
    assert_int_equal(bh_tls_server_create(certificates.cert, certificates.key, &tls, &error), 0);
    return tls;
}

static void begin(struct pair *const pair, struct bh_tls *const client_tls, const char *const host,
                  const size_t piece)
{
    *pair = (struct pair){ .server_tls = make_server(), .client_tls = client_tls, .piece = piece };
    assert_int_equal(bh_tls_session_create(pair->server_tls, "", &pair->server.session), 0);
    assert_int_equal(bh_tls_session_create(pair->client_tls, host, &pair->client.session), 0);
    bh_buf_init(&pair->server.output, OUTPUT_MAX);
    bh_buf_init(&pair->client.output, OUTPUT_MAX);
}

static void end(struct pair *const pair)
{
    bh_tls_session_destroy(pair->server.session);
    bh_tls_session_destroy(pair->client.session);
    bh_buf_fini(&pair->server.output);
    bh_buf_fini(&pair->client.output);
    bh_tls_destroy(pair->server_tls);
    bh_tls_destroy(pair->client_tls);
}

/* One step of a side, which hears at most a piece of what the other has said. */
static void shake(struct side *const side, struct side *const other, const size_t piece)
{
    const size_t size = other->output.size < piece ? other->output.size : piece;
    struct bh_tls_io io = { .input = { other->output.data, size }, .output = &side->output };
    if (side->is_done || side->result < 0)
        return;
    side->result = bh_tls_session_handshake(side->session, &io, &side->error);
    side->is_done = side->result == 1;
    bh_buf_consume(&other->output, size - io.input.size);
}

static void shake_hands(struct pair *const pair)
{
    for (int turn = 0; turn < 20000; turn++) {
        shake(&pair->client, &pair->server, pair->piece);
        shake(&pair->server, &pair->client, pair->piece);
    }
}

/* What `side` reads of all that the other has said; its last look. */
static int listen_to(struct side *const side, struct side *const other, char *const to,
                     size_t *const ret_size)
{
    struct bh_tls_io io = { .input = bh_buf_peek(&other->output), .output = &side->output };
    int result = 0;
    while ((result = bh_tls_session_look(side->session, &io)) == 1)
        *ret_size += bh_tls_session_read(side->session, &io, to + *ret_size, 7);
    bh_buf_consume(&other->output, other->output.size - io.input.size);
    return result;
}

static struct bh_tls *trusting(const char *const file)
{
    struct bh_tls *tls = NULL;
    struct bh_error error;
    assert_int_equal(bh_tls_client_create(file, &tls, &error), 0);
    return tls;
}

static void test_bytes_arrive_however_they_are_cut(void **const state)
{
    (void)state;
    static const size_t pieces[] = { 1, 5, 100, OUTPUT_MAX };
    for (size_t i = 0; i < BH_COUNT_OF(pieces); i++) {
        struct pair pair;
        begin(&pair, trusting(certificates.ca), "books.example", pieces[i]);
        shake_hands(&pair);
        assert_true(pair.client.is_done && pair.server.is_done);
        assert_false(bh_tls_session_is_resumed(pair.server.session));

        static char sent[20000], heard[20000];
        for (size_t at = 0; at < sizeof(sent); at++)
            sent[at] = (char)(at * 7);
        struct bh_tls_io io = { .output = &pair.client.output };
        assert_int_equal(
            bh_tls_session_write(pair.client.session, &io, (struct bh_str){ sent, sizeof(sent) }),
            0);
        bh_tls_session_finish(pair.client.session, &io);
        size_t size = 0;
        assert_int_equal(listen_to(&pair.server, &pair.client, heard, &size), BH_ECLOSED);
        assert_int_equal(size, sizeof(sent));
        assert_memory_equal(sent, heard, size);

        io = (struct bh_tls_io){ .output = &pair.server.output }; /* it may still answer */
        assert_int_equal(bh_tls_session_write(pair.server.session, &io, BH_STR("answer")), 0);
        size = 0;
        assert_int_equal(listen_to(&pair.client, &pair.server, heard, &size), 0);
        assert_int_equal(size, 6);
        end(&pair);
    }
}

static void test_a_changed_byte_ends_it(void **const state)
{
    (void)state;
    struct pair pair;
    char heard[16];
    size_t size = 0;
    begin(&pair, trusting(certificates.ca), "books.example", OUTPUT_MAX);
    shake_hands(&pair);
    struct bh_tls_io io = { .output = &pair.client.output };
    assert_int_equal(bh_tls_session_write(pair.client.session, &io, BH_STR("text")), 0);
    pair.client.output.data[pair.client.output.size - 1] ^= 1;
    assert_int_equal(listen_to(&pair.server, &pair.client, heard, &size), BH_ESYNTAX);
    assert_int_equal(size, 0);
    assert_true(pair.server.output.size > 0); /* the alert */
    end(&pair);
}

/* ---- Whom a client takes ---- */

static void expect(struct bh_tls *const client_tls, const char *const host, const int result,
                   const char *const why)
{
    struct pair pair;
    begin(&pair, client_tls, host, OUTPUT_MAX);
    shake_hands(&pair);
    assert_int_equal(pair.client.result, result);
    if (result < 0) {
        assert_non_null(strstr(pair.client.error.message, why));
        assert_true(pair.server.result <= 0 || pair.client.output.size > 0);
    }
    end(&pair);
}

static void test_a_client_knows_whom_it_talks_to(void **const state)
{
    (void)state;
    expect(trusting(certificates.ca), "books.example", 1, "");
    expect(trusting(certificates.ca), "192.0.2.1", 1, "");
    expect(trusting(certificates.ca), "", 1, "");
    expect(trusting(certificates.ca), "other.example", BH_EACCESS, "hostname mismatch");
    expect(trusting(certificates.ca), "192.0.2.2", BH_EACCESS, "IP address mismatch");
    expect(trusting(""), "books.example", BH_EACCESS, "not accepted");
}

static void test_files_are_checked(void **const state)
{
    (void)state;
    struct bh_tls *tls = NULL;
    struct bh_error error;
    assert_int_equal(bh_tls_client_create("/nowhere", &tls, &error), BH_ENOTFOUND);
    assert_int_equal(bh_tls_client_create(certificates.key, &tls, &error), BH_EINVAL);
    assert_int_equal(bh_tls_server_create(certificates.ca, certificates.key, &tls, &error),
                     BH_EINVAL);
    assert_non_null(strstr(error.message, certificates.key));
    assert_null(tls);
}

/* ---- A hostile client ---- */

/* Each key update asks for one in return: a peer that sends many at once must not make a step say
 * more than its output may hold. */
static void test_key_updates_are_answered_within_the_bound(void **const state)
{
    (void)state;
    struct bh_tls *const server_tls = make_server();
    struct bh_tls_session *server = NULL;
    assert_int_equal(bh_tls_session_create(server_tls, "", &server), 0);
    SSL_CTX *const context = SSL_CTX_new(TLS_client_method());
    SSL *const client = SSL_new(context);
    BIO *const to_client = BIO_new(BIO_s_mem()), *const from_client = BIO_new(BIO_s_mem());
    SSL_set_bio(client, to_client, from_client);
    SSL_set_connect_state(client);
    struct bh_buf output;
    struct bh_error error;
    bh_buf_init(&output, OUTPUT_MAX);
    char *said = NULL;
    int result = 0;
    while (result == 0) {
        SSL_do_handshake(client);
        const long size = BIO_get_mem_data(from_client, &said);
        struct bh_tls_io io = { .input = { said, (size_t)size }, .output = &output };
        result = bh_tls_session_handshake(server, &io, &error);
        BIO_reset(from_client);
        BIO_write(to_client, output.data, (int)output.size);
        bh_buf_clear(&output);
    }
    assert_int_equal(result, 1);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(client), 1);
    }
    const long size = BIO_get_mem_data(from_client, &said);
    assert_true(size > OUTPUT_MAX);
    struct bh_tls_io io = { .input = { said, (size_t)size }, .output = &output };
    assert_true(bh_tls_session_look(server, &io) < 0);
    assert_true(output.size <= OUTPUT_MAX);
    SSL_free(client);
    SSL_CTX_free(context);
    bh_buf_fini(&output);
    bh_tls_session_destroy(server);
    bh_tls_destroy(server_tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_arrive_however_they_are_cut),
        cmocka_unit_test(test_a_changed_byte_ends_it),
        cmocka_unit_test(test_a_client_knows_whom_it_talks_to),
        cmocka_unit_test(test_files_are_checked),
        cmocka_unit_test(test_key_updates_are_answered_within_the_bound),
    };
    return cmocka_run_group_tests(tests, certificates_make, certificates_remove);
}
