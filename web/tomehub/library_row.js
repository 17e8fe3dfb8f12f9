/** One book in the library list, and the dialogs that change or delete it. */

import { showDialog } from "../shared/dialog.js";
import { h } from "../shared/dom.js";
import { formatBytes, formatDate, formatNumber, plural } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { cover, TYPE_NAMES } from "./passage.js";
import { formatRoute, route } from "./route.js";

/** @typedef {import("./api.js").Book} Book */

/** @typedef {{search: () => void, edit: () => void, remove: () => void}} Actions */

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

/** @param {string} tag */
function tagItem(tag) {
    const tagged = route({ q: `tag:"${tag.replaceAll('"', "")}"` });
    return h("li", {}, h("a", { class: "tag", href: formatRoute(tagged), dir: "auto" }, tag));
}

/**
 * @param {Book} book
 * @param {"search" | "edit" | "trash"} shape
 * @param {string} label
 * @param {() => void} act
 */
function actionButton(book, shape, label, act) {
    const button = { class: "button button-icon", type: "button", title: label, onclick: act };
    return h("button", { ...button, "aria-label": `${label}: ${book.title}` }, icon(shape));
}

/**
 * @param {Book} book
 * @param {Actions} actions
 */
export function libraryRow(book, { search, edit, remove }) {
    const read = formatRoute(route({ view: "read", book: book.id, page: 1 }));
    const link = { class: "library-title", href: read, dir: "auto", "data-item": true };
    const author = h("p", { class: "library-author", dir: "auto" }, book.author);
    return h(
        "li",
        { class: "library-row" },
        cover(book, "small"),
        h(
            "div",
            { class: "library-body" },
            h("a", link, book.title),
            book.author ? author : null,
            h("p", { class: "quiet library-facts" }, facts(book)),
            book.tags.length > 0 ? h("ul", { class: "tags" }, ...book.tags.map(tagItem)) : null,
        ),
        h(
            "div",
            { class: "library-actions" },
            actionButton(book, "search", "Search in this book", search),
            actionButton(book, "edit", "Edit", edit),
            actionButton(book, "trash", "Delete", remove),
        ),
    );
}

/**
 * Asks for a book's new data.
 *
 * @param {Book} book
 */
export async function askForChange(book) {
    const title = h("input", { class: "field", required: true, maxlength: 500, value: book.title });
    const author = h("input", { class: "field", maxlength: 500, value: book.author ?? "" });
    const tags = h("input", { class: "field", maxlength: 1000, value: book.tags.join(", ") });
    const types = Object.entries(TYPE_NAMES).map(([value, name]) =>
        h("option", { value, selected: value === book.source_type }, name),
    );
    const type = h("select", { class: "select" }, ...types);
    const fields = [
        h("label", {}, "Title", title),
        h("label", {}, "Author", author),
        h("label", {}, "Type", type),
        h("label", {}, "Tags, separated by commas", tags),
    ];
    if (!(await showDialog("Edit book", fields, { accept: "Save" }))) {
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

/** @param {Book} book */
export function askToDelete(book) {
    const question = h(
        "p",
        {},
        h("strong", { dir: "auto" }, book.title),
        " and everything found in it will be gone from the library.",
        " The file you added is not touched.",
    );
    return showDialog("Delete this book?", [question], { accept: "Delete", danger: true });
}
