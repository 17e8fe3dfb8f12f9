/**
 * Reading a book, a page at a time, with the words of the query marked, the other matches in
 * the book and its chapters beside the text.
 */

import { append, h, replace } from "../shared/dom.js";
import { ApiError, describe } from "../shared/http.js";
import { icon } from "../shared/icons.js";
import { Latest } from "../shared/latest.js";
import { announce } from "../shared/notice.js";
import { getBook, getPage, searchPassages } from "./api.js";
import { highlightedForms } from "./highlight.js";
import { pageName } from "./passage.js";
import { chapterList, matchList, pager, pageText } from "./reader_parts.js";
import { formatRoute, noFilters, route } from "./route.js";

/** @typedef {import("./api.js").Book} Book */
/** @typedef {import("./api.js").Hit} Hit */
/** @typedef {import("./api.js").Page} Page */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./view.js").Route} Route */

const MATCHES_ASKED = 100;

/**
 * Where else in the book the query is.
 *
 * @typedef {object} Matches
 * @property {Hit[]} hits the first of each page, in page order
 * @property {number} total
 * @property {boolean} isWhole whether `hits` covers all of them
 * @property {Set<string>} forms the words highlighted in them, folded
 */

/** @type {Matches} */
const NO_MATCHES = { hits: [], total: 0, isWhole: true, forms: new Set() };

/**
 * The page is shown even when its matches cannot be found.
 *
 * @param {Route} target
 * @param {AbortSignal} signal
 * @returns {Promise<Matches>}
 */
async function findMatches(target, signal) {
    if (target.q.trim() === "") {
        return NO_MATCHES;
    }
    const filters = { ...noFilters(), book_id: [String(target.book)] };
    const options = { q: target.q, filters, sort: "page", pageSize: MATCHES_ASKED };
    try {
        let found = await searchPassages(options, signal);
        if (found.match === "some" || found.total_count === 0) {
            found = await searchPassages({ ...options, instant: true }, signal);
        }
        const hits = found.results.filter(
            (hit, index, all) => hit.page_number !== all[index - 1]?.page_number,
        );
        const forms = highlightedForms(found.results);
        return { hits, total: found.total_count, isWhole: !found.has_next, forms };
    } catch (error) {
        if (signal.aborted) {
            throw error;
        }
        return NO_MATCHES;
    }
}

/**
 * Scrolls to the top, or to the first marked word when that would be out of sight.
 *
 * @param {HTMLElement} text
 */
function bringToView(text) {
    scrollTo(0, 0);
    const mark = text.querySelector("mark");
    if (mark && mark.getBoundingClientRect().bottom > innerHeight) {
        mark.scrollIntoView({ block: "center" });
    }
}

/** @implements {View} */
export class ReaderView {
    #app;
    #latest = new Latest();
    /** @type {{id: number, q: string, book: Book, matches: Matches} | null} */
    #open = null;
    /** @type {Page | null} */
    #page = null;
    element = h("section", { class: "reader-view", "aria-label": "Reading" });

    /** @param {App} app */
    constructor(app) {
        this.#app = app;
        app.library.addEventListener("change", () => (this.#open = null));
    }

    /** @param {Route} target */
    show(target) {
        void this.#load(target);
    }

    /**
     * @param {KeyboardEvent} event
     * @returns {boolean} whether the key meant something here
     */
    key({ key }) {
        const number = this.#page?.page_number ?? 0;
        /** @type {Record<string, () => void>} */
        const actions = {
            ArrowLeft: () => this.#turn(number - 1),
            ArrowRight: () => this.#turn(number + 1),
            n: () => this.#turnToMatch(1),
            p: () => this.#turnToMatch(-1),
        };
        actions[key]?.();
        return key in actions;
    }

    /** @param {Route} target */
    async #load(target) {
        try {
            const loaded = await this.#latest.run((signal) => this.#fetch(target, signal));
            if (loaded) {
                const { book, matches, page } = loaded;
                this.#open = { id: target.book, q: target.q, book, matches };
                this.#page = page;
                document.title = `${book.title}, ${pageName(page)} · TomeHub`;
                this.#layOut(target, book, matches, page);
                announce(`${pageName(page)} of ${book.title}`);
            }
        } catch (error) {
            this.#page = null;
            this.#showFailure(error);
        }
    }

    /**
     * @param {Route} target
     * @param {AbortSignal} signal
     */
    async #fetch(target, signal) {
        const open = this.#open;
        const known = open?.id === target.book && open.q === target.q ? open : null;
        const [book, matches, page] = await Promise.all([
            known?.book ?? getBook(target.book, signal),
            known?.matches ?? findMatches(target, signal),
            getPage(target.book, target.page, signal),
        ]);
        return { book, matches, page };
    }

    /**
     * @param {Route} target
     * @param {Book} book
     * @param {Matches} matches
     * @param {Page} page
     */
    #layOut(target, book, matches, page) {
        const back = { class: "back-link", href: this.#app.backAddress() };
        const title = h("h1", { class: "reader-title", dir: "auto", tabindex: -1 }, book.title);
        const side = h("aside", { class: "reader-side", "aria-label": "In this book" });
        if (matches.hits.length > 0) {
            append(side, matchList(target, matches, page));
        }
        if (book.chapters?.length) {
            append(side, chapterList(target, book, page));
        }
        const text = pageText(page, target.q, matches.forms);
        const place = h("span", { class: "place-page" }, pageName(page));
        const chapter = h("span", { class: "place-chapter", dir: "auto" }, page.chapter);
        const turn = (/** @type {number} */ number) => this.#turn(number);
        replace(
            this.element,
            h(
                "header",
                { class: "reader-head" },
                h("a", back, icon("back"), target.q ? "Results" : "Library"),
                title,
                book.author ? h("p", { class: "quiet", dir: "auto" }, book.author) : null,
            ),
            h(
                "div",
                { class: "reader-columns" },
                side,
                h(
                    "div",
                    { class: "sheet" },
                    h("div", { class: "sheet-head" }, place, chapter),
                    text,
                    pager(target, page, turn),
                ),
            ),
        );
        side.querySelector(".match[aria-current]")?.scrollIntoView({ block: "nearest" });
        title.focus({ preventScroll: true });
        bringToView(text);
    }

    /** @param {unknown} error */
    #showFailure(error) {
        const isGone = error instanceof ApiError && error.status === 404;
        const heading = isGone ? "There is no such page" : "The page could not be loaded";
        const gone = "The book was removed, or it is shorter than this.";
        const library = formatRoute(route({ view: "library" }));
        replace(
            this.element,
            h(
                "div",
                { class: "empty", role: "alert" },
                h("h1", {}, heading),
                h("p", {}, isGone ? gone : describe(error)),
                h("a", { class: "button", href: library }, "Go to the library"),
            ),
        );
    }

    /** @param {number} number */
    #turn(number) {
        const page = this.#page;
        if (page && number >= 1 && number <= page.page_count && number !== page.page_number) {
            this.#app.go({ ...this.#app.current(), page: number });
        }
    }

    /** @param {1 | -1} direction */
    #turnToMatch(direction) {
        const here = this.#page?.page_number ?? 0;
        const pages = (this.#open?.matches.hits ?? []).map((hit) => hit.page_number);
        const after = pages.find((number) => number > here);
        const before = pages.filter((number) => number < here).at(-1);
        this.#turn((direction > 0 ? after : before) ?? here);
    }
}
