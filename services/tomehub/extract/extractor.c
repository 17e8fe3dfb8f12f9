#include "extract/extractor.h"

#include <fcntl.h>
#include <libxml/parser.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unicode/uclean.h>
#include <unistd.h>

#include "extract/epub.h"
#include "extract/html.h"
#include "extract/markdown.h"
#include "extract/pdf.h"
#include "extract/plain.h"
#include "extract/sandbox.h"
#include "extract/sniff.h"
#include "extract/text.h"

#define OPEN_AGAIN "/proc/self/fd/3"
#define MEMORY_LIMIT_MIN_BYTES (INT64_C(64) << 20)

struct extractor {
    enum tome_source source;
    struct bh_str name;
    int64_t text_limit_bytes;
    int64_t memory_limit_bytes;
    int64_t cpu_limit_s;
    uint64_t file_size;
    int files[TOME_PDF_FILES]; /* the file, and opened again; -1: that is not possible */
    struct tome_frame_writer writer;
};

/* --- arguments -------------------------------------------------------------------------------- */

static int usage(const char *const wrong)
{
    fprintf(stderr,
            "tomehub extract: %s\n"
            "usage: tomehub extract [--kind auto|epub|pdf|html|markdown|text] [--name FILE-NAME]\n"
            "         [--text-limit BYTES] [--memory-limit BYTES] [--cpu-limit SECONDS] 3<FILE\n",
            wrong);
    return TOME_EXTRACT_EXIT_USAGE;
}

static int parse_option(struct extractor *const extractor, const struct bh_str option,
                        const struct bh_str value)
{
    if (bh_str_equal(option, BH_STR("--kind")))
        return tome_source_parse(value, &extractor->source);
    if (bh_str_equal(option, BH_STR("--name"))) {
        extractor->name = value;
        return 0;
    }
    if (bh_str_equal(option, BH_STR("--text-limit")))
        return bh_str_to_int64(value, 1, INT64_MAX, &extractor->text_limit_bytes);
    if (bh_str_equal(option, BH_STR("--memory-limit")))
        return bh_str_to_int64(value, MEMORY_LIMIT_MIN_BYTES, INT64_MAX,
                               &extractor->memory_limit_bytes);
    if (bh_str_equal(option, BH_STR("--cpu-limit")))
        return bh_str_to_int64(value, 1, 86400, &extractor->cpu_limit_s);
    return BH_EINVAL;
}

static int parse_arguments(struct extractor *const extractor, const int argc, char **const argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage("an option without its value");
        if (parse_option(extractor, bh_str_from(argv[i]), bh_str_from(argv[i + 1])) != 0)
            return usage(argv[i]);
    }
    struct stat status;
    if (fstat(TOME_EXTRACT_FD, &status) != 0 || !S_ISREG(status.st_mode))
        return usage("descriptor 3 is no regular file");
    extractor->file_size = (uint64_t)status.st_size;
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The parent's death ends this process too. It may have died before this was set; then nobody
 * reads standard output. */
static bool stay_with_parent(void)
{
    (void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&output, 1, 0) < 0 || (output.revents & (POLLERR | POLLNVAL)) == 0;
}

/* What the libraries load on first use has to be there before the file system is gone. */
static void warm_up(void)
{
    UErrorCode status = U_ZERO_ERROR;
    u_init(&status);
    setlocale(LC_CTYPE, "C.UTF-8");
    xmlInitParser();
}

static enum tome_extract_failure sniff(struct extractor *const extractor)
{
    char head[TOME_SNIFF_BYTES];
    struct tome_input input;
    size_t size;
    tome_input_file(&input, TOME_EXTRACT_FD, extractor->file_size);
    if (tome_input_read(&input, head, sizeof(head), &size) != 0)
        return TOME_FAILURE_INTERNAL;
    enum tome_source found;
    const enum tome_extract_failure failure = tome_sniff(
        (struct bh_str){ .data = head, .size = size }, extractor->name, &found);
    if (failure == TOME_FAILURE_NONE && extractor->source == TOME_SOURCE_AUTO)
        extractor->source = found;
    return failure;
}

static enum tome_extract_failure read_file(struct extractor *const extractor,
                                           struct tome_pdf *const pdf,
                                           struct bh_error *const detail)
{
    struct tome_input input;
    tome_input_file(&input, TOME_EXTRACT_FD, extractor->file_size);
    tome_frame_write_meta(&extractor->writer, TOME_META_SOURCE,
                          bh_str_from(tome_source_name(extractor->source)));
    switch (extractor->source) {
    case TOME_SOURCE_EPUB:
        return tome_epub_read(&input, &extractor->writer, detail);
    case TOME_SOURCE_PDF:
        return tome_pdf_read(pdf, &extractor->writer);
    case TOME_SOURCE_HTML:
        return tome_html_read(&input, &extractor->writer);
    case TOME_SOURCE_MARKDOWN:
        return tome_markdown_read(&input, &extractor->writer);
    case TOME_SOURCE_TEXT:
        return tome_text_read(&input, &extractor->writer);
    case TOME_SOURCE_AUTO:
        break;
    }
    return TOME_FAILURE_UNSUPPORTED;
}

static int write_failure(struct extractor *const extractor, const enum tome_extract_failure failure,
                         const char *const detail)
{
    struct bh_buf message BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&message, TOME_FRAME_MESSAGE_MAX);
    tome_plain_append_line(&message, bh_str_from(detail), TOME_FRAME_MESSAGE_MAX);
    tome_frame_write_error(&extractor->writer, failure, bh_buf_peek(&message));
    return tome_frame_writer_flush(&extractor->writer) ? TOME_EXTRACT_EXIT_OUTPUT
                                                       : TOME_EXTRACT_EXIT_FILE;
}

/* Inside the limits, not yet sealed: only comparisons of the first bytes happen here. */
static int extract(struct extractor *const extractor)
{
    struct tome_pdf *pdf BH_CLEANUP(tome_pdf_destroy_cleanup) = NULL;
    struct bh_error detail = { 0 };
    enum tome_extract_failure failure = sniff(extractor);
    if (failure == TOME_FAILURE_NONE && extractor->source == TOME_SOURCE_PDF &&
        tome_pdf_start(extractor->files, &pdf, &detail) != 0)
        failure = TOME_FAILURE_INTERNAL;
    if (tome_sandbox_seal(TOME_SANDBOX_PARSER, -1, &detail) != 0) {
        fprintf(stderr, "tomehub extract: %s\n", detail.message);
        return TOME_EXTRACT_EXIT_SANDBOX;
    }
    if (failure == TOME_FAILURE_NONE)
        failure = read_file(extractor, pdf, &detail);
    if (failure != TOME_FAILURE_NONE)
        return write_failure(extractor, failure, detail.message);
    tome_frame_write_end(&extractor->writer);
    return tome_frame_writer_flush(&extractor->writer) ? TOME_EXTRACT_EXIT_OUTPUT
                                                       : TOME_EXTRACT_EXIT_OK;
}

int tome_extract_main(const int argc, char **const argv)
{
    struct extractor extractor = { .text_limit_bytes = INT64_C(1) << 30,
                                   .memory_limit_bytes = INT64_C(1) << 30,
                                   .cpu_limit_s = 120 };
    const int wrong = parse_arguments(&extractor, argc, argv);
    if (wrong)
        return wrong;
    struct bh_error error;
    const struct tome_sandbox_limits limits = {
        .memory_bytes = (uint64_t)extractor.memory_limit_bytes,
        .cpu_s = (unsigned)extractor.cpu_limit_s,
    };
    warm_up();
    extractor.files[0] = TOME_EXTRACT_FD;
    for (size_t i = 1; i < TOME_PDF_FILES; i++)
        extractor.files[i] = open(OPEN_AGAIN, O_RDONLY | O_CLOEXEC);
    if (tome_sandbox_enter(&limits, &error) != 0) {
        fprintf(stderr, "tomehub extract: %s\n", error.message);
        return TOME_EXTRACT_EXIT_SANDBOX;
    }
    if (!stay_with_parent())
        return TOME_EXTRACT_EXIT_OUTPUT;
    tome_frame_writer_init(&extractor.writer, STDOUT_FILENO, (uint64_t)extractor.text_limit_bytes);
    const int status = extract(&extractor);
    /* At-exit work of libraries is neither needed nor always possible inside the sandbox. */
    _exit(status);
}
