/**
 * The reader's API key, for servers that ask for one: kept as long as the tab is open, sent with
 * every request, never part of an address.
 */

import { showDialog } from "./dialog.js";
import { h } from "./dom.js";

const NAME = "tomehub.key";

let key = sessionStorage.getItem(NAME) ?? "";
/** The dialog being shown. @type {Promise<boolean> | null} */
let asking = null;

/** The key that requests are sent with; "": none. */
export function currentKey() {
    return key;
}

/**
 * The header fields that say who asks.
 *
 * @returns {Record<string, string>}
 */
export function credentials() {
    return key === "" ? {} : { Authorization: `Bearer ${key}` };
}

/**
 * For a request that was answered 401.
 *
 * @param {string} used the key it was sent with
 * @returns {Promise<boolean>} whether there is another key to try
 */
export function signIn(used) {
    if (key !== used) {
        return Promise.resolve(true);
    }
    asking ??= ask().finally(() => {
        asking = null;
    });
    return asking;
}

async function ask() {
    const field = h("input", {
        class: "field",
        type: "password",
        name: "key",
        autocomplete: "off",
        spellcheck: "false",
        required: true,
    });
    const reason =
        key === ""
            ? "This library is open to those who have a key."
            : "The server does not take this key any more.";
    const label = h("label", {}, "API key", field);
    const content = [h("p", {}, reason), label];
    const accepted = await showDialog("Sign in", content, { accept: "Sign in" });
    const given = field.value.trim();
    if (!accepted || given === "") {
        return false;
    }
    key = given;
    sessionStorage.setItem(NAME, key);
    return true;
}
