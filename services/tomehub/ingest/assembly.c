/* Frames in, rows out. The rows' strings are copied into the batch's arena: frames and chunks live
 * only until the next one. */
#include "ingest/assembly.h"

#include <stdlib.h>

#include "bulkhead/base/json.h"
#include "concepts/key_terms.h"
#include "extract/chunker.h"

#define BATCH_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define FACTS_ARENA_MAX ((size_t)512 * 1024)
#define DETECT_BYTES_MAX 65536u /* what tome_language_detect looks at */
#define FILE_TAGS_MAX 32

struct tome_batch {
    struct bh_arena *arena;
    struct tome_index_batch *index;
    size_t chunk_count, chapter_count, label_count;
    struct tome_index_chunk index_chunks[TOME_BATCH_CHUNKS];
    struct bh_db_value chunks[TOME_BATCH_CHUNKS][TOME_CHUNK_COLUMNS];
    struct bh_db_value chapters[TOME_BATCH_CHAPTERS][TOME_CHAPTER_COLUMNS];
    struct bh_db_value labels[TOME_BATCH_LABELS][TOME_LABEL_COLUMNS];
};

struct tome_assembly {
    struct tome_chunker *chunker;
    struct tome_key_terms *key_terms;
    enum tome_index_form form;
    struct tome_analyzer *analyzer; /* borrowed */
    struct bh_arena *arena;         /* of the facts */
    struct bh_buf chapter;          /* title of the chapter the last page was in */
    int64_t owner_id, book_id;
    int64_t chapter_count;
    int64_t labelled_page; /* the last page whose label was seen */
    struct bh_str given_language, file_language;
    enum tome_language language; /* by which words are stemmed */
    bool language_known;
    bool ended; /* no frame is left */
    struct tome_assembly_facts facts;
};

/* ---- Batches ---- */

int tome_batch_create(struct tome_batch **const ret_batch)
{
    struct tome_batch *const batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        return BH_ENOMEM;
    if (bh_arena_create(BATCH_ARENA_MAX, &batch->arena) != 0) {
        free(batch);
        return BH_ENOMEM;
    }
    *ret_batch = batch;
    return 0;
}

void tome_batch_destroy(struct tome_batch *const batch)
{
    if (batch == NULL)
        return;
    tome_index_batch_destroy(batch->index);
    bh_arena_destroy(batch->arena);
    free(batch);
}

void tome_batch_clear(struct tome_batch *const batch)
{
    tome_index_batch_destroy(batch->index);
    batch->index = NULL;
    batch->chunk_count = 0;
    batch->chapter_count = 0;
    batch->label_count = 0;
    bh_arena_reset(batch->arena);
}

void tome_batch_rows(const struct tome_batch *const batch, struct tome_intake_rows *const ret_rows)
{
    *ret_rows = (struct tome_intake_rows){ .chunks = batch->chunks[0],
                                           .chapters = batch->chapters[0],
                                           .labels = batch->labels[0],
                                           .chunk_count = batch->chunk_count,
                                           .chapter_count = batch->chapter_count,
                                           .label_count = batch->label_count,
                                           .index = batch->index };
}

static bool batch_is_full(const struct tome_batch *const batch)
{
    return batch->chunk_count == TOME_BATCH_CHUNKS || batch->chapter_count == TOME_BATCH_CHAPTERS ||
           batch->label_count == TOME_BATCH_LABELS;
}

static int copy(struct bh_arena *const arena, const struct bh_str text,
                struct bh_str *const ret_copy)
{
    const char *const data = bh_arena_strdup(arena, text);
    if (data == NULL)
        return BH_ENOMEM;
    *ret_copy = (struct bh_str){ .data = data, .size = text.size };
    return 0;
}

static int add_chunk(struct tome_assembly *const assembly, struct tome_batch *const batch,
                     const struct tome_chunk *const chunk)
{
    struct bh_str chapter, content, breaks = BH_STR_NONE;
    int result = copy(batch->arena, chunk->chapter, &chapter);
    if (result == 0)
        result = copy(batch->arena, chunk->content, &content);
    if (result == 0 && chunk->page_breaks.size > 0)
        result = copy(batch->arena, chunk->page_breaks, &breaks);
    if (result != 0)
        return result;
    const int64_t id = tome_chunk_id_first(assembly->book_id) + chunk->ordinal;
    const struct bh_db_value row[TOME_CHUNK_COLUMNS] = {
        bh_db_int(id),
        bh_db_int(assembly->owner_id),
        bh_db_int(assembly->book_id),
        bh_db_text(chapter),
        bh_db_int(chunk->page_number),
        bh_db_int(chunk->page_end),
        breaks.data != NULL ? bh_db_text(breaks) : bh_db_null(),
        bh_db_int(chunk->paragraph),
        bh_db_int((int64_t)chunk->overlap),
        bh_db_int(chunk->word_count),
        bh_db_text(content),
    };
    memcpy(batch->chunks[batch->chunk_count], row, sizeof(row));
    batch->index_chunks[batch->chunk_count] =
        (struct tome_index_chunk){ .id = id, .heading = chapter, .content = content };
    batch->chunk_count++;
    tome_key_terms_add(assembly->key_terms, (struct bh_str){ content.data + chunk->overlap,
                                                             content.size - chunk->overlap });
    assembly->facts.chunk_count++;
    assembly->facts.word_count += chunk->word_count;
    return 0;
}

static int add_chapter(struct tome_assembly *const assembly, struct tome_batch *const batch,
                       const struct tome_page *const page)
{
    if (bh_str_equal(page->chapter, bh_buf_peek(&assembly->chapter)))
        return 0;
    bh_buf_clear(&assembly->chapter);
    bh_buf_append_str(&assembly->chapter, page->chapter);
    if (page->chapter.size == 0)
        return bh_buf_error(&assembly->chapter);
    struct bh_str title;
    const int result = copy(batch->arena, page->chapter, &title);
    if (result != 0)
        return result;
    const struct bh_db_value row[TOME_CHAPTER_COLUMNS] = { bh_db_int(assembly->book_id),
                                                           bh_db_int(assembly->chapter_count++),
                                                           bh_db_text(title),
                                                           bh_db_int(page->number) };
    memcpy(batch->chapters[batch->chapter_count++], row, sizeof(row));
    return bh_buf_error(&assembly->chapter);
}

static int add_label(struct tome_assembly *const assembly, struct tome_batch *const batch,
                     const struct tome_page *const page)
{
    if (page->label.size == 0 || page->number == assembly->labelled_page)
        return 0;
    assembly->labelled_page = page->number;
    struct bh_str label;
    const int result = copy(batch->arena, page->label, &label);
    if (result != 0)
        return result;
    const struct bh_db_value row[TOME_LABEL_COLUMNS] = { bh_db_int(assembly->book_id),
                                                         bh_db_int(page->number),
                                                         bh_db_text(label) };
    memcpy(batch->labels[batch->label_count++], row, sizeof(row));
    return 0;
}

/* ---- Language and words ---- */

/* Asked for once, of the text the first batch holds. */
static int detect_language(struct tome_assembly *const assembly,
                           const struct tome_batch *const batch)
{
    struct bh_str code = assembly->given_language;
    if (code.size == 0)
        code = assembly->file_language;
    assembly->language = tome_language_from_code(code);
    if (code.size == 0) {
        struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
        bh_buf_init(&text, 4 * DETECT_BYTES_MAX);
        for (size_t i = 0; i < batch->chunk_count && text.size < DETECT_BYTES_MAX; i++) {
            bh_buf_append_str(&text, batch->index_chunks[i].content);
            bh_buf_append_byte(&text, ' ');
        }
        if (bh_buf_error(&text) != 0)
            return BH_ENOMEM;
        assembly->language = tome_language_detect(bh_buf_peek(&text));
        code = bh_str_from(tome_language_code(assembly->language));
    }
    assembly->facts.language = code;
    assembly->language_known = true;
    return 0;
}

static int analyse(struct tome_assembly *const assembly, struct tome_batch *const batch,
                   struct bh_error *const reterr)
{
    const int result = assembly->language_known ? 0 : detect_language(assembly, batch);
    if (result != 0)
        return bh_error_set(reterr, result, "no memory to analyse the text");
    if (batch->chunk_count == 0)
        return 0;
    return tome_index_prepare(assembly->form, assembly->analyzer, assembly->language,
                              batch->index_chunks, batch->chunk_count, &batch->index, reterr);
}

/* All has been read: the rows of the key terms. */
static int find_concepts(struct tome_assembly *const assembly, struct bh_error *const reterr)
{
    struct tome_key_result found;
    int result = tome_key_terms_result(assembly->key_terms, assembly->analyzer, assembly->language,
                                       assembly->arena, &found);
    tome_key_terms_destroy(assembly->key_terms); /* the last rows may wait a while */
    assembly->key_terms = NULL;
    if (result == 0)
        result = tome_concepts_rows(&found, assembly->owner_id, assembly->book_id, assembly->arena,
                                    &assembly->facts.concepts);
    return result == 0 ? 0 : bh_error_set(reterr, result, "no memory for the key terms");
}

/* ---- Assembly ---- */

int tome_assembly_create(const enum tome_index_form form, struct tome_analyzer *const analyzer,
                         const int64_t owner_id, const int64_t book_id,
                         const struct bh_str language, struct tome_assembly **const ret_assembly)
{
    struct tome_assembly *const assembly = calloc(1, sizeof(*assembly));
    if (assembly == NULL)
        return BH_ENOMEM;
    assembly->form = form;
    assembly->analyzer = analyzer;
    assembly->owner_id = owner_id;
    assembly->book_id = book_id;
    assembly->facts.page_kind = BH_STR("section");
    assembly->facts.tags = BH_STR("[]");
    bh_buf_init(&assembly->chapter, TOME_FRAME_CHAPTER_MAX);
    int result = bh_arena_create(FACTS_ARENA_MAX, &assembly->arena);
    if (result == 0)
        result = tome_chunker_create(&assembly->chunker);
    if (result == 0)
        result = tome_key_terms_create(&assembly->key_terms);
    if (result == 0)
        result = copy(assembly->arena, language, &assembly->given_language);
    if (result != 0) {
        tome_assembly_destroy(assembly);
        return result;
    }
    *ret_assembly = assembly;
    return 0;
}

void tome_assembly_destroy(struct tome_assembly *const assembly)
{
    if (assembly == NULL)
        return;
    tome_chunker_destroy(assembly->chunker);
    tome_key_terms_destroy(assembly->key_terms);
    bh_buf_fini(&assembly->chapter);
    bh_arena_destroy(assembly->arena);
    free(assembly);
}

const struct tome_assembly_facts *tome_assembly_facts(const struct tome_assembly *const assembly)
{
    return &assembly->facts;
}

/* "a, b" as a JSON array. */
static int take_tags(struct tome_assembly *const assembly, struct bh_str list)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, 64 * 1024);
    bh_json_init(&json, &text);
    bh_json_array_begin(&json);
    for (unsigned count = 0; list.size > 0 && count < FILE_TAGS_MAX; count++) {
        const struct bh_str tag = bh_str_trim(bh_str_split(&list, ','));
        if (tag.size > 0)
            bh_json_string(&json, tag);
    }
    bh_json_array_end(&json);
    return bh_buf_error(&text) != 0
               ? BH_ENOMEM
               : copy(assembly->arena, bh_buf_peek(&text), &assembly->facts.tags);
}

static int take_meta(struct tome_assembly *const assembly, const enum tome_meta_key key,
                     const struct bh_str value)
{
    struct bh_str *const targets[] = {
        [TOME_META_TITLE] = &assembly->facts.title,
        [TOME_META_AUTHOR] = &assembly->facts.author,
        [TOME_META_LANGUAGE] = &assembly->file_language,
        [TOME_META_PAGE_KIND] = &assembly->facts.page_kind,
    };
    if (key == TOME_META_TAGS)
        return take_tags(assembly, value);
    if ((size_t)key >= BH_COUNT_OF(targets) || targets[key] == NULL)
        return 0;
    return copy(assembly->arena, value, targets[key]);
}

static int take_page(struct tome_assembly *const assembly, struct tome_batch *const batch,
                     const struct tome_page *const page)
{
    assembly->facts.page_count = page->number;
    int result = add_chapter(assembly, batch, page);
    if (result == 0)
        result = add_label(assembly, batch, page);
    return result != 0 ? result : tome_chunker_feed(assembly->chunker, page);
}

static int take_frame(struct tome_assembly *const assembly, struct tome_batch *const batch,
                      const struct tome_frame *const frame, struct bh_error *const reterr)
{
    int result = 0;
    switch (frame->type) {
    case TOME_FRAME_META:
        result = take_meta(assembly, frame->meta.key, frame->meta.value);
        break;
    case TOME_FRAME_PAGE:
        result = take_page(assembly, batch, &frame->page);
        break;
    case TOME_FRAME_PROGRESS:
        assembly->facts.percent = frame->percent;
        break;
    case TOME_FRAME_ERROR: /* the source's business */
    case TOME_FRAME_END:
        break;
    }
    return result == 0 ? 0
                       : bh_error_set(reterr, result, "cannot take in page %lld: %s",
                                      (long long)assembly->facts.page_count, bh_error_text(result));
}

/* Moves the chunks that are ready into the batch, as far as there is room. */
static int drain_chunker(struct tome_assembly *const assembly, struct tome_batch *const batch,
                         struct bh_error *const reterr)
{
    struct tome_chunk chunk;
    while (!batch_is_full(batch) && tome_chunker_next(assembly->chunker, &chunk)) {
        if (chunk.ordinal >= TOME_BOOK_CHUNKS_MAX)
            return bh_error_set(reterr, BH_ELIMIT,
                                "the text is too long: a book holds at most %u chunks; split it",
                                TOME_BOOK_CHUNKS_MAX);
        const int result = add_chunk(assembly, batch, &chunk);
        if (result != 0)
            return bh_error_set(reterr, result, "no memory for a batch of chunks");
    }
    return 0;
}

int tome_assembly_fill(struct tome_assembly *const assembly, struct tome_batch *const batch,
                       tome_frame_source *const next, void *const argument, bool *const ret_ended,
                       struct bh_error *const reterr)
{
    for (;;) {
        int result = drain_chunker(assembly, batch, reterr);
        if (result != 0)
            return result;
        if (batch_is_full(batch) || assembly->ended) {
            *ret_ended = !batch_is_full(batch);
            result = analyse(assembly, batch, reterr);
            return result == 0 && *ret_ended ? find_concepts(assembly, reterr) : result;
        }
        struct tome_frame frame;
        const int found = next(argument, &frame, reterr);
        if (found < 0)
            return found;
        if (found == 0) {
            tome_chunker_finish(assembly->chunker);
            assembly->ended = true;
            continue;
        }
        result = take_frame(assembly, batch, &frame, reterr);
        if (result != 0)
            return result;
    }
}
