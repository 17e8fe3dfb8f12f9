#include "extract/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define DESCRIPTORS_MAX 64
#define CPU_GRACE_S 2 /* between SIGXCPU and SIGKILL */

/* The sanitizers' shadow memory is larger than any limit; gcc and clang tell of them apart. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW_MEMORY 1
#elif defined(__has_feature)
#define HAS_SHADOW_MEMORY (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define HAS_SHADOW_MEMORY 0
#endif

/* --- limits and privileges -------------------------------------------------------------------- */

static int limit(const int resource, const rlim_t soft, const rlim_t hard, const char *const what,
                 struct bh_error *const reterr)
{
    const struct rlimit value = { .rlim_cur = soft, .rlim_max = hard };
    if (setrlimit((__rlimit_resource_t)resource, &value) != 0)
        return bh_error_errno(reterr, errno, "cannot limit the extractor's %s", what);
    return 0;
}

static int set_limits(const struct tome_sandbox_limits *const limits, struct bh_error *const reterr)
{
    int error = limit(RLIMIT_CPU, limits->cpu_s, limits->cpu_s + CPU_GRACE_S, "CPU time", reterr);
    if (!error && !HAS_SHADOW_MEMORY)
        error = limit(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes, "memory", reterr);
    if (!error)
        error = limit(RLIMIT_FSIZE, 0, 0, "files", reterr);
    if (!error)
        error = limit(RLIMIT_CORE, 0, 0, "core dumps", reterr);
    if (!error)
        error = limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, DESCRIPTORS_MAX, "descriptors", reterr);
    if (!error)
        error = limit(RLIMIT_MEMLOCK, 0, 0, "locked memory", reterr);
    return error;
}

/* What the system does not permit here is done without: seccomp forbids the same and more. */
static void leave_namespaces(void)
{
    const int flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS;
    if (unshare(flags) != 0)
        (void)!unshare(CLONE_NEWUSER | flags);
}

static void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    (void)!setgroups(0, NULL);
    (void)!setresgid(NOBODY, NOBODY, NOBODY);
    (void)!setresuid(NOBODY, NOBODY, NOBODY);
}

int tome_sandbox_enter(const struct tome_sandbox_limits *const limits,
                       struct bh_error *const reterr)
{
    const int error = set_limits(limits, reterr);
    if (error)
        return error;
    leave_namespaces();
    become_nobody();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_error_errno(reterr, errno, "cannot give up privileges for the extractor");
    (void)!prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}

/* --- Landlock --------------------------------------------------------------------------------- */

#define LANDLOCK_ALL_1                                                                             \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LANDLOCK_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static void permit(const int ruleset, const int fd, const uint64_t access)
{
    const struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
    (void)!syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static void permit_path(const int ruleset, const char *const path, uint64_t access)
{
    const int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat status;
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
        access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
    permit(ruleset, fd, access);
    close(fd);
}

/* What a dynamically linked program and its fonts and tables need. */
static void permit_program(const int ruleset, const int program_fd)
{
    static const char *const loaders[] = { "/lib64", "/lib", "/usr/lib64", "/usr/lib" };
    static const char *const data[] = { "/etc/ld.so.cache",      "/etc/fonts",
                                        "/usr/share/poppler",    "/usr/share/fonts",
                                        "/usr/share/fontconfig", "/var/cache/fontconfig" };
    permit(ruleset, program_fd, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE);
    for (size_t i = 0; i < BH_COUNT_OF(loaders); i++)
        permit_path(ruleset, loaders[i], LANDLOCK_READ | LANDLOCK_ACCESS_FS_EXECUTE);
    for (size_t i = 0; i < BH_COUNT_OF(data); i++)
        permit_path(ruleset, data[i], LANDLOCK_READ);
}

static void close_file_system(const enum tome_sandbox_profile profile, const int program_fd)
{
    const struct landlock_ruleset_attr attributes = { .handled_access_fs = LANDLOCK_ALL_1 };
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes),
                                     0);
    if (ruleset < 0)
        return;
    if (profile == TOME_SANDBOX_PROGRAM)
        permit_program(ruleset, program_fd);
    (void)!syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

/* --- seccomp ---------------------------------------------------------------------------------- */

/* For both profiles: descriptors that are open, memory, time, the process itself. */
static const int permitted[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* What a program does on top of that between its start and its main(). */
static const int permitted_program[] = {
    SCMP_SYS(access),          SCMP_SYS(faccessat),  SCMP_SYS(faccessat2), SCMP_SYS(stat),
    SCMP_SYS(lstat),           SCMP_SYS(newfstatat), SCMP_SYS(statx),      SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),         SCMP_SYS(getdents64), SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
    SCMP_SYS(arch_prctl),      SCMP_SYS(rseq),       SCMP_SYS(getuid),     SCMP_SYS(geteuid),
    SCMP_SYS(getgid),          SCMP_SYS(getegid),    SCMP_SYS(sysinfo),    SCMP_SYS(uname),
    SCMP_SYS(set_tid_address), SCMP_SYS(getcwd),     SCMP_SYS(getrlimit),  SCMP_SYS(fadvise64),
    SCMP_SYS(set_robust_list), SCMP_SYS(mprotect),   SCMP_SYS(mmap),
};

/* Nothing that parses a file asks for these by mistake. */
static const int deadly[] = {
    SCMP_SYS(ptrace),          SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(init_module),     SCMP_SYS(finit_module),     SCMP_SYS(bpf),
    SCMP_SYS(kexec_load),      SCMP_SYS(keyctl),           SCMP_SYS(add_key),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),      SCMP_SYS(io_uring_setup),
    SCMP_SYS(mount),           SCMP_SYS(pivot_root),       SCMP_SYS(setns),
};

static int add_all(scmp_filter_ctx filter, const uint32_t action, const int *const calls,
                   const size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = seccomp_rule_add(filter, action, calls[i], 0);
    return error;
}

/* Memory that is neither executable now nor becomes so. */
static int permit_parser(scmp_filter_ctx filter)
{
    static const int mapping[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
    int error = 0;
    for (size_t i = 0; i < BH_COUNT_OF(mapping) && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping[i], 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (!error) /* fstat() of a descriptor */
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                                 SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    if (!error) /* abort() */
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(wait4), 0);
    return error;
}

/* One execveat() of the open program; files for reading only. */
static int permit_become(scmp_filter_ctx filter, const int program_fd)
{
    const uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    int error = add_all(filter, SCMP_ACT_ALLOW, permitted_program, BH_COUNT_OF(permitted_program));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                 SCMP_A2(SCMP_CMP_EQ, 0));
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(execveat), 2,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)program_fd),
                                 SCMP_A4(SCMP_CMP_EQ, AT_EMPTY_PATH));
    return error;
}

static int load_filter(const enum tome_sandbox_profile profile, const int program_fd)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!error)
        error = add_all(filter, SCMP_ACT_ALLOW, permitted, BH_COUNT_OF(permitted));
    if (!error)
        error = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, BH_COUNT_OF(deadly));
    if (!error)
        error = profile == TOME_SANDBOX_PROGRAM ? permit_become(filter, program_fd)
                                                : permit_parser(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

int tome_sandbox_seal(const enum tome_sandbox_profile profile, const int program_fd,
                      struct bh_error *const reterr)
{
    int error = limit(RLIMIT_NPROC, 0, 0, "processes", reterr);
    if (error)
        return error;
    close_file_system(profile, program_fd);
    error = load_filter(profile, program_fd);
    if (error)
        return bh_error_errno(reterr, -error,
                              "cannot install the extractor's system call filter; files are only "
                              "read where the kernel has seccomp");
    return 0;
}
