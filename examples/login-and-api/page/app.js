// The whole of an application's login: nine calls of the SDK.
import { createLogin } from '/sdk/index.js';

const $ = (id) => document.getElementById(id);
const { issuer, clientId } = await (await fetch('/config.json')).json();
const login = createLogin({ issuer, clientId, redirectUri: `${location.origin}/callback`, scope: 'openid profile' });

const show = (value) => ($('result').textContent = JSON.stringify(value, null, 2));
const attempt = (work) => work().catch((error) => show({ error: error.code ?? error.name, message: error.message }));

function paint() {
  const session = login.session();
  $('status').textContent = session ? `Logged in as ${session.claims.preferred_username}` : 'Nobody is logged in';
  $('login').disabled = session !== null;
  $('logout').disabled = session === null;
}

login.on('login', paint);
login.on('logout', paint);
$('login').addEventListener('click', () => attempt(() => login.login({ returnTo: '/' })));
$('logout').addEventListener('click', () => attempt(() => login.logout()));
for (const button of document.querySelectorAll('[data-call]')) {
  button.addEventListener('click', () =>
    attempt(async () => {
      const path = button.dataset.call;
      const answer = await (login.session() ? login.fetch(path) : fetch(path));
      show({ status: answer.status, body: await answer.json() });
    }),
  );
}

await attempt(async () => {
  const back = await login.handleCallback();
  if (back) history.replaceState(null, '', back.returnTo);
});
paint();
