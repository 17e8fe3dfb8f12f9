/**
 * What the page shows is its address: every view can be linked, reloaded, and left by Back.
 *
 *   /?q=speckled+band                      passages     /?view=library           all books
 *   /?q=speckled+band&view=books           by book      /?view=read&book=4&page=172&q=…  a page
 */

/** @typedef {import("./api.js").Filters} Filters */
/** @typedef {import("./api.js").FilterName} FilterName */
/** @typedef {"passages" | "books" | "library" | "read"} ViewName */

/**
 * @typedef {object} Route
 * @property {ViewName} view
 * @property {string} q
 * @property {Filters} filters
 * @property {string} sort "" for relevance
 * @property {number} book reading view only; 0 otherwise
 * @property {number} page reading view only; 0 otherwise
 */

/** @type {readonly FilterName[]} */
export const FILTER_NAMES = ["book_id", "author", "source_type", "tags"];

/** @type {readonly string[]} */
const SORTS = ["newest", "title", "page"];

/** @returns {Filters} */
export function noFilters() {
    return { book_id: [], author: [], source_type: [], tags: [] };
}

/**
 * @param {Partial<Route>} [parts]
 * @returns {Route}
 */
export function route(parts = {}) {
    return { view: "passages", q: "", filters: noFilters(), sort: "", book: 0, page: 0, ...parts };
}

/** @param {string | null} text */
function positive(text) {
    return text !== null && /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : 0;
}

/**
 * Any address is some view: what does not parse is left out.
 *
 * @param {string} search the address from its "?" on
 * @returns {Route}
 */
export function parseRoute(search) {
    const parameters = new URLSearchParams(search);
    const found = route({ q: parameters.get("q") ?? "" });
    for (const name of FILTER_NAMES) {
        found.filters[name] = [...new Set(parameters.getAll(name))].filter((value) => value !== "");
    }
    found.filters.author = found.filters.author.slice(-1);
    found.filters.book_id = found.filters.book_id.filter((value) => positive(value) > 0);
    const sort = parameters.get("sort") ?? "";
    found.sort = SORTS.includes(sort) ? sort : "";
    const view = parameters.get("view");
    const book = positive(parameters.get("book"));
    if (view === "read" && book > 0) {
        found.view = "read";
        found.book = book;
        found.page = positive(parameters.get("page")) || 1;
    } else if (view === "books" || view === "library") {
        found.view = view;
    }
    return found;
}

/**
 * The address of a view; the same view has always the same address.
 *
 * @param {Route} target
 */
export function formatRoute(target) {
    const parameters = new URLSearchParams();
    if (target.q) {
        parameters.set("q", target.q);
    }
    if (target.view !== "passages") {
        parameters.set("view", target.view);
    }
    if (target.view === "read") {
        parameters.set("book", String(target.book));
        parameters.set("page", String(target.page));
    }
    if (target.view === "passages" || target.view === "books") {
        for (const name of FILTER_NAMES) {
            for (const value of target.filters[name]) {
                parameters.append(name, value);
            }
        }
        if (target.sort) {
            parameters.set("sort", target.sort);
        }
    }
    const search = parameters.toString();
    return search ? `/?${search}` : "/";
}

/** @param {Filters} filters */
export function hasFilters(filters) {
    return FILTER_NAMES.some((name) => filters[name].length > 0);
}

/**
 * `filters` with one value of one kind switched on or off. Authors replace each other: their names
 * hold commas, which part the values of the others in a request.
 *
 * @param {Filters} filters
 * @param {FilterName} name
 * @param {string} value
 * @returns {Filters}
 */
export function toggleFilter(filters, name, value) {
    const values = filters[name];
    if (values.includes(value)) {
        return { ...filters, [name]: values.filter((other) => other !== value) };
    }
    return { ...filters, [name]: name === "author" ? [value] : [...values, value] };
}
