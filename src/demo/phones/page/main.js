// The page: two phones, what travels between them, and the buttons above.

import { Phone, h } from './phone.js';
import { Player } from './story.js';

/** Where the page keeps what it needs when it is loaded again. */
const KEPT = 'two phones';

const $ = (id) => document.getElementById(id);
const own = (path) => fetch(path, { method: 'POST', headers: { 'x-demo': 'yes' } }).then((response) => response.json());

const begun = performance.now();
const phones = {};

/** Adds a line to what travels, the newest first. Returns what changes its small print. */
function travels(kind, text, small = '') {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const print = h('small', {}, small);
  $('log').firstElementChild.prepend(h('li', { class: kind }, h('time', {}, `${seconds} s`), text, small && print));
  return (text) => (print.textContent = text);
}

const millis = (ms) => (ms < 2000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const short = (path) => path.replace(/\/[a-z0-9]{25}(?=\/|$)/g, '/…');

const story = {
  recovery: [],
  isUp: true,
  /** The pushes that were shown: the feed tells them again when it is opened again. */
  pushed: [],
  /** When the last command was sent. */
  commandAt: 0,
  otherOf: (phone) => phones[phone.who === 'alex' ? 'sam' : 'alex'],

  /** A command is sent. Returns what is called with its answer. */
  command(phone, what, path) {
    story.commandAt = performance.now();
    const line = `→ POST ${short(path)}`;
    const complete = travels('command', `${phone.name} ${what}`, `${line} …`);
    return ({ ms, attempt, problem }) => {
      const again = attempt > 1 ? ` (attempt ${attempt}, with the same key: done once)` : '';
      complete(problem ? `${line} refused: ${problem}` : `${line} ${millis(ms)}${again}`);
    };
  },

  event(phone, words, name, { seq, timestamp }) {
    travels('event', `${phone.name} hears: ${words}`, `⇠ ${name}, event ${seq}, ${millis(Math.max(0, Date.now() - timestamp))} later`);
  },

  presence(phone, isThere) {
    travels('event', `${phone.name} hears: ${phone.other.name} is ${isThere ? 'here' : 'away'}`, `⇠ presence, ${isThere ? 'enter' : 'leave'}`);
  },

  note: (_, text) => travels('note', text),

  /** The screen of a phone that is in no session yet. */
  home(phone) {
    if (phone.who === 'alex') {
      return {
        title: 'Something stands between you and Sam?', text: 'Invite Sam to talk about it, step by step.',
        field: { id: 'topic', label: 'What is it about?', value: 'the holidays' },
        actions: [{ id: 'invite', writes: true, label: 'Invite Sam', run: ({ field }) => invite(phone, field) }],
      };
    }
    if (story.declined) return { title: 'You said no', text: 'Alex hears that. Nothing else was shared.', ended: true };
    if (!story.invitation) return { title: 'Sam’s phone', text: 'Nothing has come yet.' };
    if (!story.read) {
      return {
        title: 'A message from Alex', cards: [['Will you join me? Here is the link.', 'from any messenger']],
        actions: [{ id: 'read', label: 'Open the link', run: readInvitation }],
      };
    }
    return {
      title: `${story.read.invitedBy.name} invites you`, text: 'You go through five stages, each at your own pace. Alex sees nothing that you do not share.',
      actions: [
        { id: 'accept', label: 'Accept', run: () => accept(phone) },
        { id: 'not-now', label: 'No, thank you', run: () => decline(phone) },
      ],
    };
  },

  /** Something on a phone has changed: says whose turn it is. */
  changed() {
    if (!phones.sam) return;
    for (const { who, turn } of Object.values(phones)) document.querySelector(`nav a[href="#${who}"]`).classList.toggle('turn', turn);
    keep();
    if (player.isPlaying) return;
    say(next());
  },
};

/** What can be done next. */
function next() {
  if (story.problem) return 'The server does not come back. End the demo in its terminal, and start it again.';
  if (!story.isUp) return 'The server is down. It comes back by itself in a moment.';
  const status = phones.alex.view?.session.storedStatus;
  if (status === 'RESOLVED') return 'Resolved. “Start over” begins anew.';
  if (status === 'ABANDONED') return 'It has ended. “Start over” begins anew.';
  const all = Object.values(phones).map(({ todo }) => todo).filter(Boolean);
  return all.length ? `Next: ${all.join(', or ')}` : 'Both wait. Open the app on a locked phone.';
}

function say(text) {
  if ($('next').textContent !== text) $('next').textContent = text;
}

async function invite(phone, context) {
  const { session, invitationId } = await phone.act('invites Sam', '/sessions', { inviteName: 'Sam', context });
  story.invitation = invitationId;
  phone.session = session.id;
  phone.openApp();
  phones.sam.draw();
}

async function readInvitation() {
  const path = `/invitations/${story.invitation}`;
  const complete = travels('command', 'Sam opens the link', `→ GET ${short(path)} …`);
  const asked = performance.now();
  story.read = (await phones.sam.wire.get(path)).invitation;
  complete(`→ GET ${short(path)} ${millis(performance.now() - asked)}`);
}

async function accept(phone) {
  const { session } = await phone.act('accepts the invitation', `/invitations/${story.invitation}/accept`);
  phone.session = session.id;
  phone.openApp();
}

async function decline(phone) {
  await phone.act('declines the invitation', `/invitations/${story.invitation}/decline`);
  story.declined = true;
}

const player = new Player(say, () => {
  $('play').textContent = player.isPlaying ? '❚❚ Pause' : '▶ Play it for me';
  story.changed();
});

async function kill() {
  $('kill').disabled = true;
  story.isKiller = true;
  travels('note', 'The server is killed with SIGKILL. Both phones lose it at once. It starts again by itself.');
  await own('kill');
}

/** What the page's own server tells: notifications that reached a phone, and whether the node runs. */
function feed({ node, alex, sam }) {
  let hasTold = false;
  const source = new EventSource(`feed?${new URLSearchParams({ devices: `${alex.pushToken},${sam.pushToken}` })}`);
  source.addEventListener('push', ({ data }) => {
    const { token, title, body, data: payload } = JSON.parse(data);
    const phone = Object.values(phones).find((each) => each.login.pushToken === token);
    const push = `${token} ${payload.seq}`;
    if (story.pushed.includes(push)) return;
    story.pushed.push(push);
    travels('push', `${phone.name}’s phone gets: “${title}”`, `⇢ “${body}”, event ${payload.seq}, ${millis(performance.now() - story.commandAt)} after the command`);
    phone.notify({ title, body });
  });
  source.addEventListener('server', ({ data }) => {
    const { up, ms, problem } = JSON.parse(data);
    const isFirst = !hasTold;
    hasTold = true;
    if (up === story.isUp) return;
    Object.assign(story, { isUp: up, problem });
    if (!up && !story.isKiller && !isFirst) travels('note', 'The server was killed from another tab. It starts again by itself.');
    story.isKiller = false;
    for (const phone of Object.values(phones)) {
      phone.wire.server = up;
      if (up) phone.wire.connect();
      else phone.wire.drop();
    }
    if (up) travels('note', `The server is back on the same data, ${ms} ms after its start.`);
    if (problem) travels('note', `The server does not come back: ${problem}`);
    $('kill').disabled = !up;
    story.changed();
  });
}

/** Keeps, for this tab, who the two are and where their phones stand. All else is asked for again. */
function keep() {
  const { logins, invitation, read, declined, pushed } = story;
  const places = Object.fromEntries(Object.entries(phones).map(([who, phone]) => [who, phone.kept]));
  if (logins) sessionStorage.setItem(KEPT, JSON.stringify({ logins, invitation, read, declined, pushed, places }));
}

/** What was kept, if it is of the demo that runs. */
function kept(fresh) {
  const all = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  return all?.logins.process === fresh.process ? all : null;
}

async function begin() {
  const fresh = await own('story');
  const { places, ...before } = kept(fresh) ?? { logins: fresh };
  const { logins } = before;
  for (const who of ['alex', 'sam']) phones[who] = new Phone(who, logins[who], logins.node, story);
  Object.assign(story, before);
  feed(logins);
  if (places) {
    travels('note', 'The page was loaded again. Both phones ask the server where they are.');
    for (const [who, phone] of Object.entries(phones)) phone.restore(places[who]);
  } else {
    await Promise.all(Object.values(phones).map((phone) => phone.signIn()));
  }
  story.recovery = (await phones.alex.wire.get('/realtime/config')).show;
  story.changed();
}

/** Says which part is in sight, where one at a time is. */
function markParts() {
  const links = new Map([...document.querySelectorAll('nav a')].map((link) => [document.querySelector(link.hash), link]));
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) links.get(target).setAttribute('aria-current', 'true');
      else links.get(target).removeAttribute('aria-current');
    }
  }, { root: document.querySelector('main'), threshold: 0.6 });
  for (const part of links.keys()) watch.observe(part);
}

/** Tabs of one browser share the server, not the two people. */
function meetOtherTabs() {
  const tabs = new BroadcastChannel(KEPT);
  tabs.onmessage = ({ data }) => {
    if (data === 'new') tabs.postMessage('old');
    travels('note', 'Another tab shows two other people on the same server. A kill in one is a kill in both.');
  };
  tabs.postMessage('new');
}

$('play').onclick = () => player.toggle();
$('kill').onclick = kill;
$('again').onclick = () => {
  sessionStorage.removeItem(KEPT);
  location.reload();
};
markParts();
meetOtherTabs();
begin();
