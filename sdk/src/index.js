/**
 * The browser side of a login: what a page imports.
 *
 * Owns: the public names. Does not own: anything else.
 * Flow: index -> login -> discovery, pkce, id-token; world is everything the browser gives.
 */

export { createLogin } from './login.js';
export { LoginError } from './error.js';

/** @typedef {import('./login.js').Login} Login */
/** @typedef {import('./login.js').LoginOptions} LoginOptions */
/** @typedef {import('./login.js').Session} Session */
/** @typedef {import('./world.js').World} World */
