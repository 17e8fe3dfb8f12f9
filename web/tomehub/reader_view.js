/**
 * Reading a book, a page at a time, with the words of the query marked, the other matches in
 * the book and its chapters beside the text.
 */

import { append, h, replace } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { formatNumber, plural } from "../shared/format.js";
import { ApiError, describe } from "../shared/http.js";
import { Latest } from "../shared/latest.js";
import { announce } from "../shared/notice.js";
import { getBook, getPage, searchPassages } from "./api.js";
import { findTerms, highlightedForms, marked, queryTerms } from "./highlight.js";
import { excerpt, pageName } from "./passage.js";
import { formatRoute, noFilters, route } from "./route.js";

/** @typedef {import("./api.js").Book} Book */
/** @typedef {import("./api.js").Hit} Hit */
/** @typedef {import("./api.js").Page} Page */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").Route} Route */

const MATCHES_SHOWN = 100;

/** @typedef {{hits: Hit[], total: number, forms: Set<string>}} Matches one hit a page, in page order */

/** @type {Matches} */
const NO_MATCHES = { hits: [], total: 0, forms: new Set() };

/**
 * @param {Route} target
 * @param {AbortSignal} signal
 * @returns {Promise<Matches>}
 */
async function findMatches(target, signal) {
    if (target.q.trim() === "") {
        return NO_MATCHES;
    }
    const filters = { ...noFilters(), book_id: [String(target.book)] };
    const options = { q: target.q, filters, sort: "page", pageSize: MATCHES_SHOWN };
    try {
        let found = await searchPassages(options, signal);
        if (found.match === "some" || found.total_count === 0) {
            found = await searchPassages({ ...options, instant: true }, signal);
        }
        const hits = found.results.filter(
            (hit, at, all) => at === 0 || hit.page_number !== all[at - 1]?.page_number,
        );
        return { hits, total: found.total_count, forms: highlightedForms(found.results) };
    } catch (error) {
        if (signal.aborted) {
            throw error;
        }
        return NO_MATCHES;
    }
}

/**
 * @param {Page} page
 * @param {string} q
 * @param {Set<string>} forms
 */
function pageText(page, q, forms) {
    const terms = queryTerms(q);
    const paragraphs = page.text.split(/\n{2,}/).filter((text) => text.trim() !== "");
    if (paragraphs.length === 0) {
        return [h("p", { class: "quiet" }, "This page has no text.")];
    }
    return paragraphs.map((text) =>
        h("p", { dir: "auto" }, marked(text, findTerms(text, terms, forms))),
    );
}

/**
 * @param {App} app
 * @returns {import("./view.js").View}
 */
export function createReaderView(app) {
    const latest = new Latest();
    const element = h("section", { class: "reader-view", "aria-label": "Reading" });
    /** @type {{id: number, q: string, book: Book, matches: Matches} | null} */
    let open = null;
    /** @type {Page | null} */
    let page = null;
    app.library.addEventListener("change", () => (open = null));

    /**
     * @param {Route} target
     * @param {number} number
     */
    function at(target, number) {
        return formatRoute({ ...target, page: number });
    }

    /**
     * @param {Route} target
     * @param {Page} shown
     */
    function pager(target, shown) {
        const input = h("input", {
            class: "page-input",
            type: "number",
            min: 1,
            max: shown.page_count,
            value: shown.page_number,
            "aria-label": `Page number, 1 to ${shown.page_count}`,
        });
        const jump = (/** @type {Event} */ event) => {
            event.preventDefault();
            const wanted = Math.round(Number(input.value));
            if (Number.isFinite(wanted)) {
                turn(target, Math.min(Math.max(wanted, 1), shown.page_count));
            }
        };
        /**
         * @param {number} number
         * @param {"back" | "forward"} shape
         * @param {string} label
         */
        const step = (number, shape, label) =>
            number >= 1 && number <= shown.page_count
                ? h(
                      "a",
                      { class: "button button-icon", href: at(target, number), "aria-label": label, title: label },
                      icon(shape),
                  )
                : h("span", { class: "button button-icon button-off", "aria-hidden": "true" }, icon(shape));
        return h(
            "nav",
            { class: "pager", "aria-label": "Pages" },
            step(shown.page_number - 1, "back", "Previous page"),
            h(
                "form",
                { class: "page-form", onsubmit: jump },
                input,
                h("span", { class: "quiet" }, ` of ${formatNumber(shown.page_count)}`),
            ),
            step(shown.page_number + 1, "forward", "Next page"),
        );
    }

    /**
     * @param {Route} target
     * @param {Matches} matches
     * @param {Page} shown
     */
    function matchList(target, matches, shown) {
        const items = matches.hits.map((hit) => {
            const here = hit.page_number === shown.page_number && "page";
            return h(
                "li",
                {},
                h(
                    "a",
                    { class: "match", href: at(target, hit.page_number), "aria-current": here },
                    h("span", { class: "place-page" }, pageName(hit)),
                    excerpt(hit),
                ),
            );
        });
        const more = matches.total > MATCHES_SHOWN && `The first ${MATCHES_SHOWN} of ${formatNumber(matches.total)}.`;
        return h(
            "details",
            { class: "side-part", open: wide() },
            h("summary", {}, h("h2", {}, plural(matches.total, "match", "matches"), " in this book")),
            more ? h("p", { class: "quiet" }, more) : null,
            h("ol", { class: "side-list" }, ...items),
        );
    }

    /**
     * @param {Route} target
     * @param {Book} book
     * @param {Page} shown
     */
    function chapterList(target, book, shown) {
        const chapters = book.chapters ?? [];
        const current = chapters.reduce(
            (last, chapter, index) => (chapter.page_number <= shown.page_number ? index : last),
            -1,
        );
        const items = chapters.map((chapter, index) =>
            h(
                "li",
                {},
                h(
                    "a",
                    {
                        class: "chapter",
                        href: at(target, chapter.page_number),
                        "aria-current": index === current && "true",
                    },
                    h("span", { dir: "auto" }, chapter.title),
                    h("span", { class: "chapter-page" }, formatNumber(chapter.page_number)),
                ),
            ),
        );
        return h(
            "details",
            { class: "side-part", open: wide() },
            h("summary", {}, h("h2", {}, "Chapters")),
            h("ol", { class: "side-list" }, ...items),
        );
    }

    /**
     * @param {Route} target
     * @param {Book} book
     * @param {Matches} matches
     * @param {Page} shown
     */
    function layOut(target, book, matches, shown) {
        const heading = h("h1", { class: "reader-title", dir: "auto", tabindex: -1 }, book.title);
        const side = h("aside", { class: "reader-side", "aria-label": "In this book" });
        if (matches.hits.length > 0) {
            append(side, matchList(target, matches, shown));
        }
        if ((book.chapters ?? []).length > 0) {
            append(side, chapterList(target, book, shown));
        }
        const text = h("article", { class: "page-text" }, ...pageText(shown, target.q, matches.forms));
        replace(
            element,
            h(
                "header",
                { class: "reader-head" },
                h(
                    "a",
                    { class: "back-link", href: app.backAddress() },
                    icon("back"),
                    target.q ? "Results" : "Library",
                ),
                heading,
                h("p", { class: "quiet" }, book.author ? h("span", { dir: "auto" }, book.author) : null),
            ),
            h(
                "div",
                { class: "reader-columns" },
                side,
                h(
                    "div",
                    { class: "sheet" },
                    h(
                        "div",
                        { class: "sheet-head" },
                        h("span", { class: "place-page" }, pageName(shown)),
                        shown.chapter ? h("span", { class: "place-chapter", dir: "auto" }, shown.chapter) : null,
                    ),
                    text,
                    pager(target, shown),
                ),
            ),
        );
        side.querySelector(".match[aria-current]")?.scrollIntoView({ block: "nearest" });
        heading.focus({ preventScroll: true });
        bringToView(text);
    }

    /** @param {HTMLElement} text */
    function bringToView(text) {
        const mark = text.querySelector("mark");
        const below = mark && mark.getBoundingClientRect().bottom > innerHeight;
        scrollTo(0, 0);
        if (below) {
            mark.scrollIntoView({ block: "center" });
        }
    }

    /** @param {unknown} error */
    function showFailure(error) {
        const gone = error instanceof ApiError && error.status === 404;
        replace(
            element,
            h(
                "div",
                { class: "empty", role: "alert" },
                h("h1", {}, gone ? "There is no such page" : "The page could not be loaded"),
                h("p", {}, gone ? "The book was removed, or it is shorter than this." : describe(error)),
                h("a", { class: "button", href: formatRoute(route({ view: "library" })) }, "Go to the library"),
            ),
        );
    }

    /** @param {Route} target */
    async function show(target) {
        try {
            const answer = await latest.run(async (signal) => {
                const known = open?.id === target.book && open.q === target.q ? open : null;
                const [book, matches, shown] = await Promise.all([
                    known?.book ?? getBook(target.book, signal),
                    known?.matches ?? findMatches(target, signal),
                    getPage(target.book, target.page, signal),
                ]);
                return { book, matches, shown };
            });
            if (answer) {
                const { book, matches, shown } = answer;
                open = { id: target.book, q: target.q, book, matches };
                page = shown;
                document.title = `${book.title}, ${pageName(shown)} · TomeHub`;
                layOut(target, book, matches, shown);
                announce(`${pageName(shown)} of ${book.title}`);
            }
        } catch (error) {
            page = null;
            showFailure(error);
        }
    }

    /**
     * @param {Route} target
     * @param {number} number
     */
    function turn(target, number) {
        if (page && number >= 1 && number <= page.page_count && number !== page.page_number) {
            app.go({ ...target, page: number });
        }
    }

    /** @param {1 | -1} direction */
    function nextMatch(direction) {
        if (!page || !open) {
            return;
        }
        const here = page.page_number;
        const pages = open.matches.hits.map((hit) => hit.page_number);
        const next =
            direction > 0 ? pages.find((n) => n > here) : pages.filter((n) => n < here).pop();
        if (next !== undefined) {
            turn(app.current(), next);
        }
    }

    /** @param {KeyboardEvent} event */
    function key(event) {
        if (!page) {
            return false;
        }
        const target = app.current();
        /** @type {Record<string, () => void>} */
        const actions = {
            ArrowLeft: () => turn(target, /** @type {Page} */ (page).page_number - 1),
            ArrowRight: () => turn(target, /** @type {Page} */ (page).page_number + 1),
            n: () => nextMatch(1),
            p: () => nextMatch(-1),
        };
        const action = actions[event.key];
        action?.();
        return action !== undefined;
    }

    return { element, show: (target) => void show(target), key };
}

/** Beside the text there is room to show both lists at once. */
function wide() {
    return matchMedia("(min-width: 60rem)").matches;
}
