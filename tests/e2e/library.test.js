/** The list of books: sorted, filtered, edited, deleted. */

import assert from "node:assert/strict";
import { addText, startSuite } from "./harness.js";

/** @typedef {import("playwright-core").Page} Page */

const { url, pageTest } = await startSuite();
const text = "The lighthouse keeper counts the ships of the evening.";
for (const [title, author] of [
    ["Atlas of Winds", "Nora Gale"],
    ["Book of Tides", "Ebba Flood"],
    ["Chart of Reefs", "Nora Gale"],
]) {
    await addText(url, { title, author, text: `${text} This is ${title}.`, tags: ["sea"] });
}

/** @param {Page} page */
const titles = (page) => page.locator(".library-title").allInnerTexts();
/**
 * @param {Page} page
 * @param {string} title
 */
const row = (page, title) => page.locator(".library-row").filter({ hasText: title });

const path = "/?view=library";

pageTest("all books are listed and sorted as asked", { path }, async (page) => {
    await row(page, "Atlas of Winds").waitFor();
    await page.getByLabel("Sort books").selectOption("title");
    await page.waitForFunction(
        () => document.querySelector(".library-title")?.textContent === "Atlas of Winds",
    );
    assert.deepEqual(await titles(page), ["Atlas of Winds", "Book of Tides", "Chart of Reefs"]);
    assert.equal(await page.locator(".library-view .count").innerText(), "3 books");
});

pageTest("the list is filtered by title and author", { path }, async (page) => {
    await row(page, "Book of Tides").waitFor();
    await page.getByLabel("Filter books").fill("gale");
    await row(page, "Book of Tides").waitFor({ state: "detached" });
    assert.deepEqual((await titles(page)).sort(), ["Atlas of Winds", "Chart of Reefs"]);
    await page.getByLabel("Filter books").fill("zebra");
    await page.getByText("No book’s title or author has").waitFor();
});

pageTest("a book's title, author, type and tags are changed", { path }, async (page) => {
    await page.getByRole("button", { name: "Edit: Chart of Reefs" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Title").fill("Chart of Shoals");
    await dialog.getByLabel("Author").fill("Nora Gale-Flood");
    await dialog.getByLabel("Type").selectOption("ARTICLE");
    await dialog.getByLabel("Tags").fill("sea, charts, sea, ");
    await dialog.getByLabel("Tags").press("Enter");
    const changed = row(page, "Chart of Shoals");
    await changed.waitFor();
    assert.deepEqual(await changed.locator(".tag").allInnerTexts(), ["sea", "charts"]);
    await changed.getByRole("link", { name: "charts" }).click();
    await page.locator(".passage-title", { hasText: "Chart of Shoals" }).first().waitFor();
    assert.equal(await page.locator(".passage-title", { hasText: "Atlas" }).count(), 0);
});

pageTest("a title cannot be emptied", { path }, async (page) => {
    await page.getByRole("button", { name: "Edit: Atlas of Winds" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Title").fill("");
    await dialog.getByRole("button", { name: "Save" }).click();
    assert(await dialog.isVisible());
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
    assert((await titles(page)).includes("Atlas of Winds"));
});

pageTest("one book is searched on its own", { path }, async (page) => {
    await page.getByRole("button", { name: "Search in this book: Book of Tides" }).click();
    await page.getByRole("button", { name: "Remove filter Book: Book of Tides" }).waitFor();
    await page.locator("#q").fill("lighthouse");
    await page.locator(".passage").first().waitFor();
    assert.deepEqual(await page.locator(".passage-title").allInnerTexts(), ["Book of Tides"]);
});

pageTest("deleting asks first; what is deleted is gone from the search", { path }, async (page) => {
    const remove = page.getByRole("button", { name: "Delete: Book of Tides" });
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert((await titles(page)).includes("Book of Tides"));
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await row(page, "Book of Tides").waitFor({ state: "detached" });
    await page.getByText("Deleted “Book of Tides”.").first().waitFor();
    await page.locator("#q").fill("lighthouse");
    await page.locator(".passage").first().waitFor();
    const found = await page.locator(".passage-title").allInnerTexts();
    assert.equal(found.length, 2);
    assert(!found.includes("Book of Tides"));
});

pageTest("a book deleted elsewhere is reported", { path, statuses: [404] }, async (page) => {
    const id = await addText(url, { title: "Driftwood", text: "A short text on driftwood." });
    await page.reload();
    await row(page, "Driftwood").waitFor();
    await fetch(`${url}/api/books/${id}`, { method: "DELETE" });
    await page.getByRole("button", { name: "Delete: Driftwood" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.locator(".notice-bad").waitFor();
});
