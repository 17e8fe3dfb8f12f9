/** The parts of the reading view: the text, the pager, the lists beside it. */

import { h } from "../shared/dom.js";
import { formatNumber, plural } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { findTerms, marked, queryTerms, toUnits } from "./highlight.js";
import { excerpt, pageName } from "./passage.js";
import { formatRoute } from "./route.js";

/** @typedef {import("./api.js").Book} Book */
/** @typedef {import("./api.js").Page} Page */
/** @typedef {import("./reader_view.js").Matches} Matches */
/** @typedef {import("./view.js").Route} Route */

/** Characters of an excerpt before its first highlight, in a narrow list. */
const LEAD = 40;

/** Beside the text there is room to show both lists at once. */
const isWide = () => matchMedia("(min-width: 60rem)").matches;

/**
 * The address of another page of the same book.
 *
 * @param {Route} target
 * @param {number} number
 */
function at(target, number) {
    return formatRoute({ ...target, page: number });
}

/**
 * The paragraphs of a page, with the words of the query marked.
 *
 * @param {Page} page
 * @param {string} q
 * @param {Set<string>} forms
 */
export function pageText(page, q, forms) {
    const terms = queryTerms(q);
    const paragraphs = page.text.split(/\n{2,}/).filter((text) => text.trim() !== "");
    const shown = paragraphs.map((text) =>
        h("p", { dir: "auto" }, marked(text, findTerms(text, terms, forms))),
    );
    const empty = h("p", { class: "quiet" }, "This page has no text.");
    return h("article", { class: "page-text" }, ...(shown.length > 0 ? shown : [empty]));
}

/**
 * @param {Route} target
 * @param {Page} page
 * @param {1 | -1} direction
 */
function step(target, page, direction) {
    const number = page.page_number + direction;
    const shape = direction > 0 ? "forward" : "back";
    const label = direction > 0 ? "Next page" : "Previous page";
    if (number < 1 || number > page.page_count) {
        const off = { class: "button button-icon button-off", "aria-hidden": "true" };
        return h("span", off, icon(shape));
    }
    const link = { class: "button button-icon", href: at(target, number), title: label };
    return h("a", { ...link, "aria-label": label }, icon(shape));
}

/**
 * @param {Route} target
 * @param {Page} page
 * @param {(number: number) => void} turn
 */
export function pager(target, page, turn) {
    const input = h("input", {
        class: "page-input",
        type: "number",
        min: 1,
        max: page.page_count,
        value: page.page_number,
        "aria-label": `Page number, 1 to ${page.page_count}`,
    });
    const jump = (/** @type {Event} */ event) => {
        event.preventDefault();
        turn(Math.min(Math.max(Math.round(Number(input.value)) || 1, 1), page.page_count));
    };
    return h(
        "nav",
        { class: "pager", "aria-label": "Pages" },
        step(target, page, -1),
        h(
            "form",
            { class: "page-form", onsubmit: jump },
            input,
            h("span", { class: "quiet" }, ` of ${formatNumber(page.page_count)}`),
        ),
        step(target, page, 1),
    );
}

/**
 * An excerpt that begins shortly before its first highlight, for narrow lists.
 *
 * @param {import("./api.js").Hit} hit
 */
function shortExcerpt({ snippet, highlights }) {
    const [start = 0] = toUnits(snippet, highlights)[0] ?? [];
    const cut = start > LEAD ? snippet.lastIndexOf(" ", start - LEAD) + 1 : 0;
    const lead = cut > 0 ? "…" : "";
    const points = [...snippet.slice(0, cut)].length - lead.length;
    const moved = highlights.map(
        ([from, to]) => /** @type {[number, number]} */ ([from - points, to - points]),
    );
    return excerpt({ snippet: lead + snippet.slice(cut), highlights: moved });
}

/**
 * @param {Route} target
 * @param {Matches} matches
 * @param {Page} page
 */
export function matchList(target, { hits, total, isWhole }, page) {
    const items = hits.map((hit) => {
        const here = hit.page_number === page.page_number && "page";
        const link = { class: "match", href: at(target, hit.page_number), "aria-current": here };
        const place = h("span", { class: "place-page" }, pageName(hit));
        return h("li", {}, h("a", link, place, shortExcerpt(hit)));
    });
    const heading = h("h2", {}, plural(total, "match", "matches"), " in this book");
    const rest = h("p", { class: "quiet" }, `The first ${hits.length} pages with a match.`);
    return h(
        "details",
        { class: "side-part", open: isWide() },
        h("summary", {}, heading),
        isWhole ? null : rest,
        h("ol", { class: "side-list" }, ...items),
    );
}

/**
 * @param {Route} target
 * @param {Book} book
 * @param {Page} page
 */
export function chapterList(target, book, page) {
    const chapters = book.chapters ?? [];
    const started = chapters.filter((chapter) => chapter.page_number <= page.page_number);
    const current = started.at(-1);
    /* The numbers would contradict the labels that such a book shows on its pages. */
    const isLabelled = book.page_kind === "list";
    const items = chapters.map((chapter) => {
        const here = chapter === current && "true";
        const link = {
            class: "chapter",
            href: at(target, chapter.page_number),
            "aria-current": here,
        };
        const number = h("span", { class: "chapter-page" }, formatNumber(chapter.page_number));
        const title = h("span", { dir: "auto" }, chapter.title);
        return h("li", {}, h("a", link, title, isLabelled ? null : number));
    });
    return h(
        "details",
        { class: "side-part", open: isWide() },
        h("summary", {}, h("h2", {}, "Chapters")),
        h("ol", { class: "side-list" }, ...items),
    );
}
