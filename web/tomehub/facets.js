/** Narrowing a search: the values the matches hold, as chips to switch on and off. */

import { append, h, replace } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { formatNumber } from "../shared/format.js";
import { getBook } from "./api.js";
import { TYPE_NAMES } from "./passage.js";
import { FILTER_NAMES, hasFilters, noFilters, toggleFilter } from "./route.js";

/** @typedef {import("./api.js").Facets} Facets */
/** @typedef {import("./api.js").FacetValue} FacetValue */
/** @typedef {import("./api.js").FilterName} FilterName */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").Route} Route */

/** @type {Record<FilterName, string>} */
const HEADINGS = { book_id: "Book", author: "Author", source_type: "Type", tags: "Tag" };

/** @param {App} app */
export function createFacets(app) {
    /** Titles met so far: the address of a filtered search holds only the id. */
    /** @type {Map<string, string>} */
    const titles = new Map();
    const panel = h("aside", { class: "facets", id: "facets", "aria-label": "Filters" });
    const chips = h("ul", { class: "chips", "aria-label": "Active filters" });
    const toggle = h(
        "button",
        { class: "button facets-toggle", type: "button", "aria-controls": "facets" },
        icon("filter"),
        "Filters",
    );
    toggle.setAttribute("aria-expanded", "false");
    toggle.addEventListener("click", () => {
        const open = panel.classList.toggle("open");
        toggle.setAttribute("aria-expanded", String(open));
    });

    /**
     * @param {FilterName} name
     * @param {string} value
     */
    function label(name, value) {
        if (name === "source_type") {
            return TYPE_NAMES[/** @type {import("./api.js").SourceType} */ (value)] ?? value;
        }
        return name === "book_id" ? (titles.get(value) ?? `Book ${value}`) : value;
    }

    /**
     * @param {Route} target
     * @param {FilterName} name
     * @param {FacetValue} facet
     */
    function choice(target, name, facet) {
        const value = String(facet.value);
        const pressed = target.filters[name].includes(value);
        const flip = () =>
            app.go({ ...target, filters: toggleFilter(target.filters, name, value) });
        return h(
            "li",
            {},
            h(
                "button",
                {
                    class: "chip",
                    type: "button",
                    "aria-pressed": String(pressed),
                    onclick: flip,
                },
                h("span", { class: "chip-label", dir: "auto" }, label(name, value)),
                h("span", { class: "chip-count" }, formatNumber(facet.count)),
            ),
        );
    }

    /** @param {Route} target */
    function showChips(target) {
        replace(chips);
        for (const name of FILTER_NAMES) {
            for (const value of target.filters[name]) {
                const text = label(name, value);
                const remove = () =>
                    app.go({ ...target, filters: toggleFilter(target.filters, name, value) });
                const button = h(
                    "button",
                    {
                        class: "chip chip-active",
                        type: "button",
                        "aria-label": `Remove filter ${HEADINGS[name]}: ${text}`,
                        onclick: remove,
                    },
                    h("span", { class: "chip-label", dir: "auto" }, text),
                    icon("close"),
                );
                append(chips, h("li", {}, button));
            }
        }
        if (hasFilters(target.filters)) {
            const clear = () => app.go({ ...target, filters: noFilters() });
            const button = { class: "link-button", type: "button", onclick: clear };
            append(chips, h("li", {}, h("button", button, "Clear filters")));
        }
        chips.hidden = !hasFilters(target.filters);
    }

    /** @param {Route} target */
    async function learnTitles(target) {
        const unknown = target.filters.book_id.filter((id) => !titles.has(id));
        const books = await Promise.allSettled(unknown.map((id) => getBook(Number(id))));
        for (const book of books) {
            if (book.status === "fulfilled") {
                titles.set(String(book.value.id), book.value.title);
            }
        }
        if (unknown.length > 0 && app.current() === target) {
            showChips(target);
        }
    }

    return {
        panel,
        chips,
        toggle,
        /** @param {Route} target */
        showActive(target) {
            showChips(target);
            void learnTitles(target);
        },
        /**
         * @param {Route} target
         * @param {Facets} facets
         */
        showChoices(target, facets) {
            replace(panel);
            for (const { value, label: title } of facets.book_id ?? []) {
                titles.set(String(value), title ?? `Book ${value}`);
            }
            for (const name of FILTER_NAMES) {
                const values = facets[name] ?? [];
                const useful = values.length > 1 || target.filters[name].length > 0;
                if (useful && values.length > 0) {
                    append(
                        panel,
                        h("h2", { class: "facet-heading" }, HEADINGS[name]),
                        h("ul", { class: "facet" }, ...values.map((v) => choice(target, name, v))),
                    );
                }
            }
            const empty = panel.childElementCount === 0;
            panel.hidden = empty;
            toggle.hidden = empty;
            showChips(target);
        },
    };
}
