/** Answers above the results: told as they come, cited, stopped, checked, done without. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after } from "node:test";
import { addText, startSuite } from "./harness.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("node:http").ServerResponse} ServerResponse */

const QUESTION = "/?q=Where+does+the+lamplighter+keep+his+ladder%3F";
const SAID = "He keeps the ladder behind the customs house [1]. ";

/** @type {(answer: ServerResponse) => void} what the answer service does next */
let script = () => {};
const provider = createServer((request, answer) => {
    request.resume();
    request.on("end", () => script(answer));
});
await new Promise((resolve) => provider.listen(0, "127.0.0.1", () => resolve(null)));
after(() => provider.close());
const address = provider.address();
assert(address !== null && typeof address === "object");

const { url, pageTest } = await startSuite({
    ANSWER_URL: `http://127.0.0.1:${address.port}/v1`,
    ANSWER_IDLE_TIMEOUT: "60s",
});
const harbour = await addText(url, {
    title: "The <b>Harbour</b>",
    author: "Ida Quay",
    pages: [
        "The ships came in with the evening tide and were made fast along the quay.",
        "The lamplighter keeps his ladder behind the customs house. It is painted green.",
    ],
});

/**
 * @param {ServerResponse} answer
 * @param {string} text
 */
function say(answer, text) {
    if (!answer.headersSent) {
        answer.writeHead(200, { "Content-Type": "text/event-stream" });
    }
    answer.write(`data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`);
}

/** @param {...string} pieces */
const says =
    (...pieces) =>
    /** @param {ServerResponse} answer */
    (answer) => {
        pieces.forEach((piece) => say(answer, piece));
        answer.end("data: [DONE]\n\n");
    };

/** @param {Page} page */
const panel = (page) => page.getByRole("region", { name: "Answer" });
/** @param {Page} page */
const text = (page) => panel(page).locator(".answer-text");

pageTest("a question is answered, with links to its page", {}, async (page) => {
    script = says(SAID, "It is painted green [1].");
    await page.goto(url + QUESTION);
    const source = text(page)
        .getByRole("link", { name: /^Source 1/ })
        .first();
    await source.waitFor();
    assert.equal(
        (await text(page).innerText()).replace(/\s+/g, " "),
        "He keeps the ladder behind the customs house.1 It is painted green.1",
    );
    const sources = panel(page).locator(".answer-sources li");
    assert.equal(await sources.count(), 1);
    assert.match(await sources.innerText(), /The <b>Harbour<\/b>, p\. 2/);
    const quote = await sources.locator(".answer-quote").innerText();
    assert.match(quote, /The lamplighter keeps his ladder/);
    assert(await panel(page).getByRole("button", { name: "Stop" }).isHidden());
    await source.click();
    await page.getByText(/^The lamplighter.*green\.$/).waitFor();
    assert.match(page.url(), new RegExp(`book=${harbour}&page=2`));
    await page.goBack();
    await source.waitFor();
});

pageTest("text comes before its end, and can be stopped", {}, async (page) => {
    /** @type {Promise<void>} */
    const left = new Promise((resolve) => {
        script = (answer) => {
            say(answer, `${SAID}It `);
            answer.on("close", () => resolve());
        };
    });
    await page.locator("#q").fill("Where does the lamplighter keep his ladder?");
    await page.locator("#q").press("Enter");
    await text(page).getByText("behind the customs house").waitFor();
    assert.equal(await text(page).getAttribute("aria-busy"), "true");
    await panel(page).getByRole("button", { name: "Stop" }).click();
    await panel(page).getByText("Stopped.").waitFor();
    await left;
    assert.equal(await text(page).getAttribute("aria-busy"), null);
    assert.match(await text(page).innerText(), /behind the customs house/);
});

pageTest("what is taken back is forgotten", {}, async (page) => {
    const scripts = [says(SAID, "The moon is cheese [1]. So."), says("It is painted green [1].")];
    script = (answer) => scripts.shift()?.(answer);
    await page.goto(url + QUESTION);
    await text(page).getByRole("link").first().waitFor();
    assert.equal((await text(page).innerText()).replace(/\s+/g, ""), "Itispaintedgreen.1");
});

pageTest("a failing service is said, and done without", {}, async (page) => {
    script = (answer) => answer.writeHead(401).end();
    await page.goto(url + QUESTION);
    await panel(page).getByText("The answer service failed.").waitFor();
    assert.match(await text(page).innerText(), /^The lamplighter keeps his ladder behind/);
});

pageTest("what the library does not say", {}, async (page) => {
    script = says("NOT_IN_LIBRARY");
    await page.goto(`${url}/?q=Who+painted+the+ships+of+the+emperor`);
    await text(page).getByText("The library does not say.").waitFor();
    assert.equal(await panel(page).locator(".answer-sources li").count(), 0);
});

pageTest("words to look for are not a question", { path: "/?q=ladder" }, async (page) => {
    await page.locator(".passage").first().waitFor();
    assert(await panel(page).isHidden());
});

pageTest("typing on takes the answer away", {}, async (page) => {
    script = says("It is painted green [1].");
    await page.goto(url + QUESTION);
    await text(page).getByRole("link").first().waitFor();
    await page.locator("#q").pressSequentially(" x");
    await panel(page).waitFor({ state: "hidden" });
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    const options = { colorScheme, viewport: { width: 360, height: 740 } };
    pageTest(`it fits a phone, ${colorScheme}`, options, async (page) => {
        script = says(SAID);
        await page.goto(url + QUESTION);
        await text(page).locator("sup").first().waitFor();
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert(width <= 360, `${width} px wide`);
    });
}

pageTest("related terms are the next search", {}, async (page) => {
    await addText(url, {
        title: "Notes",
        text: "We met Ada Quill and Bo Reed. Then Ada Quill wrote to Bo Reed at the mill.",
    });
    await page.goto(`${url}/?q=quill`);
    const terms = page.getByRole("navigation", { name: "Related terms" });
    await terms.getByRole("link", { name: "Bo Reed" }).click();
    await page.waitForURL(/q=%22Bo\+Reed%22/);
    await terms.getByRole("link", { name: "Ada Quill" }).waitFor();
});

pageTest("related terms are asked for beside the search", {}, async (page) => {
    await page.route("**/api/search?*", () => new Promise(() => {})); // results never come
    const asked = page.waitForRequest((request) => request.url().includes("/api/concepts?"));
    await page.goto(`${url}/?q=customs`);
    await asked;
});
