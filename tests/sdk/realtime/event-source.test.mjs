// Events without an SDK: a plain EventSource, as browsers have it, and the stream of JSON lines.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { EventSource } from 'eventsource';
import { Bench, unique, url, within } from './support.mjs';

describe('a plain EventSource', () => {
  let bench;
  const sources = [];

  before(async () => (bench = await Bench.create()));
  after(() => {
    sources.forEach((source) => source.close());
    bench.closeAll();
  });

  const address = (path, params) => new URL(`${path}?${new URLSearchParams({ v: '1.2', ...params })}`, url);

  /** An open source that keeps what it hears. */
  async function open(params, options) {
    const source = new EventSource(address('/event-stream', params), options);
    sources.push(source);
    const heard = [];
    let wake = () => {};
    const keep = (event) => {
      heard.push(event);
      wake();
    };
    ['message', 'presence', 'error'].forEach((kind) => source.addEventListener(kind, keep));
    await within(20_000, 'not open', new Promise((resolve) => source.addEventListener('open', resolve, { once: true })));
    const count = (wanted) =>
      within(20_000, `fewer than ${wanted} events came`, (async () => {
        while (heard.length < wanted) await new Promise((resolve) => (wake = resolve));
        return heard;
      })());
    return { source, count };
  }

  const names = (events) => events.map((event) => JSON.parse(event.data).name);

  it('hears what an SDK publishes, with the data as it is encoded', async () => {
    const name = unique('sse');
    const { count } = await open({ channels: name, key: bench.app.keys[0].keyStr });
    const channel = bench.rest().channels.get(name);
    await channel.publish('text', 'hello');
    await channel.publish('object', { n: 1 });
    await channel.publish('binary', Buffer.from([1, 2, 3]));
    const events = await count(3);
    const messages = events.map((event) => JSON.parse(event.data));
    assert.deepEqual(messages.map(({ name, data, encoding }) => [name, data, encoding]), [
      ['text', 'hello', undefined],
      ['object', '{"n":1}', 'json'],
      ['binary', 'AQID', 'base64'],
    ]);
    assert.ok(messages.every(({ channel, id, timestamp }) => channel === name && id && timestamp));
  });

  it('sees a member that an SDK enters', async () => {
    const name = unique('sse');
    const { count } = await open({ channels: name, key: bench.app.keys[0].keyStr });
    const client = await bench.connected({ clientId: 'alice' });
    await client.channels.get(name).presence.enter('here');
    const [event] = await count(1);
    assert.equal(event.type, 'presence');
    const { clientId, data, action } = JSON.parse(event.data);
    assert.deepEqual([clientId, data, action], ['alice', 'here', 2]);
  });

  it('goes on with a new token at its last event, as Ably documents it', async () => {
    const name = unique('sse');
    const channel = bench.rest().channels.get(name);
    const newToken = (ttl) => bench.rest().auth.requestToken({ ttl }).then(({ token }) => token);
    const first = await open({ channels: name, accessToken: await newToken(2_000) });
    await channel.publish('before', null);
    const [before, expired] = await first.count(2);
    assert.equal(expired.type, 'error');
    const { code } = JSON.parse(expired.data);
    assert.ok(code >= 40140 && code < 40150, `${code}`);
    first.source.close();
    await channel.publish('meanwhile', null);
    const second = await open({ channels: name, accessToken: await newToken(60_000), lastEvent: before.lastEventId });
    await channel.publish('after', null);
    assert.deepEqual(names(await second.count(2)), ['meanwhile', 'after']);
  });

  it('takes a token in a header, and a key by Basic', async () => {
    const name = unique('sse');
    const { token } = await bench.rest().auth.requestToken();
    const authorization = [`Bearer ${token}`, `Basic ${Buffer.from(bench.app.keys[0].keyStr).toString('base64')}`];
    for (const value of authorization) {
      const withHeader = (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization: value } });
      const { count } = await open({ channels: name, rewind: '1' }, { fetch: withHeader });
      await bench.rest().channels.get(name).publish('event', null);
      await count(1);
    }
  });

  it('may also be any HTTP client that reads lines', async () => {
    const name = unique('sse');
    const response = await fetch(address('/event-stream', { channels: name, key: bench.app.keys[0].keyStr }));
    const stream = Readable.fromWeb(response.body);
    await bench.rest().channels.get(name).publish('event', 'text');
    for await (const line of createInterface({ input: stream })) {
      if (line === '') continue;
      const { event, data, id } = JSON.parse(line);
      assert.deepEqual([event, data.name, data.data, typeof id], ['message', 'event', 'text', 'string']);
      break;
    }
    stream.destroy();
  });
});
