/** The keys of the whole page. */

import { showDialog } from "../shared/dialog.js";
import { h, isTyping } from "../shared/dom.js";
import { syntaxList } from "./home_view.js";
import { formatRoute, parseRoute, route } from "./route.js";

/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").View} View */

const KEYS = [
    ["/", "go to the search box"],
    ["↑ ↓", "move through the results"],
    ["Enter", "open the result; in the box: search for whole words"],
    ["Esc", "back to the box, back to the results, empty the box"],
    ["← →", "previous and next page of a book"],
    ["n p", "next and previous match in a book"],
    ["?", "this help"],
];

export function showHelp() {
    const keys = KEYS.map(([key, meaning]) =>
        h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)),
    );
    const content = [
        h("h3", {}, "Keys"),
        h("dl", { class: "syntax" }, ...keys),
        h("h3", {}, "What you can type"),
        syntaxList(),
    ];
    return showDialog("Help", content, { dismiss: "Close" });
}

/**
 * @param {HTMLElement} view
 * @param {HTMLInputElement} box
 * @param {1 | -1} direction
 */
function move(view, box, direction) {
    const items = /** @type {HTMLElement[]} */ ([...view.querySelectorAll("[data-item]")]);
    const at = items.findIndex((item) => item === document.activeElement);
    const next = at + direction;
    const target = next < 0 ? box : items[Math.min(next, items.length - 1)];
    target?.focus();
    target?.scrollIntoView({ block: "nearest" });
    return target !== undefined;
}

/**
 * @param {App} app
 * @param {HTMLInputElement} box
 */
function escape(app, box) {
    const here = app.current();
    if (here.view === "read") {
        app.go(parseRoute(new URL(app.backAddress(), location.href).search));
    } else if (document.activeElement !== box) {
        box.focus();
        box.select();
    } else if (box.value !== "") {
        box.value = "";
        app.go({ ...here, q: "" }, { typing: true });
    } else if (formatRoute(here) !== "/") {
        app.go(route());
    }
}

/**
 * @param {App} app
 * @param {HTMLInputElement} box
 * @param {() => View} shownView
 */
export function wireKeyboard(app, box, shownView) {
    document.addEventListener("keydown", (event) => {
        const busy = event.defaultPrevented || event.isComposing;
        if (
            busy ||
            event.ctrlKey ||
            event.metaKey ||
            event.altKey ||
            document.querySelector("dialog[open]")
        ) {
            return;
        }
        const inBox = event.target === box;
        const free = !isTyping(event.target);
        let used = true;
        if (event.key === "/" && (free || (inBox && box.value === ""))) {
            box.focus();
            box.select();
        } else if (event.key === "?" && free) {
            void showHelp();
        } else if (event.key === "Escape" && (free || inBox)) {
            escape(app, box);
        } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (free || inBox)) {
            const onItem = document.activeElement?.matches("[data-item]") ?? false;
            const wanted = inBox ? event.key === "ArrowDown" : onItem;
            used = wanted && move(shownView().element, box, event.key === "ArrowDown" ? 1 : -1);
        } else {
            used = free && (shownView().key?.(event) ?? false);
        }
        if (used) {
            event.preventDefault();
        }
    });
}
