#include "redis/redis_url.h"

#include <stdio.h>

#define DATABASES_MAX 16384

static int hex(const char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Percent-decoded and terminated; false: malformed, too long, or with a NUL. */
static bool decode(const struct bh_str text, char *const buffer, const size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            if (text.size - i < 3 || hex(text.data[i + 1]) < 0 || hex(text.data[i + 2]) < 0)
                return false;
            byte = (char)(hex(text.data[i + 1]) * 16 + hex(text.data[i + 2]));
            i += 2;
        }
        if (used + 1 >= size || byte == '\0')
            return false;
        buffer[used++] = byte;
    }
    buffer[used] = '\0';
    return true;
}

static bool take_credentials(struct bh_str text, struct bh_redis_address *const address)
{
    const struct bh_str user = bh_str_split(&text, ':');
    return decode(user, address->user, sizeof(address->user)) &&
           decode(text, address->password, sizeof(address->password)) &&
           address->password[0] != '\0';
}

static bool take_host(struct bh_str text, struct bh_redis_address *const address)
{
    struct bh_str host, port = BH_STR("6379");
    int64_t number = 0;
    if (text.size > 0 && text.data[0] == '[') {
        text.data++;
        text.size--;
        if (!memchr(text.data, ']', text.size))
            return false;
        host = bh_str_split(&text, ']');
        if (text.size > 0 && text.data[0] != ':')
            return false;
        if (text.size > 0)
            port = (struct bh_str){ text.data + 1, text.size - 1 };
    } else {
        const bool has_port = memchr(text.data, ':', text.size);
        host = bh_str_split(&text, ':');
        if (has_port)
            port = text;
    }
    if (host.size == 0 || !decode(host, address->host, sizeof(address->host)) ||
        bh_str_to_int64(port, 1, 65535, &number) != 0)
        return false;
    snprintf(address->port, sizeof(address->port), "%d", (int)number);
    return true;
}

/* The last '@' parts: a password may hold one that was not coded. */
static bool take_authority(struct bh_str text, struct bh_redis_address *const address)
{
    const char *const at = text.size ? memrchr(text.data, '@', text.size) : NULL;
    if (at) {
        const size_t size = (size_t)(at - text.data);
        if (!take_credentials((struct bh_str){ text.data, size }, address))
            return false;
        text = (struct bh_str){ at + 1, text.size - size - 1 };
    }
    return text.size > 0 && take_host(text, address);
}

int bh_redis_url_parse(const char *const url, struct bh_redis_address *const ret_address,
                       struct bh_error *const reterr)
{
    static const struct bh_str plain = BH_STR("redis://"), secure = BH_STR("rediss://");
    struct bh_str rest = bh_str_from(url);
    const bool is_tls = bh_str_starts_with(rest, secure);
    const struct bh_str scheme = is_tls ? secure : plain;
    struct bh_redis_address address = { .is_tls = is_tls };
    bool is_well = bh_str_starts_with(rest, scheme);
    if (is_well) {
        rest = (struct bh_str){ rest.data + scheme.size, rest.size - scheme.size };
        const struct bh_str authority = bh_str_split(&rest, '/');
        int64_t database = 0;
        is_well = take_authority(authority, &address) &&
                  (rest.size == 0 || bh_str_to_int64(rest, 0, DATABASES_MAX, &database) == 0);
        address.database = (unsigned)database;
    }
    if (!is_well)
        return bh_error_set(reterr, BH_EINVAL,
                            "malformed Redis URL: it takes "
                            "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for "
                            "TLS, with special characters of the password percent-coded");
    snprintf(address.name, sizeof(address.name), "%s:%s/%u", address.host, address.port,
             address.database);
    *ret_address = address;
    return 0;
}
