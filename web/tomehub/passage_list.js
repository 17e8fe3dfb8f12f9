/** Search results as passages, best first. */

import { h } from "../shared/dom.js";
import { cover, excerpt, pageName } from "./passage.js";
import { formatRoute, route } from "./route.js";

/** @typedef {import("./api.js").Hit} Hit */

/**
 * @param {Hit} hit
 * @param {string} q
 */
export function passageItem(hit, q) {
    const place = route({ view: "read", q, book: hit.book_id, page: hit.page_number });
    const link = h(
        "a",
        { class: "passage", href: formatRoute(place), "data-item": true },
        cover({ id: hit.book_id, title: hit.title }, "small"),
        h(
            "span",
            { class: "passage-body" },
            h(
                "span",
                { class: "passage-head" },
                h("span", { class: "passage-title", dir: "auto" }, hit.title),
                hit.author ? h("span", { class: "passage-author", dir: "auto" }, hit.author) : null,
            ),
            excerpt(hit),
            h(
                "span",
                { class: "place" },
                h("span", { class: "place-page" }, pageName(hit)),
                hit.chapter
                    ? h("span", { class: "place-chapter", dir: "auto" }, hit.chapter)
                    : null,
            ),
        ),
    );
    return h("li", {}, link);
}
