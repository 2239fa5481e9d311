// What the tests share: a test app of their own, clients in both formats, and waiting for conditions instead of sleeping.

import Ably from 'ably';

export const url = new URL(process.env.TANDEM_URL ?? 'http://127.0.0.1:8080');

// Keys by index: 0 everything, 1 and 2 limited, 3 subscribe only, 4 revocable, 5 everything with `[*]*`.
const APP = {
  limits: { presence: { maxMembers: 250 } },
  keys: [
    {},
    { capability: JSON.stringify({ 'cansubscribe:*': ['subscribe'], 'canpublish:*': ['publish'], 'canpublish:andpresence': ['presence', 'publish'] }) },
    {
      capability: JSON.stringify({
        channel0: ['publish'],
        channel1: ['publish'],
        channel2: ['publish', 'subscribe'],
        channel3: ['subscribe'],
        channel4: ['presence', 'publish', 'subscribe'],
        channel5: ['presence'],
        channel6: ['*'],
      }),
    },
    { capability: JSON.stringify({ '*': ['subscribe'] }) },
    { revocableTokens: true },
    { capability: JSON.stringify({ '[*]*': ['*'] }) },
  ],
  namespaces: [{ id: 'persisted', persisted: true }],
  channels: [
    {
      name: 'persisted:presence_fixtures',
      presence: [
        { clientId: 'client_bool', data: 'true' },
        { clientId: 'client_json', data: '{ "test": "This is a JSONObject clientData payload"}' },
        { clientId: 'client_decoded', data: '{"example":{"json":"Object"}}', encoding: 'json' },
        {
          clientId: 'client_encoded',
          data: 'HO4cYSP8LybPYBPZPHQOtuD53yrD3YV3NBoTEYBh4U0N1QXHbtkfsDfTspKeLQFt',
          encoding: 'json/utf-8/cipher+aes-128-cbc/base64',
        },
      ],
    },
  ],
};

export async function newApp(app = APP) {
  const response = await fetch(new URL('/apps', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(app),
  });
  if (response.status !== 201) throw new Error(`POST /apps answered ${response.status}: ${await response.text()}`);
  return response.json();
}

export class Bench {
  #open = [];

  static async create(app) {
    const bench = new Bench();
    bench.app = await newApp(app);
    return bench;
  }

  options(options = {}) {
    const credentials = ['key', 'token', 'tokenDetails', 'authCallback', 'authUrl'].some((name) => name in options) ? {} : { key: this.app.keys[0].keyStr };
    return {
      endpoint: url.hostname,
      port: Number(url.port),
      tls: false,
      transports: ['web_socket'],
      disableConnectivityCheck: true,
      logLevel: 0,
      ...credentials,
      ...options,
    };
  }

  realtime(options) {
    const client = new Ably.Realtime(this.options(options));
    this.#open.push(client);
    return client;
  }

  rest(options) {
    return new Ably.Rest(this.options(options));
  }

  async connected(options) {
    const client = this.realtime(options);
    await state(client.connection, 'connected');
    return client;
  }

  closeAll() {
    this.#open.splice(0).forEach((client) => client.close());
  }
}

/** Waits until a connection or channel is in a state; fails when it reaches one that it cannot leave. */
export function state(emitter, wanted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`still ${emitter.state} instead of ${wanted}`)), 20_000);
    const look = (change) => {
      if (emitter.state === wanted) {
        done();
        resolve(change);
      } else if (emitter.state === 'failed') {
        done();
        reject(emitter.errorReason ?? new Error('failed'));
      }
    };
    const done = () => {
      clearTimeout(timer);
      emitter.off(look);
    };
    emitter.on(look);
    look();
  });
}

/** The next event of a connection or channel. */
export function next(emitter, event) {
  return within(20_000, `no '${event}'`, new Promise((resolve) => emitter.once(event, resolve)));
}

export function within(ms, what, promise) {
  let timer;
  const limit = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(what)), ms)));
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Collects messages (or presence events) and waits for a number of them. */
export function collect(subscribable) {
  const items = [];
  let wake = () => {};
  subscribable.subscribe((item) => {
    items.push(item);
    wake();
  });
  return {
    items,
    count: (wanted) =>
      within(
        20_000,
        `fewer than ${wanted} items came`,
        (async () => {
          while (items.length < wanted) await new Promise((resolve) => (wake = resolve));
          return items;
        })(),
      ),
  };
}

/** Waits until the server has certainly handled everything that was sent to this client before. */
export async function settled(client) {
  await client.connection.ping();
  await client.connection.ping();
}

export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was expected to be refused');
}

/** Loses the socket as a network would, and comes back at once. */
export function dropSocket(client) {
  client.connection.connectionManager.disconnectAllTransports();
}

/** Goes to suspended: the connection's state is given up. */
export async function becomeSuspended(client) {
  const suspended = new Promise((resolve) => client.connection.once('suspended', resolve));
  client.connection.once('disconnected', () => client.connection.connectionManager.notifyState({ state: 'suspended' }));
  client.connection.connectionManager.disconnectAllTransports();
  await within(10_000, 'not suspended', suspended);
}

export const FORMATS = [
  { name: 'JSON', useBinaryProtocol: false },
  { name: 'MessagePack', useBinaryProtocol: true },
];

export const unique = (name) => `${name}-${Math.random().toString(36).slice(2)}`;
