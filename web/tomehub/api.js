/** The calls of docs/reference/api.md that the page makes, with the shapes of their answers. */

import { apiError, requestJson, requestLines } from "../shared/http.js";
import { credentials } from "../shared/sign_in.js";

/** @typedef {"BOOK" | "ARTICLE" | "NOTE" | "HIGHLIGHT"} SourceType */
/** @typedef {"page" | "list" | "section"} PageKind */
/** @typedef {[number, number]} Range half-open, in code points */

/**
 * @typedef {object} Hit
 * @property {number} id
 * @property {number} book_id
 * @property {string} title
 * @property {string | null} author
 * @property {SourceType} source_type
 * @property {string | null} chapter
 * @property {number} page_number
 * @property {string | null} page_label
 * @property {PageKind} page_kind
 * @property {string} snippet
 * @property {Range[]} highlights
 */

/**
 * @typedef {object} FacetValue
 * @property {string | number} value
 * @property {string} [label]
 * @property {number} count
 */

/** @typedef {"book_id" | "author" | "source_type" | "tags"} FilterName */
/** @typedef {Partial<Record<FilterName, FacetValue[]>>} Facets */
/** @typedef {Record<FilterName, string[]>} Filters any of the values; of authors at most one */

/**
 * @typedef {object} Found what both kinds of search say about themselves
 * @property {"all" | "some"} match
 * @property {string | null} did_you_mean
 * @property {number} total_count
 * @property {number} page
 * @property {boolean} has_next
 * @property {Facets} [facets]
 * @property {number} execution_time_ms
 * @property {boolean} [degraded] the database is down: an answer of `age_seconds` ago
 * @property {number} [age_seconds]
 */

/** @typedef {Found & {results: Hit[], next_cursor: string | null}} PassagesFound */

/**
 * @typedef {object} BookPage
 * @property {number} chunk_id
 * @property {number} page_number
 * @property {string | null} page_label
 * @property {string | null} chapter
 * @property {string} snippet
 * @property {Range[]} highlights
 */

/**
 * @typedef {object} BookHit
 * @property {number} book_id
 * @property {string} title
 * @property {string | null} author
 * @property {SourceType} source_type
 * @property {PageKind} page_kind
 * @property {number} match_count
 * @property {BookPage[]} pages
 */

/** @typedef {Found & {books: BookHit[], total_books: number}} BooksFound */

/**
 * @typedef {object} Book
 * @property {number} id
 * @property {string} title
 * @property {string | null} author
 * @property {SourceType} source_type
 * @property {string[]} tags
 * @property {PageKind} page_kind
 * @property {number} page_count
 * @property {number} word_count
 * @property {string | null} file_name
 * @property {number | null} byte_size
 * @property {string} created_at
 * @property {{title: string, page_number: number}[]} [chapters]
 */

/** @typedef {{books: Book[], total_count: number, page: number, has_next: boolean}} BookList */

/**
 * @typedef {object} Page
 * @property {number} book_id
 * @property {number} page_number
 * @property {string | null} page_label
 * @property {PageKind} page_kind
 * @property {number} page_count
 * @property {string | null} chapter
 * @property {string} text
 */

/**
 * @typedef {object} Job
 * @property {number} job_id
 * @property {number | null} book_id
 * @property {"queued" | "running" | "done" | "failed"} status
 * @property {"queued" | "extract" | "index" | "finish" | "done" | "failed"} stage
 * @property {string | null} file_name
 * @property {string | null} title
 * @property {number | null} percent
 * @property {number | null} pages
 * @property {number | null} chunks
 * @property {string | null} error
 */

/** @typedef {{job_id: number | null, book_id: number | null, status: string}} Accepted */

/**
 * @typedef {object} SearchOptions
 * @property {string} q
 * @property {Filters} filters
 * @property {string} [sort]
 * @property {boolean} [instant] the last word is a prefix
 * @property {boolean} [facets]
 * @property {string | null} [cursor]
 * @property {number} [page]
 * @property {number} [pageSize]
 */

/** @param {SearchOptions} options */
function searchParameters(options) {
    const parameters = new URLSearchParams({ q: options.q, include: "details" });
    for (const [name, values] of Object.entries(options.filters)) {
        if (values.length > 0) {
            parameters.set(name, values.join(","));
        }
    }
    if (options.sort) {
        parameters.set("sort", options.sort);
    }
    if (options.instant) {
        parameters.set("instant", "1");
    }
    if (options.facets) {
        parameters.set("facets", "1");
    }
    if (options.cursor) {
        parameters.set("cursor", options.cursor);
    }
    if (options.page) {
        parameters.set("page", String(options.page));
    }
    if (options.pageSize) {
        parameters.set("page_size", String(options.pageSize));
    }
    return parameters;
}

/**
 * @param {SearchOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<PassagesFound>}
 */
export function searchPassages(options, signal) {
    return requestJson(`/api/search?${searchParameters(options)}`, signal ? { signal } : {});
}

/**
 * @param {SearchOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<BooksFound>}
 */
export function searchBooks(options, signal) {
    return requestJson(`/api/search/books?${searchParameters(options)}`, signal ? { signal } : {});
}

/**
 * @typedef {object} Citation
 * @property {number} number
 * @property {number} id
 * @property {number} book_id
 * @property {string} title
 * @property {string} author
 * @property {string} chapter
 * @property {number} page_number
 * @property {string} page_label
 * @property {PageKind} page_kind
 * @property {string} quote
 */

/** @typedef {{status: "chunks_loaded", count: number}} ChunksLoaded */
/** @typedef {{status: "answer", text: string}} AnswerText */
/** @typedef {{status: "restart"}} AnswerRestart forget the text so far */
/** @typedef {{status: "waiting"}} AnswerWaiting it takes a while; the connection is alive */
/** @typedef {{status: "error", detail: string}} AnswerError */

/**
 * @typedef {object} AnswerComplete
 * @property {"complete"} status
 * @property {"PASS" | "DECLINE"} verdict
 * @property {boolean} degraded
 * @property {string} answer
 * @property {Citation[]} citations
 */

/** @typedef {AnswerText | AnswerRestart | AnswerWaiting} AnswerStep */
/** @typedef {AnswerStep | AnswerError | AnswerComplete} AnswerTold */
/** @typedef {ChunksLoaded | AnswerTold} AnswerLine */

/**
 * Asks a question; `take` gets each line of the answer as it comes.
 *
 * @param {{q: string, filters: Filters}} question
 * @param {(line: AnswerLine) => void} take
 * @param {AbortSignal} signal
 */
export function streamAnswer({ q, filters }, take, signal) {
    const body = { query: q, filters: { ...filters, book_id: filters.book_id.map(Number) } };
    return requestLines("/api/search/stream", { body, signal }, take);
}

/** @typedef {{id: number, label: string, count: number, books: number}} Concept */

/**
 * @param {string} q
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<{concepts: Concept[]}>}
 */
export function findConcepts(q, limit, signal) {
    return requestJson(`/api/concepts?${new URLSearchParams({ q, limit: String(limit) })}`, {
        signal,
    });
}

/**
 * @param {number} id
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<Concept & {related: Concept[]}>}
 */
export function getConcept(id, limit, signal) {
    return requestJson(`/api/concepts/${id}?limit=${limit}`, { signal });
}

/**
 * @param {{page?: number, pageSize?: number, sort?: string, q?: string}} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<BookList>}
 */
export function listBooks({ page = 1, pageSize = 50, sort = "title", q = "" }, signal) {
    const parameters = new URLSearchParams({
        page: String(page),
        page_size: String(pageSize),
        sort,
    });
    if (q) {
        parameters.set("q", q);
    }
    return requestJson(`/api/books?${parameters}`, signal ? { signal } : {});
}

/**
 * @param {number} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Book>}
 */
export function getBook(id, signal) {
    return requestJson(`/api/books/${id}`, signal ? { signal } : {});
}

/**
 * @param {number} bookId
 * @param {number} number
 * @param {AbortSignal} [signal]
 * @returns {Promise<Page>}
 */
export function getPage(bookId, number, signal) {
    return requestJson(`/api/books/${bookId}/pages/${number}`, signal ? { signal } : {});
}

/**
 * @param {number} id
 * @param {{title: string, author: string, source_type: string, tags: string[]}} change
 * @returns {Promise<Book>}
 */
export function changeBook(id, change) {
    return requestJson(`/api/books/${id}`, { method: "PATCH", body: change });
}

/**
 * @param {number} id
 * @returns {Promise<null>}
 */
export function deleteBook(id) {
    return requestJson(`/api/books/${id}`, { method: "DELETE" });
}

/**
 * @param {number} id
 * @returns {Promise<Job>}
 */
export function getJob(id) {
    return requestJson(`/api/ingest/${id}`);
}

/** @returns {Promise<{jobs: Job[]}>} the jobs that have not ended, newest first */
export function listOpenJobs() {
    return requestJson("/api/ingest?status=running,queued&limit=20");
}

/**
 * Sends a file. XMLHttpRequest, because fetch does not tell how much has been sent.
 *
 * @param {File} file
 * @param {(fraction: number) => void} onprogress
 * @param {AbortSignal} signal
 * @returns {Promise<Accepted>}
 */
export function sendFile(file, onprogress, signal) {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        const fail = () => reject(apiError(request.status, request.responseText));
        request.open("POST", "/api/ingest");
        for (const [name, value] of Object.entries(credentials())) {
            request.setRequestHeader(name, value);
        }
        request.upload.addEventListener("progress", (event) => {
            onprogress(event.lengthComputable ? event.loaded / event.total : 0);
        });
        request.addEventListener("load", () => {
            if (request.status >= 300) {
                fail();
                return;
            }
            try {
                resolve(JSON.parse(request.responseText));
            } catch {
                fail();
            }
        });
        request.addEventListener("error", fail);
        request.addEventListener("abort", fail);
        signal.addEventListener("abort", () => request.abort());
        const form = new FormData();
        form.append("file", file, file.name);
        request.send(form);
    });
}
