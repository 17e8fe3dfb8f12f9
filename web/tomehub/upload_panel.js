/** The uploads as the reader sees them, and the ways in: drop anywhere, or the file picker. */

import { h, replace } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { announce } from "../shared/notice.js";
import { formatRoute, route } from "./route.js";

/** @typedef {import("./uploads.js").Uploads} Uploads */
/** @typedef {import("./uploads.js").Upload} Upload */

const ACCEPT = ".epub,.pdf,.html,.htm,.xhtml,.md,.markdown,.txt,.text";

/** @param {Upload} upload */
function stateText(upload) {
    const { state, job } = upload;
    if (state === "waiting") {
        return "Waiting";
    }
    if (state === "sending") {
        return upload.sent < 1 ? `Sending ${Math.floor(upload.sent * 100)}%` : "Sent";
    }
    if (state === "done") {
        return job?.pages ? `${plural(job.pages, "page")}, ready to search` : "Ready to search";
    }
    if (state === "exists") {
        return "Already in the library";
    }
    if (state === "failed") {
        return upload.error;
    }
    const pages = job?.pages ? `, ${plural(job.pages, "page")}` : "";
    if (!job || job.stage === "queued") {
        return "In the queue";
    }
    return job.stage === "extract" ? `Reading${pages}` : `Indexing${pages}`;
}

/** @param {Upload} upload */
function progress(upload) {
    const label = `Progress of ${upload.name}`;
    if (upload.state === "sending") {
        return h("progress", { max: 1, value: upload.sent, "aria-label": label });
    }
    if (upload.state === "working") {
        const percent = upload.job?.percent;
        return percent
            ? h("progress", { max: 100, value: percent, "aria-label": label })
            : h("progress", { "aria-label": label });
    }
    return null;
}

/**
 * @param {Upload} upload
 * @param {Uploads} uploads
 */
function item(upload, uploads) {
    const { state } = upload;
    const open = formatRoute(route({ view: "read", book: upload.bookId ?? 0, page: 1 }));
    const dismiss = state === "working" ? "Hide" : state === "sending" ? "Stop" : "Dismiss";
    const shape =
        state === "failed" ? "warn" : state === "done" || state === "exists" ? "check" : "book";
    return h(
        "li",
        { class: `upload upload-${state}` },
        icon(shape),
        h(
            "div",
            { class: "upload-body" },
            h("p", { class: "upload-name", dir: "auto", title: upload.name }, upload.name),
            h("p", { class: "upload-state" }, stateText(upload)),
            progress(upload),
        ),
        upload.bookId ? h("a", { class: "upload-open", href: open }, "Open") : null,
        state === "failed" && upload.canRetry
            ? h(
                  "button",
                  { class: "link-button", type: "button", onclick: () => uploads.retry(upload) },
                  "Retry",
              )
            : null,
        h(
            "button",
            {
                class: "button button-icon button-quiet",
                type: "button",
                "aria-label": `${dismiss} ${upload.name}`,
                title: dismiss,
                onclick: () => uploads.dismiss(upload),
            },
            icon("close"),
        ),
    );
}

/** @param {readonly Upload[]} list */
function summary(list) {
    const failed = list.filter(({ state }) => state === "failed").length;
    const ended = list.filter(({ state }) => state === "done" || state === "exists").length;
    const open = list.length - failed - ended;
    if (open > 0) {
        return `Adding ${plural(open, "file")}`;
    }
    const parts = [ended > 0 && `${plural(ended, "file")} added`, failed > 0 && `${failed} failed`];
    return parts.filter(Boolean).join(", ");
}

/**
 * @param {Uploads} uploads
 * @returns {HTMLElement}
 */
export function createUploadPanel(uploads) {
    const title = h("h2", {}, "");
    const list = h("ul", { class: "upload-list" });
    const close = h(
        "button",
        { class: "link-button", type: "button", onclick: () => uploads.clear() },
        "Clear",
    );
    const panel = h(
        "section",
        { class: "uploads", "aria-label": "Uploads", hidden: true },
        h("header", { class: "uploads-head" }, title, close),
        list,
    );
    let said = "";
    /** @type {Map<number, {key: string, element: HTMLElement}>} */
    let shown = new Map();

    /** Only what changed is built anew, so that a focused button stays. */
    function draw() {
        /** @type {typeof shown} */
        const next = new Map();
        for (const upload of uploads.list) {
            const { id, state, sent, job, error } = upload;
            const key = JSON.stringify([state, Math.floor(sent * 100), job, error]);
            const old = shown.get(id);
            const element = old?.key === key ? old.element : item(upload, uploads);
            next.set(id, { key, element });
        }
        const elements = [...next.values()].map(({ element }) => element);
        const same =
            elements.length === list.children.length &&
            elements.every((element, index) => element === list.children[index]);
        if (!same) {
            replace(list, ...elements);
        }
        shown = next;
        panel.hidden = uploads.list.length === 0;
        const text = summary(uploads.list);
        if (text !== said) {
            said = text;
            title.textContent = text;
            announce(text);
        }
    }
    uploads.addEventListener("change", draw);
    return panel;
}

/**
 * The files of a drop; folders are refused with a reason.
 *
 * @param {DataTransfer} data
 * @param {Uploads} uploads
 */
function takeDrop(data, uploads) {
    /** @type {File[]} */
    const files = [];
    for (const entry of data.items) {
        const file = entry.kind === "file" ? entry.getAsFile() : null;
        if (file && entry.webkitGetAsEntry()?.isDirectory) {
            uploads.reject(file.name, "This is a folder. Drop the files in it.");
        } else if (file) {
            files.push(file);
        }
    }
    uploads.add(files);
}

/**
 * Takes files dropped anywhere on the page.
 *
 * @param {Uploads} uploads
 */
export function wireDrop(uploads) {
    const veil = h(
        "div",
        { class: "veil", hidden: true },
        h("p", {}, icon("book"), "Drop to add to your library"),
    );
    document.body.appendChild(veil);
    const holdsFiles = (/** @type {DragEvent} */ event) =>
        event.dataTransfer?.types.includes("Files") ?? false;
    document.addEventListener("dragover", (event) => {
        if (holdsFiles(event)) {
            event.preventDefault();
            veil.hidden = false;
        }
    });
    document.addEventListener("dragleave", (event) => {
        if (event.relatedTarget === null) {
            veil.hidden = true;
        }
    });
    document.addEventListener("drop", (event) => {
        veil.hidden = true;
        if (event.dataTransfer && holdsFiles(event)) {
            event.preventDefault();
            takeDrop(event.dataTransfer, uploads);
        }
    });
}

/**
 * @param {Uploads} uploads
 * @returns {() => void} opens the picker
 */
export function createPicker(uploads) {
    const input = h("input", {
        type: "file",
        multiple: true,
        accept: ACCEPT,
        hidden: true,
        id: "files",
    });
    input.addEventListener("change", () => {
        uploads.add(input.files ?? []);
        input.value = "";
    });
    document.body.appendChild(input);
    return () => input.click();
}
