#include "extract/html.h"

#include <libxml/HTMLparser.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "extract/decode.h"
#include "extract/html_tags.h"
#include "extract/plain.h"
#include "extract/text.h"

#define READ_BYTES (32u * 1024)
#define DECLARATION_BYTES 2048u
#define PUSH_BYTES (64u * 1024) /* libxml2 counts in int, and large steps cost it memory */
#define LIST_DEPTH_MAX 8
#define CAPTION_MAX (size_t)8192
#define CHAPTER_LEVEL_MAX 3

struct html {
    struct tome_document *document;
    const struct tome_html_options *options;
    unsigned depth;        /* of open elements */
    unsigned skipped_from; /* depth of the element whose content is skipped; 0: none */
    unsigned preformatted; /* open <pre> elements */
    unsigned heading;      /* level of the open heading, else 0 */
    bool in_title;
    unsigned raised_from;  /* depth of the open <sup>; 0: none */
    unsigned link_from;    /* depth of the open link to a place in a document; 0: none */
    bool in_row;           /* a cell of this row has been written */
    struct bh_buf caption; /* of the open heading or <title> */
    unsigned list_depth;
    unsigned item_numbers[LIST_DEPTH_MAX]; /* next number of each open list; 0: bullets */
};

static struct bh_str str_of(const xmlChar *const text)
{
    return bh_str_from((const char *)text);
}

static struct bh_str attribute(const xmlChar **const attributes, const char *const name)
{
    for (size_t i = 0; attributes && attributes[i]; i += 2) {
        if (strcmp((const char *)attributes[i], name) == 0)
            return str_of(attributes[i + 1]);
    }
    return BH_STR_NONE;
}

static bool contains(const struct bh_str text, const struct bh_str word)
{
    return text.size > 0 && memmem(text.data, text.size, word.data, word.size);
}

/* --- page breaks ------------------------------------------------------------------------------ */

/* The trailing number or roman numeral of an id such as "page_12" or "pg-xiv". */
static struct bh_str label_in_id(const struct bh_str id)
{
    size_t begin = id.size;
    if (id.size == 0)
        return BH_STR_NONE;
    while (begin > 0 && ((id.data[begin - 1] >= '0' && id.data[begin - 1] <= '9') ||
                         memchr("ivxlc", id.data[begin - 1], 5)))
        begin--;
    return (struct bh_str){ .data = id.data + begin, .size = id.size - begin };
}

static void begin_page(const struct html *const html, const xmlChar **const attributes)
{
    struct bh_str label = attribute(attributes, "title");
    if (label.size == 0)
        label = attribute(attributes, "aria-label");
    if (label.size == 0)
        label = label_in_id(attribute(attributes, "id"));
    tome_document_page(html->document, label);
}

static bool is_page_break(const xmlChar **const attributes)
{
    return contains(attribute(attributes, "epub:type"), BH_STR("pagebreak")) ||
           contains(attribute(attributes, "role"), BH_STR("doc-pagebreak"));
}

static bool is_hidden(const xmlChar **const attributes)
{
    for (size_t i = 0; attributes && attributes[i]; i += 2) {
        if (strcmp((const char *)attributes[i], "hidden") == 0)
            return true;
    }
    return contains(attribute(attributes, "epub:type"), BH_STR("noteref")) ||
           contains(attribute(attributes, "role"), BH_STR("doc-noteref"));
}

/* A raised link, or something raised in a link, is the mark of a note: "word12" helps no search. */
static bool is_note_mark(struct html *const html, const struct bh_str name,
                         const xmlChar **const attributes)
{
    if (bh_str_equal(name, BH_STR("sup"))) {
        if (html->raised_from == 0)
            html->raised_from = html->depth;
        return html->link_from > 0;
    }
    if (!bh_str_equal(name, BH_STR("a")) || !contains(attribute(attributes, "href"), BH_STR("#")))
        return false;
    if (html->link_from == 0)
        html->link_from = html->depth;
    return html->raised_from > 0;
}

/* --- elements --------------------------------------------------------------------------------- */

static void read_meta(const struct html *const html, const xmlChar **const attributes)
{
    if (!html->options->whole_file)
        return;
    const struct bh_str name = attribute(attributes, "name");
    const struct bh_str content = attribute(attributes, "content");
    if (bh_str_equal_nocase(name, BH_STR("author")))
        tome_document_meta(html->document, TOME_META_AUTHOR, content);
    else if (bh_str_equal_nocase(name, BH_STR("keywords")))
        tome_document_meta(html->document, TOME_META_TAGS, content);
}

static void begin_list(struct html *const html, const unsigned first_number)
{
    tome_document_end_paragraph(html->document);
    if (html->list_depth < LIST_DEPTH_MAX)
        html->item_numbers[html->list_depth] = first_number;
    html->list_depth++;
}

static void begin_item(struct html *const html)
{
    tome_document_end_paragraph(html->document);
    if (html->list_depth == 0 || html->list_depth > LIST_DEPTH_MAX)
        return;
    unsigned *const number = &html->item_numbers[html->list_depth - 1];
    if (*number == 0) {
        tome_document_text(html->document, BH_STR("\u2022 "));
        return;
    }
    char mark[16];
    const int size = snprintf(mark, sizeof(mark), "%u. ", (*number)++);
    tome_document_text(html->document, (struct bh_str){ .data = mark, .size = (size_t)size });
}

static void begin_cell(struct html *const html)
{
    if (html->in_row)
        tome_document_text(html->document, BH_STR(" | "));
    html->in_row = true;
}

/* A chapter's title is known only now, so its text waited for it. */
static void end_heading(struct html *const html)
{
    const struct bh_str title = bh_str_trim(bh_buf_peek(&html->caption));
    if (html->options->headings_are_chapters && html->heading <= CHAPTER_LEVEL_MAX &&
        title.size > 0)
        tome_document_chapter(html->document, title);
    tome_document_text(html->document, title);
    tome_document_end_paragraph(html->document);
    bh_buf_clear(&html->caption);
    html->heading = 0;
}

static void begin_element(struct html *const html, const struct bh_str name,
                          const xmlChar **const attributes)
{
    switch (tome_tag_of(name)) {
    case TOME_TAG_SKIPPED:
        html->skipped_from = html->depth;
        break;
    case TOME_TAG_HEADING:
        if (html->heading > 0)
            end_heading(html);
        tome_document_end_paragraph(html->document);
        bh_assert(name.size == 2); /* h1 … h6 */
        html->heading = (unsigned)(name.data[1] - '0');
        bh_buf_clear(&html->caption);
        break;
    case TOME_TAG_TITLE:
        html->in_title = true;
        bh_buf_clear(&html->caption);
        break;
    case TOME_TAG_META:
        read_meta(html, attributes);
        break;
    case TOME_TAG_BREAK:
        tome_document_line_break(html->document);
        break;
    case TOME_TAG_PREFORMATTED:
        tome_document_end_paragraph(html->document);
        html->preformatted++;
        break;
    case TOME_TAG_ROW:
        tome_document_line_break(html->document);
        html->in_row = false;
        break;
    case TOME_TAG_CELL:
        begin_cell(html);
        break;
    case TOME_TAG_ORDERED_LIST:
        begin_list(html, 1);
        break;
    case TOME_TAG_UNORDERED_LIST:
        begin_list(html, 0);
        break;
    case TOME_TAG_ITEM:
        begin_item(html);
        break;
    case TOME_TAG_BLOCK:
        /* A cell's paragraphs stay in its row. */
        if (!html->in_row)
            tome_document_end_paragraph(html->document);
        break;
    case TOME_TAG_INLINE:
        break;
    }
}

static void on_start(void *const argument, const xmlChar *const name,
                     const xmlChar **const attributes)
{
    struct html *const html = argument;
    html->depth++;
    if (html->skipped_from > 0)
        return;
    const struct bh_str id = attribute(attributes, "id");
    if (html->options->on_anchor && id.size > 0)
        html->options->on_anchor(html->options->argument, id);
    if (is_page_break(attributes)) {
        if (html->options->page_breaks)
            begin_page(html, attributes);
        html->skipped_from = html->depth;
        return;
    }
    if (is_hidden(attributes) || is_note_mark(html, str_of(name), attributes)) {
        html->skipped_from = html->depth;
        return;
    }
    if (html->options->whole_file && strcmp((const char *)name, "html") == 0)
        tome_document_meta(html->document, TOME_META_LANGUAGE, attribute(attributes, "lang"));
    begin_element(html, str_of(name), attributes);
}

static void end_element(struct html *const html, const struct bh_str name)
{
    switch (tome_tag_of(name)) {
    case TOME_TAG_HEADING:
        if (html->heading > 0)
            end_heading(html);
        break;
    case TOME_TAG_TITLE:
        if (html->in_title && html->options->whole_file)
            tome_document_meta(html->document, TOME_META_TITLE, bh_buf_peek(&html->caption));
        bh_buf_clear(&html->caption);
        html->in_title = false;
        break;
    case TOME_TAG_PREFORMATTED:
        html->preformatted -= html->preformatted > 0;
        tome_document_end_paragraph(html->document);
        break;
    case TOME_TAG_ORDERED_LIST:
    case TOME_TAG_UNORDERED_LIST:
        html->list_depth -= html->list_depth > 0;
        tome_document_end_paragraph(html->document);
        break;
    case TOME_TAG_ROW:
        html->in_row = false;
        tome_document_line_break(html->document);
        break;
    case TOME_TAG_ITEM:
        tome_document_end_paragraph(html->document);
        break;
    case TOME_TAG_BLOCK:
        if (!html->in_row)
            tome_document_end_paragraph(html->document);
        break;
    case TOME_TAG_SKIPPED:
    case TOME_TAG_META:
    case TOME_TAG_BREAK:
    case TOME_TAG_CELL:
    case TOME_TAG_INLINE:
        break;
    }
}

static void on_end(void *const argument, const xmlChar *const name)
{
    struct html *const html = argument;
    if (html->skipped_from == 0)
        end_element(html, str_of(name));
    else if (html->skipped_from >= html->depth)
        html->skipped_from = 0;
    if (html->raised_from >= html->depth)
        html->raised_from = 0;
    if (html->link_from >= html->depth)
        html->link_from = 0;
    html->depth -= html->depth > 0;
}

static void on_characters(void *const argument, const xmlChar *const data, const int size)
{
    struct html *const html = argument;
    const struct bh_str text = { .data = (const char *)data, .size = (size_t)size };
    if (html->skipped_from > 0)
        return;
    if (html->heading > 0 || html->in_title) {
        if (text.size <= CAPTION_MAX - html->caption.size) {
            bh_buf_append_str(&html->caption, text);
            return;
        }
        if (html->in_title)
            return;
        end_heading(html); /* it was never closed: what follows is text */
    }
    if (html->preformatted > 0)
        tome_document_verbatim(html->document, text);
    else
        tome_document_text(html->document, text);
}

/* --- driving the parser ----------------------------------------------------------------------- */

static void ignore_message(void *const context, const char *const message, ...)
{
    (void)context;
    (void)message;
}

static htmlParserCtxtPtr create_parser(struct html *const html)
{
    htmlSAXHandler handler = {
        .startElement = on_start,
        .endElement = on_end,
        .characters = on_characters,
        .ignorableWhitespace = on_characters,
        .warning = ignore_message,
        .error = ignore_message,
    };
    htmlParserCtxtPtr parser = htmlCreatePushParserCtxt(&handler, html, NULL, 0, NULL,
                                                        XML_CHAR_ENCODING_UTF8);
    if (parser)
        htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                       HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC |
                                       HTML_PARSE_NODEFDTD);
    return parser;
}

/* libxml2 would take NUL bytes for the end. */
static void push(htmlParserCtxtPtr parser, struct bh_buf *const text)
{
    for (size_t i = 0; i < text->size; i++) {
        if (text->data[i] == '\0')
            text->data[i] = ' ';
    }
    for (size_t at = 0; at < text->size;) {
        size_t size = text->size - at > PUSH_BYTES ? PUSH_BYTES : text->size - at;
        while (at + size < text->size && ((unsigned char)text->data[at + size] & 0xC0) == 0x80)
            size--;
        htmlParseChunk(parser, text->data + at, (int)size, 0);
        at += size;
    }
    bh_buf_clear(text);
}

static int parse(struct html *const html, struct tome_input *const input, char *const bytes,
                 struct bh_buf *const text)
{
    struct tome_decoder *decoder BH_CLEANUP(tome_decoder_destroy_cleanup) = NULL;
    htmlParserCtxtPtr parser = NULL;
    size_t size = READ_BYTES;
    int error = 0;
    while (!error && size == READ_BYTES) {
        error = tome_input_read(input, bytes, READ_BYTES, &size);
        if (error)
            break;
        const struct bh_str piece = { .data = bytes, .size = size };
        if (!decoder) {
            struct bh_str head = piece;
            if (head.size > DECLARATION_BYTES)
                head.size = DECLARATION_BYTES;
            error = tome_decoder_create(tome_declared_charset(head), &decoder);
            parser = create_parser(html);
            if (!parser)
                error = BH_ENOMEM;
        }
        if (!error)
            error = tome_decoder_push(decoder, piece, size < READ_BYTES, text);
        if (!error)
            push(parser, text);
        if (!error && html->options->whole_file)
            tome_document_progress(html->document, input->done, input->total);
        if (!error)
            error = tome_document_error(html->document);
        if (!error && parser->errNo == XML_ERR_NO_MEMORY)
            error = BH_ENOMEM;
    }
    if (parser) {
        if (!error)
            htmlParseChunk(parser, NULL, 0, 1);
        htmlFreeParserCtxt(parser);
    }
    return error;
}

int tome_html_parse(struct tome_input *const input, struct tome_document *const document,
                    const struct tome_html_options *const options)
{
    struct html html = { .document = document, .options = options };
    struct bh_buf text;
    bh_buf_init(&html.caption, CAPTION_MAX);
    bh_buf_init(&text, (size_t)READ_BYTES * 8);
    char *const bytes = malloc(READ_BYTES);
    const int error = bytes ? parse(&html, input, bytes, &text) : BH_ENOMEM;
    free(bytes);
    bh_buf_fini(&text);
    bh_buf_fini(&html.caption);
    tome_document_end_paragraph(document);
    return error ? error : tome_document_error(document);
}

enum tome_extract_failure tome_html_read(struct tome_input *const input,
                                         struct tome_frame_writer *const writer)
{
    struct tome_document *document BH_CLEANUP(tome_document_destroy_cleanup) = NULL;
    int error = tome_document_create(writer, TOME_PAGES_SECTIONS, &document);
    if (!error) {
        const struct tome_html_options options = { .headings_are_chapters = true,
                                                   .whole_file = true };
        error = tome_html_parse(input, document, &options);
    }
    if (!error) {
        tome_document_finish(document);
        error = tome_document_error(document);
    }
    if (error)
        return tome_failure_of(error);
    return tome_document_has_text(document) ? TOME_FAILURE_NONE : TOME_FAILURE_EMPTY;
}
