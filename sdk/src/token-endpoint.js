/**
 * One call of the token endpoint (RFC 6749 §4.1.3, §6) and the clock that it teaches.
 *
 * Owns: the request, the reading of its answer, the difference between the two clocks. Does not own: when to call.
 *
 * @typedef {import('./world.js').World} World
 * @typedef {object} Granted
 * @property {string} accessToken
 * @property {string | null} refreshToken
 * @property {string | null} idToken
 * @property {number} expiresAt seconds since 1970 by the server's clock
 * @property {number} lifetime seconds
 * @property {string | null} scope
 */

import { LoginError } from './error.js';
import { read } from './id-token.js';

/**
 * The server's clock as this page knows it.
 *
 * @param {World} world
 */
export function serverClock(world) {
  let ahead = 0;
  return {
    /** Seconds since 1970 by the server's clock. */
    now: () => world.now() / 1000 + ahead,
    /** @param {number} seconds the server's time when the local clock said `at` (milliseconds) @param {number} at */
    learn(seconds, at) {
      ahead = seconds - at / 1000;
    },
  };
}

/** @typedef {ReturnType<typeof serverClock>} ServerClock */

/**
 * @param {World} world
 * @param {ServerClock} clock
 * @param {string} url
 * @param {Record<string, string>} form
 * @returns {Promise<Granted>}
 */
export async function ask(world, clock, url, form) {
  const left = world.now();
  let answer;
  let body;
  try {
    answer = await world.fetch(url, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'error',
    });
    body = await answer.json().catch(() => null);
  } catch (cause) {
    throw new LoginError('unreachable', 'The login server did not answer.', { cause });
  }
  if (answer.status >= 500 || answer.status === 429) {
    throw new LoginError('unreachable', `The login server answered ${answer.status}.`, { status: answer.status });
  }
  if (!answer.ok) {
    const code = typeof body?.error === 'string' ? body.error : 'token_response_invalid';
    const text = typeof body?.error_description === 'string' ? body.error_description : `The login server answered ${answer.status}.`;
    throw new LoginError(code, text, { status: answer.status });
  }
  const granted = understand(body);
  const arrived = world.now();
  learn(clock, answer, granted, left, arrived);
  granted.expiresAt = clock.now() + granted.lifetime;
  return granted;
}

/**
 * The `Date` header says the server's time to the second. Across origins a page sees it only when the server exposes it;
 * then the new token's `iat` says the same.
 *
 * @param {ServerClock} clock
 * @param {Response} answer
 * @param {Granted} granted
 * @param {number} left
 * @param {number} arrived
 */
function learn(clock, answer, granted, left, arrived) {
  const middle = (left + arrived) / 2;
  const date = Date.parse(answer.headers.get('Date') ?? '');
  const seconds = Number.isNaN(date) ? issuedAt(granted) : date / 1000;
  if (seconds === null) return;
  // Both sources cut the fraction off: inside that second the local clock is as good as the server's.
  const apart = seconds - middle / 1000;
  clock.learn(apart <= 0 && apart > -1 - (arrived - left) / 2000 ? middle / 1000 : seconds, middle);
}

/**
 * @param {Granted} granted
 * @returns {number | null}
 */
function issuedAt(granted) {
  for (const token of [granted.idToken, granted.accessToken]) {
    try {
      const iat = token === null ? null : read(token).claims['iat'];
      if (typeof iat === 'number') return iat;
    } catch {
      // An access token may be opaque: RFC 6749 §1.4.
    }
  }
  return null;
}

/**
 * @param {any} body
 * @returns {Granted}
 */
function understand(body) {
  if (typeof body?.access_token !== 'string' || body.access_token === '') {
    throw new LoginError('token_response_invalid', 'The login server sent no access token.');
  }
  if (typeof body.token_type !== 'string' || body.token_type.toLowerCase() !== 'bearer') {
    throw new LoginError('token_response_invalid', `The token is of another kind: ${String(body.token_type)}.`);
  }
  return {
    accessToken: body.access_token,
    refreshToken: typeof body.refresh_token === 'string' ? body.refresh_token : null,
    idToken: typeof body.id_token === 'string' ? body.id_token : null,
    lifetime: typeof body.expires_in === 'number' ? body.expires_in : 0,
    expiresAt: 0,
    scope: typeof body.scope === 'string' ? body.scope : null,
  };
}
