/**
 * The page before a search: for a first-time reader how to begin, for others the newest books
 * and what a query can say.
 */

import { h, replace } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { plural } from "../shared/format.js";
import { describe } from "../shared/http.js";
import { Latest } from "../shared/latest.js";
import { listBooks } from "./api.js";
import { cover } from "./passage.js";
import { formatRoute, route } from "./route.js";

/** @typedef {import("./api.js").BookList} BookList */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").View} View */

const SHELF = 12;

/** What a query can say: the words, and what they do. */
const SYNTAX = [
    ["red lamp", "pages with both words, in any form: lamps, lamp’s"],
    ["“the red lamp”", "exactly these words, side by side"],
    ["lamp OR lantern", "either of them"],
    ["lamp -oil", "the first without the second"],
    ["illumin*", "every word that begins so"],
    ["author:doyle", "only in books by Doyle; also title:, tag:, type:"],
];

export function syntaxList() {
    const rows = SYNTAX.map(([query, meaning]) =>
        h("div", {}, h("dt", {}, h("code", {}, query)), h("dd", {}, meaning)),
    );
    return h("dl", { class: "syntax" }, ...rows);
}

/**
 * @param {App} app
 * @param {string} title
 */
export function firstBook(app, title) {
    return h(
        "div",
        { class: "welcome" },
        h("h1", {}, title),
        h(
            "p",
            { class: "lead" },
            "TomeHub finds the exact page. Give it a book, and every sentence can be searched.",
        ),
        h(
            "div",
            { class: "dropzone" },
            icon("book"),
            h("p", { class: "dropzone-call" }, "Drop a book here"),
            h("p", { class: "quiet" }, "EPUB, PDF, HTML, Markdown or plain text; several at once"),
            h(
                "button",
                { class: "button button-strong", type: "button", onclick: app.chooseFiles },
                "Choose files",
            ),
        ),
        h(
            "ol",
            { class: "steps" },
            h("li", {}, h("strong", {}, "Drop"), " a file anywhere on this page."),
            h("li", {}, h("strong", {}, "Wait"), " a moment while its pages are read."),
            h(
                "li",
                {},
                h("strong", {}, "Type"),
                " a word or a “phrase” above; open the page it is on.",
            ),
        ),
    );
}

/** @param {BookList} list */
function shelf(list) {
    const items = list.books.map((book) =>
        h(
            "li",
            {},
            h(
                "a",
                {
                    class: "shelf-book",
                    href: formatRoute(route({ view: "read", book: book.id, page: 1 })),
                    "data-item": true,
                },
                cover(book, "large"),
            ),
        ),
    );
    return h("ul", { class: "shelf" }, ...items);
}

/** @param {BookList} list */
function welcomeBack(list) {
    const all = formatRoute(route({ view: "library" }));
    return [
        h(
            "header",
            { class: "home-head" },
            h("h1", {}, "Find the page"),
            h(
                "p",
                { class: "lead" },
                "Search inside ",
                h(
                    "a",
                    { href: all },
                    list.total_count === 1 ? "your book" : plural(list.total_count, "book"),
                ),
                ", down to the page.",
            ),
        ),
        h("h2", { class: "section-head" }, list.total_count > SHELF ? "Newest" : "Your books"),
        shelf(list),
        h("h2", { class: "section-head" }, "What you can type"),
        syntaxList(),
    ];
}

/** @implements {View} */
export class HomeView {
    #app;
    #latest = new Latest();
    element = h("section", { class: "home-view", "aria-label": "Start" });

    /** @param {App} app */
    constructor(app) {
        this.#app = app;
        app.library.addEventListener("change", () => {
            if (!this.element.hidden) {
                this.show();
            }
        });
    }

    show() {
        void this.#load();
    }

    async #load() {
        const options = { sort: "newest", pageSize: SHELF };
        try {
            const list = await this.#latest.run((signal) => listBooks(options, signal));
            if (list?.total_count === 0) {
                replace(this.element, firstBook(this.#app, "Search every page you own"));
            } else if (list) {
                replace(this.element, ...welcomeBack(list));
            }
        } catch (error) {
            const again = { class: "button", type: "button", onclick: () => this.show() };
            const note = { class: "note note-bad", role: "alert" };
            const button = h("button", again, "Try again");
            replace(this.element, h("div", note, h("p", {}, describe(error)), button));
        }
    }
}
