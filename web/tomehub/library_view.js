/** All books: sorted, filtered by name, changed, deleted. */

import { append, h, replace } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { describe } from "../shared/http.js";
import { debounce, Latest } from "../shared/latest.js";
import { notify } from "../shared/notice.js";
import { changeBook, deleteBook, listBooks } from "./api.js";
import { firstBook } from "./home_view.js";
import { askForChange, askToDelete, libraryRow } from "./library_row.js";
import { noFilters, route } from "./route.js";

/** @typedef {import("./api.js").Book} Book */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").View} View */

const BOOKS_AT_ONCE = 50;
const FILTER_DELAY_MS = 120;

/** @implements {View} */
export class LibraryView {
    #app;
    #latest = new Latest();
    #heading = h("h1", { tabindex: -1 }, "Library");
    #count = h("p", { class: "count" });
    #filter = h("input", {
        class: "field library-filter",
        type: "search",
        placeholder: "Filter by title or author",
        "aria-label": "Filter books by title or author",
        maxlength: 200,
    });
    #sort = h(
        "select",
        { class: "select", "aria-label": "Sort books" },
        h("option", { value: "newest" }, "Newest first"),
        h("option", { value: "title" }, "By title"),
        h("option", { value: "author" }, "By author"),
    );
    #tools = h("div", { class: "toolbar" }, this.#heading, this.#count, this.#filter, this.#sort);
    #notes = h("div", {});
    #list = h("ul", { class: "library" });
    #more = h("button", { class: "button more", type: "button", hidden: true }, "Show more");
    #typed = debounce(() => void this.#load(1), FILTER_DELAY_MS);
    #pagesShown = 0;
    element = h(
        "section",
        { class: "library-view", "aria-label": "Library" },
        this.#tools,
        this.#notes,
        this.#list,
        this.#more,
    );

    /** @param {App} app */
    constructor(app) {
        this.#app = app;
        this.#filter.addEventListener("input", () => this.#typed.start());
        this.#sort.addEventListener("change", () => void this.#load(1));
        this.#more.addEventListener("click", () => void this.#load(this.#pagesShown + 1));
        app.library.addEventListener("change", () => {
            if (!this.element.hidden) {
                void this.#load(1);
            }
        });
    }

    show() {
        document.title = "Library · TomeHub";
        void this.#load(1);
    }

    /** @param {number} page 1 starts the list anew, a later one is added to it */
    async #load(page) {
        this.#typed.cancel();
        const q = this.#filter.value.trim();
        const options = { page, pageSize: BOOKS_AT_ONCE, sort: this.#sort.value, q };
        try {
            const found = await this.#latest.run((signal) => listBooks(options, signal));
            if (found) {
                this.#showBooks(found, q);
            }
        } catch (error) {
            const note = { class: "note note-bad", role: "alert" };
            replace(this.#notes, h("p", note, describe(error)));
        }
    }

    /**
     * @param {import("./api.js").BookList} found
     * @param {string} q
     */
    #showBooks(found, q) {
        if (found.page === 1) {
            replace(this.#list);
        }
        append(this.#list, ...found.books.map((book) => this.#row(book)));
        this.#pagesShown = found.page;
        this.#more.hidden = !found.has_next;
        const isEmpty = found.total_count === 0;
        this.#tools.hidden = isEmpty && q === "";
        replace(this.#count, h("strong", {}, isEmpty ? "" : plural(found.total_count, "book")));
        replace(this.#notes, isEmpty ? this.#emptyNote(q) : null);
    }

    /** @param {string} q */
    #emptyNote(q) {
        if (q === "") {
            return firstBook(this.#app, "Your library is empty");
        }
        const query = h("q", { dir: "auto" }, q);
        return h("p", { class: "note" }, "No book’s title or author has ", query, ".");
    }

    /** @param {Book} book */
    #row(book) {
        const inside = route({ filters: { ...noFilters(), book_id: [String(book.id)] } });
        return libraryRow(book, {
            search: () => this.#app.go(inside),
            edit: () => void this.#edit(book),
            remove: () => void this.#remove(book),
        });
    }

    /** @param {Book} book */
    async #edit(book) {
        const change = await askForChange(book);
        if (change) {
            await this.#act(() => changeBook(book.id, change));
        }
    }

    /** @param {Book} book */
    async #remove(book) {
        if ((await askToDelete(book)) && (await this.#act(() => deleteBook(book.id)))) {
            notify(`Deleted “${book.title}”.`);
            this.#heading.focus();
        }
    }

    /**
     * @param {() => Promise<unknown>} act
     * @returns {Promise<boolean>} whether it succeeded
     */
    async #act(act) {
        try {
            await act();
        } catch (error) {
            notify(describe(error), "bad");
            return false;
        }
        this.#app.library.dispatchEvent(new Event("change"));
        return true;
    }
}
