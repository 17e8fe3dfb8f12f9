/*
 * The cage of the extractor: what a process that parses hostile files may still do.
 *
 * Layers, each enough for most attacks alone:
 *   1. limits: CPU time, address space, no files written, no core, few descriptors, no processes;
 *   2. no new privileges, not dumpable; root becomes nobody; own network, IPC and mount namespaces
 *      where the kernel permits them;
 *   3. Landlock, if the kernel has it: no file system (for a program: its libraries and data);
 *   4. seccomp: a list of permitted system calls; the rest fails with EPERM; tracing, reading other
 *      processes' memory, kernel modules and the like kill the process.
 * Layers 1 and 4 are required; 2 and 3 are taken as far as the system gives them.
 *
 * For a process with one thread, at its start.
 */
#pragma once

#include "bulkhead/base/error.h"

struct tome_sandbox_limits {
    uint64_t memory_bytes; /* address space */
    unsigned cpu_s;
};

enum tome_sandbox_profile {
    TOME_SANDBOX_PARSER,  /* reads open descriptors, writes open descriptors, allocates */
    TOME_SANDBOX_PROGRAM, /* may then become the one program given, which may load its libraries */
};

/* The limits and the loss of privileges: before the first byte of the file is read. Processes can
 * still be started. BH_EACCESS, BH_EINVAL. */
int tome_sandbox_enter(const struct tome_sandbox_limits *limits,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* The file system and the system calls. There is no way back. `program_fd`: the program's open
 * file for TOME_SANDBOX_PROGRAM, else -1. BH_EUNSUPPORTED: the kernel has no seccomp. */
int tome_sandbox_seal(enum tome_sandbox_profile profile, int program_fd,
                      struct bh_error *reterr) BH_MUST_CHECK;
