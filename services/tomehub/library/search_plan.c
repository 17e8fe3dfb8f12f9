#include "library/search_plan.h"

#define EXPRESSION_MAX (1U << 20)
#define INSTANT_CHARACTERS_MIN 3 /* from so many on, the word being typed is a prefix */

/* ---- Plan ---- */

static bool is_stop_word(const struct tome_query_term *const term, const uint32_t languages)
{
    if (term->quoted || term->prefix || term->word_count != 1)
        return false;
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++)
        if ((languages >> i & 1) != 0 &&
            tome_language_is_stop_word((enum tome_language)i, term->words[0].form))
            return true;
    return false;
}

static void add_clause(struct tome_plan *const plan, const struct tome_query_clause *const clause,
                       const uint32_t languages)
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
                       term->field == TOME_QUERY_ANY && is_stop_word(term, languages),
        };
    }
    planned->is_relaxable = is_plain;
    planned->is_demanded = !clause->negated && !plan->leaves[plan->leaf_count - 1].is_stop;
}

void tome_plan_make(const struct tome_query *const query, const uint32_t languages,
                    struct tome_plan *const ret_plan)
{
    *ret_plan = (struct tome_plan){ 0 };
    for (size_t i = 0; i < query->clause_count; i++)
        add_clause(ret_plan, &query->clauses[i], languages);

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
    for (size_t i = 0; i < ret_plan->clause_count; i++) {
        struct tome_plan_clause *const clause = &ret_plan->clauses[i];
        clause->is_demanded = clause->is_demanded || (!has_telling && !clause->is_negated);
        ret_plan->word_clause_count += clause->is_relaxable && clause->is_demanded;
    }
}

/* ---- Expressions ---- */

void tome_expression_init(struct tome_expression *const expression)
{
    bh_buf_init(&expression->text, EXPRESSION_MAX);
    expression->phrase_count = 0;
}

void tome_expression_fini(struct tome_expression *const expression)
{
    bh_buf_fini(&expression->text);
}

static bool add_phrase(struct tome_expression *const expression, const size_t leaf,
                       const bool is_stem)
{
    if (expression->phrase_count == TOME_PLAN_PHRASES_MAX)
        return false;
    expression->phrases[expression->phrase_count++] =
        (struct tome_plan_phrase){ .leaf = (uint8_t)leaf, .is_stem = is_stem };
    return true;
}

/* A word that has only just been begun stands for too many to be of use: in chunks it is taken as it is. */
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

/* A single word is a form or a stem, wherever it stands; phrases and prefixes are of forms only. */
static void append_leaf(struct tome_expression *const expression,
                        const struct tome_plan *const plan, const size_t leaf, const bool in_books)
{
    struct bh_buf *const text = &expression->text;
    const struct tome_query_term *const term = plan->leaves[leaf].term;
    const bool forms_only = term->quoted || term->prefix || term->word_count > 1;
    bh_buf_append_byte(text, '(');
    if (forms_only && !in_books)
        bh_buf_append_str(text, BH_STR("{body heading}:"));
    append_forms(text, term, term->prefix && (in_books || !is_just_begun(term)));
    add_phrase(expression, leaf, false);
    for (size_t i = 0; term->word_count == 1 && i < term->words[0].stem_count; i++) {
        if (!add_phrase(expression, leaf, true))
            break;
        bh_buf_append_str(text, BH_STR(" OR \""));
        bh_buf_append_str(text, term->words[0].stems[i]);
        bh_buf_append_byte(text, '"');
    }
    bh_buf_append_byte(text, ')');
}

/* Those of `leaves` that are looked for in chunks, joined by OR. False: none. */
static bool append_any(struct tome_expression *const expression, const struct tome_plan *const plan,
                       const uint64_t leaves, const struct bh_str before)
{
    bool has_any = false;
    for (size_t i = 0; i < plan->leaf_count; i++) {
        if ((leaves >> i & 1) == 0 || !plan->leaves[i].is_chunk || plan->leaves[i].is_stop)
            continue;
        bh_buf_append_str(&expression->text, has_any ? BH_STR(" OR ") : before);
        if (!has_any)
            bh_buf_append_byte(&expression->text, '(');
        append_leaf(expression, plan, i, false);
        has_any = true;
    }
    if (has_any)
        bh_buf_append_byte(&expression->text, ')');
    return has_any;
}

static void append_negated(struct tome_expression *const expression,
                           const struct tome_plan *const plan)
{
    uint64_t negated = 0;
    for (size_t i = 0; i < plan->leaf_count; i++)
        negated |= plan->leaves[i].is_negated ? UINT64_C(1) << i : 0;
    append_any(expression, plan, negated, BH_STR(" NOT "));
}

void tome_expression_all(struct tome_expression *const expression,
                         const struct tome_plan *const plan)
{
    bool has_any = false;
    bh_buf_append_byte(&expression->text, '(');
    for (size_t i = 0; i < plan->clause_count; i++) {
        const struct tome_plan_clause *const clause = &plan->clauses[i];
        if (clause->is_demanded)
            has_any |= append_any(expression, plan, clause->leaves,
                                  has_any ? BH_STR(" AND ") : BH_STR(""));
    }
    bh_buf_append_byte(&expression->text, ')');
    if (has_any)
        append_negated(expression, plan);
    else
        bh_buf_clear(&expression->text);
}

void tome_expression_any(struct tome_expression *const expression,
                         const struct tome_plan *const plan)
{
    uint64_t positive = 0;
    for (size_t i = 0; i < plan->leaf_count; i++)
        positive |= plan->leaves[i].is_negated ? 0 : UINT64_C(1) << i;
    if (append_any(expression, plan, positive, BH_STR("")))
        append_negated(expression, plan);
}

void tome_expression_leaf(struct tome_expression *const expression,
                          const struct tome_plan *const plan, const size_t leaf,
                          const bool in_books)
{
    append_leaf(expression, plan, leaf, in_books);
}
