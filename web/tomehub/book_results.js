/** Search results by book: each book, its best pages, an excerpt of each. */

import { h } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { cover, excerpt, pageName } from "./passage.js";
import { formatRoute, noFilters, route } from "./route.js";

/** @typedef {import("./api.js").BookHit} BookHit */
/** @typedef {import("./api.js").BookPage} BookPage */

/**
 * @param {BookHit} book
 * @param {BookPage} page
 * @param {string} q
 */
function pageItem(book, page, q) {
    const place = route({ view: "read", q, book: book.book_id, page: page.page_number });
    return h(
        "li",
        {},
        h(
            "a",
            { class: "book-page", href: formatRoute(place), "data-item": true },
            h(
                "span",
                { class: "book-page-number" },
                pageName({ ...page, page_kind: book.page_kind }),
            ),
            h(
                "span",
                { class: "book-page-body" },
                page.chapter
                    ? h("span", { class: "place-chapter", dir: "auto" }, page.chapter)
                    : null,
                excerpt(page),
            ),
        ),
    );
}

/**
 * @param {BookHit} book
 * @param {string} q
 */
export function bookItem(book, q) {
    const inBook = route({ q, filters: { ...noFilters(), book_id: [String(book.book_id)] } });
    const rest = book.match_count > book.pages.length;
    const matches = plural(book.match_count, "passage");
    return h(
        "li",
        { class: "book-result" },
        h(
            "header",
            { class: "book-head" },
            cover({ id: book.book_id, title: book.title }, "small"),
            h(
                "div",
                {},
                h("h2", { class: "book-title", dir: "auto" }, book.title),
                h(
                    "p",
                    { class: "quiet" },
                    book.author ? h("span", { dir: "auto" }, book.author) : null,
                    book.author ? " · " : null,
                    matches,
                ),
            ),
        ),
        h("ol", { class: "book-pages" }, ...book.pages.map((page) => pageItem(book, page, q))),
        rest
            ? h(
                  "a",
                  { class: "book-all", href: formatRoute(inBook) },
                  `All ${matches} in this book`,
              )
            : null,
    );
}
