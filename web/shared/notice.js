/**
 * What the page says: spoken to assistive technology (`announce`), or also shown for a few
 * seconds (`notify`).
 */

import { h, must } from "./dom.js";

const ANNOUNCE_DELAY_MS = 600;
const NOTICE_MS = 6000;

let timer = 0;

/**
 * Speaks once the reader pauses, so that typing does not produce a stream of counts.
 *
 * @param {string} text
 */
export function announce(text) {
    clearTimeout(timer);
    timer = setTimeout(() => {
        must("#status", HTMLElement).textContent = text;
    }, ANNOUNCE_DELAY_MS);
}

/**
 * @param {string} text
 * @param {"plain" | "bad"} [tone]
 */
export function notify(text, tone = "plain") {
    const notice = h("p", { class: `notice notice-${tone}` }, text);
    must("#notices", HTMLElement).appendChild(notice);
    setTimeout(() => notice.remove(), NOTICE_MS);
}
