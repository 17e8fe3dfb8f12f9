/**
 * What the parts of the page share.
 *
 * @typedef {import("./route.js").Route} Route
 *
 * @typedef {object} Going
 * @property {boolean} [replace] take the place of this entry of the history
 * @property {boolean} [typing] the reader is still typing: the last word is a prefix, and the
 *     entry is replaced by what is typed next
 * @property {boolean} [settle] the reader has finished typing: search again, for whole words
 *
 * @typedef {object} App
 * @property {(target: Route, going?: Going) => void} go shows a view and gives it an address
 * @property {() => Route} current
 * @property {() => string} backAddress where "back" leads from a page of a book
 * @property {EventTarget} library fires "change" when a book came, changed or went
 * @property {() => void} chooseFiles opens the file picker
 *
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {(target: Route, going: Going) => void} show called with each new address
 * @property {(event: KeyboardEvent) => boolean} [key] a key nobody else wanted; whether it was used
 */
export {};
