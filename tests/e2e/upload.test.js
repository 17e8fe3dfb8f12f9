/** Files on their way in: dropped, picked, refused, followed. */

import assert from "node:assert/strict";
import { dropFiles, startSuite } from "./harness.js";
import { birdEpub, sailPdf } from "./samples.js";

/** @typedef {import("playwright-core").Page} Page */

const { url, pageTest } = await startSuite({ MAX_UPLOAD_MB: "1" });

/**
 * @param {Page} page
 * @param {string} name
 */
const upload = (page, name) => page.locator(".upload").filter({ hasText: name });

pageTest(
    "an empty library teaches; two books dropped on it are found page by page",
    {},
    async (page) => {
        await page.getByRole("heading", { name: "Search every page you own" }).waitFor();
        await dropFiles(page, [
            { name: "birds.epub", content: birdEpub() },
            { name: "sail.pdf", content: sailPdf() },
        ]);
        await page.locator(".upload-done", { hasText: "birds.epub" }).waitFor();
        await page.locator(".upload-done", { hasText: "sail.pdf" }).waitFor();
        assert.match(await upload(page, "sail.pdf").innerText(), /6 pages, ready to search/);
        await page.locator(".shelf-book").nth(1).waitFor();
        await page.locator("#q").pressSequentially("astrol");
        const hit = page.locator(".passage").filter({ hasText: "A Manual of Sail" });
        await hit.waitFor();
        assert.equal(await hit.locator("mark").innerText(), "astrolabe");
        assert.equal(await hit.locator(".place-page").innerText(), "p. 4");
        await upload(page, "birds.epub").getByRole("link", { name: "Open" }).click();
        await page.getByRole("heading", { name: "Birds of the Cloud Forest" }).waitFor();
    },
);

pageTest("the same file again is recognised", {}, async (page) => {
    await dropFiles(page, [{ name: "same.epub", content: birdEpub() }]);
    await page.locator(".upload-exists", { hasText: "same.epub" }).waitFor();
    assert.match(await upload(page, "same.epub").innerText(), /Already in the library/);
});

pageTest("files can be picked; progress is shown until they are ready", {}, async (page) => {
    const picker = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Add books" }).click();
    const text = "A sentence about the lighthouse and its keeper.\n\n".repeat(9000);
    await (
        await picker
    ).setFiles([
        { name: "lighthouse.txt", mimeType: "text/plain", buffer: Buffer.from(text) },
        { name: "short.md", mimeType: "", buffer: Buffer.from("# Short\n\nA pelican.\n") },
    ]);
    await page.locator(".uploads progress").first().waitFor();
    await page.locator(".upload-done", { hasText: "lighthouse.txt" }).waitFor();
    await page.locator(".upload-done", { hasText: "short.md" }).waitFor();
    await page.getByRole("heading", { name: "2 files added" }).waitFor();
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    await page.locator(".uploads").waitFor({ state: "hidden" });
});

pageTest("each refused file says why", { statuses: [400, 413, 415, 422] }, async (page) => {
    const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
    await dropFiles(page, [
        { name: "empty.txt", content: Buffer.alloc(0) },
        { name: "photo.png", content: png },
        { name: "huge.txt", content: Buffer.alloc(3_000_000, "word ") },
        { name: "broken.epub", content: birdEpub().subarray(0, 700) },
        { name: "good.txt", content: Buffer.from("A lonely cormorant dries its wings.") },
    ]);
    for (const name of ["empty.txt", "photo.png", "huge.txt", "broken.epub"]) {
        const failed = page.locator(".upload-failed", { hasText: name });
        await failed.waitFor();
        const reason = await failed.locator(".upload-state").innerText();
        assert.equal(await failed.getByRole("button", { name: "Retry" }).count(), 0);
        assert(reason.length > 10 && !/page failed|answered \d/.test(reason), `${name}: ${reason}`);
    }
    await page.locator(".upload-done", { hasText: "good.txt" }).waitFor();
    await page.getByRole("heading", { name: "1 file added, 4 failed" }).waitFor();
    const list = await (await fetch(`${url}/api/books?q=photo`)).json();
    assert.equal(list.total_count, 0);
});

pageTest("a failed file can be tried again", { statuses: [503] }, async (page) => {
    let broken = true;
    await page.route("**/api/ingest", (route) =>
        broken ? route.fulfill({ status: 503, body: "{}" }) : route.continue(),
    );
    await dropFiles(page, [{ name: "heron.txt", content: Buffer.from("A heron stands.") }]);
    await page.locator(".upload-failed", { hasText: "heron.txt" }).waitFor();
    assert.match(await upload(page, "heron.txt").innerText(), /busy/);
    broken = false;
    await page.getByRole("button", { name: "Retry" }).click();
    await page.locator(".upload-done", { hasText: "heron.txt" }).waitFor();
});

pageTest("a file can be stopped while it is sent", {}, async (page) => {
    await page.route("**/api/ingest", () => new Promise(() => {}));
    await dropFiles(page, [{ name: "slow.txt", content: Buffer.from("Slow and steady.") }]);
    await page.getByRole("button", { name: "Stop slow.txt" }).click();
    await page.locator(".uploads").waitFor({ state: "hidden" });
});

pageTest("while files hover over the page it says where they go", {}, async (page) => {
    await page.locator("h1").first().waitFor();
    const hover = (/** @type {string} */ type) =>
        page.evaluate((name) => {
            const data = new DataTransfer();
            data.items.add(new File(["x"], "x.txt"));
            const init = { bubbles: true, cancelable: true, dataTransfer: data };
            document.body.dispatchEvent(new DragEvent(name, init));
        }, type);
    await hover("dragover");
    await page.getByText("Drop to add to your library").waitFor();
    await hover("dragleave");
    await page.locator(".veil").waitFor({ state: "hidden" });
});
