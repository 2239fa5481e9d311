import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, collect, dropSocket, rejection, settled, state, unique } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

const sold = (price) => ({ name: 'sold', data: { price }, extras: { headers: { price } } });

describe('a filtered channel', () => {
  for (const { name: format, useBinaryProtocol } of FORMATS) {
    it(`brings only the messages that pass, beside the whole channel on the same connection (${format})`, async () => {
      const name = unique('filtered');
      const client = await bench.connected({ useBinaryProtocol });
      const filtered = client.channels.getDerived(name, { filter: 'name == `"sold"` && headers.price > `10`' });
      const whole = client.channels.get(name);
      const [few, all] = [collect(filtered), collect(whole)];
      await Promise.all([filtered.attach(), whole.attach()]);
      assert.deepEqual(filtered.modes, ['subscribe']);
      await bench.rest({ useBinaryProtocol }).channels.get(name).publish([sold(5), sold(15), { name: 'offered' }, sold(25)]);
      await whole.publish('end', null);
      await settled(client);
      assert.deepEqual(few.items.map((message) => message.data), [{ price: 15 }, { price: 25 }]);
      assert.deepEqual(all.items.map((message) => message.name), ['sold', 'sold', 'offered', 'sold', 'end']);
      const kept = all.items.filter((message) => message.data?.price > 10);
      assert.deepEqual(few.items.map(({ id, serial }) => [id, serial]), kept.map(({ id, serial }) => [id, serial]));
    });
  }

  it('continues after a drop, filtered', async () => {
    const name = unique('filtered');
    const client = await bench.connected();
    const filtered = client.channels.getDerived(name, { filter: 'headers.price' });
    const messages = collect(filtered);
    await filtered.attach();
    const dropped = client.connection.once('disconnected');
    dropSocket(client);
    await dropped;
    await bench.rest().channels.get(name).publish([sold(1), { name: 'other' }, sold(2)]);
    await state(client.connection, 'connected');
    await messages.count(2);
    await settled(client);
    assert.deepEqual(messages.items.map((message) => message.data.price), [1, 2]);
  });

  it('can be neither published nor entered, and a filter that makes no sense is refused with 40010', async () => {
    const client = await bench.connected({ clientId: 'alice' });
    const filtered = client.channels.getDerived(unique('filtered'), { filter: 'name' });
    await filtered.attach();
    assert.equal((await rejection(filtered.publish('x', 'y'))).code, 40160);
    const wrong = client.channels.getDerived(unique('filtered'), { filter: 'name ==' });
    assert.equal((await rejection(wrong.attach())).code, 40010);
  });
});

describe('parameters in a channel name', () => {
  it('count as those of the options, and the channel is the same', async () => {
    const name = unique('qualified');
    await bench.rest().channels.get(name).publish([{ name: 'one' }, { name: 'two' }, { name: 'three' }]);
    const client = await bench.connected({ clientId: 'alice' });
    const channel = client.channels.get(`[?rewind=2]${name}`);
    const messages = collect(channel);
    await channel.attach();
    assert.deepEqual(channel.params, { rewind: '2' });
    await channel.publish('four', null);
    await channel.presence.enter('here');
    const plain = client.channels.get(name);
    assert.deepEqual((await plain.presence.get()).map((member) => member.clientId), ['alice']);
    await settled(client);
    assert.deepEqual(messages.items.map((message) => message.name), ['two', 'three', 'four']);
    assert.equal((await bench.rest().channels.get(`[?rewind=2]${name}`).history()).items.length, 4);
  });

  it('limit what can be done', async () => {
    const client = await bench.connected({ clientId: 'alice' });
    const channel = client.channels.get(`[?modes=subscribe]${unique('qualified')}`);
    await channel.attach();
    assert.deepEqual(channel.modes, ['subscribe']);
    assert.equal((await rejection(channel.publish('x', 'y'))).code, 40160);
  });

  it('keep a member in the channel as long as one of its names is attached with it', async () => {
    const name = unique('qualified');
    const [client, watcher] = [await bench.connected({ clientId: 'alice' }), await bench.connected()];
    const [qualified, plain] = [client.channels.get(`[?rewind=1]${name}`), client.channels.get(name)];
    await Promise.all([qualified.attach(), plain.attach()]);
    await plain.presence.enter();
    await qualified.detach();
    const members = watcher.channels.get(name).presence;
    assert.deepEqual((await members.get()).map((member) => member.clientId), ['alice']);
    const left = new Promise((resolve) => members.subscribe('leave', resolve));
    await plain.detach();
    assert.equal((await left).clientId, 'alice');
  });
});
