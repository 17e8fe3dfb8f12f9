/** Talking JSON with our own server, and saying clearly what went wrong. */

import { credentials, currentKey, signIn } from "./sign_in.js";

/** An error answer of the API, or a connection that failed (`status` 0). */
export class ApiError extends Error {
    /**
     * @param {number} status
     * @param {string} message
     * @param {string} [requestId]
     */
    constructor(status, message, requestId = "") {
        super(message);
        this.name = "ApiError";
        this.status = status;
        this.requestId = requestId;
    }
}

const UNREACHABLE = "The server does not answer. Check that it is running, then try again.";

/** @type {Record<number, string>} */
const BY_STATUS = {
    404: "This is no longer there.",
    413: "This is larger than the server accepts.",
    415: "This kind of file cannot be read.",
    503: "The server is busy. Try again in a moment.",
    507: "The server has no space left.",
};

/**
 * The error an answer's status and body stand for.
 *
 * @param {number} status
 * @param {string} body
 */
export function apiError(status, body) {
    if (status === 0) {
        return new ApiError(0, UNREACHABLE);
    }
    let detail = "";
    let requestId = "";
    try {
        const answer = JSON.parse(body);
        detail = String(answer.detail || answer.error || "");
        requestId = String(answer.request_id || "");
    } catch {
        detail = "";
    }
    const message = detail || BY_STATUS[status] || `The server answered ${status}.`;
    return new ApiError(status, message, requestId);
}

/**
 * Sends a request; who is not known is asked for a key, as often as it takes.
 *
 * @param {string} url
 * @param {RequestInit} init
 */
async function send(url, init) {
    for (;;) {
        const used = currentKey();
        const headers = { ...init.headers, ...credentials() };
        const response = await fetch(url, { ...init, headers });
        if (response.status !== 401 || !(await signIn(used))) {
            return response;
        }
    }
}

/**
 * Sends a request and reads its JSON answer (`null` for 204).
 *
 * @param {string} url
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 * @throws {ApiError} for an error answer or no answer; an AbortError when `signal` fires
 */
export async function requestJson(url, { method = "GET", body, signal } = {}) {
    /** @type {RequestInit} */
    const init = { method, headers: { Accept: "application/json" } };
    if (signal) {
        init.signal = signal;
    }
    if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers = { Accept: "application/json", "Content-Type": "application/json" };
    }
    let response;
    let text;
    try {
        response = await send(url, init);
        text = await response.text();
    } catch (error) {
        if (signal?.aborted) {
            throw error;
        }
        throw apiError(0, "");
    }
    if (!response.ok) {
        throw apiError(response.status, text);
    }
    if (text === "") {
        return null;
    }
    try {
        return JSON.parse(text);
    } catch {
        throw new ApiError(response.status, "The server's answer could not be read.");
    }
}

/**
 * Posts JSON and reads an answer of one JSON value a line, each as it comes.
 *
 * @param {string} url
 * @param {{body: unknown, signal: AbortSignal}} options
 * @param {(value: any) => void} take
 * @throws {ApiError} for an error answer, no answer, or one that breaks off; an AbortError
 */
export async function requestLines(url, { body, signal }, take) {
    const headers = { Accept: "application/x-ndjson", "Content-Type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body), signal };
    let rest = "";
    try {
        const response = await send(url, init);
        if (!response.ok || !response.body) {
            throw apiError(response.status, await response.text());
        }
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
            const lines = (rest + piece.value).split("\n");
            rest = lines.pop() ?? "";
            lines.filter((line) => line !== "").forEach((line) => take(JSON.parse(line)));
        }
    } catch (error) {
        if (signal.aborted || error instanceof ApiError) {
            throw error;
        }
        throw apiError(0, "");
    }
}

/**
 * Words for the reader.
 *
 * @param {unknown} error
 */
export function describe(error) {
    if (error instanceof ApiError) {
        return error.message;
    }
    return error instanceof Error ? `The page failed: ${error.message}` : String(error);
}
