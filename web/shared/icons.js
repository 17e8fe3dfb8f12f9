/** Line icons on a 20 × 20 grid, drawn in the colour of the text around them. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
    add: "M10 4v12M4 10h12",
    back: "M12 4.5 6.5 10l5.5 5.5",
    book:
        "M10 5.5C8.5 4.3 6.2 4 3 4v11c3.2 0 5.5.3 7 1.5 1.5-1.2 3.8-1.5 7-1.5V4" +
        "c-3.2 0-5.5.3-7 1.5Zm0 0v11",
    check: "m4.5 10.5 3.7 3.7 7.3-8",
    close: "m5 5 10 10M15 5 5 15",
    edit: "m12.5 4.5 3 3L7 16H4v-3l8.5-8.5Z",
    filter: "M3 5.5h14M6 10h8M8.5 14.5h3",
    forward: "M8 4.5 13.5 10 8 15.5",
    list: "M4 5.5h12M4 10h12M4 14.5h7",
    moon: "M16 11.7A6.5 6.5 0 0 1 8.3 4a6.5 6.5 0 1 0 7.7 7.7Z",
    search: "M9 14.5A5.5 5.5 0 1 0 9 3.5a5.5 5.5 0 0 0 0 11Zm4-1.5 4 4",
    sun:
        "M10 13.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM10 2.5v1.6M10 15.9v1.6M2.5 10h1.6" +
        "M15.9 10h1.6M4.7 4.7l1.1 1.1M14.2 14.2l1.1 1.1M4.7 15.3l1.1-1.1M14.2 5.8l1.1-1.1",
    trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10M8.5 9v4M11.5 9v4",
    warn: "M10 3.5 17.5 16h-15L10 3.5ZM10 8.5v3.5M10 14v.2",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", PATHS[name]);
    svg.appendChild(path);
    return svg;
}
