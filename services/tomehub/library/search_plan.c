#include "library/search_plan.h"

#include "bulkhead/base/assert.h"

#define EXPRESSION_MAX (1U << 20)

/* Of the library's chunks: a language with fewer is not looked for in queries; one with so many is
 * taken for granted. */
#define PERCENT_SEEN 5
#define PERCENT_MAIN 66
#define INSTANT_CHARACTERS_MIN 3 /* from so many on, the word being typed is a prefix */

/* ---- Plan ---- */

static bool is_stop_word(const struct tome_query_term *const term,
                         const enum tome_language language)
{
    return !term->quoted && !term->prefix && term->word_count == 1 &&
           tome_language_is_stop_word(language, term->words[0].form);
}

static size_t count_stop_words(const struct tome_query *const query,
                               const enum tome_language language)
{
    size_t count = 0;
    for (size_t i = 0; i < query->clause_count; i++)
        for (size_t j = 0; j < query->clauses[i].term_count; j++)
            count += is_stop_word(&query->clauses[i].terms[j], language);
    return count;
}

enum tome_language tome_plan_language(const struct tome_query *const query,
                                      const int64_t language_chunks[TOME_LANGUAGE_COUNT])
{
    int64_t total = 0;
    int best = TOME_LANGUAGE_NONE;
    size_t best_count = 0;
    for (int i = TOME_LANGUAGE_NONE; i < TOME_LANGUAGE_COUNT; i++)
        total += language_chunks[i];
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++) {
        if (language_chunks[i] * 100 < total * PERCENT_SEEN || language_chunks[i] == 0)
            continue;
        const size_t count = count_stop_words(query, (enum tome_language)i);
        if (count > best_count ||
            (count == best_count && language_chunks[i] > language_chunks[best])) {
            best = i;
            best_count = count;
        }
    }
    /* One common word may be a word of another language: "car" is French for "because". */
    const bool is_main = language_chunks[best] * 100 >= total * PERCENT_MAIN;
    return best_count >= 2 || is_main ? (enum tome_language)best : TOME_LANGUAGE_NONE;
}

static void add_clause(struct tome_plan *const plan, const struct tome_query_clause *const clause,
                       const enum tome_language language)
{
    struct tome_plan_clause *const planned = &plan->clauses[plan->clause_count++];
    *planned = (struct tome_plan_clause){ .is_negated = clause->negated };
    bool is_plain = !clause->negated;
    for (size_t i = 0; i < clause->term_count; i++) {
        const struct tome_query_term *const term = &clause->terms[i];
        planned->leaves |= UINT64_C(1) << plan->leaf_count;
        is_plain = is_plain && !term->quoted && term->field == TOME_QUERY_ANY;
        plan->leaves[plan->leaf_count++] = (struct tome_leaf){
            .term = term,
            .is_chunk = term->field == TOME_QUERY_ANY,
            .is_negated = clause->negated,
            .is_stop = !clause->negated && clause->term_count == 1 &&
                       term->field == TOME_QUERY_ANY && is_stop_word(term, language),
        };
    }
    planned->is_relaxable = is_plain;
    planned->is_demanded = !clause->negated && !plan->leaves[plan->leaf_count - 1].is_stop;
}

void tome_plan_make(const struct tome_query *const query, const enum tome_language language,
                    struct tome_plan *const ret_plan)
{
    *ret_plan = (struct tome_plan){ 0 };
    for (size_t i = 0; i < query->clause_count; i++)
        add_clause(ret_plan, &query->clauses[i], language);

    bool has_telling = false;
    for (size_t i = 0; i < ret_plan->leaf_count; i++) {
        const struct tome_leaf *const leaf = &ret_plan->leaves[i];
        has_telling = has_telling || (leaf->is_chunk && !leaf->is_negated && !leaf->is_stop);
        ret_plan->has_positive_chunk |= leaf->is_chunk && !leaf->is_negated;
        ret_plan->has_negated_chunk |= leaf->is_chunk && leaf->is_negated;
    }
    /* "to be or not to be": with nothing but common words, they are what is meant. */
    for (size_t i = 0; i < ret_plan->leaf_count && !has_telling; i++)
        ret_plan->leaves[i].is_stop = false;
    int previous = -1;
    for (size_t i = 0; i < ret_plan->leaf_count; i++) {
        struct tome_leaf *const leaf = &ret_plan->leaves[i];
        leaf->previous = previous;
        if (leaf->is_chunk && !leaf->is_negated && !leaf->is_stop)
            previous = (int)i;
    }
    for (size_t i = 0; i < ret_plan->clause_count; i++) {
        struct tome_plan_clause *const clause = &ret_plan->clauses[i];
        clause->is_demanded = clause->is_demanded || (!has_telling && !clause->is_negated);
        ret_plan->word_clause_count += clause->is_relaxable && clause->is_demanded;
    }
}

bool tome_plan_relax(struct tome_plan *const plan)
{
    bool has_changed = false;
    for (size_t i = 0; i < plan->clause_count; i++) {
        struct tome_plan_clause *const clause = &plan->clauses[i];
        bool is_chunk = !clause->is_negated;
        for (uint64_t rest = clause->leaves; rest != 0; rest &= rest - 1)
            is_chunk = is_chunk && plan->leaves[__builtin_ctzll(rest)].is_chunk;
        has_changed = has_changed || (is_chunk && !clause->is_relaxable);
        clause->is_relaxable = clause->is_relaxable || is_chunk;
    }
    return has_changed;
}

/* ---- Expressions ---- */

void tome_expression_init(struct tome_expression *const expression)
{
    bh_buf_init(&expression->text, EXPRESSION_MAX);
    bh_buf_init(&expression->negated_text, EXPRESSION_MAX);
    expression->phrase_count = expression->positive_count = expression->group_count = 0;
    expression->negated = 0;
    expression->in_books = false;
}

void tome_expression_fini(struct tome_expression *const expression)
{
    bh_buf_fini(&expression->text);
    bh_buf_fini(&expression->negated_text);
}

static void add_phrase(struct tome_expression *const expression, const size_t leaf,
                       const enum tome_phrase_kind kind, const size_t stem)
{
    bh_assert(expression->phrase_count < TOME_PLAN_PHRASES_MAX);
    expression->phrases[expression->phrase_count++] = (struct tome_plan_phrase){
        .leaf = (uint8_t)leaf, .kind = (uint8_t)kind, .stem = (uint8_t)stem
    };
}

/* A word that has only just been begun stands for too many to be of use: in chunks it is taken as
 * it is. */
static bool is_just_begun(const struct tome_query_term *const term)
{
    const struct bh_str form = term->words[term->word_count - 1].form;
    size_t characters = 0;
    for (size_t i = 0; i < form.size; i++)
        characters += ((unsigned char)form.data[i] & 0xc0) != 0x80;
    return term->instant && characters < INSTANT_CHARACTERS_MIN;
}

/* The forms as one FTS5 phrase. Forms hold letters, digits and points, nothing to be escaped. */
static void append_forms(struct bh_buf *const buf, const struct tome_query_term *const term,
                         const bool as_prefix)
{
    bh_buf_append_byte(buf, '"');
    for (size_t i = 0; i < term->word_count; i++) {
        if (i > 0)
            bh_buf_append_byte(buf, ' ');
        bh_buf_append_str(buf, term->words[i].form);
    }
    bh_buf_append_str(buf, as_prefix ? BH_STR("\"*") : BH_STR("\""));
}

/* Whether an earlier stem of the word is the same text. */
static bool is_repeated_stem(const struct tome_query_word *const word, const size_t stem)
{
    for (size_t i = 0; i < stem; i++)
        if (bh_str_equal(word->stems[i].text, word->stems[stem].text))
            return true;
    return false;
}

static void append_stems(struct tome_expression *const expression, struct bh_buf *const text,
                         const size_t leaf, const struct tome_query_word *const word)
{
    for (size_t i = 0; i < word->stem_count; i++) {
        const struct tome_query_stem *const stem = &word->stems[i];
        const bool is_form = bh_str_equal(stem->text, word->form);
        char tag[TOME_STEM_TAG_SIZE];
        tome_stem_tag(stem->language, tag);
        bh_buf_append_str(text, BH_STR(" OR \""));
        bh_buf_append(text, tag, sizeof(tag));
        bh_buf_append_str(text, stem->text);
        bh_buf_append_byte(text, '"');
        add_phrase(expression, leaf, is_form ? TOME_PHRASE_VARIANT : TOME_PHRASE_STEM, i);
        if (is_form || is_repeated_stem(word, i))
            continue;
        bh_buf_append_str(text, BH_STR(" OR \""));
        bh_buf_append_str(text, stem->text);
        bh_buf_append_byte(text, '"');
        add_phrase(expression, leaf, TOME_PHRASE_STEM_FORM, i);
    }
}

/* A single word is looked for by form and stems; phrases and prefixes by forms, which stand in body
 * and heading. */
static void append_leaf(struct tome_expression *const expression, struct bh_buf *const text,
                        const struct tome_plan *const plan, const size_t leaf)
{
    const struct tome_plan_phrase form = { .leaf = (uint8_t)leaf, .kind = TOME_PHRASE_FORM };
    const struct tome_query_term *const term = plan->leaves[leaf].term;
    bh_buf_append_byte(text, '(');
    if (tome_phrase_is_forms_only(plan, expression, form))
        bh_buf_append_str(text, BH_STR("{body heading}:"));
    append_forms(text, term, tome_phrase_is_prefix(plan, expression, form));
    add_phrase(expression, leaf, TOME_PHRASE_FORM, 0);
    if (term->word_count == 1)
        append_stems(expression, text, leaf, &term->words[0]);
    bh_buf_append_byte(text, ')');
}

/* Those of `leaves` that are looked for in chunks, joined by OR; they are returned. */
static uint64_t append_any(struct tome_expression *const expression, struct bh_buf *const text,
                           const struct tome_plan *const plan, const uint64_t leaves)
{
    uint64_t appended = 0;
    for (size_t i = 0; i < plan->leaf_count; i++) {
        if ((leaves >> i & 1) == 0 || !plan->leaves[i].is_chunk || plan->leaves[i].is_stop)
            continue;
        bh_buf_append_str(text, appended != 0 ? BH_STR(" OR ") : BH_STR("("));
        append_leaf(expression, text, plan, i);
        appended |= UINT64_C(1) << i;
    }
    if (appended != 0)
        bh_buf_append_byte(text, ')');
    return appended;
}

static bool has_chunk_leaf(const struct tome_plan *const plan, const uint64_t leaves)
{
    for (size_t i = 0; i < plan->leaf_count; i++)
        if ((leaves >> i & 1) != 0 && plan->leaves[i].is_chunk && !plan->leaves[i].is_stop)
            return true;
    return false;
}

/* One more group that must hold. */
static void append_group(struct tome_expression *const expression,
                         const struct tome_plan *const plan, const uint64_t leaves)
{
    if (!has_chunk_leaf(plan, leaves))
        return;
    if (expression->group_count > 0)
        bh_buf_append_str(&expression->text, BH_STR(" AND "));
    expression->groups[expression->group_count++] = append_any(expression, &expression->text, plan,
                                                               leaves);
    expression->positive_count = expression->phrase_count;
}

static void append_negated(struct tome_expression *const expression,
                           const struct tome_plan *const plan)
{
    uint64_t negated = 0;
    for (size_t i = 0; i < plan->leaf_count; i++)
        negated |= plan->leaves[i].is_negated ? UINT64_C(1) << i : 0;
    if (expression->group_count > 0)
        expression->negated = append_any(expression, &expression->negated_text, plan, negated);
}

void tome_expression_all(struct tome_expression *const expression,
                         const struct tome_plan *const plan)
{
    for (size_t i = 0; i < plan->clause_count; i++)
        if (plan->clauses[i].is_demanded)
            append_group(expression, plan, plan->clauses[i].leaves);
    append_negated(expression, plan);
}

void tome_expression_any(struct tome_expression *const expression,
                         const struct tome_plan *const plan)
{
    uint64_t positive = 0;
    for (size_t i = 0; i < plan->leaf_count; i++)
        positive |= plan->leaves[i].is_negated ? 0 : UINT64_C(1) << i;
    append_group(expression, plan, positive);
    append_negated(expression, plan);
}

void tome_expression_leaf(struct tome_expression *const expression,
                          const struct tome_plan *const plan, const size_t leaf,
                          const bool in_books)
{
    expression->in_books = in_books;
    append_leaf(expression, &expression->text, plan, leaf);
    expression->groups[expression->group_count++] = UINT64_C(1) << leaf;
    expression->positive_count = expression->phrase_count;
}

/* ---- What a phrase is made of ---- */

size_t tome_phrase_word_count(const struct tome_plan *const plan,
                              const struct tome_plan_phrase phrase)
{
    return phrase.kind == TOME_PHRASE_FORM ? plan->leaves[phrase.leaf].term->word_count : 1;
}

struct bh_str tome_phrase_word(const struct tome_plan *const plan,
                               const struct tome_plan_phrase phrase, const size_t index,
                               char buffer[TOME_PHRASE_WORD_MAX])
{
    const struct tome_query_word *const word = &plan->leaves[phrase.leaf].term->words[index];
    if (phrase.kind == TOME_PHRASE_FORM)
        return word->form;
    const struct tome_query_stem *const stem = &word->stems[phrase.stem];
    if (phrase.kind == TOME_PHRASE_STEM_FORM)
        return stem->text;
    tome_stem_tag(stem->language, buffer);
    bh_assert(stem->text.size <= TOME_FORM_MAX);
    memcpy(buffer + TOME_STEM_TAG_SIZE, stem->text.data, stem->text.size);
    return (struct bh_str){ buffer, TOME_STEM_TAG_SIZE + stem->text.size };
}

bool tome_phrase_is_prefix(const struct tome_plan *const plan,
                           const struct tome_expression *const expression,
                           const struct tome_plan_phrase phrase)
{
    const struct tome_query_term *const term = plan->leaves[phrase.leaf].term;
    return phrase.kind == TOME_PHRASE_FORM && term->prefix &&
           (expression->in_books || !is_just_begun(term));
}

bool tome_phrase_is_forms_only(const struct tome_plan *const plan,
                               const struct tome_expression *const expression,
                               const struct tome_plan_phrase phrase)
{
    const struct tome_query_term *const term = plan->leaves[phrase.leaf].term;
    return phrase.kind == TOME_PHRASE_FORM && !expression->in_books &&
           (term->quoted || term->prefix || term->word_count > 1);
}
