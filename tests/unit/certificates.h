/* An authority and a server's certificate of the test's own, made by openssl: for books.example,
 * 192.0.2.1 and 127.0.0.1. */
#pragma once

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    char directory[32];
    char ca[64], cert[64], key[64]; /* files */
} certificates = { .directory = "/tmp/bulkhead-tls-XXXXXX" };

static inline int certificates_run(const char *const script)
{
    char *const arguments[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)script,
                                NULL };
    pid_t pid = 0;
    int status = -1;
    if (posix_spawnp(&pid, "sh", NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

/* For cmocka: the setup and the end of a group. */
static inline int certificates_make(void **const state)
{
    (void)state;
    char script[1024];
    if (!mkdtemp(certificates.directory))
        return -1;
    snprintf(certificates.ca, sizeof(certificates.ca), "%s/ca.pem", certificates.directory);
    snprintf(certificates.cert, sizeof(certificates.cert), "%s/cert.pem", certificates.directory);
    snprintf(certificates.key, sizeof(certificates.key), "%s/key.pem", certificates.directory);
    snprintf(script, sizeof(script),
             "cd %s && exec 2>log && umask 077 && "
             "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
             "openssl req -x509 $key -keyout ca.key -out ca.pem -days 30 -subj /CN=ca "
             "-addext basicConstraints=critical,CA:TRUE && "
             "openssl req $key -keyout key.pem -out request -subj /CN=server && "
             "echo subjectAltName=DNS:books.example,IP:192.0.2.1,IP:127.0.0.1 >names && "
             "openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 "
             "-extfile names -out cert.pem",
             certificates.directory);
    return certificates_run(script);
}

static inline int certificates_remove(void **const state)
{
    (void)state;
    char script[64];
    snprintf(script, sizeof(script), "rm -r %s", certificates.directory);
    return certificates_run(script);
}
