/** Narrowing a search: the values the matches hold, as chips to switch on and off. */

import { append, h, replace } from "../shared/dom.js";
import { formatNumber } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { getBook } from "./api.js";
import { TYPE_NAMES } from "./passage.js";
import { FILTER_NAMES, hasFilters, noFilters, toggleFilter } from "./route.js";

/** @typedef {import("./api.js").FacetValue} FacetValue */
/** @typedef {import("./api.js").FilterName} FilterName */
/** @typedef {import("./api.js").SourceType} SourceType */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").Route} Route */

/** @type {Record<FilterName, string>} */
const HEADINGS = { book_id: "Book", author: "Author", source_type: "Type", tags: "Tag" };

export class Facets {
    #app;
    /**
     * Titles met so far: the address of a filtered search holds only the id.
     *
     * @type {Map<string, string>}
     */
    #titles = new Map();
    panel = h("aside", { class: "facets", id: "facets", "aria-label": "Filters" });
    chips = h("ul", { class: "chips", "aria-label": "Active filters" });
    toggle = h(
        "button",
        {
            class: "button facets-toggle",
            type: "button",
            "aria-controls": "facets",
            "aria-expanded": "false",
        },
        icon("filter"),
        "Filters",
    );

    /** @param {App} app */
    constructor(app) {
        this.#app = app;
        this.toggle.addEventListener("click", () => {
            const open = this.panel.classList.toggle("open");
            this.toggle.setAttribute("aria-expanded", String(open));
        });
    }

    /**
     * Shows which filters are on.
     *
     * @param {Route} target
     */
    showActive(target) {
        this.#showChips(target);
        void this.#learnTitles(target);
    }

    /**
     * Shows what the matches can be narrowed to: values that not all of them have.
     *
     * @param {Route} target
     * @param {import("./api.js").Found} found
     */
    showChoices(target, { facets = {}, total_count: total }) {
        for (const { value, label } of facets.book_id ?? []) {
            this.#titles.set(String(value), label ?? `Book ${value}`);
        }
        replace(this.panel);
        for (const name of FILTER_NAMES) {
            const active = target.filters[name];
            const values = (facets[name] ?? []).filter(
                ({ value, count }) => count < total || active.includes(String(value)),
            );
            if (values.length > 0) {
                const choices = values.map((value) => this.#choice(target, name, value));
                append(
                    this.panel,
                    h("h2", { class: "facet-heading" }, HEADINGS[name]),
                    h("ul", { class: "facet" }, ...choices),
                );
            }
        }
        const isEmpty = this.panel.childElementCount === 0;
        this.panel.hidden = isEmpty;
        this.toggle.hidden = isEmpty;
        this.#showChips(target);
    }

    hideChoices() {
        this.panel.hidden = true;
        this.toggle.hidden = true;
    }

    /**
     * @param {FilterName} name
     * @param {string} value
     */
    #label(name, value) {
        if (name === "source_type") {
            return TYPE_NAMES[/** @type {SourceType} */ (value)] ?? value;
        }
        return name === "book_id" ? (this.#titles.get(value) ?? `Book ${value}`) : value;
    }

    /**
     * @param {Route} target
     * @param {FilterName} name
     * @param {string} value
     */
    #flip(target, name, value) {
        this.#app.go({ ...target, filters: toggleFilter(target.filters, name, value) });
    }

    /**
     * @param {Route} target
     * @param {FilterName} name
     * @param {FacetValue} facet
     */
    #choice(target, name, facet) {
        const value = String(facet.value);
        const button = {
            class: "chip",
            type: "button",
            "aria-pressed": String(target.filters[name].includes(value)),
            onclick: () => this.#flip(target, name, value),
        };
        const label = h("span", { class: "chip-label", dir: "auto" }, this.#label(name, value));
        const count = h("span", { class: "chip-count" }, formatNumber(facet.count));
        return h("li", {}, h("button", button, label, count));
    }

    /** @param {Route} target */
    #showChips(target) {
        replace(this.chips);
        for (const name of FILTER_NAMES) {
            for (const value of target.filters[name]) {
                append(this.chips, this.#activeChip(target, name, value));
            }
        }
        const clear = () => this.#app.go({ ...target, filters: noFilters() });
        const button = { class: "link-button", type: "button", onclick: clear };
        append(this.chips, h("li", {}, h("button", button, "Clear filters")));
        this.chips.hidden = !hasFilters(target.filters);
    }

    /**
     * @param {Route} target
     * @param {FilterName} name
     * @param {string} value
     */
    #activeChip(target, name, value) {
        const text = this.#label(name, value);
        const button = {
            class: "chip chip-active",
            type: "button",
            "aria-label": `Remove filter ${HEADINGS[name]}: ${text}`,
            onclick: () => this.#flip(target, name, value),
        };
        const label = h("span", { class: "chip-label", dir: "auto" }, text);
        return h("li", {}, h("button", button, label, icon("close")));
    }

    /** @param {Route} target */
    async #learnTitles(target) {
        const unknown = target.filters.book_id.filter((id) => !this.#titles.has(id));
        const books = await Promise.allSettled(unknown.map((id) => getBook(Number(id))));
        for (const book of books) {
            if (book.status === "fulfilled") {
                this.#titles.set(String(book.value.id), book.value.title);
            }
        }
        if (unknown.length > 0 && this.#app.current() === target) {
            this.#showChips(target);
        }
    }
}
