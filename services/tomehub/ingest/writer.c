/* A fiber writes as long as something waits; the next batch handed in starts another. */
#include "ingest/writer.h"

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"

#define ARENA_BYTES_MAX ((size_t)4 * 1024 * 1024) /* the titles of a transaction's books */

/* A batch has a chunk at least, but for the end of a book. */
#define GROUP_MAX 64

struct group {
    struct tome_write *writes[GROUP_MAX];
    const struct tome_intake *batches[GROUP_MAX];
    size_t count;
};

int tome_writer_init(struct tome_writer *const writer, struct bh_db *const db)
{
    bh_list_init(&writer->waiting);
    writer->db = db;
    int result = tome_analyzer_create(&writer->analyzer);
    if (result == 0)
        result = tome_known_words_create(&writer->known);
    return result != 0 ? result : bh_arena_create(ARENA_BYTES_MAX, &writer->arena);
}

void tome_writer_fini(struct tome_writer *const writer)
{
    bh_assert(!writer->is_running);
    tome_analyzer_destroy(writer->analyzer);
    tome_known_words_destroy(writer->known);
    bh_arena_destroy(writer->arena);
}

/* By rising ids: full-text search writes down what it has gathered when an id is less than the one
 * before. */
static void insert(struct group *const group, struct tome_write *const write)
{
    size_t at = group->count++;
    for (; at > 0 && group->batches[at - 1]->claim->book_id > write->intake.claim->book_id; at--) {
        group->writes[at] = group->writes[at - 1];
        group->batches[at] = group->batches[at - 1];
    }
    group->writes[at] = write;
    group->batches[at] = &write->intake;
}

/* The oldest that wait, as many as go into one transaction. */
static void take_group(struct tome_writer *const writer, struct group *const group)
{
    size_t chunk_count = 0;
    group->count = 0;
    BH_LIST_FOREACH(node, &writer->waiting) {
        struct tome_write *const write = BH_LIST_ENTRY(node, struct tome_write, node);
        chunk_count += write->intake.rows.chunk_count;
        if (group->count == GROUP_MAX || (group->count > 0 && chunk_count > TOME_WRITER_CHUNKS))
            return;
        bh_list_unlink(node);
        insert(group, write);
    }
}

static void tell(struct tome_write *const write, const int result,
                 const struct bh_error *const error)
{
    write->result = result;
    if (result != 0)
        write->error = *error;
    write->is_pending = false;
    if (write->fiber != NULL)
        bh_fiber_wake(write->fiber);
}

static void leave_out(struct group *const group, const size_t index)
{
    group->count--;
    for (size_t i = index; i < group->count; i++) {
        group->writes[i] = group->writes[i + 1];
        group->batches[i] = group->batches[i + 1];
    }
}

static void write_group(struct tome_writer *const writer, struct group *const group)
{
    struct bh_error error;
    int result = 0;
    while (group->count > 0) {
        size_t failed;
        bh_arena_reset(writer->arena);
        result = tome_intake_write(writer->db, writer->analyzer, writer->known, group->batches,
                                   group->count, writer->arena, &failed, &error);
        if (result == 0 || failed == group->count)
            break;
        tell(group->writes[failed], result, &error);
        leave_out(group, failed);
    }
    for (size_t i = 0; i < group->count; i++)
        tell(group->writes[i], result, &error);
}

static void write_all(void *const argument)
{
    struct tome_writer *const writer = argument;
    struct group group;
    while (!bh_list_is_empty(&writer->waiting)) {
        take_group(writer, &group);
        write_group(writer, &group);
        /* Whom this has set free claim their next jobs before the database is held again, or the
         * readers would be idle meanwhile. */
        bh_fiber_yield();
    }
    writer->is_running = false;
}

int tome_write_start(struct tome_writer *const writer, struct tome_write *const write,
                     struct bh_error *const reterr)
{
    bh_assert(!write->is_pending);
    write->is_pending = true;
    write->fiber = NULL;
    bh_list_append(&writer->waiting, &write->node);
    if (writer->is_running)
        return 0;
    writer->is_running = true;
    const int result = bh_fiber_spawn(bh_loop_current(), write_all, writer);
    if (result == 0)
        return 0;
    writer->is_running = false;
    write->is_pending = false;
    bh_list_unlink(&write->node);
    return bh_error_set(reterr, result, "cannot start a fiber: %s", bh_error_text(result));
}

int tome_write_await(struct tome_write *const write, struct bh_error *const reterr)
{
    write->fiber = bh_fiber_current();
    while (write->is_pending)
        bh_fiber_park_uncancelable();
    if (write->result != 0 && reterr != NULL)
        *reterr = write->error;
    return write->result;
}
