// HTTP as the app's client speaks it: a bearer token of three parts, JSON announced also where nothing follows, an envelope in
// which `success` and a truthy `data` mean success, and nothing validated. What the client does not check is checked here: every
// answer against a shape, and for words of the partner that were not shared.

import crypto from 'node:crypto';
import http from 'node:http';

export const origin = new URL(process.env.TANDEM_URL ?? 'http://127.0.0.1:8080');

export class Refused extends Error {
  constructor(where, status, error) {
    super(`${where} was refused: ${status} ${JSON.stringify(error)}`);
    Object.assign(this, { status, code: error?.code });
  }
}

let phones = 0;

export class Api {
  /** `ledger` knows whose words may be seen by whom; `owner` is the user's name in it. */
  constructor(token, ledger, owner) {
    this.token = token;
    this.ledger = ledger;
    this.owner = owner;
    // Each phone has an address of its own: some limits count by address.
    phones += 1;
    this.localAddress = `127.78.${process.pid % 250}.${phones % 250 + 1}`;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 4, localAddress: this.localAddress });
  }

  close() {
    this.agent.destroy();
  }

  /** `/v1/…` and all others below `/api`, as the client builds its addresses. */
  send(method, path, body, { bearer = true } = {}) {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const headers = { accept: 'application/json', 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    if (bearer && this.token.split('.').length === 3) headers.authorization = `Bearer ${this.token}`;
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: origin.hostname, port: origin.port, path: `/api${path}`, method, headers, agent: this.agent, timeout: 30_000 },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode, text }));
          response.on('error', reject);
        },
      );
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} took longer than 30 s`)));
      request.on('error', reject);
      request.end(payload);
    });
  }

  /** The `data` of a success, in its shape. */
  async call(method, path, body, shape, options) {
    const where = `${this.owner}: ${method} ${path}`;
    const { status, text } = await this.send(method, path, body, options);
    this.ledger.read(this.owner, where, text);
    let envelope;
    try {
      envelope = JSON.parse(text);
    } catch {
      throw new Error(`${where} answered ${status} with no JSON: ${text.slice(0, 200)}`);
    }
    if (envelope.success !== true || !envelope.data) throw new Refused(where, status, envelope.error ?? envelope);
    if (status !== 200 && status !== 201) throw new Error(`${where} answered a success with ${status}`);
    const checked = shape.safeParse(envelope.data);
    if (!checked.success) {
      const problems = checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
      throw new Error(`${where}: ${problems}; in ${JSON.stringify(envelope.data).slice(0, 1500)}`);
    }
    return envelope.data;
  }

  /** Status and code of a refusal. */
  async refused(method, path, body) {
    try {
      await this.call(method, path, body, { safeParse: () => ({ success: true }) });
    } catch (error) {
      if (error instanceof Refused) return { status: error.status, code: error.code };
      throw error;
    }
    throw new Error(`${this.owner}: ${method} ${path} was not refused`);
  }
}

/** Who may read which text. A text is private to its owner until it is shared. */
export class Ledger {
  #texts = new Map();

  /** A text of the owner's that is found again wherever it turns up, with few words that others have, too. */
  write(owner, about) {
    const words = crypto.randomBytes(12).toString('hex').match(/.{8}/g);
    const text = `${about} ${words.join(' ')}`;
    this.#texts.set(text, new Set([owner]));
    return text;
  }

  /** From here on, `reader` may see the text; `everybody` is a reader, too. */
  share(text, reader) {
    this.#texts.get(text).add(reader);
  }

  unshare(text, reader) {
    this.#texts.get(text).delete(reader);
  }

  read(reader, where, answer) {
    for (const [text, readers] of this.#texts) {
      if (answer.includes(text) && !readers.has(reader) && !readers.has('everybody')) {
        throw new Error(`${where} shows ${reader} what is not for ${reader}: "${text}" in ${answer.slice(0, 1500)}`);
      }
    }
  }

  /** No text at all: channels are shared, lock screens are read by anybody. */
  silent(where, message) {
    for (const text of this.#texts.keys()) {
      if (message.includes(text)) throw new Error(`${where} carries words: "${text}" in ${message.slice(0, 1500)}`);
    }
  }
}
