/*
 * Back-pressure: connections that were refused for want of room, or answered while others wait, are
 * not read from until there is some again. What their clients send meanwhile stays in the kernel,
 * which costs nothing; to read and refuse it, or to keep it in a line of fibers whose stacks are in
 * no cache, would take the time that the others' answers need.
 *
 * First come, first served at each refuser: the longest deferred is read first, a few hundred each
 * few milliseconds, and each after a second at the latest. All other connections are read all the
 * time: new ones, and those that ask for what is always answered (health). Loop thread.
 */
#pragma once

#include "http/http_loop.h"

struct bh_connection;

/* Before the loop's first connection. */
void bh_defer_init(struct bh_http_loop *http);

/* Whether a connection that has had its turn at the refuser should wait for the next: others do, or
 * there is no room. */
bool bh_defer_is_due(struct bh_http_loop *http, void *refused_by);

/* The connection was deferred: it is in line, and room is looked for, until it is resumed or its
 * node unlinked. */
void bh_defer_begin(struct bh_http_loop *http, struct bh_connection *connection);
