/**
 * Files on their way into the library: sent two at a time, then followed while the server reads
 * them. States of an upload:
 *
 *   waiting → sending → working → done | exists
 *                    ↘ failed (retry → waiting)
 */

import { apiError, ApiError, describe } from "../shared/http.js";
import { getJob, listOpenJobs, sendFile } from "./api.js";

/** @typedef {import("./api.js").Job} Job */

const AT_ONCE = 2;
const FIRST_POLL_MS = 150;
const LAST_POLL_MS = 2000;
const POLL_GROWTH = 1.5;
const POLL_FAILURES = 8;

/** Statuses that say nothing against the file: no answer, a failing, busy or full server. */
const PASSING = [0, 500, 503, 507];

/** @typedef {"waiting" | "sending" | "working" | "done" | "exists" | "failed"} UploadState */

/**
 * @typedef {object} Upload
 * @property {number} id
 * @property {string} name
 * @property {File | null} file `null` for a job found running
 * @property {UploadState} state
 * @property {number} sent 0 to 1
 * @property {Job | null} job
 * @property {number | null} bookId
 * @property {string} error
 * @property {boolean} canRetry whether the same file may succeed another time
 * @property {AbortController} abort
 */

/** Fires "change" for any step, and "added" when a book became searchable. */
export class Uploads extends EventTarget {
    /** @type {Upload[]} */
    #list = [];
    #lastId = 0;

    /** @returns {readonly Upload[]} oldest first */
    get list() {
        return this.#list;
    }

    /** Whether closing the page would lose something. */
    get sending() {
        return this.#list.some(({ state }) => state === "waiting" || state === "sending");
    }

    /** @param {Iterable<File>} files */
    add(files) {
        for (const file of files) {
            this.#list.push(this.#upload(file.name, file, "waiting"));
        }
        this.#start();
    }

    /**
     * A file that cannot be sent at all.
     *
     * @param {string} name
     * @param {string} reason
     */
    reject(name, reason) {
        const upload = this.#upload(name, null, "failed");
        upload.error = reason;
        this.#list.push(upload);
        this.#changed();
    }

    /** Follows what the server is already reading: a reload of the page loses nothing. */
    async resume() {
        const { jobs } = await listOpenJobs();
        for (const job of jobs.reverse()) {
            const upload = this.#upload(job.file_name || job.title || "a text", null, "working");
            upload.job = job;
            this.#list.push(upload);
            void this.#follow(upload, job.job_id);
        }
        this.#changed();
    }

    /** @param {Upload} upload a failed one that can be retried */
    retry(upload) {
        Object.assign(upload, {
            state: "waiting",
            sent: 0,
            error: "",
            abort: new AbortController(),
        });
        this.#start();
    }

    /** @param {Upload} upload stops it if it is still being sent */
    dismiss(upload) {
        this.#list = this.#list.filter((other) => other !== upload);
        upload.abort.abort();
        this.#start();
    }

    /** Drops the ones that have ended. */
    clear() {
        const open = ["waiting", "sending", "working"];
        this.#list = this.#list.filter(({ state }) => open.includes(state));
        this.#changed();
    }

    /**
     * @param {string} name
     * @param {File | null} file
     * @param {UploadState} state
     * @returns {Upload}
     */
    #upload(name, file, state) {
        const id = ++this.#lastId;
        return {
            id,
            name,
            file,
            state,
            sent: 0,
            job: null,
            bookId: null,
            error: "",
            canRetry: false,
            abort: new AbortController(),
        };
    }

    #changed() {
        this.dispatchEvent(new Event("change"));
    }

    #start() {
        const busy = this.#list.filter(({ state }) => state === "sending").length;
        const next = this.#list.filter(({ state }) => state === "waiting");
        for (const upload of next.slice(0, Math.max(AT_ONCE - busy, 0))) {
            void this.#send(upload);
        }
        this.#changed();
    }

    /** @param {Upload} upload */
    async #send(upload) {
        upload.state = "sending";
        const progress = (/** @type {number} */ fraction) => {
            upload.sent = fraction;
            this.#changed();
        };
        try {
            const file = /** @type {File} */ (upload.file);
            const answer = await sendFile(file, progress, upload.abort.signal);
            if (answer.job_id === null) {
                this.#end(upload, "exists", answer.book_id);
            } else {
                upload.state = "working";
                void this.#follow(upload, answer.job_id);
            }
        } catch (error) {
            upload.canRetry = error instanceof ApiError && PASSING.includes(error.status);
            this.#fail(upload, describe(error));
        }
        this.#start();
    }

    /**
     * @param {Upload} upload
     * @param {number} jobId
     */
    async #follow(upload, jobId) {
        let waitMs = FIRST_POLL_MS;
        let failures = 0;
        while (upload.state === "working" && !upload.abort.signal.aborted) {
            await new Promise((resolve) => setTimeout(resolve, waitMs));
            waitMs = Math.min(waitMs * POLL_GROWTH, LAST_POLL_MS);
            try {
                this.#step(upload, await getJob(jobId));
                failures = 0;
            } catch (error) {
                const lost = error instanceof ApiError && error.status === 404;
                if (lost || ++failures === POLL_FAILURES) {
                    this.#fail(upload, lost ? describe(apiError(404, "")) : describe(error));
                }
            }
        }
    }

    /**
     * @param {Upload} upload
     * @param {Job} job
     */
    #step(upload, job) {
        upload.job = job;
        if (job.status === "done") {
            this.#end(upload, "done", job.book_id);
        } else if (job.status === "failed") {
            this.#fail(upload, job.error || "The file could not be read.");
        } else {
            this.#changed();
        }
    }

    /**
     * @param {Upload} upload
     * @param {"done" | "exists"} state
     * @param {number | null} bookId
     */
    #end(upload, state, bookId) {
        upload.state = state;
        upload.bookId = bookId;
        this.#changed();
        if (state === "done") {
            this.dispatchEvent(new Event("added"));
        }
    }

    /**
     * @param {Upload} upload
     * @param {string} error
     */
    #fail(upload, error) {
        upload.state = "failed";
        upload.error = error;
        this.#changed();
    }
}
