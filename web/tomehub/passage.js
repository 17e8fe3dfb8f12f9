/** How a place in a book is written, and how an excerpt of it looks. */

import { h } from "../shared/dom.js";
import { marked, toUnits } from "./highlight.js";

/** @typedef {import("./api.js").SourceType} SourceType */

/** @type {Record<SourceType, string>} */
export const TYPE_NAMES = {
    BOOK: "Book",
    ARTICLE: "Article",
    NOTE: "Note",
    HIGHLIGHT: "Highlight",
};

/**
 * "p. 172", "p. xii", or "section 12" where the book has no pages of its own.
 *
 * @param {{page_number: number, page_label: string | null, page_kind: string}} place
 */
export function pageName({ page_number, page_label, page_kind }) {
    return page_kind === "section" ? `section ${page_number}` : `p. ${page_label || page_number}`;
}

/**
 * @param {{snippet: string, highlights: import("./api.js").Range[]}} passage
 */
export function excerpt({ snippet, highlights }) {
    return h(
        "span",
        { class: "excerpt", dir: "auto" },
        marked(snippet, toUnits(snippet, highlights)),
    );
}

/**
 * A cover without a picture: a colour that stays with the book, and its title.
 *
 * @param {{id: number, title: string, author?: string | null}} book
 * @param {"small" | "large"} size
 */
export function cover(book, size) {
    const large = size === "large";
    return h(
        "span",
        { class: `cover cover-${size}`, "data-hue": book.id % 8, "aria-hidden": !large && "true" },
        h("span", { class: "cover-title", dir: "auto" }, large ? book.title : initial(book.title)),
        large && book.author
            ? h("span", { class: "cover-author", dir: "auto" }, book.author)
            : null,
    );
}

/** @param {string} title */
function initial(title) {
    const words = title.replace(/^(the|an?)\s+/iu, "").match(/[\p{L}\p{N}]/u);
    return words ? words[0].toUpperCase() : "•";
}
