/**
 * The page: one header with the search box, one view below it, chosen by the address. Views
 * keep their content while hidden, so that Back shows the results where the reader left them.
 */

import { must } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { debounce } from "../shared/latest.js";
import { wireThemeButton } from "../shared/theme.js";
import { HomeView } from "./home_view.js";
import { showHelp, wireKeyboard } from "./keyboard.js";
import { LibraryView } from "./library_view.js";
import { ReaderView } from "./reader_view.js";
import { formatRoute, hasFilters, noFilters, parseRoute, route } from "./route.js";
import { SearchView } from "./search_view.js";
import { createPicker, createUploadPanel, wireDrop } from "./upload_panel.js";
import { Uploads } from "./uploads.js";

/** @typedef {import("./view.js").App} App */
/** @typedef {import("./view.js").Going} Going */
/** @typedef {import("./view.js").Route} Route */
/** @typedef {import("./view.js").View} View */

const TYPING_DELAY_MS = 60;
const SCROLL_SAVE_MS = 120;

const box = must("#q", HTMLInputElement);
const main = must("#main", HTMLElement);
const uploads = new Uploads();
let current = parseRoute(location.search);

/** @type {App} */
const app = {
    go,
    current: () => current,
    backAddress,
    library: new EventTarget(),
    chooseFiles: createPicker(uploads),
};

const views = {
    home: new HomeView(app),
    search: new SearchView(app),
    library: new LibraryView(app),
    read: new ReaderView(app),
};
/** @type {View} */
let shown = views.home;
/** The results a page was opened from, to come back to. */
let results = { address: "", q: "", scroll: 0 };

/** @param {Route} target */
function viewOf(target) {
    if (target.view === "library" || target.view === "read") {
        return views[target.view];
    }
    return target.q.trim() === "" && !hasFilters(target.filters) ? views.home : views.search;
}

/**
 * @param {Route} target
 * @param {Going} going
 */
function render(target, going) {
    current = target;
    if (!going.typing) {
        box.value = target.q;
    }
    document.title = target.q ? `${target.q} · TomeHub` : "TomeHub";
    shown = viewOf(target);
    for (const view of Object.values(views)) {
        view.element.hidden = view !== shown;
    }
    shown.show(target, going);
    for (const link of document.querySelectorAll("header.bar a[href]")) {
        if (link.getAttribute("href") === formatRoute(target)) {
            link.setAttribute("aria-current", "page");
        } else {
            link.removeAttribute("aria-current");
        }
    }
}

/**
 * @param {Route} target
 * @param {Going} [going]
 */
function go(target, going = {}) {
    const address = formatRoute(target);
    const state = { typing: going.typing ?? false, scroll: 0 };
    const overwrite = going.replace || (going.typing && history.state?.typing);
    if (viewOf(current) === views.search && target.view === "read") {
        results = { address: formatRoute(current), q: current.q, scroll: scrollY };
    }
    if (overwrite || address === formatRoute(current)) {
        history.replaceState(state, "", address);
    } else {
        history.replaceState({ typing: false, scroll: scrollY }, "");
        history.pushState(state, "", address);
    }
    render(target, going);
    if (!overwrite) {
        scrollTo(0, address === results.address ? results.scroll : 0);
    }
}

/** Where "back" leads from a page of a book. */
function backAddress() {
    if (current.q === "") {
        return formatRoute(route({ view: "library" }));
    }
    return results.q === current.q ? results.address : formatRoute(route({ q: current.q }));
}

const typed = debounce(() => {
    const searching = current.view === "passages" || current.view === "books";
    const filters = searching ? current.filters : noFilters();
    const view = searching ? current.view : "passages";
    const sort = searching ? current.sort : "";
    const target = route({ view, q: box.value, filters, sort });
    if (formatRoute(target) !== formatRoute(current)) {
        go(target, { typing: true });
    }
}, TYPING_DELAY_MS);

function wireSearchBox() {
    const clear = must("#clear", HTMLButtonElement);
    clear.append(icon("close"));
    clear.addEventListener("click", () => {
        box.value = "";
        box.focus();
        typed.start();
        typed.flush();
    });
    box.addEventListener("input", () => typed.start());
    must("#search", HTMLFormElement).addEventListener("submit", (event) => {
        event.preventDefault();
        typed.flush();
        if (viewOf(current) === views.search) {
            go(current, { replace: true, settle: true });
        }
    });
}

/** Plain links within the page change the view; any other link is the browser's. */
function wireLinks() {
    document.addEventListener("click", (event) => {
        const link = event.target instanceof Element && event.target.closest("a");
        const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
        if (!link || !plain || event.defaultPrevented) {
            return;
        }
        const url = new URL(link.href);
        if (url.origin === location.origin && url.pathname === "/" && url.hash === "") {
            event.preventDefault();
            typed.cancel();
            go(parseRoute(url.search));
        }
    });
}

function wireHistory() {
    history.scrollRestoration = "manual";
    const saveScroll = debounce(() => {
        history.replaceState({ ...history.state, scroll: scrollY }, "");
    }, SCROLL_SAVE_MS);
    addEventListener("scroll", () => saveScroll.start(), { passive: true });
    addEventListener("popstate", (event) => {
        saveScroll.cancel();
        typed.cancel();
        render(parseRoute(location.search), {});
        scrollTo(0, event.state?.scroll ?? 0);
    });
}

function wireUploads() {
    document.body.appendChild(createUploadPanel(uploads));
    wireDrop(uploads);
    uploads.addEventListener("added", () => app.library.dispatchEvent(new Event("change")));
    addEventListener("beforeunload", (event) => {
        if (uploads.sending) {
            event.preventDefault();
        }
    });
    uploads.resume().catch(() => {
        // The view itself says that the server does not answer.
    });
}

function wireButtons() {
    const add = must("#add", HTMLButtonElement);
    add.prepend(icon("add"));
    add.addEventListener("click", app.chooseFiles);
    must("#library", HTMLAnchorElement).prepend(icon("list"));
    wireThemeButton(must("#theme", HTMLButtonElement));
    must("#help", HTMLButtonElement).addEventListener("click", () => void showHelp());
}

main.append(...Object.values(views).map((view) => view.element));
wireSearchBox();
wireLinks();
wireHistory();
wireButtons();
wireUploads();
wireKeyboard(app, box, () => shown);
render(current, {});
if (viewOf(current) === views.home) {
    box.focus();
}
