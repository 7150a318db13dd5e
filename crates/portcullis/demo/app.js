/**
 * The demo application: pattern C, the bearer token in the page's memory.
 *
 * Owns: the buttons, and what each one shows. Does not own: the login (the SDK), the drawing (drawing.js).
 * Flow: configuration -> an answer in the address, or a silent login when there was a session -> buttons.
 */

import { createLogin, LoginError } from '/sdk/index.js';
import { address, draw, duration, keep, lines, restore, startOver, step } from '/drawing.js';

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** That there was a session, not what it was: no token is ever stored. */
const HAD_SESSION = 'portcullis-demo:had-session';

const config = await fetch('/config.json', { cache: 'no-store' }).then((answer) => answer.json());
const login = createLogin(
  { issuer: config.issuer, clientId: config.clientId, redirectUri: `${location.origin}/callback`, scope: 'openid profile email', apis: [config.api] },
  { fetch: watchedFetch, assign: leave },
);

/** The SDK's `fetch`, looked at: each call is two hops. */
async function watchedFetch(input, init = {}) {
  const url = new URL(input instanceof Request ? input.url : input, location.href);
  const place = url.origin === new URL(config.api).origin ? 'api' : 'idp';
  const method = init.method ?? 'GET';
  const headers = new Headers(init.headers);
  const form = typeof init.body === 'string' ? new URLSearchParams(init.body) : null;
  if (form?.get('grant_type') === 'authorization_code') step(8);
  if (place === 'api' && headers.has('Authorization')) step(10);
  draw({
    from: 'browser', to: place, kind: 'request', text: `${method} ${short(url)}`,
    parts: parts(['Request', [[method, url.href]]], ['Headers', lines(names(headers))], ['Form', lines(form ?? [])]),
  });
  const left = performance.now();
  try {
    const answer = await fetch(input, init);
    const ms = performance.now() - left;
    await drawAnswer(place, answer, ms, headers.has('Authorization'), form);
    return answer;
  } catch (error) {
    draw({ from: place, to: 'browser', kind: 'answer', text: 'No answer', mark: 'bad', ms: performance.now() - left, parts: parts(['Why', [['error', String(error)]]]) });
    throw error;
  }
}

async function drawAnswer(place, answer, ms, withToken, form) {
  const body = await answer.clone().json().catch(() => null);
  if (place === 'api' && withToken && (answer.ok || answer.status === 403)) {
    step(11);
    draw({
      from: 'api', to: 'api', kind: 'note', text: 'Token checked with the public keys',
      parts: parts(['At the API', [['checked', 'signature, issuer, audience, type, time'], ['keys', `${config.issuer}/protocol/openid-connect/certs, held in a cache`]]]),
    });
  }
  if (place === 'api' && withToken) step(12, `${answer.status} in ${duration(ms)}`);
  if (answer.ok && form?.get('grant_type') === 'authorization_code') step(9, duration(ms));
  const content = place === 'idp' && form ? lines(flat(body)) : [];
  draw({
    from: place, to: 'browser', kind: 'answer', text: `${answer.status} ${answer.statusText || words(answer.status)}`, mark: answer.ok ? 'good' : 'bad', ms,
    parts: parts(['Headers a page may read', lines(names(answer.headers))], ['Body', content]),
  });
}

/** A request or answer without headers or form has no such part. */
function parts(...given) {
  return given.filter(([, rows]) => rows.length > 0).map(([name, rows]) => ({ name, lines: rows }));
}

/** Header names as they are usually written: HTTP does not tell their case. */
function names(headers) {
  return [...headers].map(([name, value]) => [name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()), value]);
}

const flat = (/** @type {unknown} */ body) => Object.entries(body ?? {}).map(([name, value]) => /** @type {[string, string]} */ ([name, String(value)]));
const short = (/** @type {URL} */ url) => url.pathname.replace(/^.*\/(protocol\/openid-connect|\.well-known)/, '…');
const words = (/** @type {number} */ status) => ({ 200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden' })[status] ?? '';

/** The SDK's way out of the page. */
function leave(target) {
  const { place, query } = address(target);
  const goal = query.some(([name]) => name === 'code_challenge') ? 'login' : 'logout';
  if (goal === 'login') {
    const silent = query.some(([name, value]) => name === 'prompt' && value === 'none');
    step(2);
    draw({
      from: 'browser', to: 'browser', kind: 'note', text: 'PKCE: verifier kept, challenge sent',
      parts: parts(['In this tab', [['code_verifier', 'random, never leaves before step 8'], ['code_challenge', 'its SHA-256']]]),
    });
    step(3);
    if (silent) for (const number of [4, 5]) step(number, 'not needed', 'skipped');
  }
  draw({ from: 'browser', to: 'idp', kind: 'request', text: `Redirect ${short(new URL(target))}`, parts: parts(['Address', [['GET', place]]], ['Parameters', query]) });
  keep();
  location.assign(target);
}

/** The other half of `leave`: what brought the browser back. */
function drawReturn(leftAt) {
  const { place, query } = address(location.href);
  const found = Object.fromEntries(query);
  if (found.code) for (const number of [6, 7]) step(number);
  if (found.code && !document.querySelector('#steps li[data-step="4"].skipped')) for (const number of [4, 5]) step(number);
  draw({
    from: 'idp', to: 'browser', kind: 'answer', text: found.error ? `Back with ${found.error}` : found.code ? 'Back with a code' : 'Back, logged out',
    mark: found.error ? 'bad' : 'good', ms: Date.now() - leftAt,
    parts: parts(['Address', [['GET', place]]], ['Parameters', query], ['Not seen here', [['cookies', 'those of the login page stay between browser and identity provider']]]),
  });
}

let count = 0;
/** @param {unknown} value @param {'good' | 'warn' | 'bad'} tone */
function show(value, tone) {
  const result = $('result');
  result.textContent = JSON.stringify(value, null, 2);
  result.dataset.tone = tone;
  result.dataset.count = String((count += 1));
}

/** @param {unknown} error */
function showError(error) {
  const code = error instanceof LoginError ? error.code : 'failed';
  show({ error: code, message: error instanceof Error ? error.message : String(error) }, 'bad');
}

/** @param {string} path */
async function call(path) {
  const url = config.api + path;
  // A public route needs no token. Without a login the others are called without one too: the API's refusal is worth seeing.
  const answer = await (login.session() && path !== '/public' ? login.fetch(url) : watchedFetch(url));
  const body = await answer.json().catch(() => null);
  show({ request: `GET ${path}`, status: answer.status, body }, answer.ok ? 'good' : 'warn');
}

function claimsOf(token) {
  const part = token.split('.')[1] ?? '';
  const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** @param {string} [trouble] */
async function paintSession(trouble) {
  const session = login.session();
  const who = session ? String(session.claims['preferred_username'] ?? session.claims['sub']) : null;
  const status = $('status');
  status.textContent = trouble ?? (who === null ? 'Nobody is logged in' : `Logged in as ${who}`);
  for (const id of ['refresh', 'logout']) /** @type {HTMLButtonElement} */ ($(id)).disabled = session === null;
  /** @type {HTMLButtonElement} */ ($('login')).disabled = session !== null;
  $('token-panels').hidden = session === null;
  $('no-tokens').hidden = session !== null;
  $('holds-idp').textContent = who === null ? 'its keys' : `its keys\nthe session of ${who}`;
  $('holds-api').textContent = 'the public keys';
  const token = session ? await login.token({ minValidity: 0 }).catch(() => null) : null;
  $('access-claims').textContent = token ? JSON.stringify(claimsOf(token), null, 2) : '';
  $('id-claims').textContent = session ? JSON.stringify(session.claims, null, 2) : '';
  paintLife();
  // Last, so that who sees the state sees everything else as well.
  status.dataset.state = trouble ? 'error' : who === null ? 'anonymous' : 'authenticated';
}

function paintLife() {
  const session = login.session();
  if (!session) return void ($('holds-browser').textContent = 'nothing');
  const left = Math.floor(session.validFor);
  const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  $('holds-browser').textContent = `access token, ${left > 0 ? clock : 'over'}\nrefresh token, ID token`;
  $('access-life').textContent = left > 0 ? `Lives for ${clock} more. The next call after that renews it.` : 'Its time is over. The next call renews it.';
}

function bind() {
  const on = (/** @type {string} */ id, /** @type {() => Promise<unknown>} */ work) => $(id).addEventListener('click', () => void work().catch(showError));
  on('login', () => begin({ returnTo: '/' }));
  on('call-public', () => call('/public'));
  on('call-user', () => call('/me'));
  on('call-admin', () => call('/admin'));
  on('refresh', async () => {
    await login.refresh();
    show({ refreshed: true, validFor: Math.round(login.session()?.validFor ?? 0) }, 'good');
  });
  on('logout', () => login.logout({ returnTo: '/' }));
  for (const button of document.querySelectorAll('button[data-copy]')) {
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText($(button.getAttribute('data-copy') ?? '').textContent ?? '');
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = 'Copy'), 1500);
    });
  }
}

/** @param {{returnTo: string, prompt?: 'none'}} how */
async function begin(how) {
  startOver();
  step(1, how.prompt === 'none' ? 'by itself' : '');
  await login.login(how);
}

async function start() {
  login.on('login', ({ session }) => {
    localStorage.setItem(HAD_SESSION, '1');
    // acr "0": the identity provider knew the browser and asked for nothing (OpenID Connect Core §2).
    if (session.claims['acr'] === '0') for (const number of [4, 5]) step(number, 'session known', 'skipped');
  });
  login.on('refreshed', () => void paintSession());
  login.on('logout', ({ reason }) => {
    localStorage.removeItem(HAD_SESSION);
    if (reason !== 'asked') show({ loggedOut: reason }, 'warn');
    void paintSession();
  });
  const leftAt = restore();
  if (leftAt !== null) drawReturn(leftAt);
  try {
    const back = await login.handleCallback();
    if (back) history.replaceState(null, '', back.returnTo);
    else if (localStorage.getItem(HAD_SESSION)) return await begin({ returnTo: '/', prompt: 'none' });
    await paintSession();
  } catch (error) {
    history.replaceState(null, '', '/');
    // The session is over: not an error, only the end of "had one". Anything else is shown, and not tried again by itself.
    const code = error instanceof LoginError ? error.code : '';
    if (code !== 'discovery_failed' && code !== 'unreachable') localStorage.removeItem(HAD_SESSION);
    if (code !== 'login_required') showError(error);
    await paintSession(code === 'login_required' ? undefined : 'Login failed');
  }
  setInterval(paintLife, 1000);
}

bind();
await start();
