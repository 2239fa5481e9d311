// How a phone speaks to the server: commands by HTTP, events by server-sent events, presence by Ably's protocol over a WebSocket.
// This is all that an app without an SDK needs.

const CLOSE = 7, ATTACH = 10, PRESENCE = 14, SYNC = 16; // actions of Ably's protocol
const ENTER = 2, LEAVE = 3;
const AGAIN = 400; // ms between two attempts

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A browser reports an error for a socket that is closed while it connects, so its end waits until it is open. */
function closeWhenOpen(socket) {
  if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket?.close();
}

export class Refused extends Error {}

export class Wire {
  #token; #source; #socket; #lastEvent; #attempt = 0;
  session = null;
  /** Whether the app is open, whether the phone has a network, and whether the server runs. */
  open = false; network = true; server = true;
  members = new Map();

  /** `told` hears of `event`, `connected` and `presence`. The last one knows whether the server told it. */
  constructor(node, login, told) {
    Object.assign(this, { node, login, told });
  }

  get isOnline() {
    return this.network && this.server;
  }

  get(path) {
    return this.#ask('GET', path);
  }

  /**
   * Sends a command until it is answered. Its key makes the server do it once, however often it is sent. `sent` is called
   * when it is sent for the first time. What it returns is called with the answer.
   */
  async post(path, body, sent = () => () => {}) {
    const key = crypto.randomUUID();
    let answered;
    for (let attempt = 1; ; attempt++) {
      while (!this.isOnline) await pause(AGAIN / 4);
      answered ??= sent(path);
      const begun = performance.now();
      const answer = (problem) => answered({ ms: performance.now() - begun, attempt, problem });
      try {
        const data = await this.#ask('POST', path, body, key);
        answer();
        return data;
      } catch (error) {
        if (error instanceof Refused) {
          answer(error.message);
          throw error;
        }
        await pause(AGAIN);
      }
    }
  }

  async #ask(method, path, body, key) {
    if (!this.isOnline) throw new TypeError('no network');
    const headers = { authorization: `Bearer ${this.login.token}` };
    if (body) headers['content-type'] = 'application/json';
    if (key) headers['idempotency-key'] = key;
    const response = await fetch(`${this.node}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json();
    if (!answer.success) throw new Refused(answer.error.message);
    return answer.data;
  }

  /** Opens the app on a session. */
  enter(session) {
    this.session = session;
    this.open = true;
    this.connect();
  }

  /** Closes the app. The goodbye ends the presence at once. */
  leave() {
    this.#send({ action: CLOSE });
    this.open = false;
    this.drop();
  }

  /** Loses all connections without a word. */
  drop() {
    this.#attempt++;
    this.#source?.close();
    closeWhenOpen(this.#socket);
    this.#source = this.#socket = undefined;
    this.members.clear();
    this.told.presence(false);
  }

  /** Connects, and goes on at the last event. Tries again until it works, or until something changes. */
  async connect() {
    this.drop();
    const attempt = this.#attempt;
    const isCurrent = () => attempt === this.#attempt && this.open && this.isOnline;
    while (isCurrent()) {
      try {
        await this.#authorize();
        if (isCurrent()) this.#listen(isCurrent);
        return;
      } catch {
        await pause(AGAIN);
      }
    }
  }

  /** A token of the realtime service for a signed request, as the SDK gets it. */
  async #authorize() {
    if (this.#token) return;
    const { tokenRequest } = await this.get('/auth/ably-token');
    const response = await fetch(`${this.node}/keys/${tokenRequest.keyName}/requestToken`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(tokenRequest),
    });
    this.#token = (await response.json()).token;
  }

  #listen(isCurrent) {
    const channel = `meetwithoutfear:session:${this.session}`;
    const query = new URLSearchParams({ v: '1.2', channels: channel, accessToken: this.#token });
    if (this.#lastEvent) query.set('lastEvent', this.#lastEvent);
    const again = async (error) => {
      if (error?.code >= 40140 && error.code < 40150) this.#token = undefined;
      if (!isCurrent()) return;
      this.drop();
      await pause(AGAIN);
      if (this.open && this.isOnline && !this.#source) this.connect();
    };
    const source = this.#source = new EventSource(`${this.node}/sse?${query}`);
    source.onopen = () => this.told.connected();
    source.onmessage = ({ data, lastEventId }) => {
      this.#lastEvent = lastEventId;
      const { name, data: payload } = JSON.parse(data);
      this.told.event(name, JSON.parse(payload));
    };
    source.onerror = ({ data }) => again(data && JSON.parse(data));

    const presence = `${channel}:presence`;
    const params = new URLSearchParams({ v: '3', format: 'json', heartbeats: 'true', access_token: this.#token });
    const socket = this.#socket = new WebSocket(`${this.node.replace('http', 'ws')}/?${params}`);
    socket.onopen = () => {
      this.#send({ action: ATTACH, channel: presence });
      this.#send({ action: PRESENCE, channel: presence, msgSerial: 0, presence: [{ action: ENTER }] });
    };
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.action === PRESENCE || frame.action === SYNC) this.#note(frame);
    };
    socket.onclose = () => again();
  }

  #note(frame) {
    for (const { action, clientId, connectionId = frame.connectionId } of frame.presence) {
      const member = `${connectionId} ${clientId}`;
      if (action === LEAVE) this.members.delete(member);
      else this.members.set(member, clientId);
    }
    this.told.presence(true);
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}
