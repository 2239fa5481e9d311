// One phone: its screen, its lock screen, and the two buttons below it.

import { heard, isNews } from './heard.js';
import { load, screen } from './screens.js';
import { quoted } from './story.js';
import { Refused, Wire } from './wire.js';

/** While the network is cut, time on the phone runs this many times faster, so that nobody waits two minutes. */
const FASTER = 10;

/** An element with attributes (or listeners) and children. What is false or empty is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

export class Phone {
  /** The session, once this phone knows of it. */
  session = null;
  view = null;
  /** `home`, `app` or `locked`. */
  place = 'home';
  notices = [];
  /** What the phone shows of what the partner did last. */
  news = '';
  /** The action that was pressed and is not answered yet. */
  #busy; #sawOther = false; #seen = 0; #loads = 0; #drawn = ''; #written = {}; #picked = {}; #cutAt = 0; #held = []; #closed = ''; #title;

  /** `story` hears what travels, and knows the other phone. */
  constructor(who, login, node, story) {
    Object.assign(this, { who, login, story, name: login.name });
    this.wire = new Wire(node, login, {
      event: (name, data) => this.#hear(name, data),
      connected: () => this.refresh(),
      presence: (isTold) => this.#hearPresence(isTold),
    });
    this.section = document.getElementById(who);
    this.glass = h('div', { class: 'glass' });
    this.hand = h('p', { class: 'hand' });
    this.leaveButton = h('button', { 'data-do': 'leave', onclick: () => this.leave() }, 'Leave the app');
    this.cutButton = h('button', { 'data-do': 'cut', onclick: () => (this.wire.network ? this.cut() : this.mend()) });
    this.buttons = h('div', { class: 'buttons' }, this.leaveButton, this.cutButton);
    this.section.replaceChildren(this.glass, this.buttons, this.hand);
    this.draw();
  }

  get other() {
    return this.story.otherOf(this);
  }

  /** Registers the phone for notifications, as an app does after signing in. */
  async signIn() {
    await this.act('signs in and allows notifications', '/auth/push-token', { pushToken: this.login.pushToken, platform: 'ios' });
  }

  /** What a page that is loaded again needs, to go on. */
  get kept() {
    const { session, place, notices } = this;
    return { session, place, notices };
  }

  restore({ session, place, notices }) {
    Object.assign(this, { session, place, notices });
    if (place === 'app') this.openApp();
    else this.draw();
  }

  // ---- the app ----

  openApp() {
    this.place = 'app';
    this.notices = [];
    this.news = '';
    this.wire.enter(this.session);
    this.draw();
    this.refresh();
  }

  #unlock(from) {
    this.story.note(this, `${this.name} opens the app${from}.`);
    this.openApp();
  }

  leave() {
    this.place = 'locked';
    this.wire.leave();
    this.story.note(this, `${this.name} leaves the app. Tandem sees that at once.`);
    this.draw();
  }

  /** Reads the state, and shows it. A call while one is under way asks once more afterwards. */
  async refresh() {
    if (this.place !== 'app' || !this.wire.isOnline) return this.draw();
    const number = ++this.#loads;
    try {
      const view = await load(this.wire, this.session);
      if (number !== this.#loads) return;
      this.view = view;
      if (view.seq > this.#seen && this.place === 'app') {
        this.#seen = view.seq;
        this.wire.post(`/sessions/${this.session}/viewed`, { lastSeenSeq: view.seq });
      }
    } catch {
      // The next event or the next connection asks again.
    }
    this.draw();
  }

  #hear(name, data) {
    if (data.excludeUserId !== this.login.user) {
      const words = heard(name, data, this.other.name);
      if (isNews(name)) this.news = words;
      this.story.event(this, words, name, data);
    }
    this.refresh();
  }

  get #isOtherThere() {
    return [...this.wire.members.values()].some((member) => member !== this.login.user);
  }

  /** `isTold`: the server said who is there. Without, this phone has only lost its connection. */
  #hearPresence(isTold) {
    const isThere = this.#isOtherThere;
    if (isTold && isThere !== this.#sawOther) {
      this.#sawOther = isThere;
      this.story.presence(this, isThere);
    }
    this.draw();
  }

  act(what, path, body) {
    return this.wire.post(path, body, (path) => this.story.command(this, what, path));
  }

  /** A command on the session. */
  command = (what, path, body) => this.act(what, `/sessions/${this.session}/${path}`, body);

  async #run(action) {
    if (this.#busy) return;
    const { field, picks } = this.shown;
    this.#busy = action;
    this.news = '';
    this.draw();
    try {
      await action.run({ field: this.#text(field), picked: this.#chosen(picks), ranked: this.#picked.ranks ?? [] });
    } catch (error) {
      // What was refused stands among what travels.
      if (!(error instanceof Refused)) throw error;
    } finally {
      this.#busy = undefined;
      await this.refresh();
    }
  }

  // ---- notifications ----

  notify(notice) {
    if (!this.wire.network) return void this.#held.push(notice);
    this.notices = [notice, ...this.notices.filter((each) => each.body !== notice.body)];
    this.draw();
  }

  // ---- the network ----

  cut() {
    this.#cutAt = performance.now();
    this.wire.network = false;
    this.wire.drop();
    this.story.note(this, `${this.name} loses the network. Nobody says goodbye.`);
    this.#tick();
  }

  mend() {
    this.wire.network = true;
    this.#closed = '';
    this.story.note(this, `${this.name} has a network again, and catches up.`);
    this.#held.splice(0).forEach((notice) => this.notify(notice));
    this.wire.connect();
    this.draw();
  }

  #tick() {
    this.draw();
    if (!this.wire.network) setTimeout(() => this.#tick(), 1000 / FASTER);
  }

  /** What the server's recovery table says about now. */
  #recovery() {
    if (this.wire.network) return {};
    const lost = (performance.now() - this.#cutAt) * FASTER;
    const row = this.story.recovery.filter((each) => each.state !== 'failed' && each.afterMs <= lost).at(-1);
    return { lost, ...row };
  }

  // ---- drawing ----

  /** The screen as data. */
  #screen() {
    if (this.place === 'locked') return { locked: true, notices: this.notices };
    if (this.place === 'home') return this.story.home(this);
    if (!this.view) return { title: 'One moment' };
    return screen({ who: this.who, other: this.other.name, view: this.view, command: this.command });
  }

  /** Whether this person can do something now. */
  get turn() {
    const { actions, notices } = this.shown;
    return Boolean(actions?.length || notices?.length);
  }

  get hasEnded() {
    return Boolean(this.shown.ended);
  }

  /** What this person can do now, in words. */
  get todo() {
    if (!this.wire.network) return `give ${this.name} the network back`;
    if (!this.turn) return undefined;
    const on = `on ${this.name}’s phone`;
    const { actions, field, picks, ranks } = this.shown;
    if (!actions) return `${on} open the notification`;
    const action = this.#main;
    const press = quoted(action.label);
    if (ranks && !this.#picked.ranks?.length) return `${on} tap up to three ideas, then press ${press}`;
    if (picks && this.#chosen(picks).length < picks.least) return `${on} choose something, then press ${press}`;
    if (action.writes && !this.#text(field).trim()) return `${on} write under ${quoted(field.label)}, then press ${press}`;
    return `${on} press ${press}`;
  }

  get #main() {
    const { actions } = this.shown;
    return actions.find(({ main }) => main) ?? actions[0];
  }

  #text(field) {
    return this.#written[field?.id] ?? field?.value ?? '';
  }

  #chosen(picks) {
    return this.#picked[picks?.legend] ?? picks?.options.filter((each) => each.picked).map((each) => each.id);
  }

  /** Whether something is missing for this action. */
  #isOff({ writes }) {
    const { field, picks, ranks } = this.shown;
    return Boolean(this.#busy || (writes && !this.#text(field).trim())
      || (picks && this.#chosen(picks).length < picks.least) || (ranks && !this.#picked.ranks?.length));
  }

  /** Draws the screen if it is not what is there already: what somebody writes or reaches by keyboard stays. */
  draw() {
    this.shown = this.#screen();
    const { lost, show, text } = this.#recovery();
    const message = this.#closed === show ? undefined : show;
    const isThere = this.#isOtherThere;
    const drawn = JSON.stringify([this.shown, this.#picked, message, isThere, this.#busy?.label, this.news, this.wire.network, this.wire.server]);
    this.hand.textContent = lost === undefined ? '' : `No network for ${clock(lost)}, on a clock that runs ${FASTER} times as fast to spare you the wait.`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = this.section.contains(document.activeElement) ? document.activeElement.dataset.do ?? 'any' : undefined;
    this.section.classList.toggle('turn', this.turn);
    this.buttons.hidden = this.hasEnded;
    this.leaveButton.disabled = this.place !== 'app';
    this.cutButton.textContent = this.wire.network ? 'Cut the network' : 'Give the network back';
    this.cutButton.disabled = !this.session;
    const scrolled = this.#title === this.shown.title ? this.glass.querySelector('.screen')?.scrollTop : 0;
    this.#title = this.shown.title;
    const parts = [
      h('div', { class: 'bar' }, h('b', {}, this.name), this.#status(isThere)),
      message === 'toast' && h('div', { class: 'toast', role: 'status' }, text),
      this.place === 'app' && this.news && h('p', { class: 'news', role: 'status' }, `${this.news}.`),
      ...(this.shown.locked ? [this.#lockScreen()] : this.#appScreen()),
      message === 'modal' && this.#dialogue(show, text),
    ];
    this.glass.replaceChildren(...parts.filter(Boolean));
    this.glass.querySelector('.screen').scrollTop = scrolled ?? 0;
    if (focused && !this.section.contains(document.activeElement)) {
      const again = this.section.querySelector(`[data-do="${focused}"]:not(:disabled)`);
      (again ?? this.glass.querySelector('.actions button:not(:disabled)') ?? this.glass.querySelector('h2'))?.focus();
    }
    this.story.changed();
  }

  #status(isThere) {
    if (this.place !== 'app') return h('span', {}, this.place === 'locked' ? 'locked' : '');
    if (!this.wire.network) return h('span', {}, 'no network');
    if (!this.wire.server) return h('span', {}, 'reconnecting');
    if (!this.view || this.hasEnded || this.view.session.storedStatus === 'INVITED') return '';
    return h('span', {}, isThere ? `${this.other.name} is here` : `${this.other.name} is away`);
  }

  #lockScreen() {
    const notices = this.notices.map(({ title, body }) =>
      h('button', { class: 'notice', 'data-do': 'notice', onclick: () => this.#unlock(' from the notification') }, h('b', {}, title), h('span', {}, body)));
    const time = new Date().toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
    return h('div', { class: 'screen locked' },
      h('h2', { class: 'clock', tabindex: -1 }, time), ...notices,
      h('div', { class: 'actions' }, h('button', { 'data-do': 'unlock', onclick: () => this.#unlock('') }, 'Open the app')));
  }

  /** What scrolls, and the buttons below it, which are always in sight. */
  #appScreen() {
    const { stage, done = stage, heading, title, text, cards, field, picks, ranks, waiting, actions = [], pause } = this.shown;
    const ranked = this.#picked.ranks ?? [];
    const screen = h('div', { class: 'screen', 'data-do': 'screen', tabindex: 0 },
      stage !== undefined && h('div', {},
        h('ol', { class: 'steps', 'aria-hidden': 'true' }, ...[0, 1, 2, 3, 4].map((each) => h('li', { class: each < done ? 'done' : each === done ? 'now' : '' }))),
        heading ? h('p', { class: 'stage' }, heading) : ''),
      h('h2', { tabindex: -1 }, title),
      text && h('p', {}, text),
      cards?.length && h('ul', { class: 'cards' }, ...cards.map(([words, small]) => h('li', { class: 'card' }, words, small && h('small', {}, small)))),
      field && this.#field(field),
      picks && this.#picks(picks),
      ranks && h('div', { class: 'cards', role: 'group', 'aria-label': 'Ideas' }, ...ranks.map((each) => this.#rank(each, ranked))),
      waiting && h('p', { class: 'waiting' }, waiting));
    const foot = (actions.length || pause) && h('div', { class: 'actions' },
      ...actions.map((action) => h('button', {
        class: action === this.#main ? 'main' : '', 'data-do': action.id, disabled: this.#isOff(action), onclick: () => this.#run(action),
      }, this.#busy?.id === action.id ? this.#sending : action.label)),
      pause && h('button', { class: 'quiet', 'data-do': 'pause', disabled: Boolean(this.#busy), onclick: () => this.#run({ run: pause }) }, 'Ask for a pause'));
    return [screen, foot];
  }

  get #sending() {
    if (!this.wire.network) return 'Waits for the network…';
    return this.wire.server ? 'Sending…' : 'Waits for the server…';
  }

  #field({ id, label, value, lines }) {
    const attributes = { id: `${this.who}-${id}`, 'data-do': id, maxlength: 500, oninput: ({ target }) => this.#write(id, target.value) };
    const input = lines ? h('textarea', { ...attributes, rows: lines }) : h('input', { ...attributes, type: 'text' });
    input.value = this.#written[id] ?? value;
    return h('div', {}, h('label', { for: attributes.id }, label), input);
  }

  /** The screen stays as it is while somebody writes. Only the buttons follow. */
  #write(id, text) {
    this.#written[id] = text;
    for (const action of this.shown.actions ?? []) this.glass.querySelector(`[data-do="${action.id}"]`).disabled = this.#isOff(action);
    this.story.changed();
  }

  #picks(picks) {
    const { legend, options, only } = picks;
    const chosen = () => this.#chosen(picks);
    const pick = (id, checked) => {
      const others = only ? [] : chosen().filter((each) => each !== id);
      this.#picked[legend] = checked ? [...others, id] : others;
      this.draw();
    };
    return h('fieldset', {}, h('legend', {}, legend), ...options.map(({ id, label }) => h('label', { class: 'pick' },
      h('input', { type: only ? 'radio' : 'checkbox', name: `${this.who}-pick`, 'data-do': id, checked: chosen().includes(id), onchange: ({ target }) => pick(id, target.checked) }),
      h('span', {}, label))));
  }

  #rank({ id, label }, ranked) {
    const place = ranked.indexOf(id);
    const tap = () => {
      const others = ranked.filter((each) => each !== id);
      this.#picked.ranks = place >= 0 ? others : [...others, id].slice(0, 3);
      this.draw();
    };
    return h('button', { class: 'rank', 'data-do': `rank-${id}`, 'aria-pressed': String(place >= 0), onclick: tap }, h('span', {}, place >= 0 ? `${place + 1}` : ''), label);
  }

  #dialogue(show, text) {
    const unsent = this.#busy?.label && h('p', {}, `${quoted(this.#busy.label)} is not sent yet. It is sent when the network is back.`);
    return h('div', { class: 'dialogue', role: 'alertdialog', 'aria-label': 'Connection lost' }, ...[h('p', {}, text), unsent].filter(Boolean),
      h('button', { 'data-do': 'close', onclick: () => { this.#closed = show; this.draw(); } }, 'OK'));
  }
}

function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
