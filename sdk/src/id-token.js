/**
 * The checks of an ID token (OpenID Connect Core §3.1.3.7 and §12.2).
 *
 * Owns: reading the claims and refusing wrong ones. Does not own: the signature. The token comes straight from the token
 * endpoint over TLS, which stands in its place (§3.1.3.7 point 6); tokens from anywhere else never reach this file.
 *
 * @typedef {import('./world.js').World} World
 * @typedef {Record<string, unknown>} Claims
 * @typedef {object} Expected
 * @property {string} issuer
 * @property {string} clientId
 * @property {number} now seconds since 1970 by the server's clock
 * @property {string} accessToken the token that came with it
 * @property {string} [nonce] at login: must be there and equal
 * @property {Claims} [before] at refresh: the claims it must repeat
 */

import { LoginError } from './error.js';
import { decodeText, encode, hash } from './pkce.js';

/** How far two clocks may be apart, in seconds. */
const LEEWAY = 10;

/**
 * @param {string} token a JWT in compact form
 * @returns {{header: Claims, claims: Claims}}
 */
export function read(token) {
  const [header, claims, signature, ...rest] = token.split('.');
  if (!header || !claims || !signature || rest.length > 0) throw invalid('it is not a signed token');
  try {
    return { header: JSON.parse(decodeText(header)), claims: JSON.parse(decodeText(claims)) };
  } catch (cause) {
    throw invalid('it cannot be read', cause);
  }
}

/**
 * @param {World} world
 * @param {string} token
 * @param {Expected} expected
 * @returns {Promise<Claims>}
 */
export async function check(world, token, expected) {
  const { header, claims } = read(token);
  if (typeof header['alg'] !== 'string' || /^none$/i.test(header['alg'])) throw invalid('it is not signed');
  if (claims['iss'] !== expected.issuer) throw invalid('it is from another issuer (iss)');
  checkAudience(claims, expected.clientId);
  checkTimes(claims, expected.now);
  if (typeof claims['sub'] !== 'string' || claims['sub'] === '') throw invalid('it names nobody (sub)');
  if (expected.nonce !== undefined && claims['nonce'] !== expected.nonce) {
    throw invalid('it answers another login (nonce)');
  }
  if (expected.before) checkRepeats(claims, expected.before);
  if (claims['at_hash'] !== undefined) await checkAccessTokenHash(world, header['alg'], claims, expected.accessToken);
  return claims;
}

/**
 * @param {Claims} claims
 * @param {string} clientId
 */
function checkAudience(claims, clientId) {
  const audience = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
  if (!audience.includes(clientId)) throw invalid('it is for another application (aud)');
  if (audience.length > 1 && claims['azp'] === undefined) throw invalid('it is for several applications (azp)');
  if (claims['azp'] !== undefined && claims['azp'] !== clientId) throw invalid('it was given to another application (azp)');
}

/**
 * @param {Claims} claims
 * @param {number} now
 */
function checkTimes(claims, now) {
  const { exp, iat, nbf } = claims;
  if (typeof exp !== 'number' || typeof iat !== 'number') throw invalid('it has no times (exp, iat)');
  if (exp <= now - LEEWAY || exp <= iat) throw invalid('its time is over (exp)');
  if (iat > now + LEEWAY) throw invalid('it is from the future (iat)');
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf > now + LEEWAY)) throw invalid('its time has not come (nbf)');
}

/**
 * Core §12.2: a refreshed ID token speaks of the same login. A nonce need not be repeated, but may not differ.
 *
 * @param {Claims} claims
 * @param {Claims} before
 */
function checkRepeats(claims, before) {
  if (claims['sub'] !== before['sub']) throw invalid('it is about somebody else (sub)');
  for (const name of ['nonce', 'auth_time', 'sid']) {
    if (claims[name] !== undefined && before[name] !== undefined && claims[name] !== before[name]) {
      throw invalid(`it is about another login (${name})`);
    }
  }
}

/**
 * Core §3.1.3.6: the left half of the access token's hash.
 *
 * @param {World} world
 * @param {string} algorithm
 * @param {Claims} claims
 * @param {string} accessToken
 */
async function checkAccessTokenHash(world, algorithm, claims, accessToken) {
  const size = algorithm === 'EdDSA' || algorithm === 'Ed25519' ? '512' : algorithm.slice(-3);
  if (!['256', '384', '512'].includes(size)) throw invalid(`its algorithm is not known (${algorithm})`);
  const whole = await hash(world, accessToken, `SHA-${size}`);
  if (claims['at_hash'] !== encode(whole.slice(0, whole.length / 2))) {
    throw invalid('the access token beside it is another one (at_hash)');
  }
}

/**
 * @param {string} why
 * @param {unknown} [cause]
 */
function invalid(why, cause) {
  return new LoginError('id_token_invalid', `The ID token was refused: ${why}.`, cause === undefined ? {} : { cause });
}
