// What both pages share: the buttons, the result, the call. Nothing of a login is here.
export const $ = (id) => document.getElementById(id);

export const config = await (await fetch('config.json', { cache: 'no-store' })).json();
export const here = location.origin + location.pathname;

let count = 0;
export function show(value) {
  $('result').textContent = JSON.stringify(value, null, 2);
  $('result').dataset.count = String((count += 1));
}

export function showError(error) {
  show({ error: error?.error ?? error?.name ?? 'failed', message: error?.error_description ?? error?.message ?? String(error) });
}

/** The status is set last, so that who sees it sees everything else as well. */
export function status(authenticated) {
  $('status').textContent = authenticated ? 'authenticated' : 'anonymous';
}

export async function callApi(token) {
  const answer = await fetch(config.api, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  show({ status: answer.status, body: await answer.json().catch(() => null) });
}

export function bind(actions) {
  for (const [id, work] of Object.entries(actions)) {
    $(id).addEventListener('click', () => Promise.resolve(work()).catch(showError));
  }
}
