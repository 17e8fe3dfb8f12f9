#include "extract/document.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "extract/plain.h"
#include "extract/sentence.h"

#define DOCUMENT_MAGIC 0x444f4355u
#define PART_BYTES (96u * 1024) /* a longer page leaves in parts of this size */
#define PAGE_MAX (PART_BYTES * 2)
#define INDENT_MAX 40
#define TAB_BLANKS 4

enum gap { GAP_NONE, GAP_SPACE, GAP_LINE, GAP_PARAGRAPH };

struct tome_document {
    BH_MAGIC_FIELD;
    struct tome_frame_writer *writer;
    enum tome_page_kind kind;
    int error;
    unsigned meta_seen; /* bit for each key */
    unsigned percent;
    uint32_t number; /* of the current page; 0: none has begun */
    enum gap gap;    /* what stands in front of the next text */
    unsigned indent; /* blanks of a verbatim line */
    bool has_text;
    enum tome_joint joint;    /* of the part being collected */
    uint64_t characters;      /* code points in `text` */
    uint64_t page_characters; /* of this page in earlier chapters */
    struct bh_buf text;       /* the page, or the part of it, being collected */
    struct bh_buf label;
    struct bh_buf chapter;
};

int tome_document_create(struct tome_frame_writer *const writer, const enum tome_page_kind kind,
                         struct tome_document **const ret_document)
{
    static const char *const names[] = {
        [TOME_PAGES_REAL] = "page", [TOME_PAGES_LIST] = "list", [TOME_PAGES_SECTIONS] = "section"
    };
    struct tome_document *const document = calloc(1, sizeof(*document));
    if (!document)
        return BH_ENOMEM;
    document->magic = DOCUMENT_MAGIC;
    document->writer = writer;
    document->kind = kind;
    bh_buf_init(&document->text, PAGE_MAX);
    bh_buf_init(&document->label, TOME_FRAME_LABEL_MAX);
    bh_buf_init(&document->chapter, TOME_FRAME_CHAPTER_MAX);
    tome_document_meta(document, TOME_META_PAGE_KIND, bh_str_from(names[kind]));
    *ret_document = document;
    return 0;
}

void tome_document_destroy(struct tome_document *const document)
{
    if (!document)
        return;
    bh_buf_fini(&document->text);
    bh_buf_fini(&document->label);
    bh_buf_fini(&document->chapter);
    document->magic = 0;
    free(document);
}

int tome_document_error(const struct tome_document *const document)
{
    if (document->error)
        return document->error;
    return tome_frame_writer_error(document->writer);
}

bool tome_document_has_text(const struct tome_document *const document)
{
    return document->has_text;
}

static void note_error(struct tome_document *const document, const int error)
{
    if (!document->error)
        document->error = error;
}

void tome_document_meta(struct tome_document *const document, const enum tome_meta_key key,
                        const struct bh_str value)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    struct bh_buf clean BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&clean, TOME_FRAME_VALUE_MAX);
    tome_plain_append_line(&clean, value, TOME_FRAME_VALUE_MAX);
    note_error(document, bh_buf_error(&clean));
    if (clean.size == 0 || (document->meta_seen & (1u << key)) != 0)
        return;
    document->meta_seen |= 1u << key;
    tome_frame_write_meta(document->writer, key, bh_buf_peek(&clean));
}

void tome_document_progress(struct tome_document *const document, const uint64_t done,
                            const uint64_t total)
{
    const double share = total == 0 ? 0.0 : (double)done / (double)total;
    const unsigned percent = share >= 1.0 ? 100 : (unsigned)(share * 100.0);
    if (percent <= document->percent)
        return;
    document->percent = percent;
    tome_frame_write_progress(document->writer, percent);
}

/* --- pages out -------------------------------------------------------------------------------- */

/* Writes the first `size` bytes of the collected text as (a part of) the current page and drops
 * the first `next` bytes. */
static void write_part(struct tome_document *const document, const size_t size, const size_t next)
{
    const struct tome_page page = {
        .number = document->number,
        .joint = document->joint,
        .label = bh_buf_peek(&document->label),
        .chapter = bh_buf_peek(&document->chapter),
        .text = { .data = document->text.data, .size = size },
    };
    if (document->number > TOME_PAGE_NUMBER_MAX)
        note_error(document, BH_ELIMIT);
    if (size > 0 && !tome_document_error(document))
        tome_frame_write_page(document->writer, &page);
    for (size_t i = 0; i < next; i++)
        document->characters -= ((unsigned char)document->text.data[i] & 0xC0) != 0x80;
    bh_buf_consume(&document->text, next);
}

static void write_all(struct tome_document *const document)
{
    write_part(document, document->text.size, document->text.size);
}

/* Where a section ends: `size` bytes of text; the next begins at `next` with `joint`. */
struct cut {
    size_t size;
    size_t next;
    enum tome_joint joint;
};

static size_t count_characters(const struct bh_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

static struct cut cut_inside_word(const struct bh_str text)
{
    size_t at = 0;
    for (size_t count = 0; at < text.size; at++) {
        count += ((unsigned char)text.data[at] & 0xC0) != 0x80;
        if (count > TOME_SECTION_CHARACTERS)
            break;
    }
    return (struct cut){ .size = at, .next = at, .joint = TOME_JOINT_NONE };
}

static bool ends_paragraph(const struct bh_str blanks)
{
    const char *const first = memchr(blanks.data, '\n', blanks.size);
    return first && memchr(first + 1, '\n', blanks.size - (size_t)(first + 1 - blanks.data));
}

/* `text` is longer than a section. */
static struct cut find_cut(const struct bh_str text)
{
    struct cut paragraph = { 0 };
    struct cut sentence = { 0 };
    struct cut word = { 0 };
    size_t characters = 0;
    for (size_t at = 0; at < text.size;) {
        const size_t end = tome_word_end(text, at);
        const struct bh_str letters = { .data = text.data + at, .size = end - at };
        characters += count_characters(letters);
        if (characters > TOME_SECTION_CHARACTERS)
            break;
        const size_t next = tome_blanks_end(text, end);
        const struct bh_str blanks = { .data = text.data + end, .size = next - end };
        const struct bh_str rest = { .data = text.data + next, .size = text.size - next };
        word = (struct cut){ .size = end,
                             .next = next,
                             .joint = next > end ? TOME_JOINT_SPACE : TOME_JOINT_NONE };
        if (ends_paragraph(blanks)) {
            word.joint = TOME_JOINT_PARAGRAPH;
            sentence = word;
            if (characters >= TOME_SECTION_CHARACTERS_MIN)
                paragraph = word;
        } else if (tome_sentence_ends(letters, rest)) {
            sentence = word;
        }
        characters += blanks.size;
        at = next;
    }
    if (paragraph.size > 0)
        return paragraph;
    if (sentence.size > 0)
        return sentence;
    return word.size > 0 ? word : cut_inside_word(text);
}

static void cut_sections(struct tome_document *const document)
{
    while (document->characters > TOME_SECTION_CHARACTERS && !tome_document_error(document)) {
        const struct cut cut = find_cut(bh_buf_peek(&document->text));
        write_part(document, cut.size, cut.next);
        document->joint = cut.joint;
        document->number++;
        document->page_characters = 0;
    }
}

/* --- text in ---------------------------------------------------------------------------------- */

static void begin_part(struct tome_document *const document)
{
    static const enum tome_joint joints[] = { [GAP_NONE] = TOME_JOINT_NONE,
                                              [GAP_SPACE] = TOME_JOINT_SPACE,
                                              [GAP_LINE] = TOME_JOINT_SPACE,
                                              [GAP_PARAGRAPH] = TOME_JOINT_PARAGRAPH };
    document->joint = document->has_text ? joints[document->gap] : TOME_JOINT_PARAGRAPH;
    document->has_text = true;
    if (document->number > 0)
        return;
    document->number = 1;
    if (document->kind == TOME_PAGES_LIST)
        bh_buf_append_str(&document->label, BH_STR("front"));
}

/* Writes what stands between the text so far and the text that comes now. */
static void close_gap(struct tome_document *const document)
{
    struct bh_buf *const text = &document->text;
    unsigned blanks = document->indent;
    if (text->size == 0) {
        begin_part(document);
        blanks = 0;
    } else if (document->gap == GAP_PARAGRAPH) {
        bh_buf_append(text, "\n\n", 2);
        document->characters += 2;
    } else if (document->gap == GAP_LINE) {
        bh_buf_append_byte(text, '\n');
        document->characters += 1;
    } else if (document->gap == GAP_SPACE && blanks == 0) {
        blanks = 1;
    }
    for (unsigned i = 0; i < blanks; i++)
        bh_buf_append_byte(text, ' ');
    document->characters += blanks;
    document->gap = GAP_NONE;
    document->indent = 0;
}

static void widen_gap(struct tome_document *const document, const enum gap gap)
{
    if (document->gap < gap)
        document->gap = gap;
}

static void append(struct tome_document *const document, const struct bh_str text,
                   const size_t characters)
{
    if (document->gap != GAP_NONE || document->text.size == 0 || document->indent > 0)
        close_gap(document);
    bh_buf_append_str(&document->text, text);
    document->characters += characters;
    if (BH_LIKELY(document->text.size <= PART_BYTES))
        return;
    if (document->kind == TOME_PAGES_SECTIONS)
        cut_sections(document);
    else
        write_all(document);
}

/* Bytes from `at` on that are printing ASCII; at most what a page may still take. */
static size_t ascii_run(const struct bh_str text, const size_t at)
{
    const size_t end = text.size - at > PART_BYTES / 2 ? at + PART_BYTES / 2 : text.size;
    size_t i = at;
    while (i < end && text.data[i] > ' ' && text.data[i] < 0x7F)
        i++;
    return i - at;
}

void tome_document_text(struct tome_document *const document, const struct bh_str text)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    for (size_t at = 0; at < text.size && !tome_document_error(document);) {
        const size_t run = ascii_run(text, at);
        if (run > 0) {
            append(document, (struct bh_str){ .data = text.data + at, .size = run }, run);
            at += run;
            continue;
        }
        struct bh_str piece;
        switch (tome_plain_next(text, &at, &piece)) {
        case TOME_PLAIN_TEXT:
            append(document, piece, count_characters(piece));
            break;
        case TOME_PLAIN_BLANK:
        case TOME_PLAIN_LINE:
            widen_gap(document, GAP_SPACE);
            break;
        case TOME_PLAIN_PARAGRAPH:
            tome_document_end_paragraph(document);
            break;
        case TOME_PLAIN_DROPPED:
            break;
        }
    }
    note_error(document, bh_buf_error(&document->text));
}

static void verbatim_line_feed(struct tome_document *const document)
{
    document->indent = 0;
    if (document->gap == GAP_LINE)
        tome_document_end_paragraph(document);
    else
        widen_gap(document, GAP_LINE);
}

void tome_document_verbatim(struct tome_document *const document, const struct bh_str text)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    for (size_t at = 0; at < text.size && !tome_document_error(document);) {
        const char byte = text.data[at];
        struct bh_str piece;
        switch (tome_plain_next(text, &at, &piece)) {
        case TOME_PLAIN_TEXT:
            append(document, piece, count_characters(piece));
            break;
        case TOME_PLAIN_BLANK:
            if (byte == '\r')
                break;
            document->indent += byte == '\t' ? TAB_BLANKS : 1;
            if (document->indent > INDENT_MAX)
                document->indent = INDENT_MAX;
            break;
        case TOME_PLAIN_LINE:
            verbatim_line_feed(document);
            break;
        case TOME_PLAIN_PARAGRAPH:
            tome_document_end_paragraph(document);
            break;
        case TOME_PLAIN_DROPPED:
            break;
        }
    }
    note_error(document, bh_buf_error(&document->text));
}

void tome_document_line_break(struct tome_document *const document)
{
    widen_gap(document, GAP_LINE);
    document->indent = 0;
}

void tome_document_end_paragraph(struct tome_document *const document)
{
    document->gap = GAP_PARAGRAPH;
    document->indent = 0;
    if (document->kind == TOME_PAGES_SECTIONS)
        cut_sections(document);
}

void tome_document_chapter(struct tome_document *const document, const struct bh_str title)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    tome_document_end_paragraph(document);
    document->page_characters += document->characters;
    write_all(document);
    if (document->kind == TOME_PAGES_SECTIONS &&
        document->page_characters >= TOME_SECTION_CHARACTERS / 3) {
        document->number++;
        document->page_characters = 0;
    }
    bh_buf_clear(&document->chapter);
    tome_plain_append_line(&document->chapter, title, TOME_FRAME_CHAPTER_MAX);
    note_error(document, bh_buf_error(&document->chapter));
}

void tome_document_page(struct tome_document *const document, const struct bh_str label)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    bh_assert(document->kind != TOME_PAGES_SECTIONS);
    write_all(document);
    document->number++;
    bh_buf_clear(&document->label);
    tome_plain_append_line(&document->label, label, TOME_FRAME_LABEL_MAX);
    note_error(document, bh_buf_error(&document->label));
}

void tome_document_finish(struct tome_document *const document)
{
    bh_magic_check(document, DOCUMENT_MAGIC);
    if (document->kind == TOME_PAGES_SECTIONS)
        cut_sections(document);
    write_all(document);
}
