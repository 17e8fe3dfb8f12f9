/**
 * Only the newest of several overlapping requests counts: starting one aborts the one before,
 * and an answer that arrives out of order is dropped.
 */
export class Latest {
    /** @type {AbortController | null} */
    #current = null;

    /**
     * Runs `work`; the answer is `undefined` when a newer run (or `cancel`) overtook it.
     *
     * @template T
     * @param {(signal: AbortSignal) => Promise<T>} work
     * @returns {Promise<T | undefined>}
     */
    async run(work) {
        this.#current?.abort();
        const mine = new AbortController();
        this.#current = mine;
        try {
            const answer = await work(mine.signal);
            return this.#current === mine ? answer : undefined;
        } catch (error) {
            if (this.#current !== mine) {
                return undefined;
            }
            throw error;
        }
    }

    cancel() {
        this.#current?.abort();
        this.#current = null;
    }
}

/**
 * `call` postponed until `delayMs` pass without another call; `flush` runs what waits at once.
 *
 * @param {() => void} call
 * @param {number} delayMs
 */
export function debounce(call, delayMs) {
    let timer = 0;
    const run = () => {
        timer = 0;
        call();
    };
    return {
        start() {
            clearTimeout(timer);
            timer = setTimeout(run, delayMs);
        },
        flush() {
            if (timer !== 0) {
                clearTimeout(timer);
                run();
            }
        },
        cancel() {
            clearTimeout(timer);
            timer = 0;
        },
    };
}
