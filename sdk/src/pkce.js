/**
 * Random values and their digests: PKCE (RFC 7636), state, nonce, at_hash.
 *
 * Owns: base64url and the S256 rule. Does not own: where the values are kept.
 *
 * @typedef {import('./world.js').World} World
 */

/**
 * @param {Uint8Array} bytes
 * @returns {string} base64url without padding
 */
export function encode(bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * @param {string} text base64url
 * @returns {string} the text that was encoded, read as UTF-8
 */
export function decodeText(text) {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

/**
 * 256 random bits: a code verifier of 43 characters (RFC 7636 §4.1), a state, a nonce.
 *
 * @param {World} world
 */
export function secret(world) {
  return encode(world.random(new Uint8Array(32)));
}

/**
 * @param {World} world
 * @param {string} text
 * @param {string} [algorithm] a WebCrypto name
 * @returns {Promise<Uint8Array>}
 */
export async function hash(world, text, algorithm = 'SHA-256') {
  return new Uint8Array(await world.digest(algorithm, new TextEncoder().encode(text)));
}

/**
 * RFC 7636 §4.2, method S256.
 *
 * @param {World} world
 * @param {string} verifier
 */
export async function challenge(world, verifier) {
  return encode(await hash(world, verifier));
}
