#include "cmocka_setup.h"

#include "bulkhead/http/router.h"
#include "http/route_pattern.h"

static int handler(struct bh_request *const request)
{
    (void)request;
    return 0;
}

static const struct bh_route routes[] = {
    { .method = "GET", .pattern = "/", .handler = handler },
    { .method = "GET", .pattern = "/api/books", .handler = handler },
    { .method = "POST", .pattern = "/api/books", .handler = handler },
    { .method = "GET", .pattern = "/api/books/{id}", .handler = handler },
    { .method = "DELETE", .pattern = "/api/books/{id}", .handler = handler },
    { .method = "GET", .pattern = "/api/books/{id}/pages/{n}", .handler = handler },
    { .method = "GET", .pattern = "/api/books/new", .handler = handler },
    { .method = "*", .pattern = "/any", .handler = handler },
    { .method = "HEAD", .pattern = "/head", .handler = handler },
    { .method = "GET", .pattern = "/head", .handler = handler },
    { .method = "OPTIONS", .pattern = "/head", .handler = handler },
    { .method = "GET", .pattern = "/files/{path...}", .handler = handler },
    { .method = "GET", .pattern = "/{page}", .handler = handler },
};

static int setup(void **const state)
{
    struct bh_router *router;
    if (bh_router_create(&router) < 0 ||
        bh_router_add(router, routes, BH_COUNT_OF(routes), NULL) < 0)
        return -1;
    *state = router;
    return 0;
}

static int teardown(void **const state)
{
    bh_router_destroy(*state);
    return 0;
}

static struct bh_route_match match(const struct bh_router *const router, const char *const method,
                                   const char *const path)
{
    struct bh_route_match found;
    const int result = bh_router_match(router, bh_str_from(method), bh_str_from(path), &found);
    assert_int_equal(result, found.route ? 0 : BH_ENOTFOUND);
    return found;
}

static void assert_route(const struct bh_router *const router, const char *const method,
                         const char *const path, const char *const pattern)
{
    const struct bh_route_match found = match(router, method, path);
    assert_non_null(found.route);
    assert_string_equal(found.route->pattern, pattern);
}

static void assert_parameter(const struct bh_route_match *const found, const char *const name,
                             const char *const value)
{
    const int number = bh_pattern_parameter(found->route->pattern, bh_str_from(name));
    assert_in_range(number, 0, found->parameter_count - 1);
    assert_true(bh_str_equal(found->parameters[number], bh_str_from(value)));
}

static void test_paths_find_their_routes(void **const state)
{
    assert_route(*state, "GET", "/", "/");
    assert_route(*state, "GET", "/api/books", "/api/books");
    assert_route(*state, "GET", "/api/books/5", "/api/books/{id}");
    assert_route(*state, "GET", "/api/books/5/pages/7", "/api/books/{id}/pages/{n}");
    assert_route(*state, "GET", "/about", "/{page}");

    const struct bh_route_match found = match(*state, "GET", "/api/books/5%2F/pages/7");
    assert_int_equal(found.parameter_count, 2);
    assert_parameter(&found, "id", "5%2F");
    assert_parameter(&found, "n", "7");
    assert_int_equal(bh_pattern_parameter(found.route->pattern, BH_STR("other")), -1);
}

static void test_a_literal_beats_a_name_and_gives_way_when_it_leads_nowhere(void **const state)
{
    assert_route(*state, "GET", "/api/books/new", "/api/books/new");
    assert_route(*state, "GET", "/api/books/new/pages/1", "/api/books/{id}/pages/{n}");
    const struct bh_route_match found = match(*state, "GET", "/api/books/new/pages/1");
    assert_parameter(&found, "id", "new");
    assert_route(*state, "GET", "/files", "/{page}");
}

static void test_the_rest_of_a_path(void **const state)
{
    struct bh_route_match found = match(*state, "GET", "/files/a/b.css");
    assert_string_equal(found.route->pattern, "/files/{path...}");
    assert_int_equal(found.parameter_count, 1);
    assert_parameter(&found, "path", "a/b.css");
    found = match(*state, "GET", "/files/");
    assert_string_equal(found.route->pattern, "/files/{path...}");
    assert_parameter(&found, "path", "");
}

static void test_unknown_paths_are_not_found(void **const state)
{
    static const char *const paths[] = { "/api/x",
                                         "/api/books/",
                                         "/api/books//pages/1",
                                         "/api/books/5/",
                                         "/api/Books",
                                         "//",
                                         "/a/b",
                                         "/api/books/5/pages",
                                         "",
                                         "x",
                                         "*" };
    for (size_t i = 0; i < BH_COUNT_OF(paths); i++) {
        const struct bh_route_match found = match(*state, "GET", paths[i]);
        assert_null(found.route);
        assert_null(found.allow);
    }
}

static void test_methods(void **const state)
{
    assert_route(*state, "POST", "/api/books", "/api/books");
    assert_string_equal(match(*state, "HEAD", "/api/books").route->method, "GET");
    assert_string_equal(match(*state, "HEAD", "/head").route->method, "HEAD");
    assert_string_equal(match(*state, "OPTIONS", "/head").route->method, "OPTIONS");
    assert_route(*state, "PURGE", "/any", "/any");

    assert_string_equal(match(*state, "PUT", "/api/books").allow, "GET, HEAD, POST, OPTIONS");
    assert_string_equal(match(*state, "OPTIONS", "/api/books").allow, "GET, HEAD, POST, OPTIONS");
    assert_string_equal(match(*state, "POST", "/api/books/5").allow, "GET, HEAD, DELETE, OPTIONS");
    assert_string_equal(match(*state, "POST", "/head").allow, "HEAD, GET, OPTIONS");
    assert_string_equal(match(*state, "get", "/").allow, "GET, HEAD, OPTIONS");
}

static int add(struct bh_router *const router, const char *const method, const char *const pattern)
{
    const struct bh_route route = { .method = method, .pattern = pattern, .handler = handler };
    struct bh_error error = { .message = "" };
    const int result = bh_router_add(router, &route, 1, &error);
    if (result < 0)
        assert_true(strlen(error.message) > 0);
    return result;
}

static void test_malformed_and_repeated_routes_are_errors(void **const state)
{
    static const char *const patterns[] = {
        "",          "a",      "/{",      "/{}",
        "/{a",       "/a}",    "/{a}b",   "/{a}/{a}",
        "/{a...}/b", "/{...}", "/{A}",    "/a?b",
        "/a b",      "/%41",   "/{a}{b}", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"
    };
    for (size_t i = 0; i < BH_COUNT_OF(patterns); i++)
        assert_int_equal(add(*state, "GET", patterns[i]), BH_EINVAL);
    assert_int_equal(add(*state, "", "/x"), BH_EINVAL);
    assert_int_equal(add(*state, "G T", "/x"), BH_EINVAL);
    assert_int_equal(add(*state, "GET", "/api/books/{other}"), BH_EEXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_paths_find_their_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_literal_beats_a_name_and_gives_way_when_it_leads_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_rest_of_a_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_paths_are_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_and_repeated_routes_are_errors, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
