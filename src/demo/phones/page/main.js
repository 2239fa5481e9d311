// The page: two phones, what travels between them, and the buttons above.

import { Phone, h } from './phone.js';
import { Player } from './story.js';

const $ = (id) => document.getElementById(id);
const own = (path) => fetch(path, { method: 'POST', headers: { 'x-demo': 'yes' } }).then((response) => response.json());

const begun = performance.now();
const phones = {};

/** Adds a line to what travels, the newest first. */
function travels(kind, text, small) {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  $('log').firstElementChild.prepend(h('li', { class: kind }, h('time', {}, `${seconds} s`), text, small && h('small', {}, small)));
}

const millis = (ms) => (ms < 2000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const short = (path) => path.replace(/\/[a-z0-9]{25}(?=\/|$)/g, '/…');

const story = {
  recovery: [],
  /** When the last command was sent. */
  commandAt: 0,
  otherOf: (phone) => phones[phone.who === 'alex' ? 'sam' : 'alex'],

  command(phone, { what, path, ms, attempt }) {
    const again = attempt > 1 ? ` (attempt ${attempt}, with the same key: done once)` : '';
    travels('command', `${phone.name} ${what}`, `→ POST ${short(path)} ${millis(ms)}${again}`);
  },

  event(phone, name, { seq, timestamp }) {
    travels('event', `${phone.name} hears: ${EVENTS[name] ?? name}`, `⇠ ${name}, event ${seq}, ${millis(Math.max(0, Date.now() - timestamp))} later`);
  },

  note: (_, text) => travels('note', text),

  /** The screen of a phone that is in no session yet. */
  home(phone) {
    if (phone.who === 'alex') {
      return {
        title: 'Something stands between you and Sam?', text: 'Invite Sam to talk about it, step by step.',
        field: { id: 'topic', label: 'What is it about?', value: 'the holidays' },
        actions: [{ id: 'invite', label: 'Invite Sam', run: ({ field }) => invite(phone, field) }],
      };
    }
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
    if (player.isPlaying) return;
    const turns = Object.values(phones).filter((phone) => phone.turn).map((phone) => {
      const { actions, notices } = phone.shown;
      return `on ${phone.name}’s phone ${actions ? `“${actions[0].label}”` : 'the notification'}`;
    });
    const ended = phones.alex.view?.session.storedStatus;
    const text = ended === 'RESOLVED' ? 'Resolved. “Start over” begins anew.'
      : ended === 'ABANDONED' ? 'It has ended. “Start over” begins anew.'
      : turns.length ? `Next: ${turns.join(', or ')}` : 'Both wait. Open the app on a locked phone.';
    say(text);
  },
};

const EVENTS = {
  'session.joined': 'the other has joined', 'invitation.declined': 'the invitation was declined', 'partner.signed_compact': 'the other has signed', 'partner.advanced': 'the other went on',
  'partner.stage_completed': 'the other has finished a stage', 'partner.empathy_shared': 'the other has shared a guess',
  'partner.validated': 'the other feels understood', 'partner.revision_requested': 'not quite: the other asks to write it again', 'partner.needs_confirmed': 'the other has confirmed needs',
  'partner.needs_shared': 'the other has shared needs', 'partner.ready_to_rank': 'the other is ready to rank',
  'partner.ranking_submitted': 'the other has ranked', 'strategies.overlap_ready': 'the overlap is there',
  'session.strategies_updated': 'the ideas have changed', 'partner.common_ground_confirmed': 'the other has confirmed the common ground',
  'partner.marked_ready': 'the other is ready to rank',
  'agreement.proposed': 'a proposal', 'agreement.confirmed': 'both agree', 'agreement.declined': 'the proposal was declined',
  'session.paused': 'a pause', 'session.resumed': 'the pause is over', 'session.resolved': 'resolved',
};

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
  story.read = (await phones.sam.wire.get(`/invitations/${story.invitation}`)).invitation;
}

async function accept(phone) {
  const { session } = await phone.act('accepts the invitation', `/invitations/${story.invitation}/accept`);
  phone.session = session.id;
  phone.openApp();
}

async function decline(phone) {
  await phone.act('declines the invitation', `/invitations/${story.invitation}/decline`);
  story.invitation = null;
}

const player = new Player(say, () => {
  $('play').textContent = player.isPlaying ? '❚❚ Pause' : '▶ Play it for me';
  story.changed();
});

async function kill() {
  $('kill').disabled = true;
  travels('note', 'The server is killed with SIGKILL. Both phones lose it at once.');
  await own('kill');
}

/** What the page's own server tells: notifications that reached a phone, and whether the node runs. */
function feed({ node, alex, sam }) {
  let isUp = true;
  const source = new EventSource(`feed?${new URLSearchParams({ devices: `${alex.pushToken},${sam.pushToken}` })}`);
  source.addEventListener('push', ({ data }) => {
    const { token, title, body, data: payload } = JSON.parse(data);
    const phone = Object.values(phones).find((each) => each.login.pushToken === token);
    travels('push', `${phone.name}’s phone gets: “${title}”`, `⇢ “${body}”, event ${payload.seq}, ${millis(performance.now() - story.commandAt)} after the command`);
    phone.notify({ title, body });
  });
  source.addEventListener('server', ({ data }) => {
    const { up, ms, problem } = JSON.parse(data);
    if (up === isUp) return;
    isUp = up;
    for (const phone of Object.values(phones)) {
      phone.wire.server = up;
      if (up) phone.wire.connect();
      else phone.wire.drop();
    }
    if (up) travels('note', `The server is back on the same data, ${ms} ms after its start.`);
    if (problem) travels('note', `The server does not come back: ${problem}`);
    $('kill').disabled = !up;
  });
}

async function begin() {
  const logins = await own('story');
  for (const who of ['alex', 'sam']) phones[who] = new Phone(who, logins[who], logins.node, story);
  feed(logins);
  await Promise.all(Object.values(phones).map((phone) => phone.signIn()));
  story.recovery = (await phones.alex.wire.get('/realtime/config')).show;
  story.changed();
}

$('play').onclick = () => player.toggle();
$('kill').onclick = kill;
$('again').onclick = () => location.reload();
begin();
