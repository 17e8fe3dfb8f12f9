/** A server that asks for a key: the page signs in, keeps the key in its tab, and sends it. */

import assert from "node:assert/strict";
import { startSuite } from "./harness.js";

const { url, command, pageTest } = await startSuite({ AUTH: "keys" });
const key = await command("keys", "create", "--user", "ann");
const answer = await fetch(`${url}/api/ingest?wait=true`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
    body: JSON.stringify({ title: "Atlas of Winds", text: "The lighthouse keeper counts ships." }),
});
assert.equal(answer.status, 200, await answer.text());

const path = "/?view=library";
const statuses = [401];

pageTest("the page asks for a key and opens its library", { path, statuses }, async (page) => {
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await dialog.getByLabel("API key").fill(`${key.slice(0, -1)}x`);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByText("does not take this key").waitFor(); // asked again
    await dialog.getByLabel("API key").fill(key);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Atlas of Winds").first().waitFor();
    assert.equal(await dialog.count(), 0);

    await page.reload(); // kept in the tab
    await page.getByText("Atlas of Winds").first().waitFor();
    assert.equal(await dialog.count(), 0);
    await page.locator("#q").fill("lighthouse");
    await page.getByText("keeper counts").first().waitFor();
    assert(!page.url().includes("bhk_"));
    assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
});

pageTest("whoever has no key sees nothing but why", { path, statuses }, async (page) => {
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByText("an API key or token is needed").first().waitFor();
    assert.equal(await page.getByText("Atlas of Winds").count(), 0);
});
