import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createLogin, LoginError } from '../src/index.js';
import { fakeBrowser, issuer, leave, loggedIn } from './fake.js';

/** @type {Awaited<ReturnType<typeof issuer>>[]} */
const open = [];
const start = async (twist) => {
  const idp = await issuer(twist);
  open.push(idp);
  return idp;
};
afterEach(async () => {
  for (const idp of open.splice(0)) await idp.close();
});
const refused = (code) => (error) => error instanceof LoginError && error.code === code;
const tokenCalls = (idp, grant) => idp.calls.filter((call) => call.form.get('grant_type') === grant);

describe('login (RFC 7636, OpenID Connect Core §3.1.2.1)', () => {
  test('leaves with PKCE S256, state and nonce', async () => {
    const idp = await start();
    const { tab } = await leave(idp);
    const asked = new URL(tab.left[0]).searchParams;
    assert.equal(asked.get('response_type'), 'code');
    assert.equal(asked.get('client_id'), 'app');
    assert.equal(asked.get('redirect_uri'), 'https://app.test/callback');
    assert.equal(asked.get('scope'), 'openid');
    assert.equal(asked.get('code_challenge_method'), 'S256');
    for (const name of ['code_challenge', 'state', 'nonce']) assert.equal(asked.get(name)?.length, 43, name);
    assert.equal(asked.get('prompt'), null);
    const [kept] = [...tab.stored.entries()];
    assert.equal(kept?.[0], `portcullis:login:${asked.get('state')}`);
    assert.ok(!tab.left[0].includes(JSON.parse(kept?.[1]).verifier), 'the verifier stays');
  });
  test('asks silently with prompt=none', async () => {
    const idp = await start();
    const { tab } = await leave(idp, undefined, {}, { prompt: 'none' });
    assert.equal(new URL(tab.left[0]).searchParams.get('prompt'), 'none');
  });
  test('returnTo must lead to this site', async () => {
    const idp = await start();
    for (const evil of ['https://evil.test/', '//evil.test/', '\\\\evil.test', 'javascript:alert(1)']) {
      await assert.rejects(leave(idp, undefined, {}, { returnTo: evil }), refused('return_to_foreign'), evil);
    }
    const { login, back } = await leave(idp, undefined, {}, { returnTo: '/.//evil.test/x' });
    assert.equal((await login.handleCallback(back.href))?.returnTo, '/evil.test/x');
  });
  test('a discovery document of another issuer is refused', async () => {
    const idp = await start({ metadata: { issuer: 'https://evil.test/realms/acme' } });
    await assert.rejects(leave(idp), refused('issuer_mismatch'));
  });
  test('a failed discovery is asked again', async () => {
    const idp = await start();
    const tab = fakeBrowser();
    let fails = 1;
    const fetch = (input, init) => (fails-- > 0 ? Promise.reject(new TypeError('down')) : globalThis.fetch(input, init));
    const login = createLogin({ issuer: idp.realm, clientId: 'app', redirectUri: 'https://app.test/callback' }, { ...tab.world, fetch });
    const seen = [];
    login.on('error', ({ error }) => seen.push(error.code));
    await assert.rejects(login.login(), refused('discovery_failed'));
    await login.login();
    assert.equal(tab.left.length, 1);
    assert.deepEqual(seen, ['discovery_failed']);
  });
});

describe('handleCallback', () => {
  test('an address without an answer is nothing', async () => {
    const idp = await start();
    const { login } = await leave(idp);
    assert.equal(await login.handleCallback('https://app.test/?code=1'), null);
    assert.equal(await login.handleCallback('https://app.test/'), null);
  });
  test('honest answer: tokens in memory, address cleaned, returnTo given back', async () => {
    const idp = await start();
    const { result, tab, login } = await loggedIn(idp);
    assert.equal(result?.returnTo, '/orders?page=2#top');
    assert.equal(result?.session.claims['sub'], 'alice');
    assert.equal(tab.href, 'https://app.test/callback');
    assert.equal(tab.stored.size, 0);
    const { claims } = JSON.parse(JSON.stringify(login.session()));
    assert.equal(claims.azp, 'app');
    const [call] = tokenCalls(idp, 'authorization_code');
    assert.deepEqual([...call.form.keys()].sort(), ['client_id', 'code', 'code_verifier', 'grant_type', 'redirect_uri']);
    assert.equal(call.headers.cookie, undefined);
  });
  const answers = [
    ['wrong state', 'state_unknown', (back) => back.searchParams.set('state', 'x'.repeat(43))],
    ['empty state', 'state_unknown', (back) => back.searchParams.set('state', '')],
    ['two codes', 'state_unknown', (back) => back.searchParams.append('code', 'other')],
    ['wrong iss (RFC 9207)', 'issuer_mismatch', (back) => back.searchParams.set('iss', 'https://evil.test/realms/acme')],
    ['missing iss (RFC 9207)', 'issuer_mismatch', (back) => back.searchParams.delete('iss')],
    ['error of another server', 'issuer_mismatch', (back) => {
      back.searchParams.delete('code');
      back.searchParams.set('error', 'access_denied');
      back.searchParams.set('iss', 'https://evil.test');
    }],
  ];
  for (const [name, code, change] of answers) {
    test(`${name}: refused, the code is not spent`, async () => {
      const idp = await start();
      const { login, back } = await leave(idp);
      change(back);
      await assert.rejects(login.handleCallback(back.href), refused(code));
      assert.equal(login.session(), null);
      assert.equal(tokenCalls(idp, 'authorization_code').length, 0);
    });
  }
  test('a callback is taken once', async () => {
    const idp = await start();
    const { login, back } = await loggedIn(idp);
    await assert.rejects(login.handleCallback(back.href), refused('state_unknown'));
    assert.equal(tokenCalls(idp, 'authorization_code').length, 1);
    assert.equal(login.session()?.claims['sub'], 'alice', 'the login that stands is not harmed');
  });
  test('an answer that began in another tab is refused', async () => {
    const idp = await start();
    const { back } = await leave(idp);
    const victim = await leave(idp);
    await assert.rejects(victim.login.handleCallback(back.href), refused('state_unknown'));
  });
  test('an answer to another client or server of this page is refused (mix-up, RFC 9700 §4.4)', async () => {
    const [idp, other] = [await start(), await start()];
    for (const [options, of] of [[{ clientId: 'second' }, idp], [{}, other]]) {
      const tab = fakeBrowser();
      const { login } = await leave(idp, tab);
      const { back } = await leave(of, tab, options);
      if (of === other) back.searchParams.set('iss', idp.realm);
      await assert.rejects(login.handleCallback(back.href), refused('state_unknown'));
      assert.equal(tokenCalls(idp, 'authorization_code').length + tokenCalls(other, 'authorization_code').length, 0);
    }
  });
  test('an answer an hour old is refused', async () => {
    const idp = await start();
    const { login, back, tab } = await leave(idp);
    tab.skew = 61 * 60_000;
    await assert.rejects(login.handleCallback(back.href), refused('state_unknown'));
  });
  test("the server's error is an Error with its code", async () => {
    const idp = await start();
    const { login, back } = await leave(idp, undefined, {}, { prompt: 'none' });
    back.searchParams.delete('code');
    back.searchParams.set('error', 'login_required');
    const seen = [];
    login.on('error', ({ error }) => seen.push(error.code));
    await assert.rejects(login.handleCallback(back.href), (error) => refused('login_required')(error) && error.returnTo === '/orders?page=2#top');
    assert.deepEqual(seen, ['login_required']);
  });
  test('a code that the server refuses', async () => {
    const idp = await start();
    const { login, back } = await leave(idp);
    back.searchParams.set('code', 'stolen');
    await assert.rejects(login.handleCallback(back.href), refused('invalid_grant'));
  });
});

describe('ID token (OpenID Connect Core §3.1.3.7)', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const wrong = [
    ['iss', { id: () => ({ iss: 'https://evil.test' }) }],
    ['aud', { id: () => ({ aud: 'other' }) }],
    ['aud of several without azp', { id: () => ({ aud: ['app', 'other'], azp: undefined }) }],
    ['azp', { id: () => ({ azp: 'other' }) }],
    ['nonce', { id: () => ({ nonce: 'n'.repeat(43) }) }],
    ['no nonce', { id: () => ({ nonce: undefined }) }],
    ['exp', { id: () => ({ exp: now() - 60, iat: now() - 360 }) }],
    ['no exp', { id: () => ({ exp: undefined }) }],
    ['iat', { id: () => ({ iat: now() + 120 }) }],
    ['nbf', { id: () => ({ nbf: now() + 120 }) }],
    ['at_hash', { id: () => ({ at_hash: 'A'.repeat(22) }) }],
    ['sub', { id: () => ({ sub: '' }) }],
    ['alg none', { header: { alg: 'none' }, id: () => ({ at_hash: undefined }) }],
    ['alg None', { header: { alg: 'None' }, id: () => ({ at_hash: undefined }) }],
    ['alg absent', { header: {}, id: () => ({ at_hash: undefined }) }],
    ['absent', { response: () => ({ id_token: undefined }) }],
    ['no token', { response: () => ({ id_token: 'garbage' }) }],
  ];
  for (const [name, twist] of wrong) {
    test(`wrong ${name}: nobody is logged in`, async () => {
      const idp = await start(twist);
      const { login, back } = await leave(idp);
      await assert.rejects(login.handleCallback(back.href), refused('id_token_invalid'));
      await assert.rejects(login.token(), refused('not_logged_in'));
    });
  }
  const right = [
    ['aud as list with azp', { id: () => ({ aud: ['app', 'other'] }) }],
    ['no at_hash', { id: () => ({ at_hash: undefined }) }],
    ['no azp', { id: () => ({ azp: undefined }) }],
  ];
  for (const [name, twist] of right) {
    test(`${name}: accepted`, async () => {
      const { result } = await loggedIn(await start(twist));
      assert.equal(result?.session.claims['sub'], 'alice');
    });
  }
  test('a token of another type is refused', async () => {
    const idp = await start({ response: () => ({ token_type: 'N_A' }) });
    const { login, back } = await leave(idp);
    await assert.rejects(login.handleCallback(back.href), refused('token_response_invalid'));
  });
});

describe('token and refresh', () => {
  test('a fresh token is given without asking', async () => {
    const idp = await start();
    const { login } = await loggedIn(idp);
    assert.equal(await login.token(), await login.token());
    assert.equal(tokenCalls(idp, 'refresh_token').length, 0);
  });
  test('near its end it is renewed, by one request for all callers', async () => {
    const idp = await start();
    const { login, tab } = await loggedIn(idp);
    const first = await login.token();
    const seen = [];
    login.on('refreshed', ({ session }) => seen.push(session.claims['sub']));
    tab.skew = 280_000;
    const all = await Promise.all(Array.from({ length: 100 }, () => login.token()));
    assert.equal(new Set(all).size, 1);
    assert.notEqual(all[0], first);
    assert.equal(tokenCalls(idp, 'refresh_token').length, 1);
    assert.deepEqual(seen, ['alice']);
  });
  test('minValidity longer than a token lives does not ask each time', async () => {
    const idp = await start();
    const { login } = await loggedIn(idp);
    await login.token({ minValidity: 100_000 });
    assert.equal(tokenCalls(idp, 'refresh_token').length, 0);
  });
  test('tabs take turns, under one name', async () => {
    const idp = await start();
    const tab = fakeBrowser();
    const names = [];
    tab.world.exclusive = (name, work) => (names.push(name), work());
    const { login } = await loggedIn(idp, tab);
    await login.refresh();
    assert.deepEqual(names, [`portcullis:${idp.realm}:app:refresh`]);
  });
  test('a refused refresh ends the login', async () => {
    const idp = await start();
    const { login } = await loggedIn(idp);
    const seen = [];
    login.on('logout', ({ reason, error }) => seen.push([reason, error?.code]));
    idp.endSessions();
    await assert.rejects(login.refresh(), refused('invalid_grant'));
    assert.deepEqual(seen, [['ended', 'invalid_grant']]);
    await assert.rejects(login.token(), refused('not_logged_in'));
  });
  test('an unreachable server ends nothing: the old token serves while it lives', async () => {
    const idp = await start();
    const { login, tab } = await loggedIn(idp);
    const token = await login.token();
    idp.twist.down = true;
    tab.skew = 280_000;
    assert.equal(await login.token(), token);
    tab.skew = 301_000;
    await assert.rejects(login.token(), refused('unreachable'));
    idp.twist.down = false;
    assert.notEqual(await login.token(), token);
  });
  test('a refresh that brings somebody else ends the login', async () => {
    const idp = await start({ id: (generation) => (generation > 1 ? { sub: 'mallory' } : {}) });
    const { login } = await loggedIn(idp);
    await assert.rejects(login.refresh(), refused('id_token_invalid'));
    assert.equal(login.session(), null);
  });
  test('a refresh without a new refresh token keeps the old one', async () => {
    const idp = await start({ response: (generation) => (generation > 1 ? { refresh_token: undefined } : {}) });
    const { login } = await loggedIn(idp);
    await login.refresh();
    await assert.rejects(login.refresh(), refused('invalid_grant'));
    assert.deepEqual(tokenCalls(idp, 'refresh_token').map((call) => call.form.get('refresh_token')), ['refresh-1', 'refresh-1']);
  });
  test('a logout during a refresh wins', async () => {
    let arrived = () => {};
    const underWay = new Promise((resolve) => (arrived = () => resolve(undefined)));
    let release = () => {};
    const held = new Promise((resolve) => (release = () => resolve(undefined)));
    const idp = await start({ beforeToken: async (form) => form.get('grant_type') === 'refresh_token' && (arrived(), await held) });
    const { login } = await loggedIn(idp);
    const refresh = login.refresh();
    await underWay;
    await login.logout();
    release();
    await assert.rejects(refresh, refused('not_logged_in'));
    assert.equal(login.session(), null);
  });
});

describe('clocks', () => {
  for (const skew of [-3_600_000, 3_600_000]) {
    test(`a browser ${skew / 60_000} minutes off logs in and keeps its token`, async () => {
      const idp = await start();
      const tab = fakeBrowser();
      tab.skew = skew;
      const { login } = await loggedIn(idp, tab);
      assert.ok(Math.abs((login.session()?.validFor ?? 0) - 300) < 2);
      await login.token();
      assert.equal(tokenCalls(idp, 'refresh_token').length, 0);
    });
  }
  test('without a readable Date header the iat of the token tells the time', async () => {
    const idp = await start();
    const tab = fakeBrowser();
    tab.skew = 3_600_000;
    tab.world.fetch = async (input, init) => {
      const answer = await globalThis.fetch(input, init);
      return new Response(await answer.text(), { status: answer.status });
    };
    const { login } = await loggedIn(idp, tab);
    assert.ok(Math.abs((login.session()?.expiresAt ?? 0) - Date.now() / 1000 - 300) < 2);
  });
});

describe('fetch', () => {
  test('adds the token for the listed API and keeps the other headers', async () => {
    const idp = await start();
    const { login } = await loggedIn(idp, undefined, { apis: [] });
    await assert.rejects(login.fetch(`${idp.base}/me`), refused('api_not_listed'));
    const listed = await loggedIn(idp, undefined, { apis: [idp.base] });
    const answer = await listed.login.fetch(`${idp.base}/me`, { headers: { 'X-Trace': '1' } });
    assert.equal((await answer.json()).authorization, `Bearer ${await listed.login.token()}`);
    assert.equal(idp.calls.at(-1)?.headers['x-trace'], '1');
    await listed.login.fetch(new Request(`${idp.base}/me`, { method: 'POST', body: 'x' }));
    assert.equal(idp.calls.at(-1)?.method, 'POST');
  });
  test('without a login nothing is sent', async () => {
    const idp = await start();
    const { login } = await leave(idp, undefined, { apis: [idp.base] });
    const before = idp.calls.length;
    await assert.rejects(login.fetch(`${idp.base}/me`), refused('not_logged_in'));
    assert.equal(idp.calls.length, before);
  });
  test('a look-alike host gets no token', async () => {
    const idp = await start();
    const { login } = await loggedIn(idp, undefined, { apis: ['https://api.test'] });
    for (const url of ['https://api.test.evil.test/', 'https://api.test@evil.test/', '//evil.test/', 'http://api.test/']) {
      await assert.rejects(login.fetch(url), refused('api_not_listed'), url);
    }
  });
});

describe('logout (OpenID Connect RP-Initiated Logout 1.0)', () => {
  test('forgets, tells the other tabs, and ends the session at the server', async () => {
    const idp = await start();
    const line = [];
    const tab = fakeBrowser();
    tab.world.channel = (name, hear) => (line.push({ name, hear }), (message) => line.slice(1).forEach((other) => other.hear(message)));
    const first = await loggedIn(idp, tab);
    const second = fakeBrowser();
    second.world.channel = tab.world.channel;
    const other = await loggedIn(idp, second);
    const seen = [];
    other.login.on('logout', ({ reason }) => seen.push(reason));
    const off = first.login.on('logout', ({ reason }) => seen.push(reason));
    await first.login.logout({ returnTo: '/bye' });
    const url = new URL(tab.left.at(-1));
    assert.equal(url.href.split('?')[0], `${idp.realm}/logout`);
    assert.equal(url.searchParams.get('post_logout_redirect_uri'), 'https://app.test/bye');
    assert.equal(url.searchParams.get('client_id'), 'app');
    assert.equal(url.searchParams.get('id_token_hint')?.split('.').length, 3);
    assert.deepEqual(seen, ['asked', 'elsewhere']);
    assert.equal(other.login.session(), null);
    off();
  });
  test('a server without end_session_endpoint: the page goes to returnTo', async () => {
    const idp = await start({ metadata: { end_session_endpoint: undefined } });
    const { login, tab } = await loggedIn(idp);
    await login.logout();
    assert.equal(tab.left.at(-1), 'https://app.test/');
  });
});

test('createLogin names the option that is missing', () => {
  assert.throws(() => createLogin(/** @type {any} */ ({ issuer: 'https://id.test' })), refused('option_missing'));
});
