import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, becomeSuspended, collect, dropSocket, next, settled, state, unique, within } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

/** Loses the socket and stays away until the returned function is called. */
function stayAway(client) {
  client.connection.once('disconnected', () => client.connection.connectionManager.disconnectAllTransports());
  client.connection.connectionManager.requestState({ state: 'disconnected' });
  return async () => {
    client.connection.connect();
    await state(client.connection, 'connected');
  };
}

describe('resuming', () => {
  for (const { name, useBinaryProtocol } of FORMATS) {
    it(`keeps the connection and brings what was missed, once and in order (${name})`, async () => {
      const client = await bench.connected({ useBinaryProtocol });
      const channel = client.channels.get(unique('resume'));
      const received = collect(channel);
      await channel.attach();
      const rest = bench.rest().channels.get(channel.name);
      await rest.publish('m', '0');
      await received.count(1);
      const { id, key } = client.connection;
      const comeBack = stayAway(client);
      await state(client.connection, 'disconnected');
      for (const number of [1, 2, 3]) await rest.publish('m', `${number}`);
      await comeBack();
      const change = channel.state === 'attached' ? undefined : await next(channel, 'attached');
      assert.notEqual(change?.resumed, false);
      await rest.publish('m', '4');
      assert.deepEqual((await received.count(5)).map((message) => message.data), ['0', '1', '2', '3', '4']);
      assert.equal(client.connection.id, id);
      assert.notEqual(client.connection.key, key);
      assert.equal(client.connection.errorReason, null);
      await settled(client);
      assert.equal(received.items.length, 5);
    });
  }

  it('is refused for an unknown key, with a new connection that begins at 0', async () => {
    const client = await bench.connected();
    const attached = client.channels.get(unique('lost'));
    await attached.attach();
    const manager = client.connection.connectionManager;
    manager.connectionKey = '_____!ablyjs_test_fake-key____';
    manager.connectionId = 'ablyjs_tes';
    manager.msgSerial = 15;
    dropSocket(client);
    await next(client.connection, 'disconnected');
    const change = await next(client.connection, 'connected');
    assert.equal(change.reason.code, 80018);
    assert.equal(manager.msgSerial, 0);
    assert.notEqual(client.connection.id, 'ablyjs_tes');
    await state(attached, 'attached');
  });

  it('is refused for a key that was well-formed once, with 80008', async () => {
    const recover = JSON.stringify({ connectionKey: 'abcdefghij!0123456789abcdef', msgSerial: 3, channelSerials: {} });
    const client = bench.realtime({ recover });
    const change = await next(client.connection, 'connected');
    assert.equal(change.reason.code, 80008);
    assert.equal(client.connection.connectionManager.msgSerial, 0);
  });

  it('fails for good when the key’s secret has become wrong', async () => {
    const client = await bench.connected();
    client.auth.key = `${bench.app.keys[0].keyName}:wrong`;
    dropSocket(client);
    await next(client.connection, 'disconnected');
    assert.equal((await next(client.connection, 'failed')).reason.code, 40101);
  });

  it('answers a publish again whose answer was lost, and delivers it once', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('unacked'));
    const other = await bench.connected();
    const received = collect(other.channels.get(channel.name));
    await other.channels.get(channel.name).attach();
    await channel.attach();
    const transport = client.connection.connectionManager.activeProtocol.transport;
    const deliver = transport.onProtocolMessage;
    transport.onProtocolMessage = function (message) {
      if (message.action !== 1) deliver.call(this, message);
    };
    const first = channel.publish('first', null);
    await received.count(1);
    const second = channel.publish('second', null);
    await received.count(2);
    dropSocket(client);
    const results = await within(10_000, 'never answered', Promise.all([first, second]));
    assert.deepEqual(results.map((result) => result.serials[0]), received.items.map((message) => message.serial));
    await channel.publish('third', null);
    assert.deepEqual((await received.count(3)).map((message) => message.name), ['first', 'second', 'third']);
  });

  it('publishes what was never sent, after the reconnection and in order', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('queue'));
    await channel.attach();
    const received = collect(channel);
    client.connection.connectionManager.activeProtocol.transport.send = () => {};
    const first = channel.publish('first', null);
    dropSocket(client);
    const second = channel.publish('second', null);
    await within(15_000, 'never published', Promise.all([first, second]));
    assert.deepEqual((await received.count(2)).map((message) => message.name), ['first', 'second']);
  });

  it('is told when continuity is lost, and attaches all the same', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('gap'));
    await channel.attach();
    channel.properties.channelSerial = '01700000000000-0000000007@elsewhere';
    dropSocket(client);
    const change = await next(channel, 'attached');
    assert.equal(change.resumed, false);
    assert.equal(change.reason.code, 90003);
  });
});

describe('recovering', () => {
  it('continues a suspended client’s connection and channel in a new client', async () => {
    const client = await bench.connected();
    const channel = client.channels.get(unique('recover'));
    const first = next(channel, 'attached');
    await channel.attach();
    assert.equal((await first).resumed, false);
    const recover = client.connection.createRecoveryKey();
    await becomeSuspended(client);
    const successor = bench.realtime({ recover });
    const change = await next(successor.connection, 'connected');
    assert.equal(change.reason, undefined);
    const again = successor.channels.get(channel.name);
    const attached = next(again, 'attached');
    await again.attach();
    assert.equal((await attached).resumed, true);
  });

  it('brings the messages of several channels since then, while the old client is still there', async () => {
    const client = await bench.connected();
    const names = [1, 2, 3].map(() => unique('recover'));
    for (const name of names) await client.channels.get(name).attach();
    const { id, key } = client.connection;
    const recover = client.connection.createRecoveryKey();
    const rest = bench.rest();
    for (const name of names) for (const number of [1, 2]) await rest.channels.get(name).publish('missed', `${number}`);
    const successor = bench.realtime({ recover });
    const collected = names.map((name) => collect(successor.channels.get(name)));
    for (const received of collected) assert.deepEqual((await received.count(2)).map((message) => message.data), ['1', '2']);
    assert.equal(successor.connection.id, id);
    assert.notEqual(successor.connection.key, key);
  });
});

describe('attach serials', () => {
  it('limit history to what was before the attachment', async () => {
    const name = unique('persisted:until');
    const rest = bench.rest().channels.get(name);
    for (const number of [1, 2, 3]) await rest.publish(`before-${number}`, null);
    const client = await bench.connected();
    const channel = client.channels.get(name);
    await channel.attach();
    for (const number of [1, 2]) await rest.publish(`after-${number}`, null);
    assert.equal((await channel.history()).items.length, 5);
    const { items } = await channel.history({ untilAttach: true });
    assert.deepEqual(items.map((message) => message.name), ['before-3', 'before-2', 'before-1']);
  });

  it('are no reason to rewind again', async () => {
    const name = unique('rewind');
    await bench.rest().channels.get(name).publish('old', null);
    const client = bench.realtime();
    const channel = client.channels.get(name, { params: { rewind: '1' } });
    const send = client.connection.connectionManager.send;
    client.connection.connectionManager.send = function (message, ...rest) {
      message.setFlag?.('ATTACH_RESUME');
      send.call(this, message, ...rest);
    };
    const received = collect(channel);
    await channel.attach();
    await settled(client);
    assert.deepEqual(received.items, []);
  });
});
