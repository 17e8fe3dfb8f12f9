/** Figures, sizes and dates as people write them. */

const NUMBER = new Intl.NumberFormat("en");
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** @param {number} value */
export function formatNumber(value) {
    return NUMBER.format(value);
}

/**
 * "1 page", "1,204 pages".
 *
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function plural(value, one, many = `${one}s`) {
    return `${formatNumber(value)} ${value === 1 ? one : many}`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
    let value = bytes;
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
        value /= 1000;
        unit++;
    }
    const digits = unit > 0 && value < 10 ? 1 : 0;
    return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** @param {number} milliseconds */
export function formatDuration(milliseconds) {
    if (milliseconds >= 1000) {
        return `${(milliseconds / 1000).toFixed(1)} s`;
    }
    return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/**
 * @param {string} time RFC 3339
 */
export function formatDate(time) {
    const date = new Date(time);
    return Number.isNaN(date.getTime()) ? "" : DATE.format(date);
}
