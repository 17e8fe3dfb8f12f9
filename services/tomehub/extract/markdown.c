/* One line is held back, because the next one may underline it (a setext heading). */
#include "extract/markdown.h"

#include <stdlib.h>

#include "extract/document.h"
#include "extract/front_matter.h"
#include "extract/lines.h"
#include "extract/markdown_inline.h"
#include "extract/sentence.h"
#include "extract/text.h"

#define HEAD_BYTES (64u * 1024)
#define HELD_BYTES_MAX (72u * 1024)
#define CHAPTER_LEVEL_MAX 3u
#define CODE_INDENT 4u

struct markdown {
    struct tome_document *document;
    struct bh_buf held; /* the last line of the open paragraph, not written yet */
    bool paragraph;     /* a paragraph is open */
    bool first_line;    /* what is held is its first line */
    bool in_list;
    bool in_comment;
    char fence; /* '`' or '~' inside a fenced block, else 0 */
    size_t fence_size;
};

static void write_held(struct markdown *const reader)
{
    struct bh_str line = bh_buf_peek(&reader->held);
    if (line.size == 0)
        return;
    const bool hard_break = bh_str_ends_with(line, BH_STR("  ")) ||
                            bh_str_ends_with(line, BH_STR("\\"));
    if (bh_str_ends_with(line, BH_STR("\\")))
        line.size--;
    tome_markdown_inline(reader->document, line);
    if (hard_break)
        tome_document_line_break(reader->document);
    else
        tome_document_text(reader->document, BH_STR(" "));
    bh_buf_clear(&reader->held);
}

static void end_paragraph(struct markdown *const reader)
{
    write_held(reader);
    tome_document_end_paragraph(reader->document);
    reader->paragraph = false;
}

static void hold(struct markdown *const reader, const struct bh_str text)
{
    write_held(reader);
    reader->first_line = !reader->paragraph;
    reader->paragraph = true;
    bh_buf_append_str(&reader->held, text);
}

static struct bh_str behind(const struct bh_str text, const size_t count)
{
    return (struct bh_str){ .data = text.data + count, .size = text.size - count };
}

static size_t count_leading(const struct bh_str text, const char byte)
{
    size_t count = 0;
    while (count < text.size && text.data[count] == byte)
        count++;
    return count;
}

static void write_heading(struct markdown *const reader, const struct bh_str raw,
                          const size_t level)
{
    struct bh_buf title BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&title, HELD_BYTES_MAX);
    tome_markdown_inline_append(&title, raw);
    const struct bh_str text = bh_str_trim(bh_buf_peek(&title));
    tome_document_end_paragraph(reader->document);
    if (text.size == 0)
        return;
    if (level == 1)
        tome_document_meta(reader->document, TOME_META_TITLE, text);
    if (level <= CHAPTER_LEVEL_MAX)
        tome_document_chapter(reader->document, text);
    tome_document_text(reader->document, text);
    tome_document_end_paragraph(reader->document);
    reader->in_list = false;
}

/* "# Title #" */
static bool read_heading(struct markdown *const reader, const struct bh_str line)
{
    const size_t level = count_leading(line, '#');
    if (level == 0 || level > 6 || (level < line.size && !tome_is_blank(line.data[level])))
        return false;
    end_paragraph(reader);
    struct bh_str title = bh_str_trim(behind(line, level));
    size_t end = title.size;
    while (end > 0 && title.data[end - 1] == '#')
        end--;
    if (end == 0 || tome_is_blank(title.data[end - 1]))
        title.size = end;
    write_heading(reader, title, level);
    return true;
}

/* A line of three or more of one mark, blanks between them allowed. */
static bool is_rule(const struct bh_str line)
{
    size_t count = 0;
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == ' ')
            continue;
        if (line.data[i] != line.data[0])
            return false;
        count++;
    }
    return count >= 3 && (line.data[0] == '-' || line.data[0] == '*' || line.data[0] == '_');
}

static bool read_underline(struct markdown *const reader, const struct bh_str line)
{
    const char mark = line.data[0];
    if ((mark != '=' && mark != '-') || count_leading(line, mark) != line.size)
        return false;
    if (!reader->paragraph || !reader->first_line || reader->held.size == 0)
        return false;
    struct bh_buf title BH_CLEANUP(bh_buf_fini_cleanup) = reader->held;
    bh_buf_init(&reader->held, HELD_BYTES_MAX);
    reader->paragraph = false;
    write_heading(reader, bh_buf_peek(&title), mark == '=' ? 1 : 2);
    return true;
}

/* "|---|:--:|" */
static bool is_table_rule(const struct bh_str line)
{
    bool dash = false;
    for (size_t i = 0; i < line.size; i++) {
        const char byte = line.data[i];
        if (byte != '|' && byte != '-' && byte != ':' && byte != ' ')
            return false;
        dash = dash || byte == '-';
    }
    return dash && memchr(line.data, '|', line.size);
}

static void read_table_row(struct markdown *const reader, struct bh_str line)
{
    line = bh_str_trim(behind(line, 1));
    if (bh_str_ends_with(line, BH_STR("|")))
        line.size--;
    write_held(reader);
    if (reader->paragraph)
        tome_document_line_break(reader->document);
    reader->paragraph = true;
    reader->first_line = false;
    tome_markdown_inline(reader->document, line);
}

/* Size of "- ", "* ", "+ ", "12. " or "12) " at the start; 0: none. */
static size_t list_mark(const struct bh_str line)
{
    size_t at = 0;
    while (at < line.size && at < 9 && line.data[at] >= '0' && line.data[at] <= '9')
        at++;
    if (at == line.size)
        return 0;
    const char mark = line.data[at];
    const bool is_mark = at > 0 ? mark == '.' || mark == ')'
                                : mark == '-' || mark == '*' || mark == '+';
    at++;
    if (!is_mark || (at < line.size && !tome_is_blank(line.data[at])))
        return 0;
    return at;
}

static void read_list_item(struct markdown *const reader, const struct bh_str line,
                           const size_t mark)
{
    end_paragraph(reader);
    reader->in_list = true;
    if (mark == 1) {
        tome_document_text(reader->document, BH_STR("\u2022 "));
    } else {
        tome_document_text(reader->document, (struct bh_str){ .data = line.data, .size = mark });
        tome_document_text(reader->document, BH_STR(" "));
    }
    struct bh_str item = bh_str_trim(behind(line, mark));
    if (bh_str_starts_with(item, BH_STR("[ ] ")) || bh_str_starts_with(item, BH_STR("[x] ")))
        item = behind(item, 4);
    hold(reader, item);
    reader->first_line = false;
}

/* "[name]: address" */
static bool is_definition(const struct bh_str line)
{
    if (line.data[0] != '[' || (line.size > 1 && line.data[1] == '^'))
        return false;
    const char *const end = memchr(line.data, ']', line.size);
    const size_t at = end ? (size_t)(end - line.data) + 1 : line.size;
    return at + 1 < line.size && line.data[at] == ':';
}

static bool read_fence(struct markdown *const reader, const struct bh_str line)
{
    const char mark = line.size > 0 ? line.data[0] : '\0';
    const size_t size = mark == '`' || mark == '~' ? count_leading(line, mark) : 0;
    if (reader->fence) {
        if (mark != reader->fence || size < reader->fence_size ||
            bh_str_trim(behind(line, size)).size > 0)
            return false;
        reader->fence = '\0';
        tome_document_end_paragraph(reader->document);
        return true;
    }
    if (size < 3 || (mark == '`' && memchr(line.data + size, '`', line.size - size)))
        return false;
    end_paragraph(reader);
    reader->fence = mark;
    reader->fence_size = size;
    return true;
}

/* Takes comments out of a line; they may go over many. */
static void without_comments(struct markdown *const reader, struct bh_str line,
                             struct bh_buf *const out)
{
    while (line.size > 0) {
        const struct bh_str mark = reader->in_comment ? BH_STR("-->") : BH_STR("<!--");
        const char *const at = memmem(line.data, line.size, mark.data, mark.size);
        const size_t before = at ? (size_t)(at - line.data) : line.size;
        if (!reader->in_comment)
            bh_buf_append(out, line.data, before);
        if (!at)
            return;
        reader->in_comment = !reader->in_comment;
        line = behind(line, before + mark.size);
    }
}

static void read_code_line(struct markdown *const reader, const struct bh_str line)
{
    tome_document_verbatim(reader->document, line);
    tome_document_verbatim(reader->document, BH_STR("\n"));
}

static void read_block(struct markdown *const reader, struct bh_str line, const bool indented)
{
    while (line.size > 0 && line.data[0] == '>' && !indented)
        line = bh_str_trim(behind(line, 1));
    if (line.size == 0) {
        end_paragraph(reader);
        return;
    }
    const size_t mark = list_mark(line);
    if (is_table_rule(line)) {
        write_held(reader);
        return;
    }
    if (read_heading(reader, line) || read_underline(reader, line))
        return;
    if (is_rule(line)) {
        end_paragraph(reader);
        reader->in_list = false;
    } else if (line.data[0] == '|') {
        read_table_row(reader, line);
    } else if (mark > 0) {
        read_list_item(reader, line, mark);
    } else if (!is_definition(line)) {
        hold(reader, line);
    }
}

/* What stands before the trailing blanks, of which a hard break needs two. */
static struct bh_str trim_left(struct bh_str line)
{
    while (line.size > 0 && tome_is_blank(line.data[0]))
        line = behind(line, 1);
    return line;
}

static void read_line(struct markdown *const reader, const struct bh_str raw)
{
    struct bh_buf clean BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&clean, raw.size + 1);
    if (read_fence(reader, trim_left(raw)))
        return;
    if (reader->fence) {
        read_code_line(reader, raw);
        return;
    }
    const bool was_blank = !reader->in_comment && bh_str_trim(raw).size == 0;
    without_comments(reader, raw, &clean);
    const struct bh_str line = bh_buf_peek(&clean);
    const struct bh_str text = trim_left(line);
    if (bh_str_trim(text).size == 0) {
        if (was_blank)
            end_paragraph(reader);
        return;
    }
    const bool indented = line.data[0] == '\t' || line.size - text.size >= CODE_INDENT;
    if (indented && !reader->paragraph && !reader->in_list) {
        read_code_line(reader, behind(line, line.data[0] == '\t' ? 1 : CODE_INDENT));
        return;
    }
    if (!indented && list_mark(text) == 0 && line.size == text.size && !reader->paragraph)
        reader->in_list = false;
    read_block(reader, text, indented);
}

static int read_front_matter(struct tome_input *const input, struct tome_document *const document)
{
    char *const head = malloc(HEAD_BYTES);
    if (!head)
        return BH_ENOMEM;
    size_t size;
    const int error = tome_input_read(input, head, HEAD_BYTES, &size);
    if (!error)
        input->done = tome_front_matter_read((struct bh_str){ .data = head, .size = size },
                                             document);
    free(head);
    return error;
}

static int read_all(struct markdown *const reader, struct tome_lines *const lines,
                    const struct tome_input *const input)
{
    struct tome_line line;
    bool inside = false;
    int result;
    while ((result = tome_lines_next(lines, &line)) == 1) {
        if (inside || !line.whole) {
            write_held(reader);
            reader->paragraph = true;
            tome_markdown_inline(reader->document, line.text);
        } else {
            read_line(reader, line.text);
        }
        inside = !line.whole;
        tome_document_progress(reader->document, input->done, input->total);
        if (tome_document_error(reader->document))
            return tome_document_error(reader->document);
    }
    if (result < 0)
        return result;
    end_paragraph(reader);
    tome_document_finish(reader->document);
    return tome_document_error(reader->document);
}

enum tome_extract_failure tome_markdown_read(struct tome_input *const input,
                                             struct tome_frame_writer *const writer)
{
    struct tome_document *document BH_CLEANUP(tome_document_destroy_cleanup) = NULL;
    struct tome_lines *lines BH_CLEANUP(tome_lines_destroy_cleanup) = NULL;
    int error = tome_document_create(writer, TOME_PAGES_SECTIONS, &document);
    if (!error)
        error = read_front_matter(input, document);
    if (!error)
        error = tome_lines_create(input, &lines);
    if (!error) {
        struct markdown reader = { .document = document };
        bh_buf_init(&reader.held, HELD_BYTES_MAX);
        error = read_all(&reader, lines, input);
        bh_buf_fini(&reader.held);
    }
    if (error)
        return tome_failure_of(error);
    return tome_document_has_text(document) ? TOME_FAILURE_NONE : TOME_FAILURE_EMPTY;
}
