/**
 * The results of a search, as passages or by book. While the reader types, the last word is a
 * prefix; a finished query (Enter, a link, Back) is searched as it stands, and as a prefix only
 * when its whole words are not all found.
 */

import { append, h, replace } from "../shared/dom.js";
import { formatDuration, plural } from "../shared/format.js";
import { describe } from "../shared/http.js";
import { Latest } from "../shared/latest.js";
import { announce } from "../shared/notice.js";
import { searchBooks, searchPassages } from "./api.js";
import { bookItem } from "./book_results.js";
import { createFacets } from "./facets.js";
import { passageItem } from "./passage_list.js";
import { formatRoute, hasFilters, noFilters } from "./route.js";

/** @typedef {import("./api.js").PassagesFound} PassagesFound */
/** @typedef {import("./api.js").BooksFound} BooksFound */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").Route} Route */
/** @typedef {import("./view.js").Going} Going */

const PASSAGES_AT_ONCE = 20;
const BOOKS_AT_ONCE = 10;

/**
 * What was found, whichever way it is shown.
 *
 * @typedef {object} Results
 * @property {PassagesFound | BooksFound} found
 * @property {HTMLLIElement[]} items
 * @property {{cursor?: string, page?: number} | null} next
 */

/**
 * @param {Route} target
 * @param {boolean} instant
 * @param {{cursor?: string, page?: number}} from
 * @param {AbortSignal} signal
 * @returns {Promise<Results>}
 */
async function ask(target, instant, from, signal) {
    const first = from.cursor === undefined && from.page === undefined;
    const options = { ...target, instant, facets: first };
    if (target.view === "books") {
        const page = from.page ?? 1;
        const found = await searchBooks({ ...options, page, pageSize: BOOKS_AT_ONCE }, signal);
        const items = found.books.map((book) => bookItem(book, target.q));
        return { found, items, next: found.has_next ? { page: page + 1 } : null };
    }
    const cursor = from.cursor ?? null;
    const passages = { ...options, page: 0, cursor, pageSize: PASSAGES_AT_ONCE };
    const found = await searchPassages(passages, signal);
    const items = found.results.map((hit) => passageItem(hit, target.q));
    return { found, items, next: found.next_cursor ? { cursor: found.next_cursor } : null };
}

/** @param {Results} results */
function isWhole({ found }) {
    return found.match === "all" && found.total_count > 0;
}

/**
 * @param {Route} target
 * @param {boolean} typing
 * @param {AbortSignal} signal
 * @returns {Promise<Results & {instant: boolean}>}
 */
async function search(target, typing, signal) {
    if (!typing) {
        const exact = await ask(target, false, {}, signal);
        if (isWhole(exact) || !/[\p{L}\p{N}]$/u.test(target.q)) {
            return { ...exact, instant: false };
        }
        const prefix = await ask(target, true, {}, signal);
        return isWhole(prefix) ? { ...prefix, instant: true } : { ...exact, instant: false };
    }
    return { ...(await ask(target, true, {}, signal)), instant: true };
}

/** @param {PassagesFound | BooksFound} found */
function countText(found) {
    const passages = plural(found.total_count, "passage");
    return "books" in found ? `${plural(found.total_books, "book")}, ${passages}` : passages;
}

/**
 * @param {App} app
 * @returns {import("./view.js").View}
 */
export function createSearchView(app) {
    const latest = new Latest();
    const facets = createFacets(app);
    const count = h("p", { class: "count", id: "count" });
    const modes = h("nav", { class: "segments", "aria-label": "Show results as" });
    const sort = h(
        "select",
        { class: "select", "aria-label": "Sort by" },
        h("option", { value: "" }, "Best first"),
        h("option", { value: "page" }, "Page order"),
        h("option", { value: "newest" }, "Newest first"),
        h("option", { value: "title" }, "By title"),
    );
    const notes = h("div", { class: "notes" });
    const list = h("ol", { class: "results", "aria-label": "Results" });
    const more = h("button", { class: "button more", type: "button" }, "Show more");
    const element = h(
        "section",
        { class: "search-view", "aria-label": "Search results" },
        h("h1", { class: "sr-only" }, "Search results"),
        h("div", { class: "toolbar" }, modes, count, sort, facets.toggle),
        facets.chips,
        h("div", { class: "columns" }, facets.panel, h("div", {}, notes, list, more)),
    );
    let shownKey = "";
    let stale = false;
    /** @type {(() => Promise<void>) | null} */
    let loadMore = null;

    sort.addEventListener("change", () => app.go({ ...app.current(), sort: sort.value }));
    more.addEventListener("click", () => void loadMore?.());
    app.library.addEventListener("change", () => (stale = true));

    /** @param {Route} target */
    function showModes(target) {
        /** @type {["passages" | "books", string][]} */
        const choices = [
            ["passages", "Passages"],
            ["books", "Books"],
        ];
        const links = choices.map(([view, label]) => {
            const here = target.view === view && "page";
            return h("a", { href: formatRoute({ ...target, view }), "aria-current": here }, label);
        });
        replace(modes, ...links);
        sort.value = target.sort;
        sort.hidden = target.view === "books";
    }

    /**
     * @param {Route} target
     * @param {Results} results
     */
    function showNotes(target, { found }) {
        replace(notes);
        const meant = found.did_you_mean;
        if (meant) {
            const correct = formatRoute({ ...target, q: meant });
            append(
                notes,
                h(
                    "p",
                    { class: "note" },
                    "Did you mean ",
                    h("a", { href: correct, dir: "auto" }, meant),
                    "?",
                ),
            );
        }
        if (found.match === "some" && found.total_count > 0) {
            append(
                notes,
                h(
                    "p",
                    { class: "note note-partial" },
                    "No passage has all of these words. These are the best partial matches.",
                ),
            );
        }
        if (found.total_count === 0) {
            append(notes, nothingFound(target));
        }
    }

    /** @param {Route} target */
    function nothingFound(target) {
        const clear = () => app.go({ ...target, filters: noFilters() });
        const filtered = hasFilters(target.filters);
        return h(
            "div",
            { class: "empty" },
            h("h2", {}, "Nothing found"),
            h(
                "p",
                {},
                "No passage matches ",
                h("q", { dir: "auto" }, target.q),
                filtered ? " within these filters." : ". Try fewer words, or another spelling.",
            ),
            filtered
                ? h(
                      "button",
                      { class: "button", type: "button", onclick: clear },
                      "Search the whole library",
                  )
                : null,
        );
    }

    /**
     * @param {Route} target
     * @param {Results & {instant: boolean}} results
     */
    function showResults(target, results) {
        const { found, items, instant } = results;
        replace(list, ...items);
        const time = ` in ${formatDuration(found.execution_time_ms)}`;
        const text = found.total_count > 0 ? countText(found) : "No passage";
        replace(count, h("strong", {}, text), h("span", { class: "quiet" }, time));
        announce(found.total_count > 0 ? `${text} found` : "Nothing found");
        showNotes(target, results);
        facets.showChoices(target, found.facets ?? {});
        follow(target, instant, results.next);
    }

    /**
     * Prepares what "Show more" fetches.
     *
     * @param {Route} target
     * @param {boolean} instant
     * @param {Results["next"]} next
     */
    function follow(target, instant, next) {
        more.hidden = next === null;
        loadMore = next && (() => fetchMore(target, instant, next));
    }

    /**
     * @param {Route} target
     * @param {boolean} instant
     * @param {{cursor?: string, page?: number}} next
     */
    async function fetchMore(target, instant, next) {
        more.disabled = true;
        try {
            const added = await latest.run((signal) => ask(target, instant, next, signal));
            if (added) {
                append(list, ...added.items);
                added.items[0]?.querySelector("a")?.focus();
                follow(target, instant, added.next);
            }
        } catch (error) {
            showFailure(error, () => void fetchMore(target, instant, next));
        } finally {
            more.disabled = false;
        }
    }

    /**
     * @param {unknown} error
     * @param {() => void} retry
     */
    function showFailure(error, retry) {
        const again = () => {
            replace(notes);
            retry();
        };
        replace(
            notes,
            h(
                "div",
                { class: "note note-bad", role: "alert" },
                h("p", {}, describe(error)),
                h("button", { class: "button", type: "button", onclick: again }, "Try again"),
            ),
        );
    }

    function clear() {
        replace(list);
        replace(count);
        more.hidden = true;
        loadMore = null;
        facets.panel.hidden = true;
        facets.toggle.hidden = true;
    }

    /**
     * @param {Route} target
     * @param {boolean} typing
     */
    async function run(target, typing) {
        element.setAttribute("aria-busy", "true");
        try {
            const results = await latest.run((signal) => search(target, typing, signal));
            if (results) {
                element.removeAttribute("aria-busy");
                showResults(target, results);
            }
        } catch (error) {
            element.removeAttribute("aria-busy");
            clear();
            shownKey = "";
            showFailure(error, () => void run(target, typing));
        }
    }

    /**
     * @param {Route} target
     * @param {Going} going
     */
    function show(target, going) {
        showModes(target);
        facets.showActive(target);
        const key = formatRoute(target);
        if (key === shownKey && !stale && !going.settle) {
            return;
        }
        shownKey = key;
        stale = false;
        if (target.q.trim() === "") {
            latest.cancel();
            clear();
            replace(notes, h("p", { class: "note" }, "Type to search within these filters."));
            return;
        }
        void run(target, going.typing ?? false);
    }

    return { element, show };
}
