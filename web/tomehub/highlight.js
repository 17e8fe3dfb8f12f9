/**
 * Marking words in text. Excerpts come with the ranges the server found; a whole page does
 * not, so its words are found here: those of the query, and the other forms of them ("bands"
 * for "band") that the server highlighted in this book's excerpts.
 */

import { append, h } from "../shared/dom.js";

/** @typedef {[number, number]} Range */

const WORD = /[\p{L}\p{N}\p{M}]+(?:['’][\p{L}\p{N}\p{M}]+)*/gu;
const TOKEN = /(-?)(?:(title|author|tag|type|book):)?(?:"([^"]*)"?|(\S+))/giu;
const SHARED_STEM = 3;

/**
 * A word as it is compared: without case and diacritics, Turkish dotless ı as i.
 *
 * @param {string} word
 */
export function fold(word) {
    return word
        .normalize("NFD")
        .replace(/\p{M}/gu, "")
        .toLowerCase()
        .replaceAll("ı", "i")
        .replaceAll("’", "'")
        .replace(/'s$/, "");
}

/**
 * Ranges in code points as ranges in UTF-16 units; what lies outside `text` is cut off.
 *
 * @param {string} text
 * @param {Range[]} ranges
 * @returns {Range[]}
 */
export function toUnits(text, ranges) {
    const wanted = ranges.flat().sort((a, b) => a - b);
    /** @type {Map<number, number>} */
    const units = new Map();
    let next = 0;
    let point = 0;
    let unit = 0;
    for (const character of text) {
        while (next < wanted.length && /** @type {number} */ (wanted[next]) <= point) {
            units.set(/** @type {number} */ (wanted[next++]), unit);
        }
        point++;
        unit += character.length;
    }
    return ranges.map(([start, end]) => [units.get(start) ?? unit, units.get(end) ?? unit]);
}

/**
 * Ranges in order, without overlaps; neighbours with only space between them become one.
 *
 * @param {string} text
 * @param {Range[]} ranges
 * @returns {Range[]}
 */
function joined(text, ranges) {
    /** @type {Range[]} */
    const result = [];
    for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
        const last = result.at(-1);
        if (last && (start <= last[1] || text.slice(last[1], start).trim() === "")) {
            last[1] = Math.max(last[1], end);
        } else if (end > start) {
            result.push([start, end]);
        }
    }
    return result;
}

/**
 * `text` with the ranges (UTF-16 units) in <mark> elements.
 *
 * @param {string} text
 * @param {Range[]} ranges
 */
export function marked(text, ranges) {
    const fragment = document.createDocumentFragment();
    let done = 0;
    for (const [start, end] of joined(text, ranges)) {
        append(fragment, text.slice(done, start) || null, h("mark", {}, text.slice(start, end)));
        done = end;
    }
    append(fragment, text.slice(done) || null);
    return fragment;
}

/** @typedef {{text: string, prefix: boolean}} Term */

/**
 * The words and phrases of a query that a page may show: no operators, no excluded words, no
 * fields.
 *
 * @param {string} query
 * @returns {Term[][]} a phrase has several terms
 */
export function queryTerms(query) {
    /** @type {Term[][]} */
    const phrases = [];
    for (const [, minus, field, quoted, bare] of query.matchAll(TOKEN)) {
        if (minus || field || bare === "OR") {
            continue;
        }
        const prefix = bare?.endsWith("*") ?? false;
        const words = (quoted ?? bare ?? "").match(WORD) ?? [];
        if (words.length > 0) {
            phrases.push(words.map((word) => ({ text: fold(word), prefix })));
        }
    }
    return phrases;
}

/**
 * @param {Term} term
 * @param {string} word folded
 * @param {Set<string>} forms folded words the server highlighted
 */
function matches(term, word, forms) {
    if (word === term.text || (term.prefix && word.startsWith(term.text))) {
        return true;
    }
    const stem = term.text.slice(0, SHARED_STEM);
    return forms.has(word) && word.startsWith(stem);
}

/**
 * Where the terms stand in `text`.
 *
 * @param {string} text
 * @param {Term[][]} phrases
 * @param {Set<string>} forms
 * @returns {Range[]} in UTF-16 units, in order
 */
export function findTerms(text, phrases, forms) {
    const words = [...text.matchAll(WORD)].map((match) => ({
        text: fold(match[0]),
        start: match.index ?? 0,
        end: (match.index ?? 0) + match[0].length,
    }));
    /** @type {Range[]} */
    const found = [];
    words.forEach((word, at) => {
        for (const phrase of phrases) {
            const last = words[at + phrase.length - 1];
            const holds = phrase.every((term, i) => {
                const candidate = words[at + i];
                return candidate !== undefined && matches(term, candidate.text, forms);
            });
            if (holds && last) {
                found.push([word.start, last.end]);
            }
        }
    });
    return found;
}

/**
 * The words that excerpts highlight.
 *
 * @param {{snippet: string, highlights: Range[]}[]} excerpts
 * @returns {Set<string>} folded
 */
export function highlightedForms(excerpts) {
    /** @type {Set<string>} */
    const forms = new Set();
    for (const { snippet, highlights } of excerpts) {
        for (const [start, end] of toUnits(snippet, highlights)) {
            for (const word of snippet.slice(start, end).match(WORD) ?? []) {
                forms.add(fold(word));
            }
        }
    }
    return forms;
}
