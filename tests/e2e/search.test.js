/** Searching: what is typed, found, marked, narrowed and read. */

import assert from "node:assert/strict";
import { addFile, addText, startSuite } from "./harness.js";
import { birdEpub, sailPdf } from "./samples.js";

/** @typedef {import("playwright-core").Page} Page */

const { url, pageTest } = await startSuite();
const birds = await addFile(url, "birds.epub", birdEpub());
const sail = await addFile(url, "sail.pdf", sailPdf());
const notes = await addText(url, {
    title: "Garden Notes",
    author: "Ada Quill",
    source_type: "NOTE",
    tags: ["garden", "daily"],
    text: Array.from({ length: 60 }, (_, day) => {
        const rest = "The rows were weeded and the tools cleaned. ".repeat(12);
        return `Day ${day + 1}: the marrow grew. ${rest}`;
    }).join("\n\n"),
});

/** @param {Page} page */
const box = (page) => page.locator("#q");
/** @param {Page} page */
const passages = (page) => page.locator(".passage");

/**
 * @param {Page} page
 * @param {string} title
 */
const passageOf = (page, title) => passages(page).filter({ hasText: title }).first();

pageTest("results appear while the word is still being typed", {}, async (page) => {
    await box(page).pressSequentially("quetz");
    const hit = passageOf(page, "Birds of the Cloud Forest");
    await hit.waitFor();
    assert.equal(await hit.locator("mark").first().textContent(), "quetzal");
    assert.match(await page.locator("#count").innerText(), /^1 passage in [\d.]+ ms$/);
    assert.equal(new URL(page.url()).search, "?q=quetz");
    assert.equal(await page.title(), "quetz · TomeHub");
});

pageTest(
    "a PDF's page number is the page it is printed on",
    { path: "/?q=astrolabe" },
    async (page) => {
        const hit = passageOf(page, "A Manual of Sail");
        assert.equal(await hit.locator(".place-page").innerText(), "p. 4");
        assert.equal(await hit.locator("mark").innerText(), "astrolabe");
    },
);

pageTest(
    "an EPUB with a page list shows the label of the page, and the chapter",
    { path: "/?q=quetzal" },
    async (page) => {
        const hit = passageOf(page, "Birds of the Cloud Forest");
        assert.equal(await hit.locator(".place-page").innerText(), "p. xii");
        assert.equal(await hit.locator(".place-chapter").innerText(), "Preface");
    },
);

pageTest("a text without pages of its own has sections", { path: "/?q=marrow" }, async (page) => {
    await passageOf(page, "Garden Notes").waitFor();
    assert.match(await page.locator(".place-page").first().innerText(), /^section \d+$/);
});

pageTest("every form of a word is marked", { path: "/?q=toucan" }, async (page) => {
    await passages(page).first().waitFor();
    const marks = await page.locator("mark").allInnerTexts();
    assert(marks.includes("toucan") && marks.includes("toucans"), marks.join());
});

pageTest(
    "words that never meet give the best partial matches, and it says so",
    {
        path: "/?q=astrolabe+toucan",
    },
    async (page) => {
        await page.locator(".note-partial").waitFor();
        assert((await passages(page).count()) >= 2);
    },
);

pageTest("a misspelt word leads to the right one", { path: "/?q=astrolobe" }, async (page) => {
    const meant = page.locator(".notes a");
    await meant.waitFor();
    assert.equal(await meant.innerText(), "astrolabe");
    await meant.click();
    await passageOf(page, "A Manual of Sail").waitFor();
    assert.equal(await box(page).inputValue(), "astrolabe");
});

pageTest("nothing found says what to do", { path: "/?q=xylophonist" }, async (page) => {
    await page.getByRole("heading", { name: "Nothing found" }).waitFor();
});

pageTest(
    "filters narrow, stand in the address, and can be taken off",
    {
        path: "/?q=green+lantern",
    },
    async (page) => {
        await passageOf(page, "Birds of the Cloud Forest").waitFor();
        await passageOf(page, "A Manual of Sail").waitFor();
        await page.locator(".facets .chip", { hasText: "A Manual of Sail" }).click();
        await page.getByRole("button", { name: "Remove filter Book: A Manual of Sail" }).waitFor();
        await passageOf(page, "Birds of the Cloud Forest").waitFor({ state: "detached" });
        assert.equal(new URL(page.url()).searchParams.get("book_id"), String(sail));
        await page.reload();
        await page.getByRole("button", { name: "Remove filter Book: A Manual of Sail" }).click();
        await passageOf(page, "Birds of the Cloud Forest").waitFor();
    },
);

pageTest(
    "a filter by author and by tag from the address holds",
    {
        path: "/?q=the&author=Ada+Quill&tags=garden",
    },
    async (page) => {
        await passages(page).first().waitFor();
        const titles = new Set(await page.locator(".passage-title").allInnerTexts());
        assert.deepEqual([...titles], ["Garden Notes"]);
    },
);

pageTest(
    "by book: each book with its pages in order",
    { path: "/?q=green+lantern" },
    async (page) => {
        await page.getByRole("link", { name: "Books", exact: true }).click();
        const books = page.locator(".book-result");
        await books.first().waitFor();
        assert.equal(await books.count(), 2);
        const bird = books.filter({ hasText: "Birds of the Cloud Forest" });
        assert.equal(await bird.locator(".book-page-number").first().innerText(), "p. 3");
        assert.equal(await bird.locator(".place-chapter").first().innerText(), "The Hummingbird");
        assert.match(await page.locator("#count").innerText(), /^2 books, 2 passages/);
        await bird.locator(".book-page").first().click();
        await page.locator(".page-text mark", { hasText: "lantern" }).waitFor();
    },
);

pageTest(
    "more results are added below, none twice",
    { path: `/?q=marrow&book_id=${notes}` },
    async (page) => {
        await passages(page).first().waitFor();
        const total = Number((await page.locator("#count strong").innerText()).split(" ")[0]);
        assert(total > 20, `only ${total} passages to page through`);
        await page.getByRole("button", { name: "Show more" }).click();
        await passages(page).nth(20).waitFor();
        while (await page.getByRole("button", { name: "Show more" }).isVisible()) {
            const before = await passages(page).count();
            await page.getByRole("button", { name: "Show more" }).click();
            await passages(page).nth(before).waitFor();
        }
        const texts = await page.locator(".passage .excerpt").allInnerTexts();
        assert.equal(texts.length, total);
    },
);

pageTest("an answer that comes late does not replace a newer one", {}, async (page) => {
    /** @type {(value: unknown) => void} */
    let release = () => {};
    const held = new Promise((resolve) => (release = resolve));
    await page.route(/q=toucan&/, async (route) => {
        await held;
        await route.continue().catch(() => {});
    });
    await box(page).fill("toucan");
    await page.waitForRequest(/q=toucan&/);
    await box(page).fill("astrolabe");
    await passageOf(page, "A Manual of Sail").waitFor();
    release(undefined);
    await box(page).fill("astrolabe sun");
    await page.waitForURL(/q=astrolabe\+sun/);
    await passageOf(page, "A Manual of Sail").waitFor();
    assert.equal(await page.locator(".passage", { hasText: "toucan" }).count(), 0);
});

pageTest(
    "Back and Forward walk through what was looked at",
    { path: "/?q=quetzal" },
    async (page) => {
        await passages(page).first().click();
        await page.locator(".page-text").waitFor();
        await page.goBack();
        await passages(page).first().waitFor();
        assert.equal(await page.locator(".page-text").isVisible(), false);
        await page.goForward();
        await page.locator(".page-text").waitFor();
        await page.reload();
        await page.locator(".page-text mark", { hasText: "quetzal" }).waitFor();
    },
);

pageTest("typing leaves one step in the history", {}, async (page) => {
    await box(page).pressSequentially("toucan", { delay: 80 });
    await page.waitForURL(/q=toucan$/);
    await passages(page).first().waitFor();
    await page.goBack();
    await page.waitForURL(`${url}/`);
    assert.equal(await box(page).inputValue(), "");
});

pageTest(
    "a page is read with its words marked, its chapters and its matches",
    {
        path: `/?view=read&book=${birds}&page=2&q=toucan`,
    },
    async (page) => {
        await page.getByRole("heading", { name: "Birds of the Cloud Forest" }).waitFor();
        assert.equal(await page.locator(".sheet-head .place-page").innerText(), "p. xii");
        assert.deepEqual(await page.locator(".chapter span:first-child").allInnerTexts(), [
            "Preface",
            "The Toucan",
            "The Hummingbird",
        ]);
        await page.getByRole("link", { name: "Next page" }).click();
        await page.waitForURL(/page=3/);
        await page.locator(".page-text mark", { hasText: "toucan" }).first().waitFor();
        assert.equal(await page.locator(".chapter[aria-current]").innerText(), "The Toucan");
        await page.locator(".match").nth(1).click();
        await page.locator(".page-text", { hasText: "quarrel" }).waitFor();
        assert.deepEqual(await page.locator(".page-text mark").allInnerTexts(), [
            "toucans",
            "toucans",
        ]);
    },
);

pageTest(
    "a page that does not exist says so",
    {
        path: `/?view=read&book=${birds}&page=999`,
        statuses: [404],
    },
    async (page) => {
        await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    },
);

pageTest(
    "a server that fails is named, and asked again on demand",
    { statuses: [503] },
    async (page) => {
        let broken = true;
        await page.route("**/api/search?*", (route) =>
            broken ? route.fulfill({ status: 503, body: '{"error":"busy"}' }) : route.continue(),
        );
        await box(page).fill("quetzal");
        await page.getByRole("alert").waitFor();
        broken = false;
        await page.getByRole("button", { name: "Try again" }).click();
        await passages(page).first().waitFor();
    },
);
