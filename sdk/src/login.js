/**
 * One application's login: leave, come back, hold the tokens, renew them, end.
 *
 * Owns: the order of these steps and the tokens, in memory only. Does not own: their single checks.
 * Flow: login -> (server) -> handleCallback -> token, fetch, refresh -> logout.
 *
 * @typedef {import('./world.js').World} World
 * @typedef {import('./token-endpoint.js').Granted} Granted
 * @typedef {import('./id-token.js').Claims} Claims
 *
 * @typedef {object} LoginOptions
 * @property {string} issuer the realm's address, as its discovery document writes it
 * @property {string} clientId
 * @property {string} redirectUri where the server sends the browser back to, as registered
 * @property {string} [scope] default `openid`
 * @property {string[]} [apis] origins that `fetch` may send the token to, besides the page's own
 *
 * @typedef {object} Session who is logged in, and how long the token in hand lasts
 * @property {Claims} claims of the ID token
 * @property {number} expiresAt of the access token, seconds since 1970 by the server's clock
 * @property {number} validFor of the access token, seconds from now
 * @property {string | null} scope
 *
 * @typedef {{
 *   login: {session: Session},
 *   refreshed: {session: Session},
 *   logout: {reason: 'asked' | 'elsewhere' | 'ended', error?: LoginError},
 *   error: {error: LoginError},
 * }} Events
 *
 * @typedef {object} Held
 * @property {Granted} granted
 * @property {string} idToken
 * @property {Claims} claims
 */

import { discovery } from './discovery.js';
import { LoginError } from './error.js';
import { check } from './id-token.js';
import { keep, take } from './pending.js';
import { challenge, secret } from './pkce.js';
import { ask, serverClock } from './token-endpoint.js';
import { browser } from './world.js';

/**
 * @param {LoginOptions} options
 * @param {Partial<World>} [world] for tests and for looking on: what replaces parts of the browser
 * @returns {Login}
 */
export function createLogin(options, world = {}) {
  return new Login(options, browser(world));
}

export class Login {
  /** @type {Required<LoginOptions>} */ #options;
  /** @type {World} */ #world;
  /** @type {() => Promise<import('./discovery.js').Metadata>} */ #metadata;
  /** @type {import('./token-endpoint.js').ServerClock} */ #clock;
  /** @type {Held | null} */ #held = null;
  /** @type {Promise<string> | null} the refresh under way in this tab */ #renewing = null;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {(message: unknown) => void} */ #tell;
  /** @type {string} */ #name;

  /**
   * @param {LoginOptions} options
   * @param {World} world
   */
  constructor(options, world) {
    for (const name of /** @type {const} */ (['issuer', 'clientId', 'redirectUri'])) {
      if (typeof options[name] !== 'string' || options[name] === '') {
        throw new LoginError('option_missing', `createLogin needs the option ${name}.`);
      }
    }
    this.#options = { scope: 'openid', apis: [], ...options };
    this.#world = world;
    this.#metadata = discovery(world, options.issuer);
    this.#clock = serverClock(world);
    this.#name = `portcullis:${options.issuer}:${options.clientId}`;
    this.#tell = world.channel(this.#name, (message) => this.#hear(message));
  }

  /**
   * Leaves for the login page. `prompt: 'none'` asks without showing a page: the answer is a login when the server knows the
   * browser, else the error `login_required`.
   *
   * @param {{returnTo?: string, prompt?: 'none' | 'login' | 'create', loginHint?: string}} [how]
   *   returnTo: an address of this origin, given back by `handleCallback`; default: the page's own
   */
  async login({ returnTo, prompt, loginHint } = {}) {
    const world = this.#world;
    const { issuer, clientId, redirectUri, scope } = this.#options;
    const target = this.#ownAddress(returnTo ?? world.href());
    const metadata = await this.#noticing(this.#metadata());
    const [state, nonce, verifier] = [secret(world), secret(world), secret(world)];
    keep(world, state, { issuer, clientId, redirectUri, verifier, nonce, returnTo: target, at: world.now() });
    const url = new URL(metadata.authorization_endpoint);
    const parameters = {
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: scope.split(' ').includes('openid') ? scope : `openid ${scope}`,
      state,
      nonce,
      code_challenge: await challenge(world, verifier),
      code_challenge_method: 'S256',
      ...(prompt && { prompt }),
      ...(loginHint && { login_hint: loginHint }),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    world.assign(url.href);
  }

  /**
   * Takes the server's answer out of the page's address. Call it on every page load of the redirect URI.
   *
   * @param {string} [url] default: the page's own address, which is then cleaned
   * @returns {Promise<{returnTo: string, session: Session} | null>} null when the address holds no answer
   * @throws {LoginError} `state_unknown`, `issuer_mismatch`, `id_token_invalid`, or the server's own code
   */
  async handleCallback(url) {
    const address = new URL(url ?? this.#world.href());
    const answer = address.searchParams;
    if (!answer.has('state') || !(answer.has('code') || answer.has('error'))) return null;
    if (url === undefined) this.#world.replace(address.origin + address.pathname);
    return await this.#noticing(this.#accept(answer));
  }

  /**
   * An access token that lives for at least `minValidity` seconds more (default 30, at most half of a token's life).
   *
   * @param {{minValidity?: number}} [need]
   * @returns {Promise<string>}
   * @throws {LoginError} `not_logged_in`; `unreachable` when a new one is needed and the server does not answer
   */
  async token({ minValidity = 30 } = {}) {
    const held = this.#held;
    if (!held) throw notLoggedIn();
    const left = held.granted.expiresAt - this.#clock.now();
    if (left > Math.min(minValidity, held.granted.lifetime / 2)) return held.granted.accessToken;
    try {
      return await this.refresh();
    } catch (error) {
      const usable = this.#held === held && held.granted.expiresAt > this.#clock.now();
      if (usable && error instanceof LoginError && error.code === 'unreachable') return held.granted.accessToken;
      throw error;
    }
  }

  /**
   * `fetch` with the access token. The token goes to the page's own origin and to `apis`, and nowhere else.
   *
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const address = new URL(input instanceof Request ? input.url : input, this.#world.href());
    const allowed = [new URL(this.#world.href()).origin, ...this.#options.apis.map((api) => new URL(api).origin)];
    if (!allowed.includes(address.origin)) {
      throw new LoginError('api_not_listed', `The token is not sent to ${address.origin}: it is not in the option apis.`);
    }
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    headers.set('Authorization', `Bearer ${await this.token()}`);
    return this.#world.fetch(input instanceof Request ? input : address, { ...init, headers });
  }

  /**
   * Gets new tokens now. Calls that overlap share one request; tabs take turns.
   *
   * @returns {Promise<string>} the new access token
   */
  refresh() {
    this.#renewing ??= this.#noticing(this.#world.exclusive(`${this.#name}:refresh`, () => this.#renew())).finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  /**
   * Forgets the tokens, tells the other tabs, and leaves for the server, which ends the session everywhere.
   *
   * @param {{returnTo?: string}} [how] a registered address to come back to; default: this origin's `/`
   */
  async logout({ returnTo = '/' } = {}) {
    const back = new URL(returnTo, this.#world.href()).href;
    const idToken = this.#held?.idToken;
    this.#forget({ reason: 'asked' });
    this.#tell({ kind: 'logout' });
    const { end_session_endpoint: end } = await this.#noticing(this.#metadata());
    if (!end) return this.#world.assign(back);
    const url = new URL(end);
    url.searchParams.set('client_id', this.#options.clientId);
    url.searchParams.set('post_logout_redirect_uri', back);
    if (idToken !== undefined) url.searchParams.set('id_token_hint', idToken);
    this.#world.assign(url.href);
  }

  /** @returns {Session | null} */
  session() {
    if (!this.#held) return null;
    const { granted, claims } = this.#held;
    const validFor = Math.max(0, granted.expiresAt - this.#clock.now());
    return { claims: structuredClone(claims), expiresAt: granted.expiresAt, validFor, scope: granted.scope };
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} event
   * @param {(detail: Events[Name]) => void} hear
   * @returns {() => void} ends the listening
   */
  on(event, hear) {
    const ears = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, ears.add(hear));
    return () => void ears.delete(hear);
  }

  /**
   * @param {URLSearchParams} answer
   * @returns {Promise<{returnTo: string, session: Session}>}
   */
  async #accept(answer) {
    for (const name of ['state', 'code', 'iss', 'error']) {
      if (answer.getAll(name).length > 1) throw new LoginError('state_unknown', `The answer names ${name} twice.`);
    }
    const { issuer, clientId } = this.#options;
    const pending = take(this.#world, answer.get('state') ?? '');
    if (!pending || pending.issuer !== issuer || pending.clientId !== clientId) {
      throw new LoginError('state_unknown', 'This answer belongs to no login that began in this tab, or it was used before.');
    }
    const { returnTo } = pending;
    const metadata = await this.#metadata();
    // RFC 9207 §2.4: before anything else in the answer is believed, its error included.
    const iss = answer.get('iss');
    if (iss === null ? metadata.authorization_response_iss_parameter_supported === true : iss !== issuer) {
      throw new LoginError('issuer_mismatch', `The answer comes from ${iss ?? 'an unnamed server'}, not from ${issuer}.`, { returnTo });
    }
    const error = answer.get('error');
    if (error !== null) {
      throw new LoginError(error, answer.get('error_description') ?? `The login server answered: ${error}.`, { returnTo });
    }
    const granted = await ask(this.#world, this.#clock, metadata.token_endpoint, {
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: pending.redirectUri,
      code: answer.get('code') ?? '',
      code_verifier: pending.verifier,
    });
    if (granted.idToken === null) throw new LoginError('id_token_invalid', 'The login server sent no ID token.', { returnTo });
    const claims = await check(this.#world, granted.idToken, {
      issuer,
      clientId,
      now: this.#clock.now(),
      accessToken: granted.accessToken,
      nonce: pending.nonce,
    });
    this.#held = { granted, idToken: granted.idToken, claims };
    const session = /** @type {Session} */ (this.session());
    this.#emit('login', { session });
    return { returnTo, session };
  }

  /** @returns {Promise<string>} */
  async #renew() {
    const held = this.#held;
    if (!held) throw notLoggedIn();
    if (held.granted.refreshToken === null) {
      throw new LoginError('login_required', 'The token is over and the server gave nothing to renew it with.');
    }
    const { issuer, clientId } = this.#options;
    const { token_endpoint: url } = await this.#metadata();
    const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: held.granted.refreshToken };
    try {
      const granted = await ask(this.#world, this.#clock, url, form);
      const idToken = granted.idToken ?? held.idToken;
      const expected = { issuer, clientId, now: this.#clock.now(), accessToken: granted.accessToken, before: held.claims };
      const claims = granted.idToken === null ? held.claims : await check(this.#world, idToken, expected);
      // A logout while the request was under way wins.
      if (this.#held !== held) throw notLoggedIn();
      granted.refreshToken ??= held.granted.refreshToken;
      this.#held = { granted, idToken, claims };
    } catch (error) {
      const ended = error instanceof LoginError && ['invalid_grant', 'id_token_invalid'].includes(error.code);
      if (ended && this.#held === held) this.#forget({ reason: 'ended', error });
      throw error;
    }
    this.#emit('refreshed', { session: /** @type {Session} */ (this.session()) });
    return this.#held.granted.accessToken;
  }

  /** @param {unknown} message from another tab of this origin */
  #hear(message) {
    const kind = /** @type {{kind?: unknown} | null} */ (message)?.kind;
    if (kind === 'logout' && this.#held) this.#forget({ reason: 'elsewhere' });
  }

  /** @param {Events['logout']} detail */
  #forget(detail) {
    this.#held = null;
    this.#emit('logout', detail);
  }

  /**
   * @param {string} address
   * @returns {string} path, query and fragment: nothing can lead to another site (open redirect)
   */
  #ownAddress(address) {
    const here = new URL(this.#world.href());
    const there = new URL(address, here);
    if (there.origin !== here.origin) {
      throw new LoginError('return_to_foreign', `returnTo leads to ${there.origin}, away from this site.`);
    }
    // `/.//site` has the path `//site`, which a browser would read as another host.
    return there.pathname.replace(/^\/+/, '/') + there.search + there.hash;
  }

  /**
   * @template Value
   * @param {Promise<Value>} work
   * @returns {Promise<Value>}
   */
  async #noticing(work) {
    try {
      return await work;
    } catch (error) {
      if (error instanceof LoginError) this.#emit('error', { error });
      throw error;
    }
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} event
   * @param {Events[Name]} detail
   */
  #emit(event, detail) {
    for (const hear of this.#listeners.get(event) ?? []) {
      try {
        hear(detail);
      } catch (error) {
        // A listener's mistake is its own: the login goes on, and the mistake shows in the console.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function notLoggedIn() {
  return new LoginError('not_logged_in', 'Nobody is logged in.');
}
