#include "runtime/jwks.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/json.h"
#include "runtime/base64url.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_BYTES_MAX (RSA_BITS_MAX / 8 + 1)
#define P256_BYTES 32
#define DEPTH_MAX 8

struct jwk {
    char id[BH_JWK_ID_MAX + 1];
    size_t id_size;
    enum bh_jwt_algorithm algorithm;
    EVP_PKEY *key;
};

struct bh_jwks {
    atomic_uint references;
    size_t count;
    struct jwk keys[BH_JWKS_KEYS_MAX];
};

struct bh_jwks *bh_jwks_ref(struct bh_jwks *const set)
{
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void bh_jwks_unref(struct bh_jwks *const set)
{
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        EVP_PKEY_free(set->keys[i].key);
    free(set);
}

size_t bh_jwks_count(const struct bh_jwks *const set)
{
    return set->count;
}

EVP_PKEY *bh_jwks_find(const struct bh_jwks *const set, const struct bh_str id,
                       const enum bh_jwt_algorithm algorithm)
{
    EVP_PKEY *found = NULL;
    size_t matches = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct jwk *const jwk = &set->keys[i];
        const struct bh_str own = { jwk->id, jwk->id_size };
        if (jwk->algorithm != algorithm || (id.size > 0 && !bh_str_equal(own, id)))
            continue;
        found = jwk->key;
        matches++;
    }
    return matches == 1 ? found : NULL;
}

/* ---- Keys from numbers ---- */

static EVP_PKEY *key_of(const char *const type, OSSL_PARAM *const parameters)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *const context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

static bool read_bytes(const json_t *const object, const char *const name, uint8_t *const to,
                       const size_t capacity, size_t *const ret_size)
{
    const json_t *const value = json_object_get(object, name);
    if (!json_is_string(value))
        return false;
    const struct bh_str text = { json_string_value(value), json_string_length(value) };
    return bh_base64url_decode(text, to, capacity, ret_size) == 0 && *ret_size > 0;
}

static EVP_PKEY *read_rsa(const json_t *const object)
{
    uint8_t modulus[RSA_BYTES_MAX], exponent[8];
    size_t modulus_size = 0, exponent_size = 0;
    if (!read_bytes(object, "n", modulus, sizeof(modulus), &modulus_size) ||
        !read_bytes(object, "e", exponent, sizeof(exponent), &exponent_size))
        return NULL;
    BIGNUM *const n = BN_bin2bn(modulus, (int)modulus_size, NULL);
    BIGNUM *const e = BN_bin2bn(exponent, (int)exponent_size, NULL);
    OSSL_PARAM_BLD *const builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *key = NULL;
    if (n && e && builder && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        parameters = OSSL_PARAM_BLD_to_param(builder);
    if (parameters)
        key = key_of("RSA", parameters);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    BN_free(e);
    BN_free(n);
    return key;
}

static EVP_PKEY *read_ec(const json_t *const object)
{
    uint8_t point[1 + 2 * P256_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
    size_t x_size = 0, y_size = 0;
    const char *const curve = json_string_value(json_object_get(object, "crv"));
    if (!curve || strcmp(curve, "P-256") != 0 ||
        !read_bytes(object, "x", point + 1, P256_BYTES, &x_size) || x_size != P256_BYTES ||
        !read_bytes(object, "y", point + 1 + P256_BYTES, P256_BYTES, &y_size) ||
        y_size != P256_BYTES)
        return NULL;
    char group[] = "prime256v1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end()
    };
    return key_of("EC", parameters); /* refuses a point that is not on the curve */
}

static EVP_PKEY *read_certificate(const struct bh_str text)
{
    BIO *const bio = BIO_new_mem_buf(text.data, (int)text.size);
    X509 *const certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *const key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    BIO_free(bio);
    return key;
}

/* ---- The set ---- */

/* What a key is good for; false: nothing here. */
static bool algorithm_of(EVP_PKEY *const key, enum bh_jwt_algorithm *const ret_algorithm)
{
    char group[32] = "";
    size_t size = 0;
    if (EVP_PKEY_is_a(key, "RSA")) {
        const int bits = EVP_PKEY_get_bits(key);
        *ret_algorithm = BH_JWT_RS256;
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    *ret_algorithm = BH_JWT_ES256;
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &size) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* Takes `key` over. One that is not used here is passed over. */
static int add(struct bh_jwks *const set, const struct bh_str id, EVP_PKEY *const key,
               const char *const algorithm, struct bh_error *const reterr)
{
    static const char *const names[] = { [BH_JWT_RS256] = "RS256", [BH_JWT_ES256] = "ES256" };
    struct jwk jwk = { .id_size = id.size, .key = key };
    if (!key || id.size > BH_JWK_ID_MAX || !algorithm_of(key, &jwk.algorithm) ||
        (algorithm && strcmp(algorithm, names[jwk.algorithm]) != 0)) {
        EVP_PKEY_free(key);
        return 0;
    }
    if (set->count == BH_JWKS_KEYS_MAX) {
        EVP_PKEY_free(key);
        return bh_error_set(reterr, BH_ELIMIT, "the key set has more than %d keys",
                            BH_JWKS_KEYS_MAX);
    }
    memcpy(jwk.id, id.data ? id.data : "", id.size);
    set->keys[set->count++] = jwk;
    return 0;
}

static int add_jwk(struct bh_jwks *const set, const json_t *const object,
                   struct bh_error *const reterr)
{
    const char *const type = json_string_value(json_object_get(object, "kty"));
    const json_t *const use = json_object_get(object, "use");
    const json_t *const id = json_object_get(object, "kid");
    const json_t *const algorithm = json_object_get(object, "alg");
    if (!type || (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0)) ||
        (id && !json_is_string(id)) || (algorithm && !json_is_string(algorithm)))
        return 0;
    EVP_PKEY *const key = strcmp(type, "RSA") == 0  ? read_rsa(object)
                          : strcmp(type, "EC") == 0 ? read_ec(object)
                                                    : NULL;
    return add(set, (struct bh_str){ json_string_value(id), json_string_length(id) }, key,
               json_string_value(algorithm), reterr);
}

static int add_all(struct bh_jwks *const set, json_t *const object, struct bh_error *const reterr)
{
    const json_t *const list = json_object_get(object, "keys");
    int result = 0;
    if (json_is_array(list)) {
        for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
            result = add_jwk(set, json_array_get(list, i), reterr);
        return result;
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value))
            return bh_error_set(reterr, BH_ESYNTAX,
                                "the key set has neither \"keys\" nor certificates");
        const struct bh_str text = { json_string_value(value), json_string_length(value) };
        result = add(set, bh_str_from(name), read_certificate(text), NULL, reterr);
        if (result != 0)
            break;
    }
    return result;
}

int bh_jwks_parse(const struct bh_str text, struct bh_jwks **const ret_set,
                  struct bh_error *const reterr)
{
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    if (text.size > BH_JWKS_BYTES_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "the key set is longer than %zu bytes",
                            BH_JWKS_BYTES_MAX);
    int result = bh_json_parse(text, DEPTH_MAX, &object, reterr);
    if (result != 0)
        return result;
    struct bh_jwks *const set = calloc(1, sizeof(*set));
    if (!set)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a key set");
    set->references = 1;
    result = json_is_object(object)
                 ? add_all(set, object, reterr)
                 : bh_error_set(reterr, BH_ESYNTAX, "a key set is a JSON object");
    if (result == 0 && set->count == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND,
                              "the key set has no RSA (2,048 bits or more) or P-256 key");
    ERR_clear_error();
    if (result != 0) {
        bh_jwks_unref(set);
        return result;
    }
    *ret_set = set;
    return 0;
}
