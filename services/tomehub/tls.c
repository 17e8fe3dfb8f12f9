#include "tls.h"

#include <time.h>

#include "bulkhead/base/log.h"

#define DAY_S 86400
#define WARN_DAYS 21

static int load(const struct tome_settings *const settings, struct bh_tls **const ret_tls,
                struct bh_error *const reterr)
{
    const bool has_certificate = settings->tls_cert_file[0] != '\0';
    const bool has_key = settings->tls_key_file[0] != '\0';
    struct bh_error error;
    if (has_certificate != has_key)
        return bh_error_set(
            reterr, BH_EINVAL, "TLS needs both: %s is set and %s is not (neither: plain HTTP)",
            has_key ? "TLS_KEY_FILE" : "TLS_CERT_FILE", has_key ? "TLS_CERT_FILE" : "TLS_KEY_FILE");
    if (!has_certificate)
        return 0;
    const int result = bh_tls_server_create(settings->tls_cert_file, settings->tls_key_file,
                                            ret_tls, &error);
    return result == 0
               ? 0
               : bh_error_set(reterr, result, "TLS_CERT_FILE, TLS_KEY_FILE: %s", error.message);
}

int tome_tls_check(const struct tome_settings *const settings, struct bh_error *const reterr)
{
    struct bh_tls *tls = NULL;
    const int result = load(settings, &tls, reterr);
    bh_tls_destroy(tls);
    return result;
}

static void warn_of_end(const struct tome_settings *const settings, const struct bh_tls *const tls)
{
    const int64_t left_s = bh_tls_expires_s(tls) - (int64_t)time(NULL);
    const long long days = (long long)(left_s < 0 ? -left_s : left_s) / DAY_S;
    if (left_s < 0)
        bh_log_warning("tls",
                       "The certificate %s has expired %lld days ago: clients will refuse it. "
                       "Replace it, then tomehub reload",
                       settings->tls_cert_file, days);
    else if (left_s < WARN_DAYS * DAY_S)
        bh_log_warning("tls",
                       "The certificate %s expires in %lld days: replace it, then tomehub reload",
                       settings->tls_cert_file, days);
}

int tome_tls_create(const struct tome_settings *const settings, struct bh_tls **const ret_tls,
                    struct bh_error *const reterr)
{
    struct bh_tls *tls = NULL;
    const int result = load(settings, &tls, reterr);
    if (result < 0)
        return result;
    if (tls)
        warn_of_end(settings, tls);
    *ret_tls = tls;
    return 0;
}
