/** Light and dark, phone width, contrast, names of controls. */

import assert from "node:assert/strict";
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
 * Texts whose contrast with what is behind them is below WCAG AA (4.5, or 3 for large text).
 *
 * @param {Page} page
 */
function lowContrast(page) {
    return page.evaluate(() => {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 1;
        const pen = /** @type {CanvasRenderingContext2D} */ (
            canvas.getContext("2d", { willReadFrequently: true })
        );
        /** @param {string[]} colours painted over each other */
        const mix = (colours) => {
            for (const colour of colours) {
                pen.fillStyle = colour;
                pen.fillRect(0, 0, 1, 1);
            }
            return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        /** @param {number[]} rgb */
        const luminance = (rgb) => {
            const linear = rgb.map((value) => {
                const part = value / 255;
                return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            const [red = 0, green = 0, blue = 0] = linear;
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        /** @type {string[]} */
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const element = /** @type {Element} */ (node.parentElement);
            if (!node.textContent?.trim() || !element.checkVisibility()) {
                continue;
            }
            const behind = [];
            for (let at = /** @type {Element | null} */ (element); at; at = at.parentElement) {
                behind.unshift(getComputedStyle(at).backgroundColor);
            }
            const style = getComputedStyle(element);
            const back = luminance(mix(behind));
            const front = luminance(mix([...behind, style.color]));
            const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
            if (ratio < (large ? 3 : 4.5)) {
                found.push(`${ratio.toFixed(2)} ${element.className}: ${node.textContent.trim()}`);
            }
        }
        return found;
    });
}

for (const [name, [path = "", landmark = ""]] of Object.entries(VIEWS)) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
        pageTest(
            `${name}, ${colorScheme}: every text has AA contrast`,
            { path, colorScheme },
            async (page) => {
                await page.locator(landmark).first().waitFor();
                assert.deepEqual(await lowContrast(page), []);
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
    pageTest(`${name}: every control has a name`, { path }, async (page) => {
        await page.locator(landmark).first().waitFor();
        const controls = page.locator("a, button, input:not([hidden]), select");
        const all = await controls.all();
        for (const control of all) {
            if (await control.isVisible()) {
                const snapshot = await control.ariaSnapshot();
                assert.match(
                    snapshot,
                    /"|:/,
                    await control.evaluate((element) => element.outerHTML),
                );
            }
        }
    });
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

pageTest(
    "uploads fit a phone",
    { viewport: { width: 360, height: 740 }, statuses: [400, 415, 422] },
    async (page) => {
        await dropFiles(page, [
            { name: `${"long-name-".repeat(20)}.txt`, content: Buffer.alloc(0) },
        ]);
        await page.locator(".upload-failed").waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    },
);
