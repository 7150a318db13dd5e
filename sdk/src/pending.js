/**
 * Logins that have left for the server and not come back.
 *
 * Owns: what must survive the redirect, in sessionStorage under its state, readable once. Does not own: tokens, which never
 * touch a storage.
 *
 * @typedef {import('./world.js').World} World
 * @typedef {object} Pending
 * @property {string} issuer
 * @property {string} clientId
 * @property {string} redirectUri
 * @property {string} verifier
 * @property {string} nonce
 * @property {string} returnTo
 * @property {number} at milliseconds since 1970
 */

const PREFIX = 'portcullis:login:';
/** A form that stood open for longer than this is started again. */
const KEPT_MS = 60 * 60 * 1000;

/**
 * @param {World} world
 * @param {string} state
 * @param {Pending} pending
 */
export function keep(world, state, pending) {
  sweep(world);
  world.storage.setItem(PREFIX + state, JSON.stringify(pending));
}

/**
 * Gives the login that `state` belongs to and forgets it, so that the same answer is never taken twice.
 *
 * @param {World} world
 * @param {string} state
 * @returns {Pending | null}
 */
export function take(world, state) {
  const text = world.storage.getItem(PREFIX + state);
  world.storage.removeItem(PREFIX + state);
  if (text === null) return null;
  try {
    const pending = /** @type {Pending} */ (JSON.parse(text));
    return world.now() - pending.at < KEPT_MS ? pending : null;
  } catch {
    return null;
  }
}

/** @param {World} world */
function sweep(world) {
  const keys = Array.from({ length: world.storage.length }, (_, at) => world.storage.key(at));
  for (const key of keys) {
    if (!key?.startsWith(PREFIX)) continue;
    const state = key.slice(PREFIX.length);
    const text = world.storage.getItem(key);
    const pending = take(world, state);
    if (pending && text !== null) world.storage.setItem(key, text);
  }
}
