// A small issuer over real HTTP and a browser without a window.
import { createHash, randomUUID, webcrypto } from 'node:crypto';
import { createServer } from 'node:http';
import { createLogin } from '../src/index.js';

// Every browser has it; Node 18, which Debian 12 brings, wants to be asked.
if (!globalThis.crypto) Object.defineProperty(globalThis, 'crypto', { value: webcrypto });

const b64 = (value) => Buffer.from(value).toString('base64url');

export const jwt = (claims, header = { alg: 'RS256', typ: 'JWT', kid: 'k1' }) =>
  `${b64(JSON.stringify(header))}.${b64(JSON.stringify(claims))}.${b64('signature')}`;

/** `twist` changes what the issuer says; every attack in the tests is one twist. */
export async function issuer(twist = {}) {
  const codes = new Map();
  const calls = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url ?? '/', base);
    calls.push({ method: request.method, path: url.pathname, headers: request.headers, form: new URLSearchParams(body) });
    const answer = (status, json, headers = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      response.end(JSON.stringify(json));
    };
    if (url.pathname.endsWith('/.well-known/openid-configuration')) return answer(200, { ...metadata, ...twist.metadata });
    if (url.pathname.endsWith('/token')) return token(new URLSearchParams(body), answer);
    answer(200, { authorization: request.headers.authorization ?? null });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)));
  const base = `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
  const realm = `${base}/realms/acme`;
  const metadata = {
    issuer: realm,
    authorization_endpoint: `${realm}/auth`,
    token_endpoint: `${realm}/token`,
    end_session_endpoint: `${realm}/logout`,
    authorization_response_iss_parameter_supported: true,
  };

  let generation = 0;
  const tokens = (nonce) => {
    const now = Math.floor(Date.now() / 1000) + (twist.ahead ?? 0);
    const access = jwt({ iss: realm, sub: 'alice', typ: 'Bearer', n: ++generation, iat: now, exp: now + 300 });
    const half = createHash('sha256').update(access).digest().subarray(0, 16).toString('base64url');
    const id = { iss: realm, sub: 'alice', aud: 'app', azp: 'app', sid: 's1', iat: now, exp: now + 300, at_hash: half, ...nonce };
    return {
      access_token: access,
      expires_in: twist.lifetime ?? 300,
      refresh_token: `refresh-${generation}`,
      token_type: 'Bearer',
      id_token: jwt({ ...id, ...twist.id?.(generation) }, twist.header),
      scope: 'openid',
      ...twist.response?.(generation),
    };
  };
  const token = async (form, answer) => {
    await twist.beforeToken?.(form);
    const date = { Date: new Date(Date.now() + (twist.ahead ?? 0) * 1000).toUTCString() };
    if (form.get('grant_type') === 'refresh_token') {
      if (twist.down) return answer(503, {});
      if (form.get('refresh_token') !== `refresh-${generation}`) return answer(400, { error: 'invalid_grant', error_description: 'Token is not active' });
      return answer(200, tokens({}), date);
    }
    const known = codes.get(form.get('code'));
    codes.delete(form.get('code'));
    const verified = known && known.challenge === createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    if (!verified) return answer(400, { error: 'invalid_grant', error_description: 'Code not valid' });
    answer(200, tokens({ nonce: known.nonce }), date);
  };

  /** Plays the person at the login form; gives the address that the browser is sent back to. */
  const signIn = (address) => {
    const asked = new URL(address).searchParams;
    const code = randomUUID();
    codes.set(code, { challenge: asked.get('code_challenge'), nonce: asked.get('nonce') });
    const back = new URL(asked.get('redirect_uri'));
    back.searchParams.set('state', asked.get('state'));
    back.searchParams.set('session_state', 's1');
    back.searchParams.set('iss', realm);
    back.searchParams.set('code', code);
    return back;
  };
  const close = () => {
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections(); // Node 18 waits for idle ones
    return closed;
  };
  return { realm, base, calls, signIn, twist, endSessions: () => void generation++, close };
}

export function fakeBrowser(href = 'https://app.test/orders?page=2#top') {
  const stored = new Map();
  const at = { href, left: [], skew: 0, stored };
  at.world = {
    storage: {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => void stored.set(key, value),
      removeItem: (key) => void stored.delete(key),
      key: (index) => [...stored.keys()][index] ?? null,
      get length() {
        return stored.size;
      },
    },
    href: () => at.href,
    assign: (url) => void at.left.push(url),
    replace: (url) => void (at.href = url),
    now: () => Date.now() + at.skew,
    exclusive: (_name, work) => work(),
    channel: () => () => {},
  };
  return at;
}

/** Logs in up to the redirect back; the caller hands the answer in, whole or changed. */
export async function leave(idp, tab = fakeBrowser(), options = {}, how = undefined) {
  const login = createLogin({ issuer: idp.realm, clientId: 'app', redirectUri: 'https://app.test/callback', ...options }, tab.world);
  await login.login(how);
  return { login, tab, back: idp.signIn(tab.left.at(-1)) };
}

export async function loggedIn(idp, tab, options) {
  const trip = await leave(idp, tab, options);
  trip.tab.href = trip.back.href;
  const result = await trip.login.handleCallback();
  return { ...trip, result };
}
