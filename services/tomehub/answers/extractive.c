#include "answers/extractive.h"

#include <string.h>

#define QUESTION_WORDS_MAX 64
#define SENTENCES_MAX 512 /* read at all; a chunk has some 20 */

/* Measured on the judged questions of tests/integration/test_tomehub_answers_quality.py. */
#define CONTEXT_SHARE 0.4    /* of a word that only the title or chapter holds */
#define NEIGHBOUR_SHARE 0.15 /* of the better neighbour's worth */
#define RANK_SHARE 0.2       /* for the best chunk; less for the others by their score */
#define POSITION_SHARE 0.03  /* for a chunk's first sentence */
#define RELEVANCE_SHARE 0.75 /* against likeness to what was taken */
#define LIKENESS_MAX 0.6     /* past it a sentence says the same again */
#define WORTH_SHARE 0.55     /* of the best sentence's worth: below it none is taken */
#define COVERAGE_MINIMUM 0.45
#define WORDS_FEW 5
#define WORDS_MANY 70

struct sentence {
    struct bh_str text;
    size_t hit, place; /* place within the chunk */
    uint64_t matched;  /* words of the question, a bit each */
    double own, worth;
    struct tome_sentence_words words;
    bool is_taken;
};

struct question {
    const struct tome_search_word *words;
    size_t count;
    double total; /* weight */
};

struct selection {
    struct question question;
    struct sentence *sentences;
    size_t count;
    uint64_t context[TOME_EXTRACTIVE_CHUNKS_MAX]; /* words in the title or chapter, by hit */
};

/* ---- Matching ---- */

static bool token_matches(struct tome_analyzer *const analyzer, const enum tome_language language,
                          const struct tome_token *const token,
                          const struct tome_search_word *const word)
{
    if (bh_str_equal(token->form, word->form) ||
        (word->is_prefix && bh_str_starts_with(token->form, word->form)))
        return true;
    if (word->stem_count == 0 || token->form.data[0] != word->form.data[0])
        return false; /* stemming keeps the first letter */
    const struct bh_str stem = tome_analyzer_stem(analyzer, token, language);
    for (size_t i = 0; i < word->stem_count; i++)
        if (word->stems[i].language == language && bh_str_equal(word->stems[i].text, stem))
            return true;
    return false;
}

static uint64_t match_text(struct tome_analyzer *const analyzer, const enum tome_language language,
                           const struct question *const question, const struct bh_str text)
{
    struct tome_token token;
    uint64_t matched = 0;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token))
        for (size_t i = 0; i < question->count; i++)
            if ((matched >> i & 1) == 0 &&
                token_matches(analyzer, language, &token, &question->words[i]))
                matched |= UINT64_C(1) << i;
    return matched;
}

static double weight_of(const struct question *const question, const uint64_t matched)
{
    double weight = 0.0;
    for (size_t i = 0; i < question->count; i++)
        weight += (matched >> i & 1) != 0 ? question->words[i].weight : 0.0;
    return question->total > 0.0 ? weight / question->total : 0.0;
}

/* ---- Reading the chunks ---- */

/* The sentence's last byte but for closing quotes and brackets. */
static char last_byte(struct bh_str text)
{
    while (text.size > 1) {
        const char last = text.data[text.size - 1];
        if (bh_str_ends_with(text, BH_STR("\u201D")) || bh_str_ends_with(text, BH_STR("\u2019")))
            text.size -= 3;
        else if (bh_str_ends_with(text, BH_STR("\u00BB")))
            text.size -= 2;
        else if (last == '"' || last == '\'' || last == ')' || last == ']')
            text.size--;
        else
            break;
    }
    return text.size > 0 ? text.data[text.size - 1] : '\0';
}

/* What is too short says nothing alone, what is too long is a table or a list; a heading has no
 * full stop (other than of scripts whose stops are not ASCII), and a question is seldom an answer.
 */
static double shape_factor(const struct sentence *const sentence)
{
    const size_t words = sentence->words.token_count;
    const char last = last_byte(sentence->text);
    const double factor = words < WORDS_FEW ? 0.4 : words > WORDS_MANY ? 0.6 : 1.0;
    const bool has_no_stop = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z') ||
                             last == ',';
    return last == '?' || has_no_stop ? 0.5 * factor : factor;
}

static void read_chunk(struct tome_analyzer *const analyzer, struct selection *const selection,
                       const struct tome_search_answer *const found, const size_t index)
{
    const struct tome_search_hit *const hit = &found->hits[index];
    const enum tome_language language = hit->passage.language;
    const struct question *const question = &selection->question;
    const uint64_t context = match_text(analyzer, language, question, hit->title) |
                             match_text(analyzer, language, question, hit->chapter);
    struct bh_str text;
    selection->context[index] = context;
    for (size_t at = 0, place = 0;
         selection->count < SENTENCES_MAX && tome_sentence_next(hit->content, &at, &text);
         place++) {
        struct sentence *const sentence = &selection->sentences[selection->count];
        *sentence = (struct sentence){ .text = text, .hit = index, .place = place };
        sentence->matched = match_text(analyzer, language, question, text);
        tome_sentence_words(analyzer, language, text, &sentence->words);
        if (sentence->words.count == 0)
            continue;
        sentence->own = (weight_of(question, sentence->matched) +
                         CONTEXT_SHARE * weight_of(question, context & ~sentence->matched)) *
                        shape_factor(sentence);
        selection->count++;
    }
}

static void judge_worth(struct selection *const selection,
                        const struct tome_search_answer *const found)
{
    const double best = found->hits[0].score > 0.0 ? found->hits[0].score : 1.0;
    for (size_t i = 0; i < selection->count; i++) {
        struct sentence *const sentence = &selection->sentences[i];
        double neighbour = 0.0;
        if (i > 0 && sentence[-1].hit == sentence->hit)
            neighbour = sentence[-1].own;
        if (i + 1 < selection->count && sentence[1].hit == sentence->hit &&
            sentence[1].own > neighbour)
            neighbour = sentence[1].own;
        const double rank = found->hits[sentence->hit].score / best;
        sentence->worth = sentence->own + NEIGHBOUR_SHARE * neighbour * shape_factor(sentence) +
                          RANK_SHARE * rank * sentence->own +
                          POSITION_SHARE * sentence->own / (double)(sentence->place + 1);
    }
}

/* ---- Taking the best ---- */

static double likeness_to_taken(const struct selection *const selection,
                                const struct sentence *const sentence)
{
    double likeness = 0.0;
    for (size_t i = 0; i < selection->count; i++) {
        const struct sentence *const other = &selection->sentences[i];
        if (!other->is_taken)
            continue;
        const double alike = tome_sentence_likeness(&sentence->words, &other->words);
        likeness = alike > likeness ? alike : likeness;
    }
    return likeness;
}

/* The next sentence to take, or NULL. */
static struct sentence *take_best(const struct selection *const selection, const double minimum)
{
    struct sentence *best = NULL;
    double best_value = 0.0;
    for (size_t i = 0; i < selection->count; i++) {
        struct sentence *const sentence = &selection->sentences[i];
        if (sentence->is_taken || sentence->worth < minimum || sentence->matched == 0)
            continue;
        const double likeness = likeness_to_taken(selection, sentence);
        const double value = RELEVANCE_SHARE * sentence->worth - (1.0 - RELEVANCE_SHARE) * likeness;
        if (likeness <= LIKENESS_MAX && (best == NULL || value > best_value)) {
            best = sentence;
            best_value = value;
        }
    }
    if (best != NULL)
        best->is_taken = true;
    return best;
}

/* Those of one chunk in the order in which they stand there, the chunks by their best sentence. */
static void put_in_order(struct selection *const selection, const struct sentence *const *taken,
                         const size_t count, struct tome_extractive *const answer)
{
    bool is_put[TOME_EXTRACTIVE_CHUNKS_MAX] = { false };
    for (size_t i = 0; i < count; i++) {
        const size_t hit = taken[i]->hit;
        for (size_t j = 0; j < selection->count && !is_put[hit]; j++)
            if (selection->sentences[j].is_taken && selection->sentences[j].hit == hit)
                answer->sentences[answer->count++] = (struct tome_extractive_sentence){
                    .text = selection->sentences[j].text, .hit = hit
                };
        is_put[hit] = true;
    }
}

static void select_sentences(struct selection *const selection,
                             struct tome_extractive *const answer)
{
    const struct sentence *taken[TOME_EXTRACTIVE_SENTENCES_MAX];
    size_t count = 0;
    uint64_t touched = 0;
    double minimum = 0.0;
    while (count < TOME_EXTRACTIVE_SENTENCES_MAX) {
        const struct sentence *const sentence = take_best(selection, minimum);
        if (sentence == NULL)
            break;
        if (count == 0)
            minimum = WORTH_SHARE * sentence->worth;
        touched |= sentence->matched | selection->context[sentence->hit];
        taken[count++] = sentence;
    }
    answer->coverage = weight_of(&selection->question, touched);
    if (answer->coverage >= COVERAGE_MINIMUM)
        put_in_order(selection, taken, count, answer);
}

int tome_extractive_make(struct tome_analyzer *const analyzer,
                         const struct tome_search_answer *const found, struct bh_arena *const arena,
                         struct tome_extractive *const ret_answer)
{
    struct selection selection = { .question = { .words = found->words } };
    struct tome_extractive answer = { .count = 0 };
    const size_t hits = found->hit_count < TOME_EXTRACTIVE_CHUNKS_MAX ? found->hit_count
                                                                      : TOME_EXTRACTIVE_CHUNKS_MAX;
    struct question *const question = &selection.question;
    question->count = found->word_count < QUESTION_WORDS_MAX ? found->word_count
                                                             : QUESTION_WORDS_MAX;
    for (size_t i = 0; i < question->count; i++)
        question->total += question->words[i].weight;
    if (hits > 0 && question->count > 0) {
        selection.sentences = bh_arena_calloc(arena, SENTENCES_MAX, sizeof(struct sentence));
        if (selection.sentences == NULL)
            return BH_ENOMEM;
        for (size_t i = 0; i < hits; i++)
            read_chunk(analyzer, &selection, found, i);
        judge_worth(&selection, found);
        select_sentences(&selection, &answer);
    }
    *ret_answer = answer;
    return 0;
}
