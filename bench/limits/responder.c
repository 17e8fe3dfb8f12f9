/*
 * The limit our HTTP layer is measured against: the least that libuv can do per request.
 *
 *     responder PORT THREADS FILE
 *
 * Answers each blank line of its input with the bytes of FILE (a whole response of the server under
 * test), without parsing, routing, deadlines or limits. One loop a thread; the kernel spreads the
 * connections over them (SO_REUSEPORT).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG 4096
#define READ_BYTES (64 * 1024)
#define RESPONSE_BYTES 4096
#define THREADS_MAX 64

static char response[RESPONSE_BYTES];
static size_t response_size;
static struct sockaddr_in address;

struct connection {
    uv_tcp_t tcp;
    unsigned matched; /* bytes of "\r\n\r\n" at the end of what was read so far */
};

static void fail(const char *const what, const int error)
{
    fprintf(stderr, "responder: %s: %s\n", what, uv_strerror(error));
    exit(1);
}

static void on_closed(uv_handle_t *const handle)
{
    free(handle->data);
}

static void on_written(uv_write_t *const request, const int status)
{
    (void)status;
    free(request);
}

static void on_buffer(uv_handle_t *const handle, const size_t suggested, uv_buf_t *const ret_buffer)
{
    static _Thread_local char memory[READ_BYTES];
    (void)handle;
    (void)suggested;
    *ret_buffer = uv_buf_init(memory, sizeof(memory));
}

static unsigned count_requests(struct connection *const connection, const char *const data,
                               const size_t size)
{
    static const char end[] = { '\r', '\n', '\r', '\n' };
    unsigned requests = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == end[connection->matched])
            connection->matched++;
        else
            connection->matched = data[i] == '\r';
        if (connection->matched == sizeof(end)) {
            connection->matched = 0;
            requests++;
        }
    }
    return requests;
}

static void answer(uv_stream_t *const stream)
{
    uv_buf_t buffer = uv_buf_init(response, (unsigned)response_size);
    const int written = uv_try_write(stream, &buffer, 1);
    if (written == (int)response_size)
        return;
    if (written > 0)
        buffer = uv_buf_init(response + written, (unsigned)response_size - (unsigned)written);
    uv_write_t *const request = malloc(sizeof(*request));
    if (!request || uv_write(request, stream, &buffer, 1, on_written) < 0)
        fail("write", UV_ENOMEM);
}

static void on_read(uv_stream_t *const stream, const ssize_t size, const uv_buf_t *const buffer)
{
    if (size < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    for (unsigned left = count_requests(stream->data, buffer->base, (size_t)size); left > 0; left--)
        answer(stream);
}

static void on_connection(uv_stream_t *const listener, const int status)
{
    if (status < 0)
        fail("accept", status);
    struct connection *const connection = calloc(1, sizeof(*connection));
    if (!connection)
        fail("accept", UV_ENOMEM);
    connection->tcp.data = connection;
    uv_tcp_init(listener->loop, &connection->tcp);
    uv_accept(listener, (uv_stream_t *)&connection->tcp);
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, on_buffer, on_read);
}

static void serve(void *const unused)
{
    (void)unused;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_loop_init(&loop);
    uv_tcp_init_ex(&loop, &listener, AF_INET);
    uv_os_fd_t fd;
    uv_fileno((const uv_handle_t *)&listener, &fd);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int));
    int error = uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (error < 0)
        fail("bind", error);
    error = uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
    if (error < 0)
        fail("listen", error);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void load_response(const char *const path)
{
    FILE *const file = fopen(path, "rb");
    if (!file)
        fail(path, UV_ENOENT);
    response_size = fread(response, 1, sizeof(response), file);
    fclose(file);
    if (response_size == 0 || response_size == sizeof(response))
        fail(path, UV_EINVAL);
}

int main(const int argc, char **const argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: responder PORT THREADS FILE\n");
        return 2;
    }
    const unsigned long threads = strtoul(argv[2], NULL, 10);
    if (threads < 1 || threads > THREADS_MAX)
        fail(argv[2], UV_EINVAL);
    load_response(argv[3]);
    uv_ip4_addr("127.0.0.1", (int)strtoul(argv[1], NULL, 10), &address);

    uv_thread_t thread;
    for (unsigned long i = 1; i < threads; i++)
        uv_thread_create(&thread, serve, NULL);
    serve(NULL);
    return 0;
}
