/**
 * Everything that comes from the browser, as one value, so that a test can bring its own.
 *
 * Owns: the list of browser facilities in use. Does not own: what is done with them.
 *
 * @typedef {object} World
 * @property {(input: RequestInfo | URL, init?: RequestInit) => Promise<Response>} fetch
 * @property {Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>} storage survives a redirect, not a tab
 * @property {() => string} href the page's address
 * @property {(url: string) => void} assign leaves the page for `url`
 * @property {(url: string) => void} replace changes the address shown, without leaving
 * @property {() => number} now milliseconds since 1970, by the browser's clock
 * @property {(bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>} random fills with random bytes
 * @property {(algorithm: string, data: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>} digest
 * @property {<T>(name: string, work: () => Promise<T>) => Promise<T>} exclusive one at a time in the whole browser
 * @property {((name: string, hear: (message: unknown) => void) => (message: unknown) => void)} channel to the other tabs
 */

/**
 * The real browser, with parts replaced by `given`.
 *
 * @param {Partial<World>} given
 * @returns {World}
 */
export function browser(given) {
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    get storage() {
      return globalThis.sessionStorage;
    },
    href: () => globalThis.location.href,
    assign: (url) => globalThis.location.assign(url),
    replace: (url) => globalThis.history.replaceState(globalThis.history.state, '', url),
    now: () => Date.now(),
    random: (bytes) => globalThis.crypto.getRandomValues(bytes),
    digest: (algorithm, data) => globalThis.crypto.subtle.digest(algorithm, data),
    exclusive,
    channel,
    ...given,
  };
}

/** @type {World['exclusive']} */
async function exclusive(name, work) {
  const locks = globalThis.navigator?.locks;
  // Absent on plain http outside localhost and in old browsers: then one at a time in this tab has to do.
  if (!locks) return work();
  return await locks.request(name, work);
}

/** @type {World['channel']} */
function channel(name, hear) {
  if (typeof globalThis.BroadcastChannel !== 'function') return () => {};
  const line = new globalThis.BroadcastChannel(name);
  line.onmessage = (event) => hear(event.data);
  return (message) => line.postMessage(message);
}
