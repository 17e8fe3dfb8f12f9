/*
 * A trie over segments. A node knows its literal children, its `{name}` child and its `{name...}`
 * child, and the routes that end at it; Allow is put together as routes are added.
 *
 * Matching goes depth first: literal, then name. A node is entered at most once for a path (its
 * depth fixes the segment), so the cost is bounded by the trie's size whatever the path.
 * `{name...}` is looked at only when nothing else has the path.
 */
#include "bulkhead/http/router.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "http/head.h"
#include "http/route_pattern.h"

#define ROUTER_MAGIC 0x524f5554u
#define ALLOW_MAX 256

struct node {
    struct bh_str segment; /* literal; {NULL, 0} at the root and for names */
    struct node *literals; /* first of a list linked by `next` */
    struct node *next;
    struct node *name;
    struct node *rest; /* `{name...}` */
    const struct bh_route **routes;
    size_t route_count;
    char *allow; /* NULL while no route ends here */
};

struct bh_router {
    BH_MAGIC_FIELD;
    struct node *root;
};

/* ---- Nodes ---- */

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the longest pattern */
static void node_destroy(struct node *node)
{
    while (node) {
        struct node *const next = node->next;
        node_destroy(node->literals);
        node_destroy(node->name);
        node_destroy(node->rest);
        free((void *)node->routes);
        free(node->allow);
        free(node);
        node = next;
    }
}

static struct node *find_literal(const struct node *const parent, const struct bh_str segment)
{
    for (struct node *node = parent->literals; node; node = node->next) {
        if (bh_str_equal(node->segment, segment))
            return node;
    }
    return NULL;
}

/* The child for `segment`, made if need be; NULL: out of memory. */
static struct node *child_for(struct node *const parent, const struct bh_pattern_segment *segment)
{
    struct node **place = &parent->literals;
    if (segment->kind == BH_PATTERN_NAME)
        place = &parent->name;
    else if (segment->kind == BH_PATTERN_REST)
        place = &parent->rest;
    struct node *const found = segment->kind == BH_PATTERN_LITERAL
                                   ? find_literal(parent, segment->text)
                                   : *place;
    if (found)
        return found;
    struct node *const node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    if (segment->kind == BH_PATTERN_LITERAL) {
        node->segment = segment->text;
        node->next = parent->literals;
    }
    *place = node;
    return node;
}

static const struct bh_route *node_route(const struct node *const node, const struct bh_str method)
{
    const struct bh_route *any = NULL;
    const struct bh_route *get = NULL;
    for (size_t i = 0; i < node->route_count; i++) {
        const struct bh_route *const route = node->routes[i];
        const struct bh_str name = bh_str_from(route->method);
        if (bh_str_equal(name, method))
            return route;
        if (bh_str_equal(name, BH_STR("*")))
            any = route;
        else if (bh_str_equal(name, BH_STR("GET")))
            get = route;
    }
    return get && bh_str_equal(method, BH_STR("HEAD")) ? get : any;
}

static int append_route(struct node *const node, const struct bh_route *const route)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    const size_t bytes = (node->route_count + 1) * sizeof(node->routes[0]);
    const struct bh_route **const grown = realloc((void *)node->routes, bytes);
    if (!grown)
        return BH_ENOMEM;
    grown[node->route_count++] = route;
    node->routes = grown;
    return 0;
}

/* Allow for the node's routes: in the order added, HEAD with GET, OPTIONS always. */
static int rebuild_allow(struct node *const node)
{
    struct bh_buf text BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&text, ALLOW_MAX);
    bool has_head = false;
    for (size_t i = 0; i < node->route_count; i++)
        has_head |= strcmp(node->routes[i]->method, "HEAD") == 0;
    for (size_t i = 0; i < node->route_count; i++) {
        const char *const method = node->routes[i]->method;
        if (strcmp(method, "OPTIONS") == 0 || strcmp(method, "*") == 0)
            continue;
        bh_buf_append_str(&text, bh_str_from(method));
        bh_buf_append_str(&text, BH_STR(", "));
        if (strcmp(method, "GET") == 0 && !has_head)
            bh_buf_append_str(&text, BH_STR("HEAD, "));
    }
    bh_buf_append(&text, "OPTIONS", sizeof("OPTIONS"));
    if (bh_buf_error(&text))
        return bh_buf_error(&text);
    char *const allow = strndup(text.data, text.size);
    if (!allow)
        return BH_ENOMEM;
    free(node->allow);
    node->allow = allow;
    return 0;
}

/* ---- Building ---- */

int bh_router_create(struct bh_router **const ret_router)
{
    struct bh_router *const router = calloc(1, sizeof(*router));
    struct node *const root = calloc(1, sizeof(*root));
    if (!router || !root) {
        free(router);
        free(root);
        return BH_ENOMEM;
    }
    *router = (struct bh_router){ .magic = ROUTER_MAGIC, .root = root };
    *ret_router = router;
    return 0;
}

void bh_router_destroy(struct bh_router *const router)
{
    if (!router)
        return;
    bh_magic_check(router, ROUTER_MAGIC);
    node_destroy(router->root);
    router->magic = 0;
    free(router);
}

static int add_route(struct bh_router *const router, const struct bh_route *const route,
                     struct bh_error *const reterr)
{
    int error = bh_pattern_check(route, reterr);
    if (error < 0)
        return error;
    struct node *node = router->root;
    struct bh_str rest = bh_str_from(route->pattern);
    struct bh_pattern_segment segment;
    while (bh_pattern_next(&rest, &segment)) {
        node = child_for(node, &segment);
        if (!node)
            return bh_error_set(reterr, BH_ENOMEM, "out of memory for the routes");
    }
    for (size_t i = 0; i < node->route_count; i++) {
        if (strcmp(node->routes[i]->method, route->method) == 0)
            return bh_error_set(reterr, BH_EEXISTS, "route %s %s is the same as %s %s",
                                route->method, route->pattern, route->method,
                                node->routes[i]->pattern);
    }
    error = append_route(node, route);
    if (error == 0)
        error = rebuild_allow(node);
    return error == 0 ? 0 : bh_error_set(reterr, error, "out of memory for the routes");
}

int bh_router_add(struct bh_router *const router, const struct bh_route *const routes,
                  const size_t count, struct bh_error *const reterr)
{
    bh_magic_check(router, ROUTER_MAGIC);
    for (size_t i = 0; i < count; i++) {
        const int error = add_route(router, &routes[i], reterr);
        if (error < 0)
            return error;
    }
    return 0;
}

/* ---- Matching ---- */

/* The node at which the path `rest` (empty, or beginning with '/') ends, else NULL. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the longest pattern */
static const struct node *find(const struct node *const node, const struct bh_str rest,
                               struct bh_route_match *const match)
{
    if (rest.size == 0)
        return node->route_count > 0 ? node : NULL;
    struct bh_str behind = { rest.data + 1, rest.size - 1 };
    const char *const slash = behind.size == 0 ? NULL : memchr(behind.data, '/', behind.size);
    const struct bh_str segment = { behind.data,
                                    slash ? (size_t)(slash - behind.data) : behind.size };
    behind.data += segment.size;
    behind.size -= segment.size;

    const struct node *const literal = find_literal(node, segment);
    const struct node *found = literal ? find(literal, behind, match) : NULL;
    if (!found && node->name && segment.size > 0) {
        const size_t number = match->parameter_count++;
        match->parameters[number] = segment;
        found = find(node->name, behind, match);
        if (!found)
            match->parameter_count = number;
    }
    return found;
}

/* The deepest `{name...}` on the way, where it has no other match. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the longest pattern */
static const struct node *find_rest(const struct node *const node, const struct bh_str rest,
                                    struct bh_route_match *const match)
{
    if (rest.size == 0)
        return NULL;
    struct bh_str behind = { rest.data + 1, rest.size - 1 };
    const struct bh_str all = behind;
    const char *const slash = behind.size == 0 ? NULL : memchr(behind.data, '/', behind.size);
    const struct bh_str segment = { behind.data,
                                    slash ? (size_t)(slash - behind.data) : behind.size };
    behind.data += segment.size;
    behind.size -= segment.size;

    const size_t number = match->parameter_count;
    const struct node *const literal = find_literal(node, segment);
    const struct node *found = literal ? find_rest(literal, behind, match) : NULL;
    if (!found && node->name && segment.size > 0) {
        match->parameters[match->parameter_count++] = segment;
        found = find_rest(node->name, behind, match);
    }
    if (!found && node->rest) {
        match->parameter_count = number;
        match->parameters[match->parameter_count++] = all;
        found = node->rest;
    }
    if (!found)
        match->parameter_count = number;
    return found;
}

int bh_router_match(const struct bh_router *const router, const struct bh_str method,
                    const struct bh_str path, struct bh_route_match *const ret_match)
{
    bh_magic_check(router, ROUTER_MAGIC);
    /* The parameters are written as they are found: clearing eight of them for each request is
     * work for nothing. */
    ret_match->route = NULL;
    ret_match->allow = NULL;
    ret_match->parameter_count = 0;
    if (path.size == 0 || path.data[0] != '/')
        return BH_ENOTFOUND;
    const struct node *node = find(router->root, path, ret_match);
    if (!node)
        node = find_rest(router->root, path, ret_match);
    if (!node)
        return BH_ENOTFOUND;
    ret_match->route = node_route(node, method);
    if (ret_match->route)
        return 0;
    ret_match->allow = node->allow;
    return BH_ENOTFOUND;
}
