/** All books: sorted, filtered by name, renamed, tagged, deleted. */

import { append, h, replace } from "../shared/dom.js";
import { showDialog } from "../shared/dialog.js";
import { formatBytes, formatDate, formatNumber, plural } from "../shared/format.js";
import { describe } from "../shared/http.js";
import { icon } from "../shared/icons.js";
import { debounce, Latest } from "../shared/latest.js";
import { announce, notify } from "../shared/notice.js";
import { changeBook, deleteBook, listBooks } from "./api.js";
import { firstBook } from "./home_view.js";
import { cover, TYPE_NAMES } from "./passage.js";
import { formatRoute, noFilters, route } from "./route.js";

/** @typedef {import("./api.js").Book} Book */
/** @typedef {import("./view.js").App} App */

const BOOKS_AT_ONCE = 50;
const FILTER_DELAY_MS = 120;

/** @param {Book} book */
function facts(book) {
    const unit = book.page_kind === "section" ? "section" : "page";
    return [
        plural(book.page_count, unit),
        `${formatNumber(book.word_count)} words`,
        book.byte_size ? formatBytes(book.byte_size) : "",
        `added ${formatDate(book.created_at)}`,
    ]
        .filter(Boolean)
        .join(" · ");
}

/**
 * Asks for a book's new data.
 *
 * @param {Book} book
 */
async function editDialog(book) {
    const title = h("input", { class: "field", required: true, maxlength: 500, value: book.title });
    const author = h("input", { class: "field", maxlength: 500, value: book.author ?? "" });
    const tags = h("input", { class: "field", maxlength: 1000, value: book.tags.join(", ") });
    const types = Object.entries(TYPE_NAMES).map(([value, name]) =>
        h("option", { value, selected: value === book.source_type }, name),
    );
    const type = h("select", { class: "select" }, ...types);
    const accepted = await showDialog(
        "Edit book",
        [
            h("label", {}, "Title", title),
            h("label", {}, "Author", author),
            h("label", {}, "Type", type),
            h("label", {}, "Tags, separated by commas", tags),
        ],
        { accept: "Save" },
    );
    if (!accepted) {
        return null;
    }
    const names = tags.value.split(",").map((tag) => tag.trim());
    return {
        title: title.value.trim(),
        author: author.value.trim(),
        source_type: type.value,
        tags: [...new Set(names.filter((tag) => tag !== ""))],
    };
}

/**
 * @param {App} app
 * @returns {import("./view.js").View}
 */
export function createLibraryView(app) {
    const latest = new Latest();
    const heading = h("h1", { tabindex: -1 }, "Library");
    const count = h("p", { class: "count" });
    const filter = h("input", {
        class: "field library-filter",
        type: "search",
        placeholder: "Filter by title or author",
        "aria-label": "Filter books by title or author",
        maxlength: 200,
    });
    const sort = h(
        "select",
        { class: "select", "aria-label": "Sort books" },
        h("option", { value: "newest" }, "Newest first"),
        h("option", { value: "title" }, "By title"),
        h("option", { value: "author" }, "By author"),
    );
    const list = h("ul", { class: "library" });
    const notes = h("div", {});
    const more = h("button", { class: "button more", type: "button", hidden: true }, "Show more");
    const tools = h("div", { class: "toolbar" }, heading, count, filter, sort);
    const element = h("section", { class: "library-view", "aria-label": "Library" }, tools, notes, list, more);
    let pagesShown = 1;

    const typed = debounce(() => void load(1), FILTER_DELAY_MS);
    filter.addEventListener("input", () => typed.start());
    sort.addEventListener("change", () => void load(1));
    more.addEventListener("click", () => void load(pagesShown + 1));
    app.library.addEventListener("change", () => {
        if (!element.hidden) {
            void load(1);
        }
    });

    /** @param {Book} book */
    async function edit(book) {
        const change = await editDialog(book);
        if (!change) {
            return;
        }
        try {
            await changeBook(book.id, change);
            app.library.dispatchEvent(new Event("change"));
        } catch (error) {
            notify(describe(error), "bad");
        }
    }

    /** @param {Book} book */
    async function remove(book) {
        const name = h("strong", { dir: "auto" }, book.title);
        const question = h("p", {}, name, " and everything found in it will be gone from the library. The file you added is not touched.");
        const options = { accept: "Delete", danger: true };
        if (!(await showDialog("Delete this book?", [question], options))) {
            return;
        }
        try {
            await deleteBook(book.id);
            notify(`Deleted “${book.title}”.`);
            announce(`Deleted ${book.title}`);
            app.library.dispatchEvent(new Event("change"));
            heading.focus();
        } catch (error) {
            notify(describe(error), "bad");
        }
    }

    /** @param {Book} book */
    function row(book) {
        const read = formatRoute(route({ view: "read", book: book.id, page: 1 }));
        const inside = route({ filters: { ...noFilters(), book_id: [String(book.id)] } });
        const title = h("a", { class: "library-title", href: read, dir: "auto", "data-item": true }, book.title);
        const tags = book.tags.map((tag) => {
            const tagged = route({ q: `tag:"${tag.replaceAll('"', "")}"` });
            return h("li", {}, h("a", { class: "tag", href: formatRoute(tagged), dir: "auto" }, tag));
        });
        /**
         * @param {"search" | "edit" | "trash"} shape
         * @param {string} label
         * @param {() => void} act
         */
        const action = (shape, label, act) =>
            h(
                "button",
                { class: "button button-icon", type: "button", title: label, "aria-label": `${label}: ${book.title}`, onclick: act },
                icon(shape),
            );
        return h(
            "li",
            { class: "library-row" },
            cover(book, "small"),
            h(
                "div",
                { class: "library-body" },
                title,
                book.author ? h("p", { class: "library-author", dir: "auto" }, book.author) : null,
                h("p", { class: "quiet library-facts" }, facts(book)),
                tags.length > 0 ? h("ul", { class: "tags" }, ...tags) : null,
            ),
            h(
                "div",
                { class: "library-actions" },
                action("search", "Search in this book", () => app.go(inside)),
                action("edit", "Edit", () => void edit(book)),
                action("trash", "Delete", () => void remove(book)),
            ),
        );
    }

    /** @param {number} page 1 starts the list anew, a later one is added to it */
    async function load(page) {
        typed.cancel();
        const options = { page, pageSize: BOOKS_AT_ONCE, sort: sort.value, q: filter.value.trim() };
        try {
            const found = await latest.run((signal) => listBooks(options, signal));
            if (!found) {
                return;
            }
            if (page === 1) {
                replace(list);
            }
            append(list, ...found.books.map(row));
            pagesShown = page;
            more.hidden = !found.has_next;
            const nothing = found.total_count === 0;
            tools.hidden = nothing && options.q === "";
            replace(count, nothing ? "" : h("strong", {}, plural(found.total_count, "book")));
            replace(notes, nothing ? emptyNote(options.q) : null);
        } catch (error) {
            replace(notes, h("p", { class: "note note-bad", role: "alert" }, describe(error)));
        }
    }

    /** @param {string} q */
    function emptyNote(q) {
        if (q === "") {
            return firstBook(app, "Your library is empty");
        }
        return h("p", { class: "note" }, "No book’s title or author has ", h("q", { dir: "auto" }, q), ".");
    }

    function show() {
        document.title = "Library · TomeHub";
        void load(1);
    }
    return { element, show };
}
