/**
 * Asking for results. While the reader types, the last word is a prefix; a finished query (Enter,
 * a link, Back) is searched as it stands, and as a prefix only when its whole words are not all
 * found.
 */

import { searchBooks, searchPassages } from "./api.js";
import { bookItem } from "./book_results.js";
import { passageItem } from "./passage_list.js";

/** @typedef {import("./api.js").PassagesFound} PassagesFound */
/** @typedef {import("./api.js").BooksFound} BooksFound */
/** @typedef {import("./view.js").Route} Route */

const PASSAGES_AT_ONCE = 20;
const BOOKS_AT_ONCE = 10;
const ENDS_IN_A_WORD = /[\p{L}\p{N}]$/u;

/** @typedef {{cursor?: string, page?: number}} Place where the results go on */

/**
 * What was found, whichever way it is shown.
 *
 * @typedef {object} Results
 * @property {PassagesFound | BooksFound} found
 * @property {HTMLLIElement[]} items
 * @property {boolean} instant whether the last word was taken as a prefix
 * @property {Place | null} next
 */

/**
 * One part of the results; facets come with the first.
 *
 * @param {Route} target
 * @param {boolean} instant
 * @param {Place} from
 * @param {AbortSignal} signal
 * @returns {Promise<Results>}
 */
export async function ask(target, instant, from, signal) {
    const { q, filters, sort } = target;
    const isFirst = from.cursor === undefined && from.page === undefined;
    const options = { q, filters, sort, instant, facets: isFirst };
    if (target.view === "books") {
        const page = from.page ?? 1;
        const found = await searchBooks({ ...options, page, pageSize: BOOKS_AT_ONCE }, signal);
        const items = found.books.map((book) => bookItem(book, q));
        return { found, items, instant, next: found.has_next ? { page: page + 1 } : null };
    }
    const cursor = from.cursor ?? null;
    const found = await searchPassages({ ...options, cursor, pageSize: PASSAGES_AT_ONCE }, signal);
    const items = found.results.map((hit) => passageItem(hit, q));
    const next = found.next_cursor ? { cursor: found.next_cursor } : null;
    return { found, items, instant, next };
}

/** @param {Results} results */
function holdsAllWords({ found }) {
    return found.match === "all" && found.total_count > 0;
}

/**
 * @param {Route} target
 * @param {boolean} isTyping
 * @param {AbortSignal} signal
 */
export async function search(target, isTyping, signal) {
    if (isTyping) {
        return ask(target, true, {}, signal);
    }
    const whole = await ask(target, false, {}, signal);
    if (holdsAllWords(whole) || !ENDS_IN_A_WORD.test(target.q)) {
        return whole;
    }
    const prefix = await ask(target, true, {}, signal);
    return holdsAllWords(prefix) ? prefix : whole;
}
