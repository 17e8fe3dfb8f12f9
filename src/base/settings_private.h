/* What the three files of the settings module share. */
#pragma once

#include "bulkhead/base/settings.h"

union settings_value {
    const char *text; /* TEXT, SECRET, URL, CHOICE: the text given to settings_value_parse */
    int64_t number;   /* INT, PERCENT */
    uint64_t amount;  /* DURATION (µs), SIZE (bytes) */
    bool truth;       /* BOOL */
};

/* Reads one value as the table wants it. On failure the message is complete:
 * "DB_POOL_MAX=abc: takes a whole number from 1 to 10000 (default 40)". An empty value is fine for
 * texts and, if it is the default, for all. */
int bh_settings_value_parse(const struct bh_setting *setting, const char *text,
                            union settings_value *ret_value, struct bh_error *reterr) BH_MUST_CHECK;

/* "takes a whole number from 1 to 10000" without the verb. */
void bh_settings_value_describe(const struct bh_setting *setting, struct bh_buf *buf);

/* At most `maximum` bytes of `text`, control characters and bad UTF-8 escaped: for messages. */
void bh_settings_value_show(struct bh_str text, size_t maximum, struct bh_buf *buf);

/* The same in whole, with "***" for a URL's password: "postgresql://me:***@host/x". */
void bh_settings_value_mask(struct bh_str url, struct bh_buf *buf);

/* One NAME=value of a .env file; the strings are terminated and owned by the entries. */
struct settings_env_entry {
    char *name;
    char *value;
    unsigned line;
};

struct settings_env {
    struct settings_env_entry *entries;
    size_t count;
    char *memory; /* of all names and values */
};

#define SETTINGS_ENV_BYTES_MAX 65536

/* Parses the text of a .env file; `path` is for messages ("path:3: …"). */
int bh_settings_env_parse(struct bh_str text, const char *path, struct settings_env *ret_env,
                          struct bh_error *reterr) BH_MUST_CHECK;

/* The same from the file; one that is not there gives no entries. */
int bh_settings_env_read(const char *path, struct settings_env *ret_env,
                         struct bh_error *reterr) BH_MUST_CHECK;
void bh_settings_env_fini(struct settings_env *env);
static inline void bh_settings_env_fini_cleanup(struct settings_env *const env)
{
    bh_settings_env_fini(env);
}
