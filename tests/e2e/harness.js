/**
 * A real server on a library of its own, and a real browser that tolerates nothing: a test fails
 * when its page logs an error, breaks the Content-Security-Policy, opens a dialog, or sends a
 * request anywhere but to the server.
 */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContextOptions} ContextOptions */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILD = resolve(ROOT, process.env["BH_BUILD"] ?? "build/release");
const BINARY = join(BUILD, "services/tomehub/tomehub");
const PORTS = { first: 10_000, count: 10_000, next: process.pid * 7 };
const START_MS = 60_000;
const STEP_MS = 30_000;
const BROWSER_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/**
 * The next port nobody listens on. Where it begins to look is by the process, and below the ports
 * that clients get: test files that run side by side do not meet.
 *
 * @returns {Promise<number>}
 */
async function freePort() {
    for (;;) {
        const port = PORTS.first + (PORTS.next++ % PORTS.count);
        const listener = createServer().listen(port, "127.0.0.1");
        const isFree = await once(listener, "listening").then(
            () => true,
            () => false,
        );
        listener.close();
        if (isFree) {
            return port;
        }
    }
}

/**
 * @param {string} url
 * @param {() => string | null} ended why it never will
 */
async function untilReady(url, ended) {
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline && ended() === null) {
        const answer = await fetch(`${url}/api/health/ready`).catch(() => null);
        if (answer?.ok) {
            return;
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`the server is not ready: ${ended() ?? "too slow"}`);
}

/**
 * Starts `tomehub serve` on a free port with an empty library in a temporary folder.
 *
 * @param {Record<string, string>} [settings]
 */
async function startServer(settings = {}) {
    const directory = await mkdtemp(join(tmpdir(), "tomehub-e2e-"));
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = {
        PATH: process.env["PATH"],
        HOME: directory,
        HOST: "127.0.0.1",
        PORT: String(port),
        RATE_LIMIT_ENABLED: "off",
        DATABASE_URL: `sqlite:${join(directory, "library.db")}`,
        ...settings,
    };
    const child = spawn(BINARY, ["serve"], {
        cwd: directory,
        env,
        stdio: ["ignore", "pipe", "pipe"],
    });
    let log = "";
    child.stdout.on("data", (data) => (log += data));
    child.stderr.on("data", (data) => (log += data));
    let failure = "";
    child.on("error", (error) => (failure = error.message));
    const ended = () => {
        const end = child.exitCode ?? child.signalCode;
        return failure || (end !== null ? `it ended with ${end}\n${log}` : null);
    };
    /** Ends it with SIGTERM; it must still run, and must end well. */
    const stop = async () => {
        const early = ended();
        if (early === null) {
            const exit = once(child, "exit");
            child.kill("SIGTERM");
            await exit;
        }
        await rm(directory, { recursive: true, force: true });
        assert.equal(early, null);
        assert.equal(child.exitCode, 0, ended() ?? "");
    };
    try {
        await untilReady(url, ended);
    } catch (error) {
        child.kill("SIGKILL");
        await rm(directory, { recursive: true, force: true });
        throw error;
    }
    /**
     * What a command prints that works on the server's library.
     *
     * @param {...string} words
     */
    const command = async (...words) => {
        const done = await promisify(execFile)(BINARY, words, { cwd: directory, env });
        return done.stdout.trim();
    };
    return { url, stop, command };
}

/**
 * Collects what a page must not do.
 *
 * @param {Page} page
 * @param {string} origin
 * @param {number[]} statuses error statuses this test provokes
 */
async function watch(page, origin, statuses) {
    /** @type {string[]} */
    const problems = [];
    page.on("pageerror", (error) => problems.push(`uncaught: ${error.stack ?? error.message}`));
    page.on("dialog", (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
    });
    page.on("console", (message) => {
        const text = message.text();
        const provoked = statuses.some((status) => text.includes(`a status of ${status} `));
        if (["error", "warning"].includes(message.type()) && !provoked) {
            problems.push(`console: ${text}`);
        }
    });
    page.on("request", (request) => {
        const url = new URL(request.url());
        if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) {
            problems.push(`request to ${request.url()}`);
        }
    });
    await page.exposeFunction("reportViolation", (/** @type {string} */ text) => {
        problems.push(`policy violated: ${text}`);
    });
    await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => {
            const report = /** @type {any} */ (window).reportViolation;
            report(`${event.violatedDirective} ${event.blockedURI}`);
        });
    });
    return problems;
}

/**
 * A server and a browser for the tests of one file; both end with the file.
 *
 * @param {Record<string, string>} [settings]
 */
export async function startSuite(settings) {
    const server = await startServer(settings);
    const browser = await chromium
        .launch({ executablePath: "/usr/bin/chromium", args: BROWSER_ARGUMENTS })
        .catch(async (error) => {
            await server.stop();
            throw error;
        });
    after(async () => {
        await browser.close();
        await server.stop();
    });

    /**
     * A test with a page of its own, opened at `path`.
     *
     * @param {string} name
     * @param {ContextOptions & {path?: string, statuses?: number[]}} options
     * @param {(page: Page) => Promise<void>} body
     */
    function pageTest(name, { path = "/", statuses = [], ...context }, body) {
        test(name, async () => {
            const opened = await browser.newContext(context);
            try {
                const page = await opened.newPage();
                page.setDefaultTimeout(STEP_MS);
                const problems = await watch(page, server.url, statuses);
                await page.goto(server.url + path);
                await body(page);
                assert.deepEqual(problems, []);
            } finally {
                await opened.close();
            }
        });
    }
    return { url: server.url, command: server.command, pageTest };
}

/**
 * Adds a text to the library and waits until it can be searched.
 *
 * @param {string} url
 * @param {Record<string, unknown>} document
 * @returns {Promise<number>} its book id
 */
export async function addText(url, document) {
    const answer = await fetch(`${url}/api/ingest?wait=true`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(document),
    });
    const body = await answer.text();
    assert.equal(answer.status, 200, body);
    return JSON.parse(body).book_id;
}

/**
 * Adds a file to the library and waits until it can be searched.
 *
 * @param {string} url
 * @param {string} name
 * @param {Buffer} content
 * @returns {Promise<number>} its book id
 */
export async function addFile(url, name, content) {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(content)]), name);
    const answer = await fetch(`${url}/api/ingest?wait=true`, { method: "POST", body: form });
    const body = await answer.text();
    assert.equal(answer.status, 200, body);
    return JSON.parse(body).book_id;
}

/**
 * Drops files on the page as a file manager would.
 *
 * @param {Page} page
 * @param {{name: string, content: Buffer, type?: string}[]} files
 */
export async function dropFiles(page, files) {
    const sent = files.map(({ name, content, type = "" }) => ({
        name,
        type,
        base64: content.toString("base64"),
    }));
    await page.evaluate((list) => {
        const data = new DataTransfer();
        for (const { name, type, base64 } of list) {
            const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
            data.items.add(new File([bytes], name, { type }));
        }
        for (const event of ["dragenter", "dragover", "drop"]) {
            const init = { bubbles: true, cancelable: true, dataTransfer: data };
            document.body.dispatchEvent(new DragEvent(event, init));
        }
    }, sent);
}
