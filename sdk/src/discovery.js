/**
 * The server's own description (OpenID Connect Discovery 1.0).
 *
 * Owns: fetching it once, and refusing one that belongs to another issuer. Does not own: its use.
 *
 * @typedef {import('./world.js').World} World
 * @typedef {object} Metadata
 * @property {string} issuer
 * @property {string} authorization_endpoint
 * @property {string} token_endpoint
 * @property {string} [end_session_endpoint]
 * @property {boolean} [authorization_response_iss_parameter_supported]
 */

import { LoginError } from './error.js';

/**
 * @param {World} world
 * @param {string} issuer
 * @returns {() => Promise<Metadata>} asks once; a failure is not remembered
 */
export function discovery(world, issuer) {
  /** @type {Promise<Metadata> | null} */
  let known = null;
  return () => {
    known ??= load(world, issuer).catch((error) => {
      known = null;
      throw error;
    });
    return known;
  };
}

/**
 * @param {World} world
 * @param {string} issuer
 * @returns {Promise<Metadata>}
 */
async function load(world, issuer) {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let document;
  try {
    const answer = await world.fetch(url, { headers: { Accept: 'application/json' }, credentials: 'omit' });
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
    document = await answer.json();
  } catch (cause) {
    throw new LoginError('discovery_failed', `The login server at ${issuer} could not be asked.`, { cause });
  }
  // Discovery §4.3: the issuer named inside must be the one that was asked, letter for letter.
  if (document?.issuer !== issuer) {
    throw new LoginError('issuer_mismatch', `The server at ${issuer} calls itself ${String(document?.issuer)}.`);
  }
  for (const name of ['authorization_endpoint', 'token_endpoint']) {
    if (typeof document[name] !== 'string') {
      throw new LoginError('discovery_failed', `The server at ${issuer} names no ${name}.`);
    }
  }
  return document;
}
