#include "extract/source.h"

#include "bulkhead/base/error.h"

static const char *const source_names[] = {
    [TOME_SOURCE_AUTO] = "auto", [TOME_SOURCE_EPUB] = "epub",         [TOME_SOURCE_PDF] = "pdf",
    [TOME_SOURCE_HTML] = "html", [TOME_SOURCE_MARKDOWN] = "markdown", [TOME_SOURCE_TEXT] = "text",
};

const char *tome_source_name(const enum tome_source source)
{
    return source_names[source];
}

int tome_source_parse(const struct bh_str name, enum tome_source *const ret_source)
{
    for (size_t i = 0; i < BH_COUNT_OF(source_names); i++) {
        if (bh_str_equal(name, bh_str_from(source_names[i]))) {
            *ret_source = (enum tome_source)i;
            return 0;
        }
    }
    return BH_ENOTFOUND;
}

const char *tome_extract_failure_name(const enum tome_extract_failure failure)
{
    static const char *const names[] = { [TOME_FAILURE_NONE] = "",
#define X(name, machine, text) [TOME_FAILURE_##name] = (machine),
                                         TOME_EXTRACT_FAILURE_TABLE(X)
#undef X
    };
    return names[failure];
}

const char *tome_extract_failure_text(const enum tome_extract_failure failure)
{
    static const char *const texts[] = { [TOME_FAILURE_NONE] = "",
#define X(name, machine, text) [TOME_FAILURE_##name] = (text),
                                         TOME_EXTRACT_FAILURE_TABLE(X)
#undef X
    };
    return texts[failure];
}

bool tome_extract_failure_is_temporary(const enum tome_extract_failure failure)
{
    return failure == TOME_FAILURE_CANCELED || failure == TOME_FAILURE_INTERRUPTED ||
           failure == TOME_FAILURE_INTERNAL;
}

int tome_extract_failure_code(const enum tome_extract_failure failure)
{
    static const int codes[] = {
        [TOME_FAILURE_NONE] = 0,
        [TOME_FAILURE_ENCRYPTED] = BH_EUNSUPPORTED,
        [TOME_FAILURE_DAMAGED] = BH_ECORRUPT,
        [TOME_FAILURE_EMPTY] = BH_EINVAL,
        [TOME_FAILURE_UNSUPPORTED] = BH_EUNSUPPORTED,
        [TOME_FAILURE_TOO_LARGE] = BH_ELIMIT,
        [TOME_FAILURE_TIMED_OUT] = BH_ETIMEDOUT,
        [TOME_FAILURE_OUT_OF_MEMORY] = BH_ENOMEM,
        [TOME_FAILURE_NO_TEXT] = BH_EINVAL,
        [TOME_FAILURE_CANCELED] = BH_ECANCELED,
        [TOME_FAILURE_INTERRUPTED] = BH_EUNAVAILABLE,
        [TOME_FAILURE_INTERNAL] = BH_EINTERNAL,
    };
    return codes[failure];
}
