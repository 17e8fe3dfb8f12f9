/** Terms that stand with what was searched, offered as the next search. */

import { h, replace } from "../shared/dom.js";
import { Latest } from "../shared/latest.js";
import { findConcepts, getConcept } from "./api.js";
import { formatRoute, route } from "./route.js";

const TERMS = 6;

export class RelatedTerms {
    #latest = new Latest();
    #asked = "";
    element = h("nav", { class: "chips related", "aria-label": "Related terms", hidden: true });

    /**
     * Nobody waits for them, so what fails is not told.
     *
     * @param {string} q
     */
    async show(q) {
        if (q === this.#asked) {
            return;
        }
        this.#asked = q;
        this.element.hidden = true;
        try {
            const terms = await this.#latest.run((signal) => related(q, signal));
            if (terms && terms.length > 0) {
                const label = h("span", { class: "quiet" }, "Related:");
                replace(this.element, label, ...terms.map((term) => chip(term.label)));
                this.element.hidden = false;
            }
        } catch {
            this.#asked = "";
        }
    }
}

/** @param {string} label */
function chip(label) {
    const href = formatRoute(route({ q: label.includes(" ") ? `"${label}"` : label }));
    return h("a", { class: "chip", href }, h("span", { class: "chip-label", dir: "auto" }, label));
}

/**
 * @param {string} q
 * @param {AbortSignal} signal
 */
async function related(q, signal) {
    const words = q.replace(/["“”?*]/gu, " ").trim();
    if (words.length < 3 || words.length > 60) {
        return [];
    }
    const { concepts } = await findConcepts(words, 1, signal);
    const first = concepts[0];
    return first ? (await getConcept(first.id, TERMS, signal)).related : [];
}
