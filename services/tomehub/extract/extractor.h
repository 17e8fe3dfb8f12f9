/*
 * The extractor: `tomehub-extract` (or `tomehub extract`, the same), a process of its own that
 * reads one file inside the sandbox.
 *
 * The file is descriptor 3, open for reading; it never sees a path. Frames (frame.h) go to standard
 * output. Arguments: --kind auto|epub|pdf|html|markdown|text, --name FILE-NAME (for its extension),
 * --text-limit BYTES, --memory-limit BYTES, --cpu-limit SECONDS. By hand:
 *
 *     tomehub extract --kind auto 3<book.epub | head -c 1000
 */
#pragma once

#define TOME_EXTRACT_FD 3

enum tome_extract_exit {
    TOME_EXTRACT_EXIT_OK = 0,      /* END was written */
    TOME_EXTRACT_EXIT_FILE = 1,    /* ERROR was written: the file cannot be read */
    TOME_EXTRACT_EXIT_USAGE = 2,   /* wrong arguments, or descriptor 3 is no regular file */
    TOME_EXTRACT_EXIT_SANDBOX = 3, /* the sandbox cannot be set up; nothing was read */
    TOME_EXTRACT_EXIT_OUTPUT = 4,  /* the reader of standard output is gone */
};

/* `argv[0]` is the command's name. Returns one of the above, to exit with. */
int tome_extract_main(int argc, char **argv);
