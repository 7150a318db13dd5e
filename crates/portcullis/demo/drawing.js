/**
 * What is seen of a request's way: the hops, the twelve steps, who holds what.
 *
 * Owns: the drawing and its memory across a redirect. Does not own: what happens.
 *
 * @typedef {'browser' | 'idp' | 'api'} Place
 * @typedef {{name: string, lines: [string, string][]}} Part what travelled: a title and its lines
 * @typedef {{from: Place, to: Place, kind: 'request' | 'answer' | 'note', text: string, mark?: 'good' | 'bad', ms?: number, parts: Part[]}} Hop
 * @typedef {{state: 'done' | 'skipped', note: string}} Step
 */

const KEPT = 'portcullis-demo:trail';
const SECRET = new Set([
  'code', 'state', 'nonce', 'code_challenge', 'code_verifier', 'access_token', 'refresh_token', 'id_token', 'id_token_hint', 'session_state',
]);

/** @type {Hop[]} */
let hops = [];
/** @type {Record<string, Step>} */
let steps = {};

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * The beginning of a secret and its length: enough to recognise it, not enough to use it.
 *
 * @param {string} value
 */
export function shorten(value) {
  return value.length <= 12 ? value : `${value.slice(0, 8)}… (${value.length} characters)`;
}

/** @param {Iterable<[string, string]>} pairs @returns {[string, string][]} */
export function lines(pairs) {
  return [...pairs].map(([name, value]) => {
    const bearer = /^(Bearer|DPoP) (.+)$/.exec(value);
    if (name.toLowerCase() === 'authorization' && bearer) return [name, `${bearer[1]} ${shorten(bearer[2])}`];
    return [name, SECRET.has(name) ? shorten(value) : value];
  });
}

/** @param {string | URL} address @returns {{place: string, query: [string, string][]}} */
export function address(address) {
  const url = new URL(address, location.href);
  return { place: url.origin + url.pathname, query: lines(url.searchParams) };
}

/** @param {Hop} hop */
export function draw(hop) {
  hops.push(hop);
  if (hops.length > 60) {
    hops.shift();
    $('hops').firstElementChild?.remove();
  }
  paint(hop, true);
}

/** @param {Hop} hop @param {boolean} fresh */
function paint(hop, fresh) {
  $('calm').hidden = true;
  const order = ['browser', 'idp', 'api'];
  const line = document.createElement('li');
  line.className = 'hop';
  line.classList.toggle('back', order.indexOf(hop.to) < order.indexOf(hop.from));
  line.classList.toggle('new', fresh);
  Object.assign(line.dataset, { from: hop.from, to: hop.to, kind: hop.kind });
  const text = element('span', 'hop-text');
  const words = element('span', '');
  const [first, ...rest] = hop.text.split(' ');
  words.append(element('b', hop.mark ?? '', hop.kind === 'note' ? '' : first ?? ''), hop.kind === 'note' ? hop.text : ` ${rest.join(' ')}`);
  if (hop.ms !== undefined) words.append(' ', element('time', '', duration(hop.ms)));
  text.append(words);
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  summary.append(text, element('span', 'hop-arrow'));
  details.append(summary, wire(hop.parts));
  line.append(details);
  $('hops').append(line);
}

/** @param {Part[]} parts */
function wire(parts) {
  const list = element('dl', 'wire');
  for (const part of parts) {
    list.append(element('dt', 'part', part.name));
    for (const [name, value] of part.lines) list.append(element('dt', '', name), element('dd', '', value));
  }
  return list;
}

/** @param {string} tag @param {string} className @param {string} [text] */
function element(tag, className, text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} number @param {string} [note] @param {'done' | 'skipped'} [state] */
export function step(number, note = '', state = 'done') {
  steps[number] = { state, note };
  paintStep(number);
}

/** @param {number} number */
function paintStep(number) {
  const line = document.querySelector(`#steps li[data-step="${number}"]`);
  if (!line) return;
  const known = steps[number];
  line.classList.toggle('done', known?.state === 'done');
  line.classList.toggle('skipped', known?.state === 'skipped');
  line.querySelector('em')?.remove();
  if (known?.note) line.append(element('em', '', known.note));
}

/** A new login begins: the steps start over. */
export function startOver() {
  steps = {};
  for (let number = 1; number <= 12; number += 1) paintStep(number);
}

/** Keeps the drawing, secrets already shortened, until the browser is back. */
export function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify({ hops, steps, leftAt: Date.now() }));
}

/** @returns {number | null} when the page was left (milliseconds since 1970), if it was left by itself */
export function restore() {
  const text = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (text === null) return null;
  const kept = JSON.parse(text);
  hops = kept.hops;
  steps = kept.steps;
  for (const hop of hops) paint(hop, false);
  for (let number = 1; number <= 12; number += 1) paintStep(number);
  return kept.leftAt;
}
