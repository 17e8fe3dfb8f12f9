/** The page's modules that compute: loaded in the browser as they stand. */

import assert from "node:assert/strict";
import { startSuite } from "./harness.js";

const { pageTest } = await startSuite();

/**
 * Calls an exported function of one of the page's modules in the browser.
 *
 * @param {import("playwright-core").Page} page
 * @param {string} path
 * @param {string} name
 * @param {...unknown} values
 * @returns {Promise<any>}
 */
function call(page, path, name, ...values) {
    return page.evaluate(async ([from, exported, list]) => {
        const loaded = await import(/** @type {string} */ (from));
        return loaded[/** @type {string} */ (exported)](.../** @type {unknown[]} */ (list));
    }, /** @type {[string, string, unknown[]]} */ ([path, name, values]));
}

pageTest("an address and its view are the same thing", {}, async (page) => {
    for (const address of [
        "/",
        "/?q=speckled+band",
        "/?q=%22a+b%22&view=books&book_id=4&book_id=7&author=Quill%2C+Ada&tags=x&sort=newest",
        "/?view=library",
        "/?q=x&view=read&book=4&page=172",
    ]) {
        const parsed = await call(page, "/tomehub/route.js", "parseRoute", address.slice(1));
        assert.equal(await call(page, "/tomehub/route.js", "formatRoute", parsed), address);
    }
});

pageTest("what an address cannot mean is left out", {}, async (page) => {
    const parse = (/** @type {string} */ search) =>
        call(page, "/tomehub/route.js", "parseRoute", search);
    assert.equal((await parse("?view=read&book=0")).view, "passages");
    assert.equal((await parse("?view=read&book=99999999999999999")).view, "passages");
    assert.equal((await parse("?view=read&book=3&page=-4")).page, 1);
    assert.deepEqual((await parse("?book_id=1&book_id=x&book_id=1")).filters.book_id, ["1"]);
    assert.equal((await parse("?sort=evil")).sort, "");
});

pageTest("ranges count code points, whatever the script", {}, async (page) => {
    const units = (/** @type {string} */ text, /** @type {number[][]} */ ranges) =>
        call(page, "/tomehub/highlight.js", "toUnits", text, ranges);
    assert.deepEqual(await units("a😀b", [[2, 3]]), [[3, 4]]);
    assert.deepEqual(await units("abc", [[0, 3]]), [[0, 3]]);
    assert.deepEqual(await units("abc", [[1, 99]]), [[1, 3]]);
    assert.deepEqual(
        await units("𝔸𝔹 𝔸", [
            [0, 2],
            [3, 4],
        ]),
        [
            [0, 4],
            [5, 7],
        ],
    );
});

pageTest("a page's words are found as the query means them", {}, async (page) => {
    /**
     * @param {string} query
     * @param {string} text
     * @param {string[]} forms
     */
    const find = (query, text, forms = []) =>
        page.evaluate(async ([q, body, known]) => {
            const from = "/tomehub/highlight.js";
            const { queryTerms, findTerms } = await import(from);
            const ranges = findTerms(body, queryTerms(q), new Set(known));
            return ranges.map((/** @type {number[]} */ [start, end]) =>
                String(body).slice(start, end),
            );
        }, /** @type {[string, string, string[]]} */ ([query, text, forms]));
    assert.deepEqual(await find("Café", "cafe, CAFÉ; cafeteria"), ["cafe", "CAFÉ"]);
    assert.deepEqual(await find("caf*", "cafe, cafeteria"), ["cafe", "cafeteria"]);
    assert.deepEqual(await find('"red lamp"', "a red lamp, a lamp"), ["red lamp"]);
    assert.deepEqual(await find("lamp -oil title:oil OR wick", "oil lamp wick or"), [
        "lamp",
        "wick",
    ]);
    assert.deepEqual(await find("band", "bands bandage", ["bands"]), ["bands"]);
    assert.deepEqual(await find("holmes", "Holmes’s pipe"), ["Holmes’s"]);
    assert.deepEqual(await find("IŞIK", "ışık"), ["ışık"]);
    assert.deepEqual(await find("((*", "nothing"), []);
});

pageTest("figures are written as people write them", {}, async (page) => {
    const format = (/** @type {string} */ name, /** @type {unknown[]} */ ...values) =>
        call(page, "/shared/format.js", name, ...values);
    assert.equal(await format("plural", 1, "page"), "1 page");
    assert.equal(await format("plural", 1204, "match", "matches"), "1,204 matches");
    assert.equal(await format("formatBytes", 999), "999 bytes");
    assert.equal(await format("formatBytes", 1_500_000), "1.5 MB");
    assert.equal(await format("formatDuration", 1.94), "1.9 ms");
    assert.equal(await format("formatDate", "not a date"), "");
});
