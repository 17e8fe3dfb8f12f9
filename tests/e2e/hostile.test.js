/** Titles, authors, tags, texts, file names and queries that try to become code. */

import assert from "node:assert/strict";
import { addText, dropFiles, startSuite } from "./harness.js";

/** @typedef {import("playwright-core").Page} Page */

const IMAGE = '<img src=x onerror="window.owned=1">';
const SCRIPT = "<script>window.owned=1</script>";
const BREAK = `"><svg onload=window.owned=1>'`;

const { url, pageTest } = await startSuite();
const book = await addText(url, {
    title: `${IMAGE} Title`,
    author: `${SCRIPT} Author`,
    tags: [BREAK],
    pages: [
        {
            number: 1,
            label: '"><b>iv</b>',
            chapter: `${SCRIPT} Chapter`,
            text: `The basilisk says ${IMAGE} and ${SCRIPT} and javascript:window.owned=1 to all.`,
        },
    ],
});

/** @param {Page} page */
async function assertInert(page) {
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).owned), undefined);
    assert.equal(
        await page.locator("main img, main script, main svg[onload], .uploads img").count(),
        0,
    );
}

pageTest("in results, they are text", { path: "/?q=basilisk" }, async (page) => {
    await page.locator(".passage").first().waitFor();
    assert((await page.locator(".passage-title").first().innerText()).includes(IMAGE));
    await assertInert(page);
});

pageTest("in results by book, they are text", { path: "/?q=basilisk&view=books" }, async (page) => {
    await page.locator(".book-result").waitFor();
    await assertInert(page);
});

pageTest(
    "on a page of a book, they are text",
    { path: `/?view=read&book=${book}&page=1&q=basilisk` },
    async (page) => {
        await page.locator(".page-text", { hasText: IMAGE }).waitFor();
        assert((await page.title()).includes(IMAGE));
        await assertInert(page);
    },
);

pageTest(
    "in the library and its dialogs, they are text",
    { path: "/?view=library" },
    async (page) => {
        await page.locator(".library-row").waitFor();
        await page.getByRole("button", { name: /^Edit/ }).click();
        assert.equal(
            await page.getByRole("dialog").getByLabel("Title").inputValue(),
            `${IMAGE} Title`,
        );
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: /^Delete/ }).click();
        await page.getByRole("dialog").getByText(IMAGE).waitFor();
        await assertInert(page);
    },
);

pageTest("in a file's name, they are text", { statuses: [400, 415, 422] }, async (page) => {
    await dropFiles(page, [
        { name: `${IMAGE}.txt`, content: Buffer.alloc(0) },
        { name: `${BREAK}.txt`, content: Buffer.from("The cockatrice hatches.") },
    ]);
    await page.locator(".upload-failed").waitFor();
    await page.locator(".upload-done").waitFor();
    await assertInert(page);
});

pageTest(
    "in the address, they are text",
    {
        path: `/?${new URLSearchParams({ q: `basilisk ${IMAGE}`, author: SCRIPT, tags: BREAK })}`,
    },
    async (page) => {
        await page.locator(".chip-active").first().waitFor();
        await page.locator(".empty").waitFor();
        await assertInert(page);
    },
);

pageTest(
    "an address of nonsense shows the start page",
    {
        path: "/?view=evil&book=-1&page=1e9&sort=drop&book_id=abc&__proto__=1&constructor=2",
    },
    async (page) => {
        await page.locator("h1").first().waitFor();
        await page.locator(".shelf").waitFor();
    },
);

pageTest(
    "queries of operators, quotes and odd letters never break the page",
    { statuses: [422] },
    async (page) => {
        for (const q of [
            '"',
            '""',
            "OR OR",
            "-",
            "*",
            "title:",
            "(((",
            "\\",
            "%00",
            "😀",
            "\u202e abc",
            "ﬀ",
            "a".repeat(2000),
        ]) {
            const answered = page.waitForResponse((response) =>
                response.url().includes("/api/search"),
            );
            await page.locator("#q").fill(q);
            await page.keyboard.press("Enter");
            await answered;
            await page.locator(".search-view:not([aria-busy])").waitFor();
            await page.locator("#q").fill("");
            await page.locator(".shelf").waitFor();
        }
        await assertInert(page);
    },
);
