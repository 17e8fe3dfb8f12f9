/*
 * A program that reads the file for us: started before this process is sealed, in a sandbox of its
 * own, its output and complaints read through pipes. One thread at a time.
 */
#pragma once

#include "extract/input.h"

#define TOME_PROGRAM_FILE_FD 3 /* where the program finds the file */

struct tome_program {
    int pid;    /* 0: not running, then there is no output */
    int output; /* -1: closed */
    int errors; /* -1: closed */
    size_t complaint_size;
    char complaint[4096]; /* read-only: the first of what it wrote to standard error */
};

/* Starts `arguments` (the program's path first, NULL last) on `file`, from the file's start.
 * BH_EUNAVAILABLE: there is no such program. BH_EIO, BH_ENOMEM. */
int tome_program_start(const char *const *arguments, int file, struct tome_program *ret_program,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* *ret_input gives what the program writes to standard output; complaints are taken in meanwhile.
 * The program stays borrowed. */
void tome_program_output(struct tome_program *program, struct tome_input *ret_input);

/* Closes the pipes and waits for the end; returns the wait status, -1 if it was not running. */
int tome_program_wait(struct tome_program *program);

/* Whether `text` stands in the complaint. */
bool tome_program_complains(const struct tome_program *program, const char *text);
