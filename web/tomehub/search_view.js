/** The results of a search, as passages or by book, and what narrows and sorts them. */

import { append, h, replace } from "../shared/dom.js";
import { formatDuration, plural } from "../shared/format.js";
import { describe } from "../shared/http.js";
import { Latest } from "../shared/latest.js";
import { announce } from "../shared/notice.js";
import { AnswerPanel } from "./answer_panel.js";
import { Facets } from "./facets.js";
import { RelatedTerms } from "./related.js";
import { formatRoute, hasFilters, noFilters } from "./route.js";
import { ask, search } from "./search_query.js";

/** @typedef {import("./search_query.js").Results} Results */
/** @typedef {import("./search_query.js").Place} Place */
/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./view.js").Route} Route */
/** @typedef {import("./view.js").Going} Going */

/** @param {Results["found"]} found */
function countText(found) {
    const passages = plural(found.total_count, "passage");
    return "books" in found ? `${plural(found.total_books, "book")}, ${passages}` : passages;
}

/**
 * Passages or books: two links, one of them where the reader is.
 *
 * @param {Route} target
 */
function modeLinks(target) {
    const choices = /** @type {const} */ ([
        ["passages", "Passages"],
        ["books", "Books"],
    ]);
    return choices.map(([view, label]) => {
        const here = target.view === view && "page";
        return h("a", { href: formatRoute({ ...target, view }), "aria-current": here }, label);
    });
}

/** @implements {View} */
export class SearchView {
    #app;
    #facets;
    #latest = new Latest();
    #answer = new AnswerPanel();
    #related = new RelatedTerms();
    #count = h("p", { class: "count", id: "count" });
    #modes = h("nav", { class: "segments", "aria-label": "Show results as" });
    #sort = h(
        "select",
        { class: "select", "aria-label": "Sort by" },
        h("option", { value: "" }, "Best first"),
        h("option", { value: "page" }, "Page order"),
        h("option", { value: "newest" }, "Newest first"),
        h("option", { value: "title" }, "By title"),
    );
    #notes = h("div", { class: "notes" });
    #list = h("ol", { class: "results", "aria-label": "Results" });
    #more = h("button", { class: "button more", type: "button" }, "Show more");
    /** The address whose results stand here; "" for none. */
    #shown = "";
    /** @type {(() => Promise<void>) | null} */
    #fetchMore = null;

    /** @param {App} app */
    constructor(app) {
        this.#app = app;
        this.#facets = new Facets(app);
        const { panel, chips, toggle } = this.#facets;
        this.element = h(
            "section",
            { class: "search-view", "aria-label": "Search results" },
            h("h1", { class: "sr-only" }, "Search results"),
            h("div", { class: "toolbar" }, this.#modes, this.#count, this.#sort, toggle),
            chips,
            h(
                "div",
                { class: "columns" },
                panel,
                h(
                    "div",
                    {},
                    this.#answer.element,
                    this.#related.element,
                    this.#notes,
                    this.#list,
                    this.#more,
                ),
            ),
        );
        this.#sort.addEventListener("change", () =>
            app.go({ ...app.current(), sort: this.#sort.value }),
        );
        this.#more.addEventListener("click", () => void this.#fetchMore?.());
        app.library.addEventListener("change", () => (this.#shown = ""));
    }

    /**
     * @param {Route} target
     * @param {Going} going
     */
    show(target, going) {
        replace(this.#modes, ...modeLinks(target));
        this.#sort.value = target.sort;
        this.#sort.hidden = target.view === "books";
        this.#facets.showActive(target);
        this.#answer.show(target, going.typing ?? false);
        const address = formatRoute(target);
        if (address === this.#shown && !going.settle) {
            return;
        }
        this.#shown = address;
        if (target.q.trim() === "") {
            this.#latest.cancel();
            this.#clear();
            const hint = "Type to search within these filters.";
            replace(this.#notes, h("p", { class: "note" }, hint));
            return;
        }
        void this.#search(target, going.typing ?? false);
    }

    /**
     * @param {Route} target
     * @param {boolean} isTyping
     */
    async #search(target, isTyping) {
        this.element.setAttribute("aria-busy", "true");
        if (!isTyping) {
            void this.#related.show(target.q); // asked beside the search, not after it
        }
        try {
            const results = await this.#latest.run((signal) => search(target, isTyping, signal));
            if (results) {
                this.element.removeAttribute("aria-busy");
                this.#showResults(target, results);
            }
        } catch (error) {
            this.element.removeAttribute("aria-busy");
            this.#clear();
            this.#shown = "";
            this.#showFailure(error, () => void this.#search(target, isTyping));
        }
    }

    /**
     * @param {Route} target
     * @param {Results} results
     */
    #showResults(target, { found, items, instant, next }) {
        const time = ` in ${formatDuration(found.execution_time_ms)}`;
        const text = found.total_count > 0 ? countText(found) : "No passage";
        replace(this.#count, h("strong", {}, text), h("span", { class: "quiet" }, time));
        announce(found.total_count > 0 ? `${text} found` : "Nothing found");
        replace(this.#list, ...items);
        this.#showNotes(target, found);
        void this.#related.show(target.q);
        this.#facets.showChoices(target, found);
        this.#follow(target, instant, next);
    }

    /**
     * @param {Route} target
     * @param {Results["found"]} found
     */
    #showNotes(target, found) {
        replace(this.#notes);
        if (found.degraded) {
            const minutes = Math.ceil((found.age_seconds ?? 0) / 60);
            const age = minutes > 1 ? `${minutes} minutes ago` : "a moment ago";
            const text = `The library cannot be reached. This was found ${age}.`;
            append(this.#notes, h("p", { class: "note" }, text));
        }
        const meant = found.did_you_mean;
        if (meant) {
            const link = h("a", { href: formatRoute({ ...target, q: meant }), dir: "auto" }, meant);
            append(this.#notes, h("p", { class: "note" }, "Did you mean ", link, "?"));
        }
        if (found.total_count === 0) {
            append(this.#notes, this.#nothingFound(target));
        } else if (found.match === "some") {
            const text = "No passage has all of these words. These are the best partial matches.";
            append(this.#notes, h("p", { class: "note note-partial" }, text));
        }
    }

    /** @param {Route} target */
    #nothingFound(target) {
        const query = h("q", { dir: "auto" }, target.q);
        const heading = h("h2", {}, "Nothing found");
        if (!hasFilters(target.filters)) {
            const advice = ". Try fewer words, or another spelling.";
            const text = h("p", {}, "No passage matches ", query, advice);
            return h("div", { class: "empty" }, heading, text);
        }
        const widen = () => this.#app.go({ ...target, filters: noFilters() });
        const button = { class: "button", type: "button", onclick: widen };
        return h(
            "div",
            { class: "empty" },
            heading,
            h("p", {}, "No passage matches ", query, " within these filters."),
            h("button", button, "Search the whole library"),
        );
    }

    /**
     * Prepares what "Show more" fetches.
     *
     * @param {Route} target
     * @param {boolean} instant
     * @param {Place | null} next
     */
    #follow(target, instant, next) {
        this.#more.hidden = next === null;
        this.#fetchMore = next && (() => this.#append(target, instant, next));
    }

    /**
     * @param {Route} target
     * @param {boolean} instant
     * @param {Place} next
     */
    async #append(target, instant, next) {
        this.#more.disabled = true;
        try {
            const added = await this.#latest.run((signal) => ask(target, instant, next, signal));
            if (added) {
                append(this.#list, ...added.items);
                added.items[0]?.querySelector("a")?.focus();
                this.#follow(target, instant, added.next);
            }
        } catch (error) {
            this.#showFailure(error, () => void this.#append(target, instant, next));
        } finally {
            this.#more.disabled = false;
        }
    }

    /**
     * @param {unknown} error
     * @param {() => void} retry
     */
    #showFailure(error, retry) {
        const again = () => {
            replace(this.#notes);
            retry();
        };
        const button = { class: "button", type: "button", onclick: again };
        replace(
            this.#notes,
            h(
                "div",
                { class: "note note-bad", role: "alert" },
                h("p", {}, describe(error)),
                h("button", button, "Try again"),
            ),
        );
    }

    #clear() {
        replace(this.#list);
        replace(this.#count);
        this.#more.hidden = true;
        this.#fetchMore = null;
        this.#facets.hideChoices();
    }
}
