/*
 * The stream of frames from the extractor process to its parent.
 *
 * Model: the extractor parses a hostile file, so whatever it writes may have been written by the
 * file's author. The reader therefore checks everything: sizes per frame and in total, UTF-8, no
 * control characters, the order of frames and of page numbers. It holds one frame in memory.
 *
 * On the wire, numbers are little-endian:
 *   u32 size of what follows the type | u8 type | payload
 *   META     u8 key, value to the end
 *   PAGE     u32 number, u8 joint, u16 label size, u16 chapter size, label, chapter, text
 *   PROGRESS u8 percent
 *   ERROR    u8 code, message to the end
 *   END      empty
 * A stream is any META, PAGE and PROGRESS frames and then one END or one ERROR.
 *
 * A page may come in several PAGE frames with the same number (it is long, or a chapter begins
 * inside it). Text holds paragraphs separated by "\n\n"; a single "\n" is a line break inside one.
 * It neither begins nor ends with a blank.
 *
 * Writer and reader belong to one thread each.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"
#include "extract/source.h"

#define TOME_FRAME_HEAD_BYTES 5
#define TOME_FRAME_PAYLOAD_MAX (256u * 1024)
#define TOME_FRAME_PAGE_TEXT_MAX (128u * 1024) /* longer pages come in parts */
#define TOME_FRAME_LABEL_MAX 64u
#define TOME_FRAME_CHAPTER_MAX 512u
#define TOME_FRAME_VALUE_MAX 2048u
#define TOME_FRAME_MESSAGE_MAX 280u
#define TOME_PAGE_NUMBER_MAX 10000000u

enum tome_frame_type {
    TOME_FRAME_META = 1,
    TOME_FRAME_PAGE,
    TOME_FRAME_PROGRESS,
    TOME_FRAME_ERROR,
    TOME_FRAME_END,
};

enum tome_meta_key {
    TOME_META_TITLE = 1,
    TOME_META_AUTHOR,    /* several are joined by ", " */
    TOME_META_LANGUAGE,  /* BCP 47 as in the file ("tr", "en-GB"); absent: unknown */
    TOME_META_PAGE_KIND, /* "page", "list" or "section" */
    TOME_META_SOURCE,    /* the format that was read: a name of enum tome_source */
    TOME_META_TAGS,      /* comma-separated */
};

/* What stands between this text and the one before it. */
enum tome_joint {
    TOME_JOINT_PARAGRAPH = 0, /* "\n\n": a new paragraph begins */
    TOME_JOINT_SPACE,         /* " ": the sentence or paragraph goes on */
    TOME_JOINT_NONE,          /* "": cut inside a word too long for one frame */
};

struct tome_page {
    uint32_t number; /* 1…TOME_PAGE_NUMBER_MAX, never less than the one before */
    enum tome_joint joint;
    struct bh_str label;   /* the page's name where it differs from the number; "" if not */
    struct bh_str chapter; /* title of the chapter this text is in; "" if there is none */
    struct bh_str text;    /* UTF-8, at least one byte */
};

/* One received frame; strings are borrowed until the reader's next call. */
struct tome_frame {
    enum tome_frame_type type;
    union {
        struct {
            enum tome_meta_key key;
            struct bh_str value;
        } meta;
        struct tome_page page;
        unsigned percent;
        struct {
            enum tome_extract_failure code;
            struct bh_str message;
        } error;
    };
};

/* --- writer: sticky error, so many calls and one check ---------------------------------------- */

struct tome_frame_writer {
    int fd;                /* private: borrowed, blocking */
    int error;             /* private */
    uint64_t written;      /* read-only: bytes so far */
    uint64_t limit;        /* private */
    struct bh_buf pending; /* private */
};

/* `limit_bytes`: the most that may be written in all; ERROR and END go through even then. */
void tome_frame_writer_init(struct tome_frame_writer *writer, int fd, uint64_t limit_bytes);
void tome_frame_writer_fini(struct tome_frame_writer *writer);

/* Each takes well-formed UTF-8 within the limits above (programmer error otherwise). */
void tome_frame_write_meta(struct tome_frame_writer *writer, enum tome_meta_key key,
                           struct bh_str value);
void tome_frame_write_page(struct tome_frame_writer *writer, const struct tome_page *page);
void tome_frame_write_progress(struct tome_frame_writer *writer, unsigned percent);
void tome_frame_write_error(struct tome_frame_writer *writer, enum tome_extract_failure code,
                            struct bh_str message);
void tome_frame_write_end(struct tome_frame_writer *writer);

/* Writes out what is pending. 0, BH_ELIMIT (more than `limit_bytes`), BH_ENOMEM or BH_EIO. */
int tome_frame_writer_flush(struct tome_frame_writer *writer) BH_MUST_CHECK;
static inline int tome_frame_writer_error(const struct tome_frame_writer *const writer)
{
    return writer->error;
}

/* --- reader ----------------------------------------------------------------------------------- */

struct tome_frame_reader; /* opaque */

/* `limit_bytes`: the writer's limit. */
int tome_frame_reader_create(uint64_t limit_bytes,
                             struct tome_frame_reader **ret_reader) BH_MUST_CHECK;
void tome_frame_reader_destroy(struct tome_frame_reader *reader);
BH_DEFINE_CLEANUP(struct tome_frame_reader, tome_frame_reader_destroy)

/* Where the next received bytes go: at least one byte of room after next() has returned 0. Then
 * commit what was put there. */
char *tome_frame_reader_space(struct tome_frame_reader *reader, size_t *ret_size);
void tome_frame_reader_commit(struct tome_frame_reader *reader, size_t size);

/* 1: *ret_frame is filled. 0: more bytes are needed (or, after END or ERROR, none are).
 * BH_ESYNTAX: the stream is not what this header says. BH_ELIMIT: longer than `limit_bytes`.
 * Errors are final. */
int tome_frame_reader_next(struct tome_frame_reader *reader, struct tome_frame *ret_frame,
                           struct bh_error *reterr) BH_MUST_CHECK;

/* Whether END or ERROR has been read: an end of file before that is a failure. */
bool tome_frame_reader_finished(const struct tome_frame_reader *reader);
