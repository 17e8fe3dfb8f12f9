/* The database's connections, in the hands of whoever runs the service. */
#include "bulkhead/base/time.h"
#include "bulkhead/db/control.h"
#include "bulkhead/loop/fiber.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"

#define CONNECTIONS_MAX 10000
#define PAUSE_SECONDS_MAX 60

struct asked {
    enum bh_db_lane lane;
    int64_t minimum, maximum; /* 0: as they are */
    int64_t pause_seconds;    /* 0: none */
    bool is_evicted;
};

static bool read_lane(struct bh_request *const request, enum bh_db_lane *const ret_lane,
                      struct tome_problem *const problem)
{
    const struct bh_str name = bh_request_parameter(request, "lane");
    const bool is_write = bh_str_equal(name, BH_STR("write"));
    *ret_lane = is_write ? BH_DB_WRITE : BH_DB_READ;
    return is_write || bh_str_equal(name, BH_STR("read")) ||
           tome_invalid(problem, "lane", "lane takes read or write");
}

static bool read_asked(struct bh_request *const request, struct asked *const asked,
                       struct tome_problem *const problem)
{
    static const char *const fields[] = { "minimum", "maximum", "evict", "pause_seconds" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    *asked = (struct asked){ .minimum = 0 };
    if (!read_lane(request, &asked->lane, problem) ||
        !tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          problem) ||
        !tome_json_int(object, "minimum", 1, CONNECTIONS_MAX, &asked->minimum, problem) ||
        !tome_json_int(object, "maximum", 1, CONNECTIONS_MAX, &asked->maximum, problem) ||
        !tome_json_int(object, "pause_seconds", 1, PAUSE_SECONDS_MAX, &asked->pause_seconds,
                       problem) ||
        !tome_json_bool(object, "evict", &asked->is_evicted, problem))
        return false;
    if ((asked->minimum == 0) != (asked->maximum == 0))
        return tome_invalid(problem, "maximum", "minimum and maximum go together");
    if (asked->maximum == 0 && asked->pause_seconds == 0 && !asked->is_evicted)
        return tome_invalid(problem, "maximum",
                            "nothing is asked for: minimum and maximum, evict or pause_seconds");
    return true;
}

/* The pause lasts as long as its request, at most: nobody can forget to end it. */
static int pause_lane(struct bh_db *const db, const struct asked *const asked,
                      struct bh_error *const reterr)
{
    const int result = bh_db_control(db, asked->lane, BH_DB_PAUSE, reterr);
    if (result != 0)
        return result;
    (void)!bh_fiber_sleep((uint64_t)asked->pause_seconds * BH_SECOND_US);
    return bh_db_control(db, asked->lane, BH_DB_RESUME, reterr);
}

int tome_handle_pool(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    struct bh_db *const db = tome_service_of(request)->db;
    struct asked asked;
    if (!read_asked(request, &asked, &problem))
        return tome_problem_send(request, &problem);
    struct bh_error error = { .code = 0 };
    int result = 0;
    if (asked.maximum > 0)
        result = bh_db_resize(db, asked.lane, (unsigned)asked.minimum, (unsigned)asked.maximum,
                              &error);
    if (result == BH_EINVAL) {
        (void)tome_invalid(&problem, "maximum", "%s", error.message);
        return tome_problem_send(request, &problem);
    }
    if (result == 0 && asked.is_evicted)
        result = bh_db_control(db, asked.lane, BH_DB_EVICT, &error);
    if (result == 0 && asked.pause_seconds > 0)
        result = pause_lane(db, &asked, &error);
    if (result == BH_EUNSUPPORTED)
        return bh_respond_error(request, 409, "%s", error.message);
    return result != 0 ? bh_respond_failure(request, &error) : tome_handle_health_database(request);
}
