/**
 * Light and dark. Without a choice the page follows the system; a choice is remembered until
 * the reader chooses what the system says anyway.
 */

import { replace } from "./dom.js";
import { icon } from "./icons.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light" | "dark"} */
export function currentTheme() {
    const chosen = document.documentElement.dataset["theme"];
    if (chosen === "light" || chosen === "dark") {
        return chosen;
    }
    return dark.matches ? "dark" : "light";
}

/** @param {"light" | "dark"} theme */
function choose(theme) {
    const followsSystem = theme === (dark.matches ? "dark" : "light");
    if (followsSystem) {
        delete document.documentElement.dataset["theme"];
    } else {
        document.documentElement.dataset["theme"] = theme;
    }
    try {
        if (followsSystem) {
            localStorage.removeItem("theme");
        } else {
            localStorage.setItem("theme", theme);
        }
    } catch {
        // Storage is refused: the choice holds for this page only.
    }
}

/** @param {HTMLButtonElement} button */
export function wireThemeButton(button) {
    const show = () => {
        const next = currentTheme() === "dark" ? "light" : "dark";
        const label = `Switch to ${next} theme`;
        button.setAttribute("aria-label", label);
        button.title = label;
        replace(button, icon(next === "dark" ? "moon" : "sun"));
    };
    button.addEventListener("click", () => {
        choose(currentTheme() === "dark" ? "light" : "dark");
        show();
    });
    dark.addEventListener("change", show);
    show();
}
