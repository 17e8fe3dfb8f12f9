/**
 * The answer above the results: asked when a finished query reads like a question, told as it
 * comes, each sentence with links to the pages it rests on.
 */

import { append, h, replace } from "../shared/dom.js";
import { ApiError, describe } from "../shared/http.js";
import { streamAnswer } from "./api.js";
import { pageName } from "./passage.js";
import { formatRoute, route } from "./route.js";

/** @typedef {import("./api.js").AnswerLine} AnswerLine */
/** @typedef {import("./api.js").Citation} Citation */
/** @typedef {import("./view.js").Route} Route */

const QUESTION_WORDS = 4;
const OPERATORS = /["“”*]|\bOR\b|(^|\s)-\S|\b(title|author|tag|type|book):/u;
const CITATION = /\s*\[(\d+)\]/gu;

/**
 * Whether a query is a question rather than words to look for.
 *
 * @param {string} q
 */
export function isQuestion(q) {
    const text = q.trim();
    if (OPERATORS.test(text)) {
        return false;
    }
    const words = text.split(/\s+/u).length;
    return words >= QUESTION_WORDS || (words > 1 && text.endsWith("?"));
}

/**
 * @param {Citation} citation
 * @param {string} q
 */
function placeOf(citation, q) {
    const { book_id, page_number } = citation;
    return formatRoute(route({ view: "read", q, book: book_id, page: page_number }));
}

/** @param {Citation} citation */
function sourceName(citation) {
    return [citation.title, citation.chapter, pageName(citation)].filter(Boolean).join(", ");
}

export class AnswerPanel {
    #text = h("p", { class: "answer-text", dir: "auto", "aria-live": "polite" });
    #sources = h("ol", { class: "answer-sources", "aria-label": "Sources" });
    #note = h("p", { class: "answer-note quiet", role: "status" });
    #stop = h("button", { class: "button", type: "button" }, "Stop");
    /** @type {AbortController | null} */
    #asking = null;
    #told = "";
    #asked = "";

    constructor() {
        this.element = h(
            "section",
            { class: "answer", "aria-label": "Answer", hidden: true },
            h("div", { class: "answer-head" }, h("h2", {}, "Answer"), this.#stop),
            this.#text,
            this.#sources,
            this.#note,
        );
        this.#stop.addEventListener("click", () => this.#end("Stopped."));
    }

    /**
     * Asks what the reader has finished typing; what is still being typed takes the answer away.
     *
     * @param {Route} target
     * @param {boolean} isTyping
     */
    show(target, isTyping) {
        const asked = JSON.stringify([target.q.trim(), target.filters]);
        if (asked === this.#asked) {
            return;
        }
        this.hide();
        if (!isTyping && isQuestion(target.q)) {
            this.#asked = asked;
            void this.#ask(target);
        }
    }

    hide() {
        this.#asking?.abort();
        this.#asking = null;
        this.#asked = "";
        this.element.hidden = true;
    }

    /** @param {Route} target */
    async #ask(target) {
        const asking = new AbortController();
        this.#asking = asking;
        this.#forget();
        replace(this.#note, "Reading…");
        this.#stop.hidden = false;
        this.#text.setAttribute("aria-busy", "true");
        this.element.hidden = false;
        try {
            await streamAnswer(
                target,
                (line) => {
                    if (this.#asking === asking) {
                        this.#take(line, target.q);
                    }
                },
                asking.signal,
            );
            if (this.#asking === asking) {
                this.#end("The answer broke off.");
            }
        } catch (error) {
            if (this.#asking === asking) {
                this.#asked = "";
                this.#end(describe(error));
            }
        }
    }

    /**
     * @param {AnswerLine} line
     * @param {string} q
     */
    #take(line, q) {
        if (line.status === "answer") {
            this.#told += line.text;
            replace(this.#note);
            this.#showText([], q);
        } else if (line.status === "restart") {
            this.#forget();
            replace(this.#note, "Checking again…");
        } else if (line.status === "complete") {
            this.#told = line.answer;
            this.#showText(line.citations, q);
            this.#showSources(line.citations, q);
            const degraded = "The answer service failed. These are the library’s own sentences.";
            this.#end(line.degraded ? degraded : "");
        } else if (line.status === "error") {
            throw new ApiError(500, line.detail);
        }
    }

    /**
     * The text, its [n] as links where the sources are known.
     *
     * @param {Citation[]} citations
     * @param {string} q
     */
    #showText(citations, q) {
        replace(this.#text);
        let at = 0;
        for (const match of this.#told.matchAll(CITATION)) {
            const number = Number(match[1]);
            append(this.#text, this.#told.slice(at, match.index));
            append(this.#text, this.#mark(number, citations[number - 1], q));
            at = (match.index ?? 0) + match[0].length;
        }
        append(this.#text, this.#told.slice(at));
    }

    /**
     * @param {number} number
     * @param {Citation | undefined} citation
     * @param {string} q
     */
    #mark(number, citation, q) {
        if (!citation) {
            return h("sup", { class: "cite" }, number);
        }
        const name = sourceName(citation);
        const attributes = {
            class: "cite",
            href: placeOf(citation, q),
            title: name,
            "aria-label": `Source ${number}: ${name}`,
        };
        return h("sup", {}, h("a", attributes, number));
    }

    /**
     * @param {Citation[]} citations
     * @param {string} q
     */
    #showSources(citations, q) {
        const items = citations.map((citation) =>
            h(
                "li",
                {},
                h("a", { href: placeOf(citation, q), dir: "auto" }, sourceName(citation)),
                h("span", { class: "answer-quote", dir: "auto" }, citation.quote),
            ),
        );
        replace(this.#sources, ...items);
    }

    #forget() {
        this.#told = "";
        replace(this.#text);
        replace(this.#sources);
    }

    /** @param {string} note */
    #end(note) {
        this.#asking?.abort();
        this.#asking = null;
        this.#stop.hidden = true;
        this.#text.removeAttribute("aria-busy");
        replace(this.#note, note);
    }
}
