#include "runtime/jwt.h"

#include <math.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <string.h>

#include "bulkhead/base/json.h"
#include "runtime/base64url.h"

#define HEAD_BYTES_MAX 2048
#define DEPTH_MAX 16
#define TIME_MAX 1e11 /* seconds: the year 5138 */
#define ES256_BYTES 64

static struct bh_str text_of(const json_t *const value)
{
    return (struct bh_str){ json_string_value(value), json_string_length(value) };
}

static int malformed(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ESYNTAX, "the token is malformed");
}

/* A part of the token as a JSON object. */
static int parse(const struct bh_str part, json_t **const ret_object, struct bh_error *const reterr)
{
    uint8_t bytes[BH_BASE64URL_DECODED(BH_JWT_BYTES_MAX)];
    size_t size = 0;
    json_t *object = NULL;
    if (bh_base64url_decode(part, bytes, sizeof(bytes), &size) != 0 ||
        bh_json_parse((struct bh_str){ (const char *)bytes, size }, DEPTH_MAX, &object, NULL) != 0)
        return malformed(reterr);
    if (!json_is_object(object)) {
        json_decref(object);
        return malformed(reterr);
    }
    *ret_object = object;
    return 0;
}

/* ---- Head ---- */

static int read_algorithm(const json_t *const head, struct bh_jwt *const jwt,
                          struct bh_error *const reterr)
{
    const struct bh_str name = text_of(json_object_get(head, "alg"));
    if (bh_str_equal(name, BH_STR("RS256")))
        jwt->algorithm = BH_JWT_RS256;
    else if (bh_str_equal(name, BH_STR("ES256")))
        jwt->algorithm = BH_JWT_ES256;
    else
        return bh_error_set(reterr, BH_EUNSUPPORTED, "the token is not signed by RS256 or ES256");
    return 0;
}

static int read_head(const struct bh_str part, struct bh_jwt *const jwt,
                     struct bh_error *const reterr)
{
    json_t *BH_CLEANUP(bh_json_decref_cleanup) head = NULL;
    if (part.size > HEAD_BYTES_MAX)
        return malformed(reterr);
    int result = parse(part, &head, reterr);
    if (result == 0)
        result = read_algorithm(head, jwt, reterr);
    if (result != 0)
        return result;
    const json_t *const type = json_object_get(head, "typ");
    const json_t *const id = json_object_get(head, "kid");
    if (json_object_get(head, "crit") || json_object_get(head, "cty") ||
        json_object_get(head, "b64") ||
        (type && !bh_str_equal_nocase(text_of(type), BH_STR("JWT")) &&
         !bh_str_equal_nocase(text_of(type), BH_STR("at+jwt"))))
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "the token's head asks for what is not supported");
    if (!id)
        return 0;
    const struct bh_str text = text_of(id);
    if (text.size == 0 || text.size > BH_JWK_ID_MAX)
        return malformed(reterr);
    memcpy(jwt->key_id, text.data, text.size);
    jwt->key_id_size = text.size;
    return 0;
}

int bh_jwt_open(const struct bh_str token, struct bh_jwt *const ret_jwt,
                struct bh_error *const reterr)
{
    struct bh_jwt jwt = { 0 };
    struct bh_str rest = token;
    if (token.size > BH_JWT_BYTES_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "the token is longer than %d bytes",
                            BH_JWT_BYTES_MAX);
    if (token.size == 0)
        return malformed(reterr);
    const struct bh_str head = bh_str_split(&rest, '.');
    jwt.payload = bh_str_split(&rest, '.');
    if (head.size == 0 || jwt.payload.size == 0 || rest.size == 0)
        return malformed(reterr);
    jwt.signed_part = (struct bh_str){ token.data, head.size + 1 + jwt.payload.size };
    const int result = read_head(head, &jwt, reterr);
    if (result != 0)
        return result;
    if (bh_base64url_decode(rest, jwt.signature, sizeof(jwt.signature), &jwt.signature_size) != 0)
        return malformed(reterr);
    *ret_jwt = jwt;
    return 0;
}

/* ---- Signature ---- */

/* ES256's two numbers, one behind the other, as the DER that OpenSSL takes; its size, or 0. */
static size_t der_of(const struct bh_jwt *const jwt, uint8_t to[80])
{
    ECDSA_SIG *const signature = ECDSA_SIG_new();
    BIGNUM *const r = BN_bin2bn(jwt->signature, ES256_BYTES / 2, NULL);
    BIGNUM *const s = BN_bin2bn(jwt->signature + ES256_BYTES / 2, ES256_BYTES / 2, NULL);
    int size = 0;
    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        size = i2d_ECDSA_SIG(signature, &to);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return size > 0 ? (size_t)size : 0;
}

int bh_jwt_verify(const struct bh_jwt *const jwt, EVP_PKEY *const key)
{
    uint8_t der[80];
    const uint8_t *signature = jwt->signature;
    size_t size = jwt->signature_size;
    if (jwt->algorithm == BH_JWT_ES256) {
        if (size != ES256_BYTES)
            return BH_EACCESS;
        size = der_of(jwt, der);
        signature = der;
    }
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    const bool is_good = context && size > 0 &&
                         EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                         EVP_DigestVerify(context, signature, size,
                                          (const uint8_t *)jwt->signed_part.data,
                                          jwt->signed_part.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_good ? 0 : BH_EACCESS;
}

/* ---- Claims ---- */

static bool has_audience(const json_t *const value, const struct bh_str wanted)
{
    if (json_is_string(value))
        return bh_str_equal(text_of(value), wanted);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (json_is_string(json_array_get(value, i)) &&
            bh_str_equal(text_of(json_array_get(value, i)), wanted))
            return true;
    return false;
}

/* True with *ret_time, whole seconds downwards; NAN where the claim is absent. */
static bool read_time(const json_t *const claims, const char *const name, double *const ret_time)
{
    const json_t *const value = json_object_get(claims, name);
    *ret_time = (double)NAN;
    if (!value)
        return true;
    if (!json_is_number(value))
        return false;
    const double time = floor(json_number_value(value));
    if (!(time >= 0 && time <= TIME_MAX))
        return false;
    *ret_time = time;
    return true;
}

static int check_times(const json_t *const claims, const int64_t now_s, const int64_t leeway_s,
                       int64_t *const ret_expires_s, struct bh_error *const reterr)
{
    double expires, begins, issued;
    const double now = (double)now_s, leeway = (double)leeway_s;
    if (!read_time(claims, "exp", &expires) || !read_time(claims, "nbf", &begins) ||
        !read_time(claims, "iat", &issued) || isnan(expires))
        return bh_error_set(reterr, BH_ESYNTAX, "the token's times are malformed");
    if (now >= expires + leeway)
        return bh_error_set(reterr, BH_EACCESS, "the token has expired");
    if (begins > now + leeway || issued > now + leeway)
        return bh_error_set(reterr, BH_EACCESS, "the token is not valid yet");
    *ret_expires_s = (int64_t)expires;
    return 0;
}

static int read_subject(const json_t *const claims, struct bh_jwt_claims *const ret_claims,
                        struct bh_error *const reterr)
{
    const struct bh_str subject = text_of(json_object_get(claims, "sub"));
    bool is_fit = subject.size > 0 && subject.size <= BH_JWT_SUBJECT_MAX;
    for (size_t i = 0; is_fit && i < subject.size; i++)
        is_fit = (unsigned char)subject.data[i] >= ' ' && subject.data[i] != 0x7F;
    if (!is_fit)
        return bh_error_set(reterr, BH_ESYNTAX, "the token has no subject that can be used");
    memcpy(ret_claims->subject, subject.data, subject.size);
    ret_claims->subject_size = subject.size;
    return 0;
}

static int read_scope(const json_t *const claims, struct bh_jwt_claims *const ret_claims,
                      struct bh_error *const reterr)
{
    const json_t *const value = json_object_get(claims, "scope");
    const struct bh_str scope = text_of(value);
    if (!value)
        return 0;
    if (!json_is_string(value) || scope.size >= sizeof(ret_claims->scope))
        return bh_error_set(reterr, BH_ESYNTAX, "the token's scope is malformed");
    ret_claims->has_scope = true;
    memcpy(ret_claims->scope, scope.data, scope.size);
    return 0;
}

int bh_jwt_read(const struct bh_jwt *const jwt, const struct bh_jwt_rules *const rules,
                const int64_t now_s, struct bh_jwt_claims *const ret_claims,
                struct bh_error *const reterr)
{
    json_t *BH_CLEANUP(bh_json_decref_cleanup) claims = NULL;
    struct bh_jwt_claims read = { 0 };
    int result = parse(jwt->payload, &claims, reterr);
    if (result != 0)
        return result;
    if (!bh_str_equal(text_of(json_object_get(claims, "iss")), rules->issuer))
        return bh_error_set(reterr, BH_EACCESS, "the token is of another issuer");
    if (!has_audience(json_object_get(claims, "aud"), rules->audience))
        return bh_error_set(reterr, BH_EACCESS, "the token is meant for another audience");
    result = check_times(claims, now_s, rules->leeway_s, &read.expires_s, reterr);
    if (result == 0)
        result = read_subject(claims, &read, reterr);
    if (result == 0)
        result = read_scope(claims, &read, reterr);
    if (result == 0)
        *ret_claims = read;
    return result;
}
