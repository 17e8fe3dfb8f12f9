/* UTF-8 passes through our own check, everything else through one of ICU's converters. While all
 * bytes so far are ASCII the encoding stays open: most files never need the guess. */
#include "extract/decode.h"

#include <stdlib.h>
#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>

#include "bulkhead/base/assert.h"
#include "extract/plain.h"

#define DECODER_MAGIC 0x4445434fu
#define NAME_MAX_BYTES 40
#define GUESS_BYTES (32 * 1024)
#define GUESS_HIGH_BYTES_MIN 8 /* fewer say too little */
#define GUESS_CONFIDENCE_MIN 25
#define PIVOT_UNITS 1024

enum encoding { ENCODING_OPEN, ENCODING_UTF8, ENCODING_CONVERTED };

struct tome_decoder {
    BH_MAGIC_FIELD;
    enum encoding encoding;
    bool started;
    char declared[NAME_MAX_BYTES];
    char held[4]; /* an unfinished UTF-8 sequence */
    size_t held_size;
    UConverter *from;
    UConverter *to;
    UChar pivot[PIVOT_UNITS];
    UChar *pivot_source;
    UChar *pivot_target;
};

int tome_decoder_create(const struct bh_str declared, struct tome_decoder **const ret_decoder)
{
    struct tome_decoder *const decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return BH_ENOMEM;
    decoder->magic = DECODER_MAGIC;
    if (declared.size < sizeof(decoder->declared))
        memcpy(decoder->declared, declared.size > 0 ? declared.data : "", declared.size);
    *ret_decoder = decoder;
    return 0;
}

void tome_decoder_destroy(struct tome_decoder *const decoder)
{
    if (!decoder)
        return;
    if (decoder->from)
        ucnv_close(decoder->from);
    if (decoder->to)
        ucnv_close(decoder->to);
    decoder->magic = 0;
    free(decoder);
}

/* --- choosing --------------------------------------------------------------------------------- */

/* False when ICU does not know the encoding. */
static bool convert_from(struct tome_decoder *const decoder, const char *const name)
{
    UErrorCode status = U_ZERO_ERROR;
    UConverter *const from = ucnv_open(name, &status);
    UConverter *const to = ucnv_open("UTF-8", &status);
    if (U_FAILURE(status)) {
        if (from)
            ucnv_close(from);
        if (to)
            ucnv_close(to);
        return false;
    }
    decoder->from = from;
    decoder->to = to;
    decoder->pivot_source = decoder->pivot;
    decoder->pivot_target = decoder->pivot;
    decoder->encoding = ENCODING_CONVERTED;
    return true;
}

static bool starts_with_name(const char *const name, const char *const prefix)
{
    return bh_str_equal_nocase(
        (struct bh_str){ .data = name, .size = strnlen(name, strlen(prefix)) },
        bh_str_from(prefix));
}

/* Web pages say Latin-1 or ASCII and mean Windows-1252; a file that is read as bytes cannot be
 * UTF-16 without having shown it in its first bytes. */
static const char *usable_name(const char *const declared)
{
    static const char *const as_1252[] = { "iso-8859-1", "iso8859-1", "latin1", "us-ascii",
                                           "ascii" };
    for (size_t i = 0; i < BH_COUNT_OF(as_1252); i++) {
        if (strlen(declared) == strlen(as_1252[i]) && starts_with_name(declared, as_1252[i]))
            return "windows-1252";
    }
    if (starts_with_name(declared, "utf") || starts_with_name(declared, "ucs") ||
        starts_with_name(declared, "scsu") || starts_with_name(declared, "bocu") ||
        starts_with_name(declared, "imap") || starts_with_name(declared, "ibm") ||
        starts_with_name(declared, "ebcdic"))
        return "";
    return declared;
}

/* A byte order mark decides; returns its size. */
static size_t take_mark(struct tome_decoder *const decoder, const struct bh_str bytes)
{
    if (bh_str_starts_with(bytes, BH_STR("\xEF\xBB\xBF"))) {
        decoder->encoding = ENCODING_UTF8;
        return 3;
    }
    if (bh_str_starts_with(bytes, ((struct bh_str){ .data = "\xFF\xFE\0\0", .size = 4 })))
        return convert_from(decoder, "UTF-32LE") ? 4 : 0;
    if (bh_str_starts_with(bytes, BH_STR("\xFF\xFE")))
        return convert_from(decoder, "UTF-16LE") ? 2 : 0;
    if (bh_str_starts_with(bytes, BH_STR("\xFE\xFF")))
        return convert_from(decoder, "UTF-16BE") ? 2 : 0;
    return 0;
}

static size_t sequence_size(const unsigned char lead)
{
    return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
}

/* Whether `text`, cut at its end, may be the beginning of one UTF-8 sequence. */
static bool may_go_on(const struct bh_str text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (((unsigned char)text.data[i] & 0xC0) != 0x80)
            return false;
    }
    return text.size > 0 && text.size < sequence_size((unsigned char)text.data[0]) &&
           (unsigned char)text.data[0] <= 0xF4;
}

/* Whether nearly all that is not ASCII is UTF-8: one broken byte does not make a file Latin-1. */
static bool looks_like_utf8(const struct bh_str bytes)
{
    size_t good = 0;
    size_t stray = 0;
    for (size_t at = 0; at < bytes.size;) {
        const unsigned char lead = (unsigned char)bytes.data[at];
        const size_t size = sequence_size(lead);
        const size_t left = bytes.size - at;
        const struct bh_str sequence = { .data = bytes.data + at,
                                         .size = size < left ? size : left };
        const bool well_formed = lead < 0x80 || bh_str_is_utf8(sequence);
        if (!well_formed && left < size && may_go_on(sequence))
            break;
        good += well_formed && lead >= 0x80;
        stray += !well_formed;
        at += well_formed ? size : 1;
    }
    return stray * 10 <= good;
}

static size_t count_high(const struct bh_str bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes.size; i++)
        count += (unsigned char)bytes.data[i] >= 0x80;
    return count;
}

static bool is_plausible(const char *const name)
{
    static const char *const families[] = { "ISO-8859-", "windows-125", "KOI8-", "Shift_JIS",
                                            "EUC-",      "GB18030",     "Big5" };
    for (size_t i = 0; i < BH_COUNT_OF(families); i++) {
        if (starts_with_name(name, families[i]))
            return true;
    }
    return false;
}

/* What ICU's detector makes of the bytes; NULL when it is not sure. */
static const char *detect(UCharsetDetector *const detector, const struct bh_str bytes)
{
    UErrorCode status = U_ZERO_ERROR;
    ucsdet_setText(detector, bytes.data, (int32_t)bytes.size, &status);
    const UCharsetMatch *const match = ucsdet_detect(detector, &status);
    if (U_FAILURE(status) || !match)
        return NULL;
    const char *const name = ucsdet_getName(match, &status);
    const int32_t confidence = ucsdet_getConfidence(match, &status);
    if (U_FAILURE(status) || confidence < GUESS_CONFIDENCE_MIN || !is_plausible(name))
        return NULL;
    return usable_name(name);
}

static void guess(struct tome_decoder *const decoder, struct bh_str bytes)
{
    if (bytes.size > GUESS_BYTES)
        bytes.size = GUESS_BYTES;
    UErrorCode status = U_ZERO_ERROR;
    UCharsetDetector *const detector = count_high(bytes) >= GUESS_HIGH_BYTES_MIN
                                           ? ucsdet_open(&status)
                                           : NULL;
    const char *const name = detector && U_SUCCESS(status) ? detect(detector, bytes) : NULL;
    if (!name || !convert_from(decoder, name))
        (void)convert_from(decoder, "windows-1252");
    if (detector)
        ucsdet_close(detector);
}

static void choose(struct tome_decoder *const decoder, const struct bh_str bytes)
{
    const char *const declared = usable_name(decoder->declared);
    if (declared[0] != '\0' && convert_from(decoder, declared))
        return;
    if (count_high(bytes) == 0)
        return;
    if (looks_like_utf8(bytes))
        decoder->encoding = ENCODING_UTF8;
    else
        guess(decoder, bytes);
}

/* --- decoding --------------------------------------------------------------------------------- */

/* Windows-1252 of the bytes 0x80–0x9F, the only ones that differ from Latin-1. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178,
};

static void append_stray(struct bh_buf *const out, const unsigned char byte)
{
    tome_plain_append_point(out, byte < 0xA0 ? windows_1252[byte - 0x80] : byte);
}

/* Appends well-formed runs as they are and single stray bytes as Windows-1252. Returns the bytes
 * used: fewer than given only when a sequence is cut at the end and more may come. */
static size_t pass_utf8(const struct bh_str bytes, const bool last, struct bh_buf *const out)
{
    size_t at = 0;
    size_t run = 0; /* where the well-formed run begins */
    while (at < bytes.size) {
        const unsigned char lead = (unsigned char)bytes.data[at];
        if (lead < 0x80) {
            at++;
            continue;
        }
        const size_t size = sequence_size(lead);
        const size_t left = bytes.size - at;
        const struct bh_str sequence = { .data = bytes.data + at,
                                         .size = size < left ? size : left };
        if (bh_str_is_utf8(sequence)) {
            at += size;
            continue;
        }
        if (left < size && !last && may_go_on(sequence))
            break;
        bh_buf_append(out, bytes.data + run, at - run);
        append_stray(out, lead);
        run = ++at;
    }
    bh_buf_append(out, bytes.data + run, at - run);
    return at;
}

static void push_utf8(struct tome_decoder *const decoder, struct bh_str bytes, const bool last,
                      struct bh_buf *const out)
{
    /* A held sequence is completed byte by byte until it is used. */
    while (decoder->held_size > 0 && (bytes.size > 0 || last)) {
        if (bytes.size > 0) {
            decoder->held[decoder->held_size++] = bytes.data[0];
            bytes.data++;
            bytes.size--;
        }
        const struct bh_str held = { .data = decoder->held, .size = decoder->held_size };
        const size_t used = pass_utf8(held, last && bytes.size == 0, out);
        decoder->held_size -= used;
        memmove(decoder->held, decoder->held + used, decoder->held_size);
    }
    const size_t used = pass_utf8(bytes, last, out);
    const size_t left = bytes.size - used;
    if (left > 0) {
        bh_assert(left < sizeof(decoder->held));
        memcpy(decoder->held, bytes.data + used, left);
        decoder->held_size = left;
    }
}

static int push_converted(struct tome_decoder *const decoder, const struct bh_str bytes,
                          const bool last, struct bh_buf *const out)
{
    const char *source = bytes.data;
    const char *const source_end = bytes.data + bytes.size;
    for (;;) {
        /* At most four bytes of UTF-8 for each byte read, plus what the pivot still holds. */
        const size_t left = (size_t)(source_end - source);
        const size_t room = (left > 65536 ? 65536 : left) * 3 + (size_t)PIVOT_UNITS * 4;
        char *target = bh_buf_reserve(out, room);
        if (!target)
            return bh_buf_error(out);
        char *const begin = target;
        UErrorCode status = U_ZERO_ERROR;
        ucnv_convertEx(decoder->to, decoder->from, &target, begin + room, &source, source_end,
                       decoder->pivot, &decoder->pivot_source, &decoder->pivot_target,
                       decoder->pivot + PIVOT_UNITS, false, last, &status);
        bh_buf_advance(out, (size_t)(target - begin));
        if (status == U_MEMORY_ALLOCATION_ERROR)
            return BH_ENOMEM;
        if (status != U_BUFFER_OVERFLOW_ERROR)
            return 0;
    }
}

int tome_decoder_push(struct tome_decoder *const decoder, struct bh_str bytes, const bool last,
                      struct bh_buf *const out)
{
    bh_magic_check(decoder, DECODER_MAGIC);
    if (bytes.size == 0 && !last)
        return 0;
    if (!decoder->started) {
        const size_t mark = take_mark(decoder, bytes);
        bytes.data += mark;
        bytes.size -= mark;
        decoder->started = true;
    }
    if (decoder->encoding == ENCODING_OPEN)
        choose(decoder, bytes);
    if (decoder->encoding == ENCODING_CONVERTED)
        return push_converted(decoder, bytes, last, out);
    if (decoder->encoding == ENCODING_UTF8)
        push_utf8(decoder, bytes, last, out);
    else
        bh_buf_append_str(out, bytes);
    return bh_buf_error(out);
}

/* --- declarations ----------------------------------------------------------------------------- */

static bool is_name_byte(const char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == ':' || byte == '.';
}

/* The name behind `keyword`, blanks, "=" and an optional quote, searched from `from` on. */
static struct bh_str value_behind(const struct bh_str head, const struct bh_str keyword)
{
    for (size_t at = 0; at + keyword.size < head.size; at++) {
        const struct bh_str here = { .data = head.data + at, .size = keyword.size };
        if (!bh_str_equal_nocase(here, keyword))
            continue;
        struct bh_str rest = { .data = here.data + keyword.size,
                               .size = head.size - at - keyword.size };
        rest = bh_str_trim(rest);
        if (rest.size == 0 || rest.data[0] != '=')
            continue;
        rest.data++;
        rest.size--;
        rest = bh_str_trim(rest);
        if (rest.size > 0 && (rest.data[0] == '"' || rest.data[0] == '\'')) {
            rest.data++;
            rest.size--;
        }
        size_t size = 0;
        while (size < rest.size && is_name_byte(rest.data[size]))
            size++;
        return (struct bh_str){ .data = rest.data, .size = size };
    }
    return BH_STR_NONE;
}

struct bh_str tome_declared_charset(const struct bh_str head)
{
    if (bh_str_starts_with(bh_str_trim(head), BH_STR("<?xml"))) {
        const char *const end = memchr(head.data, '>', head.size);
        const struct bh_str declaration = { .data = head.data,
                                            .size = end ? (size_t)(end - head.data) : 0 };
        const struct bh_str name = value_behind(declaration, BH_STR("encoding"));
        if (name.size > 0)
            return name;
    }
    return value_behind(head, BH_STR("charset"));
}
