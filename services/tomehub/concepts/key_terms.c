/*
 * An open-addressed table of words and names by a hash of their bytes, letters of ASCII made small;
 * for each its count and the chunks that hold it, as a list in one pool. Both have a limit, past
 * which new words are not taken in: a book's key terms come early and often.
 *
 * What is counted at each word lies apart from its letters, in the order of first meeting: the
 * words that come often come early, and so share a few cache lines.
 */
#include "concepts/key_terms.h"

#include <stdlib.h>
#include <xxhash.h>

#include "bulkhead/base/macro.h"

#define SLOTS ((size_t)1 << 15)
#define ENTRIES_MAX (SLOTS / 2)
#define NODES_MAX ((size_t)1 << 18)
#define LABEL_MAX 48                                        /* bytes of a term */
#define TERM_MAX (TOME_KEY_WORDS_MAX * (TOME_FORM_MAX + 1)) /* bytes, folded */
#define WORD_MIN 3                                          /* bytes */
#define PLAIN_MIN 6                                         /* of a word that is no name */
#define CANDIDATES_MAX 160
#define CLUSTERED_MIN 0.5

struct slot {
    uint32_t hash; /* 0: free */
    uint32_t entry;
};

struct entry {
    uint32_t hash;
    uint32_t count, capital_count, in_names_count;
    uint32_t chunk_count, last_chunk;
    uint32_t chunks; /* list of nodes, the last chunk first; 0: none */
    bool is_name;    /* of several words */
    uint8_t size;    /* of its label */
};

struct label {
    char bytes[LABEL_MAX];
};

struct node {
    uint32_t chunk, next;
};

struct tome_key_terms {
    struct slot *slots;
    struct entry *entries;
    struct label *labels; /* of the entries */
    size_t entry_count;
    struct node *nodes; /* from 1 on */
    size_t node_count, node_capacity;
    uint32_t chunk_count;
};

/* ---- The table ---- */

int tome_key_terms_create(struct tome_key_terms **const ret_terms)
{
    struct tome_key_terms *const terms = calloc(1, sizeof(*terms));
    if (terms == NULL)
        return BH_ENOMEM;
    terms->slots = calloc(SLOTS, sizeof(*terms->slots));
    terms->entries = malloc(ENTRIES_MAX * sizeof(*terms->entries));
    terms->labels = malloc(ENTRIES_MAX * sizeof(*terms->labels));
    if (terms->slots == NULL || terms->entries == NULL || terms->labels == NULL) {
        tome_key_terms_destroy(terms);
        return BH_ENOMEM;
    }
    terms->node_count = 1;
    *ret_terms = terms;
    return 0;
}

void tome_key_terms_destroy(struct tome_key_terms *const terms)
{
    if (terms == NULL)
        return;
    free(terms->slots);
    free(terms->entries);
    free(terms->labels);
    free(terms->nodes);
    free(terms);
}

static struct slot *slot_of(const struct tome_key_terms *const terms, const uint32_t hash)
{
    size_t at = hash & (SLOTS - 1);
    while (terms->slots[at].hash != 0 && terms->slots[at].hash != hash)
        at = (at + 1) & (SLOTS - 1);
    return &terms->slots[at];
}

static void set_label(struct tome_key_terms *const terms, const size_t entry,
                      const struct bh_str label)
{
    memcpy(terms->labels[entry].bytes, label.data, label.size);
}

/* Its place among the entries; ENTRIES_MAX: it is new and there is no room. */
static size_t find_entry(struct tome_key_terms *const terms, const uint32_t hash,
                         const struct bh_str label)
{
    struct slot *const slot = slot_of(terms, hash);
    if (slot->hash == hash)
        return slot->entry;
    const size_t entry = terms->entry_count;
    if (entry == ENTRIES_MAX)
        return ENTRIES_MAX;
    *slot = (struct slot){ .hash = hash, .entry = (uint32_t)entry };
    terms->entries[entry] = (struct entry){ .hash = hash, .size = (uint8_t)label.size };
    terms->entry_count++;
    set_label(terms, entry, label);
    return entry;
}

static void note_chunk(struct tome_key_terms *const terms, struct entry *const entry)
{
    if (entry->last_chunk == terms->chunk_count)
        return;
    entry->last_chunk = terms->chunk_count;
    entry->chunk_count++;
    if (terms->node_count == terms->node_capacity || terms->nodes == NULL) {
        const size_t capacity = terms->node_capacity == 0 ? 4096 : 2 * terms->node_capacity;
        struct node *const nodes = capacity <= NODES_MAX
                                       ? realloc(terms->nodes, capacity * sizeof(*nodes))
                                       : NULL;
        if (nodes == NULL)
            return;
        terms->nodes = nodes;
        terms->node_capacity = capacity;
    }
    terms->nodes[terms->node_count] = (struct node){ terms->chunk_count, entry->chunks };
    entry->chunks = (uint32_t)terms->node_count++;
}

static void count_term(struct tome_key_terms *const terms, const uint32_t hash,
                       const struct bh_str label, const bool is_capital, const bool is_name)
{
    if (label.size > LABEL_MAX)
        return;
    const size_t found = find_entry(terms, hash == 0 ? 1 : hash, label);
    if (found == ENTRIES_MAX)
        return;
    struct entry *const entry = &terms->entries[found];
    entry->is_name = is_name;
    entry->count++;
    entry->capital_count += is_capital;
    if (is_capital && label.size == entry->size) /* the same letters, but for case */
        set_label(terms, found, label);
    note_chunk(terms, entry);
}

/* ---- Reading ---- */

static bool is_letter(const unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
}

/* The punctuation of U+2000 to U+303F: no letters of ours. */
static bool is_mark(const char *const at)
{
    const unsigned char byte = (unsigned char)*at;
    return byte == 0xe2 || byte == 0xe3;
}

/* The capitals of ASCII, Latin-1, Latin Extended-A (mostly), Greek and Cyrillic. */
static bool is_capital(const struct bh_str word)
{
    const unsigned char first = (unsigned char)word.data[0];
    const unsigned char second = word.size > 1 ? (unsigned char)word.data[1] : 0;
    if (first < 0x80)
        return first >= 'A' && first <= 'Z';
    return (first == 0xc3 && second >= 0x80 && second <= 0x9e) ||
           ((first == 0xc4 || first == 0xc5) && second % 2 == 0) ||
           (first == 0xce && second >= 0x91) || (first == 0xd0 && second <= 0xaf);
}

struct run { /* of words with capitals */
    size_t begin, end, words;
    uint32_t hashes[TOME_KEY_WORDS_MAX];
};

static void end_run(struct tome_key_terms *const terms, const struct bh_str text,
                    struct run *const run)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < run->words && run->words >= 2 && run->words <= TOME_KEY_WORDS_MAX; i++) {
        const struct slot *const word = slot_of(terms, run->hashes[i]);
        if (word->hash != 0)
            terms->entries[word->entry].in_names_count++;
        hash = hash * 31 + run->hashes[i];
    }
    if (run->words >= 2 && run->words <= TOME_KEY_WORDS_MAX)
        count_term(terms, hash, (struct bh_str){ text.data + run->begin, run->end - run->begin },
                   true, true);
    run->words = 0;
}

void tome_key_terms_add(struct tome_key_terms *const terms, const struct bh_str text)
{
    struct run run = { .words = 0 };
    bool is_first = true; /* of a sentence: its capital says nothing */
    terms->chunk_count++;
    for (size_t at = 0; at < text.size;) {
        if (!is_letter((unsigned char)text.data[at]) || is_mark(text.data + at)) {
            const char byte = text.data[at];
            is_first = is_first || byte == '.' || byte == '!' || byte == '?' || byte == ':' ||
                       byte == '\n' || byte == '"' || is_mark(text.data + at);
            if (byte != ' ')
                end_run(terms, text, &run);
            at += is_mark(text.data + at) && text.size - at >= 3 ? 3 : 1;
            continue;
        }
        const size_t begin = at;
        uint32_t hash = UINT32_C(2166136261);
        for (;
             at < text.size && is_letter((unsigned char)text.data[at]) && !is_mark(text.data + at);
             at++) {
            const unsigned char byte = (unsigned char)text.data[at];
            const unsigned char small = byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
            hash = (hash ^ small) * UINT32_C(16777619);
        }
        const struct bh_str word = { text.data + begin, at - begin };
        const bool capital = is_capital(word);
        if (!capital || is_first)
            end_run(terms, text, &run);
        if (capital && !is_first) {
            run.begin = run.words == 0 ? begin : run.begin;
            if (run.words < TOME_KEY_WORDS_MAX)
                run.hashes[run.words] = hash;
            run.words++;
            run.end = at;
        }
        if (word.size >= WORD_MIN && (capital || word.size >= PLAIN_MIN))
            count_term(terms, hash, word, capital && !is_first, false);
        is_first = false;
    }
    end_run(terms, text, &run);
}

/* ---- The best ---- */

struct candidate {
    const struct entry *entry;
    double score;
};

static bool is_named(const struct entry *const entry)
{
    return entry->is_name || 2 * entry->capital_count >= entry->count;
}

/* Plain words that most chunks hold, or that stand evenly, tell nothing of the book. */
static double score_of(const struct tome_key_terms *const terms, const struct entry *const entry)
{
    const double count = (double)entry->count;
    if (entry->count < 2)
        return 0.0;
    if (is_named(entry))
        return count * (entry->is_name ? 2.0 : 1.0);
    const double clustered = count / (double)entry->chunk_count - 1.0;
    if (entry->size < PLAIN_MIN || entry->count < 3 || clustered < CLUSTERED_MIN ||
        (terms->chunk_count > 8 && 4 * entry->chunk_count > terms->chunk_count))
        return 0.0;
    return count * (clustered < 1.0 ? clustered : 1.0);
}

static int compare_candidates(const void *const a, const void *const b)
{
    const struct candidate *const left = a, *const right = b;
    if (left->score > right->score || left->score < right->score)
        return left->score > right->score ? -1 : 1;
    return left->entry->hash < right->entry->hash ? -1 : left->entry->hash > right->entry->hash;
}

/* Keeps the best in a heap of its own making: the worst is replaced while it is beaten. */
static size_t collect(const struct tome_key_terms *const terms, struct candidate *const best)
{
    size_t count = 0;
    for (size_t i = 0; i < terms->entry_count; i++) {
        const struct candidate candidate = { &terms->entries[i],
                                             score_of(terms, &terms->entries[i]) };
        if (candidate.score <= 0.0)
            continue;
        if (count == 2 * CANDIDATES_MAX) {
            qsort(best, count, sizeof(*best), compare_candidates);
            count = CANDIDATES_MAX;
        }
        best[count++] = candidate;
    }
    qsort(best, count, sizeof(*best), compare_candidates);
    return count < CANDIDATES_MAX ? count : CANDIDATES_MAX;
}

/* Whether the word is hardly used but in names of several: "Irene", "Miss". */
static bool is_within_names(const struct entry *const entry)
{
    return 3 * entry->in_names_count >= 2 * entry->count;
}

/* The first folded words with a blank between, and the id of their stems; false: not telling. */
static bool read_term(struct tome_analyzer *const analyzer, const enum tome_language language,
                      const struct bh_str label, struct bh_arena *const arena,
                      struct tome_key_term *const ret_term)
{
    char folded[TERM_MAX], stems[TERM_MAX];
    size_t folded_size = 0, stems_size = 0, words = 0, telling = 0;
    struct tome_token token;
    if (!bh_str_is_utf8(label))
        return false;
    tome_analyzer_begin(analyzer, label);
    while (words < TOME_KEY_WORDS_MAX && tome_analyzer_next(analyzer, &token)) {
        telling += !tome_language_is_stop_word(language, token.form);
        if (words++ > 0)
            folded[folded_size++] = stems[stems_size++] = ' ';
        memcpy(folded + folded_size, token.form.data, token.form.size);
        folded_size += token.form.size;
        const struct bh_str stem = tome_analyzer_stem(analyzer, &token, language);
        memcpy(stems + stems_size, stem.data, stem.size);
        stems_size += stem.size;
    }
    if (telling < words || words == 0)
        return false;
    const int64_t id = (int64_t)(XXH3_64bits(stems, stems_size) >> 11);
    *ret_term = (struct tome_key_term){
        .id = id == 0 ? 1 : id,
        .term = bh_str_from(bh_arena_strdup(arena, (struct bh_str){ folded, folded_size })),
        .label = bh_str_from(bh_arena_strdup(arena, label)),
    };
    return ret_term->term.data != NULL && ret_term->label.data != NULL;
}

static bool has_id(const struct tome_key_result *const result, const int64_t id)
{
    for (size_t i = 0; i < result->term_count; i++)
        if (result->terms[i].id == id)
            return true;
    return false;
}

/* ---- Relations ---- */

/* How many chunks two lists share; both begin with the last chunk. */
static int64_t shared(const struct node *const nodes, uint32_t a, uint32_t b)
{
    int64_t count = 0;
    while (a != 0 && b != 0) {
        const uint32_t chunk_a = nodes[a].chunk, chunk_b = nodes[b].chunk;
        count += chunk_a == chunk_b;
        a = chunk_a >= chunk_b ? nodes[a].next : a;
        b = chunk_b >= chunk_a ? nodes[b].next : b;
    }
    return count;
}

static int compare_relations(const void *const a, const void *const b)
{
    const struct tome_key_relation *const left = a, *const right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    if (left->a != right->a)
        return left->a < right->a ? -1 : 1;
    return left->b < right->b ? -1 : left->b > right->b;
}

static void relate(const struct tome_key_terms *const terms, const struct entry *const *const taken,
                   struct tome_key_result *const result)
{
    static const size_t pairs_max = (size_t)TOME_KEY_TERMS_MAX * (TOME_KEY_TERMS_MAX - 1) / 2;
    struct tome_key_relation *const all = calloc(pairs_max, sizeof(*all));
    const size_t most = 3 * result->term_count < TOME_KEY_RELATIONS_MAX ? 3 * result->term_count
                                                                        : TOME_KEY_RELATIONS_MAX;
    const int64_t least = terms->chunk_count > 3 ? 2 : 1;
    size_t count = 0;
    if (all == NULL)
        return;
    for (size_t a = 0; a < result->term_count; a++)
        for (size_t b = a + 1; b < result->term_count; b++) {
            const int64_t chunks = shared(terms->nodes, taken[a]->chunks, taken[b]->chunks);
            if (chunks >= least)
                all[count++] = (struct tome_key_relation){ a, b, chunks };
        }
    qsort(all, count, sizeof(*all), compare_relations);
    result->relation_count = count < most ? count : most;
    if (result->relation_count > 0)
        memcpy(result->relations, all, result->relation_count * sizeof(*all));
    free(all);
}

int tome_key_terms_result(struct tome_key_terms *const terms, struct tome_analyzer *const analyzer,
                          const enum tome_language language, struct bh_arena *const arena,
                          struct tome_key_result *const ret_result)
{
    const struct entry *taken[TOME_KEY_TERMS_MAX];
    struct candidate *const best = calloc((size_t)2 * CANDIDATES_MAX, sizeof(*best));
    const size_t wish = 8 + terms->chunk_count / 2;
    const size_t most = wish < TOME_KEY_TERMS_MAX ? wish : TOME_KEY_TERMS_MAX;
    if (best == NULL)
        return BH_ENOMEM;
    ret_result->term_count = ret_result->relation_count = 0;
    const size_t count = collect(terms, best);
    for (size_t i = 0; i < count && ret_result->term_count < most; i++) {
        const struct entry *const entry = best[i].entry;
        const struct bh_str label = { terms->labels[entry - terms->entries].bytes, entry->size };
        struct tome_key_term term;
        if (is_within_names(entry) || !read_term(analyzer, language, label, arena, &term) ||
            has_id(ret_result, term.id))
            continue;
        term.count = entry->count;
        taken[ret_result->term_count] = entry;
        ret_result->terms[ret_result->term_count++] = term;
    }
    free(best);
    relate(terms, taken, ret_result);
    return 0;
}
