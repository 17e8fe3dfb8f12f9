/** Everything by key. */

import assert from "node:assert/strict";
import { addFile, startSuite } from "./harness.js";
import { birdEpub } from "./samples.js";

/** @typedef {import("playwright-core").Page} Page */

const { url, pageTest } = await startSuite();
const birds = await addFile(url, "birds.epub", birdEpub());

/**
 * The class or id of what has the focus.
 *
 * @param {Page} page
 */
const focused = (page) =>
    page.evaluate(() => document.activeElement?.id || document.activeElement?.className);

pageTest(
    "/ goes to the box from anywhere, and is a letter in it",
    { path: "/?view=library" },
    async (page) => {
        await page.locator(".library-row").waitFor();
        await page.keyboard.press("/");
        assert.equal(await focused(page), "q");
        await page.keyboard.type("a/b");
        assert.equal(await page.locator("#q").inputValue(), "a/b");
    },
);

pageTest(
    "arrows walk from the box through the results and back, Enter opens, Esc returns",
    {},
    async (page) => {
        await page.keyboard.press("/");
        await page.keyboard.type("toucan");
        await page.waitForURL(/q=toucan$/);
        await page.locator(".passage").first().waitFor();
        await page.keyboard.press("ArrowDown");
        assert.equal(await focused(page), "passage");
        await page.keyboard.press("ArrowUp");
        assert.equal(await focused(page), "q");
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Enter");
        await page.locator(".page-text mark").first().waitFor();
        await page.keyboard.press("Escape");
        await page.locator(".passage").first().waitFor();
        await page.waitForURL(/q=toucan$/);
        await page.keyboard.press("Escape");
        assert.equal(await focused(page), "q");
        await page.keyboard.press("Escape");
        await page.waitForURL(`${url}/`);
    },
);

pageTest("Enter in the box searches for whole words", { path: "/" }, async (page) => {
    await page.locator("#q").fill("berr");
    await page.locator(".passage").first().waitFor();
    const settled = page.waitForRequest((request) => {
        const asked = new URL(request.url());
        return asked.pathname === "/api/search" && !asked.searchParams.has("instant");
    });
    await page.keyboard.press("Enter");
    await settled;
    await page.locator(".passage mark", { hasText: "berr" }).first().waitFor();
});

pageTest(
    "pages turn with the arrows, matches with n and p",
    {
        path: `/?view=read&book=${birds}&page=1&q=toucan`,
    },
    async (page) => {
        await page.locator(".page-text").waitFor();
        await page.keyboard.press("ArrowLeft");
        await page.keyboard.press("ArrowRight");
        await page.waitForURL(/page=2/);
        await page.locator(".page-text", { hasText: "quetzal" }).waitFor();
        await page.keyboard.press("n");
        await page.locator(".page-text", { hasText: "throws each berry" }).waitFor();
        await page.keyboard.press("n");
        await page.locator(".page-text", { hasText: "quarrel" }).waitFor();
        await page.keyboard.press("p");
        await page.waitForURL(/page=3/);
    },
);

pageTest("? shows the keys, Esc closes them", { path: "/?view=library" }, async (page) => {
    await page.locator(".library-row").waitFor();
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Help" });
    await help.waitFor();
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "detached" });
});

pageTest("the first stop of Tab skips to the content", { path: "/?view=library" }, async (page) => {
    await page.locator(".library-row").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "main");
});

pageTest(
    "the page can be left and reached without a mouse: focus is always visible",
    { path: "/?q=toucan" },
    async (page) => {
        await page.locator(".passage").first().waitFor();
        for (let stop = 0; stop < 20; stop++) {
            await page.keyboard.press("Tab");
            const seen = await page.evaluate(() => {
                const element = document.activeElement;
                if (!element || element === document.body) {
                    return true;
                }
                const style = getComputedStyle(element);
                const box = element.getBoundingClientRect();
                return (
                    style.outlineStyle !== "none" &&
                    parseFloat(style.outlineWidth) >= 2 &&
                    box.width > 0
                );
            });
            assert(seen, `stop ${stop}: ${await focused(page)}`);
        }
    },
);
