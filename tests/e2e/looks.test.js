/** Light and dark, phone width, accessibility. */

import assert from "node:assert/strict";
import axe from "axe-core";
import { addFile, addText, dropFiles, startSuite } from "./harness.js";
import { birdEpub } from "./samples.js";

/** @typedef {import("playwright-core").Page} Page */

const { url, pageTest } = await startSuite();
const birds = await addFile(url, "birds.epub", birdEpub());
await addText(url, {
    title: `Donaudampfschifffahrtsgesellschaftskapitän${"switwenrente".repeat(12)}`,
    author: "https://example.org/a/very/long/address/that/does/not/break/anywhere/at/all",
    tags: ["a-tag-that-is-much-longer-than-any-tag-should-ever-be-in-a-library"],
    text: `The toucan and ${"unbreakable".repeat(40)} meet on one page.`,
});

const VIEWS = {
    start: ["/", ".shelf"],
    passages: ["/?q=toucan&author=Ada+Quill", ".passage"],
    everything: ["/?q=toucan", ".passage"],
    books: ["/?q=toucan&view=books", ".book-result"],
    nothing: ["/?q=xylophonist", ".empty"],
    library: ["/?view=library", ".library-row"],
    reading: [`/?view=read&book=${birds}&page=3&q=toucan`, ".page-text"],
};

/** @param {Page} page */
const background = (page) =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

/**
 * What axe finds against WCAG 2.2 AA and good practice: contrast, names, roles, landmarks.
 *
 * @param {Page} page
 */
async function findings(page) {
    await page.evaluate(axe.source);
    return page.evaluate(async () => {
        const loaded = /** @type {{axe: import("axe-core")}} */ (/** @type {unknown} */ (window));
        const { violations } = await loaded.axe.run();
        return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
    });
}

for (const [name, [path = "", landmark = ""]] of Object.entries(VIEWS)) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
        pageTest(
            `${name}, ${colorScheme}: accessible to all`,
            { path, colorScheme },
            async (page) => {
                await page.locator(landmark).first().waitFor();
                assert.deepEqual(await findings(page), []);
            },
        );
    }
    pageTest(
        `${name}: fits a phone of 360 px`,
        {
            path,
            viewport: { width: 360, height: 740 },
            hasTouch: true,
        },
        async (page) => {
            await page.locator(landmark).first().waitFor();
            const wide = await page.evaluate(() =>
                [...document.querySelectorAll("body *")]
                    .filter(
                        (element) =>
                            element.checkVisibility() && !element.closest(".sr-only, .skip"),
                    )
                    .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
                    .map((element) => element.outerHTML.slice(0, 120)),
            );
            assert.deepEqual(wide, []);
            assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
        },
    );
}

pageTest("dark follows the system", { colorScheme: "dark" }, async (page) => {
    assert.equal(await background(page), "rgb(23, 25, 26)");
    await page.emulateMedia({ colorScheme: "light" });
    assert.equal(await background(page), "rgb(250, 247, 241)");
});

pageTest(
    "a chosen theme is remembered and stands before the first paint",
    { colorScheme: "light" },
    async (page) => {
        await page.getByRole("button", { name: "Switch to dark theme" }).click();
        assert.equal(await background(page), "rgb(23, 25, 26)");
        await page.reload({ waitUntil: "commit" });
        await page.waitForFunction(() => document.documentElement.dataset["theme"] === "dark");
        await page.getByRole("button", { name: "Switch to light theme" }).click();
        assert.equal(await background(page), "rgb(250, 247, 241)");
        assert.equal(await page.evaluate(() => localStorage.getItem("theme")), null);
    },
);

pageTest(
    "who asks for less motion gets none",
    { reducedMotion: "reduce", path: "/?q=toucan" },
    async (page) => {
        await page.locator(".passage").first().waitFor();
        const moving = await page.evaluate(
            () =>
                [...document.querySelectorAll("*")].filter((element) => {
                    const style = getComputedStyle(element);
                    return (
                        parseFloat(style.transitionDuration) > 0 || style.animationName !== "none"
                    );
                }).length,
        );
        assert.equal(moving, 0);
    },
);

pageTest("dialogs are accessible", { path: "/?view=library" }, async (page) => {
    await page.getByRole("button", { name: /^Edit/ }).first().click();
    assert.deepEqual(await findings(page), []);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Help" }).click();
    assert.deepEqual(await findings(page), []);
});

pageTest(
    "uploads fit a phone",
    { viewport: { width: 360, height: 740 }, statuses: [400, 415, 422] },
    async (page) => {
        await dropFiles(page, [
            { name: `${"long-name-".repeat(20)}.txt`, content: Buffer.alloc(0) },
        ]);
        await page.locator(".upload-failed").waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
        assert.deepEqual(await findings(page), []);
    },
);
