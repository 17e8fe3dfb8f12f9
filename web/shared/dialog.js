/** Modal questions on the browser's own <dialog>: focus trap, Escape and backdrop included. */

import { append, h } from "./dom.js";

/**
 * Shows a dialog and waits for it to close.
 *
 * @param {string} title
 * @param {Node[]} content
 * @param {{accept?: string, danger?: boolean, dismiss?: string}} [options] labels of the buttons:
 *     `accept` says yes (none: there is nothing to decide)
 * @returns {Promise<boolean>} whether the reader accepted
 */
export function showDialog(title, content, { accept, danger = false, dismiss = "Cancel" } = {}) {
    const close = () => dialog.close("no");
    const kind = danger ? "button button-danger" : "button button-strong";
    const actions = h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", onclick: close }, dismiss),
        accept ? h("button", { class: kind, value: "yes" }, accept) : null,
    );
    const titleFirst = accept ? {} : { tabindex: -1, autofocus: true };
    const heading = h("h2", { id: "dialog-title", ...titleFirst }, title);
    const form = h("form", { method: "dialog", class: "dialog-body" }, heading);
    append(form, ...content, actions);
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
    document.body.appendChild(dialog);
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(dialog.returnValue === "yes");
        });
        dialog.addEventListener("click", (event) => {
            if (event.target === dialog) {
                close();
            }
        });
        dialog.showModal();
    });
}
