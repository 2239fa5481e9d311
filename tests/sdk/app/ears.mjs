// What a phone hears: the real Ably SDK on the channels that its generation subscribes, with that generation's filters.

import Ably from 'ably';

import { origin } from './transport.mjs';

/** How long anything may take to be heard. */
const PATIENCE = 10_000;

export class Ears {
  /** `presence` is the channel that the generation enters, made from the session's id. */
  constructor(api, user, name, { presence, dropsOthers }) {
    Object.assign(this, { api, user, name, presence, dropsOthers });
    /** Everything that arrived on the session's channel, before any filter. */
    this.raw = [];
    this.kept = [];
    this.userEvents = [];
    this.waiting = [];
    this.failures = [];
  }

  async open(session) {
    this.client = new Ably.Realtime({
      endpoint: origin.hostname,
      port: Number(origin.port),
      tls: false,
      transports: ['web_socket'],
      disableConnectivityCheck: true,
      logLevel: 0,
      authCallback: (_, answer) => this.#token().then((token) => answer(null, token), (error) => answer(error.message, null)),
    });
    this.client.connection.on('failed', (change) => this.failures.push(`connection: ${change.reason?.message}`));
    await this.client.connection.whenState('connected');
    this.channel = this.client.channels.get(`meetwithoutfear:session:${session}`);
    await this.channel.subscribe((message) => this.#heard(message));
    const own = this.client.channels.get(`meetwithoutfear:user:${this.user}`);
    await own.subscribe((message) => this.#personal(message));
    this.where = this.client.channels.get(this.presence(session));
    await this.where.presence.subscribe(() => this.#changed());
    await this.where.presence.enter({ name: this.name });
    for (const channel of [this.channel, own, this.where]) {
      channel.on('failed', (change) => this.failures.push(`${channel.name}: ${change.reason?.message}`));
    }
  }

  async close() {
    if (!this.client) return;
    this.client.close();
    await this.client.connection.whenState('closed');
    if (this.failures.length > 0) throw new Error(`${this.name} lost a channel: ${this.failures.join('; ')}`);
  }

  /** The first kept event of this name since the mark (see `mark`), now or within a while. */
  async hears(name, matches = () => true) {
    const find = () => this.kept.find((event, at) => at >= this.from(name) && event.name === name && matches(event.data));
    const known = find();
    if (known) return known.data;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(look), 1);
        const since = this.kept.slice(this.from(name)).map((event) => `${event.name} ${JSON.stringify(event.data)}`);
        reject(new Error(`${this.name} never hears ${name}; heard ${since.join(', ') || 'nothing'}`));
      }, PATIENCE);
      const look = () => {
        const event = find();
        if (!event) return;
        clearTimeout(late);
        this.waiting.splice(this.waiting.indexOf(look), 1);
        resolve(event.data);
      };
      this.waiting.push(look);
    });
  }

  /** Later calls of `hears` look at what comes from here on. */
  mark() {
    this.start = this.kept.length;
  }

  from() {
    return this.start ?? 0;
  }

  /** Until the partner is seen in the presence set of this generation's channel. */
  async seesPresent(user) {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const members = await this.where.presence.get();
      const member = members.find((member) => member.clientId === user);
      if (member) return member;
      await new Promise((resolve) => {
        this.waiting.push(resolve);
        setTimeout(resolve, 50);
      });
    }
    throw new Error(`${this.name} never sees ${user} present on ${this.where.name}`);
  }

  async #token() {
    const { token, tokenRequest } = await this.api.call('GET', '/auth/ably-token', undefined, { safeParse: () => ({ success: true }) });
    return token ?? tokenRequest;
  }

  #heard({ name, data }) {
    this.raw.push({ name, data });
    this.api.ledger.silent(`${name} on the session's channel`, JSON.stringify(data) ?? '');
    if (data && typeof data === 'object' && ('empathyStatus' in data || 'empathyStatuses' in data)) {
      this.failures.push(`${name} carries empathyStatus`);
    }
    if (this.#isForMe(data ?? {})) this.kept.push({ name, data });
    this.#changed();
  }

  #isForMe(data) {
    if (data.excludeUserId === this.user) return false;
    if (data.triggeredByUserId === this.user && data.forUserId !== this.user) return false;
    const addressee = data.forUserId ?? data.message?.forUserId;
    return !(this.dropsOthers && addressee !== undefined && addressee !== this.user);
  }

  #personal({ name, data }) {
    this.userEvents.push({ name, data });
    this.api.ledger.silent(`${name} on the user's channel`, JSON.stringify(data) ?? '');
    this.#changed();
  }

  #changed() {
    for (const look of [...this.waiting]) look();
  }
}
