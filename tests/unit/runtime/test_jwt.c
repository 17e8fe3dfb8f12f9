/* Tokens: what is taken, and each way in which one is refused, with real keys. */
#include "cmocka_setup.h"

#include "runtime/base64url.h"
#include "runtime/jwt.h"
#include "runtime/signer.h"

#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define NOW INT64_C(1800000000)
#define ISSUER "https://issuer.example"
#define HEAD_RSA "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"JWT\"}"
#define HEAD_EC "{\"alg\":\"ES256\",\"kid\":\"e\"}"
#define CLAIMS(more) \
    "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"ann\",\"exp\":1800000100" more "}"

static EVP_PKEY *rsa, *ec, *other_ec;
static struct bh_jwks *set;
static const struct bh_jwt_rules rules = { { ISSUER, sizeof(ISSUER) - 1 }, { "books", 5 }, 60 };

static int setup(void **const state)
{
    char rsa_jwk[3000], ec_jwk[1000], text[5000];
    (void)state;
    rsa = signer_rsa(2048);
    ec = signer_ec();
    other_ec = signer_ec();
    signer_jwk(rsa_jwk, sizeof(rsa_jwk), rsa, "r", ",\"alg\":\"RS256\",\"use\":\"sig\"");
    signer_jwk(ec_jwk, sizeof(ec_jwk), ec, "e", "");
    snprintf(text, sizeof(text), "{\"keys\":[%s,%s,{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", rsa_jwk,
             ec_jwk);
    struct bh_error error;
    const int result = bh_jwks_parse(bh_str_from(text), &set, &error);
    if (result != 0)
        fail_msg("%s", error.message);
    assert_int_equal(bh_jwks_count(set), 2);
    return 0;
}

static int teardown(void **const state)
{
    (void)state;
    bh_jwks_unref(set);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(other_ec);
    return 0;
}

/* All three steps, as a server takes them. */
static int check(const char *const token, struct bh_jwt_claims *const claims)
{
    struct bh_error error = { 0 };
    struct bh_jwt jwt;
    int result = bh_jwt_open(bh_str_from(token), &jwt, &error);
    if (result != 0)
        return result;
    EVP_PKEY *const key = bh_jwks_find(set, (struct bh_str){ jwt.key_id, jwt.key_id_size },
                                       jwt.algorithm);
    if (key == NULL)
        return BH_ENOTFOUND;
    result = bh_jwt_verify(&jwt, key);
    return result != 0 ? result : bh_jwt_read(&jwt, &rules, NOW, claims, &error);
}

static int check_claims(const char *const text, struct bh_jwt_claims *const claims)
{
    char token[9000];
    signer_token(token, sizeof(token), ec, HEAD_EC, text);
    return check(token, claims);
}

static int check_head(EVP_PKEY *const key, const char *const head)
{
    char token[9000];
    struct bh_jwt_claims claims;
    signer_token(token, sizeof(token), key, head, CLAIMS(""));
    return check(token, &claims);
}

static void test_good_ones(void **state)
{
    char token[2000];
    struct bh_jwt_claims claims = { 0 };
    (void)state;
    signer_token(token, sizeof(token), rsa, HEAD_RSA, CLAIMS(",\"scope\":\"read openid\""));
    assert_int_equal(check(token, &claims), 0);
    assert_string_equal(claims.subject, "ann");
    assert_string_equal(claims.scope, "read openid");
    assert_true(claims.has_scope && claims.expires_s == 1800000100);
    assert_int_equal(check_claims(CLAIMS(",\"nbf\":1800000000,\"iat\":1799999999.5"), &claims), 0);
    assert_false(claims.has_scope);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\"}"), 0); /* the only key of its kind */
    assert_int_equal(check_claims("{\"iss\":\"" ISSUER "\",\"aud\":[\"a\",\"books\"],\"sub\":\"s\","
                                  "\"exp\":1.8e9}",
                                  &claims),
                     0);
}

static void test_heads(void **state)
{
    (void)state;
    assert_int_equal(check_head(ec, "{\"alg\":\"none\",\"kid\":\"e\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"None\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"HS256\",\"kid\":\"e\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES384\",\"kid\":\"e\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"es256\",\"kid\":\"e\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":[\"ES256\"]}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"kid\":\"e\"}"), BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"crit\":[\"b64\"]}"),
                     BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"cty\":\"JWT\"}"),
                     BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"typ\":\"logout+jwt\"}"),
                     BH_EUNSUPPORTED);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":\"x\"}"), BH_ENOTFOUND);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":7}"), BH_ESYNTAX);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"alg\":\"RS256\"}"), BH_ESYNTAX);
    assert_int_equal(check_head(ec, "[]"), BH_ESYNTAX);
    /* Each key is for one algorithm. */
    assert_int_equal(check_head(rsa, "{\"alg\":\"RS256\",\"kid\":\"e\"}"), BH_ENOTFOUND);
    assert_int_equal(check_head(ec, "{\"alg\":\"ES256\",\"kid\":\"r\"}"), BH_ENOTFOUND);
}

static void test_signatures(void **state)
{
    char token[2000];
    struct bh_jwt_claims claims;
    (void)state;
    assert_int_equal(check_head(other_ec, HEAD_EC), BH_EACCESS);
    assert_int_equal(check_head(ec, HEAD_RSA), BH_EACCESS);
    signer_token(token, sizeof(token), rsa, HEAD_RSA, CLAIMS(""));
    char *const end = token + strlen(token);
    char *const claim = strchr(token, '.') + 10;
    *claim = *claim == 'A' ? 'B' : 'A';
    assert_int_equal(check(token, &claims), BH_EACCESS);
    signer_token(token, sizeof(token), rsa, HEAD_RSA, CLAIMS(""));
    end[-20] = end[-20] == 'A' ? 'B' : 'A';
    assert_int_equal(check(token, &claims), BH_EACCESS);
    signer_token(token, sizeof(token), ec, HEAD_EC, CLAIMS(""));
    token[strlen(token) - 2] = '\0'; /* a short signature */
    assert_int_equal(check(token, &claims), BH_EACCESS);
}

/* The public key, which everybody has, as the secret of HS256. */
static void test_the_public_key_is_no_secret(void **state)
{
    char token[2000] = "";
    uint8_t code[32];
    char *pem = NULL;
    struct bh_jwt_claims claims;
    (void)state;
    BIO *const bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, rsa);
    const long size = BIO_get_mem_data(bio, &pem);
    signer_encode_text(token, sizeof(token), "{\"alg\":\"HS256\",\"kid\":\"r\"}");
    memcpy(token + strlen(token), ".", 2);
    signer_encode_text(token, sizeof(token), CLAIMS(""));
    HMAC(EVP_sha256(), pem, (int)size, (const uint8_t *)token, strlen(token), code, NULL);
    memcpy(token + strlen(token), ".", 2);
    signer_encode(token, sizeof(token), code, sizeof(code));
    BIO_free(bio);
    assert_int_equal(check(token, &claims), BH_EUNSUPPORTED);
}

static void test_claims(void **state)
{
    static const char *const refused[] = {
        "{\"iss\":\"https://other.example\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "/\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":1800000100}",
        "{\"aud\":\"books\",\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"book\",\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":[],\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":{\"books\":1},\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":1799999940}",
        CLAIMS(",\"nbf\":1800000061"),
        CLAIMS(",\"iat\":1800000061"),
    };
    static const char *const malformed[] = {
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\"}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":\"1800000100\"}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":-1}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\",\"exp\":1e300}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\\nb\",\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":7,\"exp\":1800000100}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"exp\":1800000100}",
        CLAIMS(",\"nbf\":true"),
        CLAIMS(",\"scope\":[\"read\"]"),
        CLAIMS(",\"sub\":\"twice\""),
        "\"text\"",
    };
    struct bh_jwt_claims claims;
    (void)state;
    for (size_t i = 0; i < BH_COUNT_OF(refused); i++)
        if (check_claims(refused[i], &claims) != BH_EACCESS)
            fail_msg("taken: %s", refused[i]);
    for (size_t i = 0; i < BH_COUNT_OF(malformed); i++)
        if (check_claims(malformed[i], &claims) != BH_ESYNTAX)
            fail_msg("taken: %s", malformed[i]);
    assert_int_equal(check_claims("{\"iss\":\"" ISSUER "\",\"aud\":\"books\",\"sub\":\"a\","
                                  "\"exp\":1799999941}",
                                  &claims),
                     0); /* within the leeway */
}

static void test_forms(void **state)
{
    static const char *const forms[] = {
        "",         ".",     "..",           "a.b",   "a.b.c.d",  "a..c",        "e30.e30.",
        ".e30.e30", "=.=.=", "e30=.e30.e30", "e30 .", "e31.e30.", "\xff.e30.e30"
    };
    static char huge[BH_JWT_BYTES_MAX + 2];
    struct bh_jwt jwt;
    (void)state;
    for (size_t i = 0; i < BH_COUNT_OF(forms); i++)
        assert_true(bh_jwt_open(bh_str_from(forms[i]), &jwt, NULL) < 0);
    memset(huge, 'a', sizeof(huge) - 1);
    assert_int_equal(bh_jwt_open(bh_str_from(huge), &jwt, NULL), BH_ELIMIT);
}

static void test_base64url(void **state)
{
    uint8_t bytes[8];
    size_t size = 99;
    (void)state;
    assert_int_equal(bh_base64url_decode(BH_STR("_-8"), bytes, sizeof(bytes), &size), 0);
    assert_int_equal(size, 2);
    assert_memory_equal(bytes, "\xff\xef", 2);
    assert_int_equal(bh_base64url_decode(BH_STR("_-9"), bytes, sizeof(bytes), &size), BH_ESYNTAX);
    assert_int_equal(bh_base64url_decode(BH_STR("A"), bytes, sizeof(bytes), &size), BH_ESYNTAX);
    assert_int_equal(bh_base64url_decode(BH_STR("AA=="), bytes, sizeof(bytes), &size), BH_ESYNTAX);
    assert_int_equal(bh_base64url_decode(BH_STR("AA+A"), bytes, sizeof(bytes), &size), BH_ESYNTAX);
    assert_int_equal(bh_base64url_decode(BH_STR("AAAAAAAAAAAA"), bytes, sizeof(bytes), &size),
                     BH_ELIMIT);
}

static void test_key_sets(void **state)
{
    static const char *const refused[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[7,null,{}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", /* 17 bits */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
        /* Not on the curve: */
        ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}"),
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
        "{\"id\":\"no certificate\"}",
        "{\"id\":7}",
    };
    struct bh_jwks *parsed = NULL;
    char jwk[1000], text[1200];
    (void)state;
    for (size_t i = 0; i < BH_COUNT_OF(refused); i++)
        if (bh_jwks_parse(bh_str_from(refused[i]), &parsed, NULL) == 0)
            fail_msg("taken: %s", refused[i]);
    signer_jwk(jwk, sizeof(jwk), ec, "e", ",\"use\":\"enc\"");
    snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
    assert_int_equal(bh_jwks_parse(bh_str_from(text), &parsed, NULL), BH_ENOTFOUND);
    signer_jwk(jwk, sizeof(jwk), ec, "e", ",\"alg\":\"ES512\"");
    snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
    assert_int_equal(bh_jwks_parse(bh_str_from(text), &parsed, NULL), BH_ENOTFOUND);
}

/* As Google gives the keys of Firebase: certificates by key id. */
static void test_certificates(void **state)
{
    char *pem = NULL, text[4000] = "{\"fire\":\"";
    size_t at = strlen(text);
    (void)state;
    X509 *const certificate = X509_new();
    X509_set_pubkey(certificate, rsa);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_true(X509_sign(certificate, rsa, EVP_sha256()) > 0);
    BIO *const bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    const long size = BIO_get_mem_data(bio, &pem);
    for (long i = 0; i < size; i++) {
        if (pem[i] == '\n')
            text[at++] = '\\';
        text[at++] = pem[i] == '\n' ? 'n' : pem[i];
    }
    memcpy(text + at, "\"}", 3);
    struct bh_jwks *parsed = NULL;
    assert_int_equal(bh_jwks_parse(bh_str_from(text), &parsed, NULL), 0);
    EVP_PKEY *const key = bh_jwks_find(parsed, BH_STR("fire"), BH_JWT_RS256);
    assert_true(key != NULL && EVP_PKEY_eq(key, rsa) == 1);
    bh_jwks_unref(parsed);
    BIO_free(bio);
    X509_free(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),   cmocka_unit_test(test_heads),
        cmocka_unit_test(test_signatures),  cmocka_unit_test(test_the_public_key_is_no_secret),
        cmocka_unit_test(test_claims),      cmocka_unit_test(test_forms),
        cmocka_unit_test(test_base64url),   cmocka_unit_test(test_key_sets),
        cmocka_unit_test(test_certificates)
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
