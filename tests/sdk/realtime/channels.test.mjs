import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, collect, next, rejection, settled, state, unique } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

const DEFAULT_MODES = ['presence', 'publish', 'subscribe', 'presence_subscribe', 'annotation_publish'];

describe('attaching', () => {
  it('grants the default modes and can be undone', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('attach'));
    await channel.attach();
    assert.deepEqual(channel.modes, DEFAULT_MODES);
    await channel.detach();
    assert.equal(channel.state, 'detached');
  });

  it('can be asked for before there is a connection', async () => {
    const client = bench.realtime();
    await client.channels.get(unique('early')).attach();
  });

  for (const name of ['', ':hell', '::', '[meta]log']) {
    it(`refuses the name '${name}' and leaves the connection alone`, async () => {
      const client = await bench.connected();
      const channel = client.channels.get(name);
      const error = await rejection(channel.attach());
      assert.equal(error.code, 40010);
      assert.equal(channel.errorReason.code, 40010);
      assert.equal((await rejection(client.channels.get(`${name}`).attach())).code, 40010);
      await settled(client);
      assert.equal(client.connection.state, 'connected');
    });
  }

  it('is refused with 40160 where the capability has nothing for it', async () => {
    const client = await bench.connected({ key: bench.app.keys[2].keyStr });
    assert.equal((await rejection(client.channels.get('elsewhere').attach())).code, 40160);
    await client.channels.get('channel2').attach();
    assert.deepEqual(client.channels.get('channel2').modes, ['publish', 'subscribe', 'presence_subscribe']);
    const writer = client.channels.get('channel0');
    await writer.attach();
    assert.deepEqual(writer.modes, ['publish']);
  });
});

describe('modes', () => {
  async function outcome(options) {
    const name = unique('modes');
    const client = await bench.connected();
    const observer = await bench.connected();
    const channel = client.channels.get(name, options);
    await channel.attach();
    const other = observer.channels.get(name);
    await other.attach();
    const messages = collect(channel);
    const members = collect({ subscribe: (listener) => channel.presence.subscribe('enter', listener) });
    const can = {};
    can.publish = await channel.publish('own', null).then(() => true, (error) => error.code);
    can.presence = await channel.presence.enterClient('own').then(() => true, (error) => error.code);
    await other.publish('other', null);
    await other.presence.enterClient('other');
    await settled(client);
    can.subscribe = messages.items.some((message) => message.name === 'other');
    can.presence_subscribe = members.items.some((member) => member.clientId === 'other');
    return { can, modes: channel.modes, params: channel.params, reason: channel.errorReason };
  }

  it('given as a parameter limit what can be done', async () => {
    const { can, modes, params, reason } = await outcome({ params: { modes: 'subscribe', delta: 'vcdiff' } });
    assert.deepEqual(can, { publish: 40160, presence: 40160, subscribe: true, presence_subscribe: false });
    assert.deepEqual(modes, ['subscribe']);
    assert.deepEqual(params, { modes: 'subscribe', delta: 'vcdiff' });
    assert.equal(reason.code, 40300, 'deltas are refused, which keeps nobody from attaching');
  });

  it('given as a parameter win over the option', async () => {
    const { can, modes } = await outcome({ params: { modes: 'presence,subscribe' }, modes: ['publish', 'presence_subscribe'] });
    assert.deepEqual(can, { publish: 40160, presence: true, subscribe: true, presence_subscribe: false });
    assert.deepEqual(modes, ['presence', 'subscribe']);
  });

  it('given as an option limit what can be done', async () => {
    const { can, modes } = await outcome({ modes: ['publish', 'presence_subscribe'] });
    assert.deepEqual(can, { publish: true, presence: 40160, subscribe: false, presence_subscribe: true });
    assert.deepEqual(modes, ['publish', 'presence_subscribe']);
  });

  it('can be changed while attached, without losing continuity', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('options'));
    await channel.attach();
    channel.on('update', () => assert.fail('continuity was lost'));
    await channel.setOptions({ params: { modes: 'subscribe', delta: 'vcdiff' } });
    assert.deepEqual(channel.modes, ['subscribe']);
    await channel.setOptions({ modes: ['publish'] });
    assert.deepEqual(channel.modes, ['publish']);
    await channel.setOptions({ params: { nonexistent: 'foo' } });
    assert.deepEqual(channel.params, {});
  });
});

describe('publishing', () => {
  for (const { name, useBinaryProtocol } of FORMATS) {
    it(`needs no attachment and is answered with serials (${name})`, async () => {
      const client = await bench.connected({ useBinaryProtocol });
      const result = await client.channels.get(unique('unattached')).publish([{ name: 'a' }, { name: 'b' }]);
      assert.equal(result.serials.length, 2);
      assert.ok(result.serials[0] < result.serials[1]);
      assert.equal((await rejection(client.channels.get(':hell').publish('x', null))).code, 40010);
    });

    it(`keeps the order of a fast publisher (${name})`, async () => {
      const client = await bench.connected({ useBinaryProtocol });
      const other = await bench.connected({ useBinaryProtocol: !useBinaryProtocol });
      const channel = client.channels.get(unique('fast'));
      const received = collect(other.channels.get(channel.name));
      await other.channels.get(channel.name).attach();
      await Promise.all(Array.from({ length: 200 }, (_, number) => channel.publish('n', { number })));
      const items = await received.count(200);
      assert.deepEqual(items.map((message) => message.data.number), Array.from({ length: 200 }, (_, number) => number));
    });
  }

  it('does not come back with echo off, and does with echo on', async () => {
    const quiet = await bench.connected({ echoMessages: false });
    const loud = await bench.connected();
    const name = unique('echo');
    const [onQuiet, onLoud] = [quiet, loud].map((client) => collect(client.channels.get(name)));
    await Promise.all([quiet, loud].map((client) => client.channels.get(name).attach()));
    await quiet.channels.get(name).publish('from-quiet', null);
    await loud.channels.get(name).publish('from-loud', null);
    await onLoud.count(2);
    await settled(quiet);
    assert.deepEqual(onQuiet.items.map((message) => message.name), ['from-loud']);
    assert.deepEqual(onLoud.items.map((message) => message.name), ['from-quiet', 'from-loud']);
  });

  it('carries every kind of data in every format to every format', async () => {
    const name = unique('encodings');
    const [json, msgpack] = await Promise.all([bench.connected({ useBinaryProtocol: false }), bench.connected({ useBinaryProtocol: true })]);
    const payloads = ['text', '', 'ünïcödé 🎉', { foo: { bar: [1, null, true] } }, [{ a: 1 }, 'b'], Buffer.from([0, 1, 254, 255]), null];
    for (const [from, to] of [[json, msgpack], [msgpack, json]]) {
      const received = collect(to.channels.get(name));
      await to.channels.get(name).attach();
      for (const data of payloads) await from.channels.get(name).publish('m', data);
      const items = await received.count(payloads.length);
      items.forEach((message, index) => {
        if (payloads[index] === null) assert.equal(message.data, undefined);
        else assert.deepEqual(message.data, payloads[index]);
        assert.ok(!message.encoding);
      });
      await to.channels.get(name).detach();
      to.channels.release(name);
    }
  });

  it('leaves unknown encodings and extras as they are', async () => {
    const client = await bench.connected({ useBinaryProtocol: true });
    const channel = client.channels.get(unique('opaque'));
    const received = collect(channel);
    await channel.attach();
    const extras = { headers: { some: 'metadata', nested: 1 }, ref: { type: 't', timeserial: '0' } };
    await channel.publish({ name: 'a', data: 'zzz', encoding: 'foo/utf-8+x', extras });
    const [message] = await received.count(1);
    assert.deepEqual(message.extras, extras);
    assert.equal(message.data, 'zzz');
    assert.equal(message.encoding, 'foo/utf-8+x');
  });

  it('reads encrypted messages of the other format', async () => {
    const Ably = (await import('ably')).default;
    const key = await Ably.Realtime.Crypto.generateRandomKey();
    const name = unique('cipher');
    const [a, b] = await Promise.all(FORMATS.map(({ useBinaryProtocol }) => bench.connected({ useBinaryProtocol })));
    const received = collect(b.channels.get(name, { cipher: { key } }));
    await b.channels.get(name).attach();
    await a.channels.get(name, { cipher: { key } }).publish('secret', { deep: 'thought' });
    const [message] = await received.count(1);
    assert.deepEqual(message.data, { deep: 'thought' });
  });

  it('speaks in nobody else’s name', async () => {
    const token = await bench.rest().auth.requestToken({ clientId: 'me' });
    const client = bench.realtime({ token: token.token });
    const channel = client.channels.get(unique('names'));
    const error = await rejection(channel.publish({ name: 'x', clientId: 'you' }));
    assert.equal(error.code, 40012);
    const received = collect(channel);
    await channel.attach();
    await channel.publish({ name: 'implicit' });
    await channel.publish({ name: 'explicit', clientId: 'me' });
    assert.deepEqual((await received.count(2)).map((message) => message.clientId), ['me', 'me']);
  });

  it('delivers an id once, however often it is published', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('once'));
    const received = collect(channel);
    await channel.attach();
    const results = await Promise.all([1, 2, 3].map(() => channel.publish({ name: 'm', id: 'my-id' })));
    await bench.rest().channels.get(channel.name).publish({ name: 'm', id: 'my-id' });
    await channel.publish('end', null);
    assert.deepEqual((await received.count(2)).map((message) => message.name), ['m', 'end']);
    assert.equal(received.items[0].id, 'my-id');
    assert.deepEqual(results[1].serials, results[0].serials);
  });

  it('refuses ids of several messages that are not numbered, and what is too large', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('ids'));
    assert.equal((await rejection(channel.publish([{ name: 'a', id: 'x' }, { name: 'b', id: 'y' }]))).code, 40031);
    client.options.maxMessageSize = 1_000_000;
    assert.equal((await rejection(channel.publish('big', 'x'.repeat(65_537)))).code, 40009);
    await channel.publish('fits', 'x'.repeat(65_000));
  });

  it('refuses what this server leaves out, with a code of its own', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('left-out'));
    await channel.attach();
    const manager = client.connection.connectionManager;
    const error = await new Promise((resolve) =>
      manager.send({ action: 21, channel: channel.name, annotations: [{ action: 0, type: 'reaction', name: 'x' }] }, true, resolve),
    );
    assert.equal(error.code, 40300);
    assert.equal(client.connection.state, 'connected');
  });
});

describe('rewind', () => {
  it('brings the last messages to a newcomer, and again after a detach', async () => {
    const client = await bench.connected();
    const name = unique('rewind');
    for (const number of [1, 2, 3]) await client.channels.get(name).publish('m', number.toString());
    const late = await bench.connected();
    const channel = late.channels.get(name, { params: { rewind: '2' } });
    const received = collect(channel);
    const change = await next(channel, 'attached');
    assert.equal(change.hasBacklog, true);
    assert.deepEqual((await received.count(2)).map((message) => message.data), ['2', '3']);
    await channel.detach();
    await channel.attach();
    assert.deepEqual((await received.count(4)).map((message) => message.data), ['2', '3', '2', '3']);
  });

  it('cuts a frame of several messages where it has to', async () => {
    const client = await bench.connected();
    const name = unique('rewind');
    await client.channels.get(name).publish([{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    const history = await client.channels.get(name).history();
    const received = collect((await bench.connected()).channels.get(name, { params: { rewind: '2' } }));
    const items = await received.count(2);
    assert.deepEqual(items.map((message) => message.name), ['b', 'c']);
    assert.deepEqual(items.map((message) => message.id), [history.items[1].id, history.items[0].id]);
  });

  it('by time brings what is that young', async () => {
    const client = await bench.connected();
    const name = unique('rewind');
    await client.channels.get(name).publish('young', null);
    const received = collect((await bench.connected()).channels.get(name, { params: { rewind: '1m' } }));
    assert.deepEqual((await received.count(1)).map((message) => message.name), ['young']);
  });
});

describe('closing', () => {
  it('is answered, and the connection’s key is void', async () => {
    const client = await bench.connected();
    assert.equal(JSON.parse(client.connection.recoveryKey ?? client.connection.createRecoveryKey()).connectionKey, client.connection.key);
    client.close();
    await state(client.connection, 'closed');
    assert.equal(client.connection.key, undefined);
  });

  it('a ping is answered with its id', async () => {
    const client = await bench.connected();
    assert.ok((await client.connection.ping()) > 0);
  });
});
