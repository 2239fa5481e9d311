import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, becomeSuspended, collect, dropSocket, next, rejection, settled, state, unique, within } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

const ids = (members) => members.map((member) => member.clientId).sort();

async function watch(name, options) {
  const client = await bench.connected(options);
  const channel = client.channels.get(name);
  const events = collect(channel.presence);
  await channel.attach();
  return { client, channel, events };
}

describe('presence', () => {
  for (const { name, useBinaryProtocol } of FORMATS) {
    it(`tells others who enters, updates and leaves (${name})`, async () => {
      const { channel, events } = await watch(unique('presence'), { useBinaryProtocol });
      const client = await bench.connected({ clientId: 'alice', useBinaryProtocol: !useBinaryProtocol });
      const own = client.channels.get(channel.name);
      await own.presence.enter({ stage: 1 });
      await own.presence.update('text');
      await own.presence.update(Buffer.from([1, 2]));
      await own.presence.leave();
      const told = await events.count(4);
      assert.deepEqual(told.map((event) => event.action), ['enter', 'update', 'update', 'leave']);
      assert.deepEqual(told.map((event) => event.data), [{ stage: 1 }, 'text', Buffer.from([1, 2]), Buffer.from([1, 2])]);
      assert.ok(told.every((event) => event.clientId === 'alice' && event.connectionId === client.connection.id));
      assert.deepEqual(await channel.presence.get(), []);
    });
  }

  it('shows a newcomer who is there, exactly as the others see it', async () => {
    const name = unique('newcomer');
    const first = await bench.connected({ clientId: 'first' });
    const entered = new Promise((resolve) => first.channels.get(name).presence.subscribe('enter', resolve));
    await first.channels.get(name).presence.enter('data');
    await entered;
    const second = await bench.connected({ clientId: 'second' });
    const present = new Promise((resolve) => second.channels.get(name).presence.subscribe('present', resolve));
    await second.channels.get(name).attach();
    await present;
    assert.deepEqual(await second.channels.get(name).presence.get(), await first.channels.get(name).presence.get());
  });

  it('can be entered before attaching, before connecting, and again after detaching and closing', async () => {
    const name = unique('enter');
    const { events } = await watch(name);
    const client = bench.realtime({ clientId: 'me' });
    const channel = client.channels.get(name);
    await channel.presence.enter('first');
    await channel.detach();
    await channel.presence.enter('second');
    client.close();
    await state(client.connection, 'closed');
    client.connect();
    await state(client.connection, 'connected');
    await channel.presence.enter('third');
    const told = await events.count(5);
    assert.deepEqual(told.map((event) => `${event.action} ${event.data}`), [
      'enter first',
      'leave first',
      'enter second',
      'leave second',
      'enter third',
    ]);
  });

  it('has one member for each connection and client id', async () => {
    const name = unique('members');
    const [a, b] = await Promise.all([bench.connected({ clientId: 'same' }), bench.connected({ clientId: 'same' })]);
    await a.channels.get(name).presence.enter();
    await b.channels.get(name).presence.enter();
    await a.channels.get(name).presence.enterClient?.('same', 'x').catch(() => {});
    const members = await b.channels.get(name).presence.get();
    assert.equal(members.length, 2);
    assert.equal((await b.channels.get(name).presence.get({ connectionId: a.connection.id })).length, 1);
  });

  it('lets a key enter for many, and shows 250 of them in pages, and no more', async () => {
    const name = unique('many');
    const client = await bench.connected();
    const channel = client.channels.get(name);
    await channel.attach();
    await Promise.all(Array.from({ length: 250 }, (_, number) => channel.presence.enterClient(`client${number}`, `${number}`)));
    for (const { useBinaryProtocol } of FORMATS) {
      const { channel: other } = await watch(name, { useBinaryProtocol });
      assert.equal((await other.presence.get()).length, 250);
    }
    assert.equal((await rejection(channel.presence.enterClient('one-too-many'))).code, 91003);
    await channel.presence.updateClient('client7', 'changed');
    const page = await bench.rest().channels.get(name).presence.get({ limit: 100 });
    const second = await page.next();
    const third = await second.next();
    assert.deepEqual([page.items.length, second.items.length, third.items.length], [100, 100, 50]);
    assert.equal(third.hasNext(), false);
    assert.equal(new Set([page, second, third].flatMap(({ items }) => ids(items))).size, 250);
  });

  it('speaks for nobody without a client id, and for no other with one', async () => {
    const anonymous = await bench.connected({ token: (await bench.rest().auth.requestToken()).token });
    assert.equal((await rejection(anonymous.channels.get(unique('p')).presence.enterClient('other'))).code, 40012);
    const me = bench.realtime({ token: (await bench.rest().auth.requestToken({ clientId: 'me' })).token });
    assert.equal((await rejection(me.channels.get(unique('p')).presence.enterClient('other'))).code, 40012);
    const limited = await bench.connected({ key: bench.app.keys[3].keyStr });
    assert.equal((await rejection(limited.channels.get(unique('p')).presence.enterClient('other'))).code, 40160);
  });

  it('tells every one of many updates', async () => {
    const client = await bench.connected({ clientId: 'busy' });
    const channel = client.channels.get(unique('updates'));
    await channel.attach();
    const events = collect(channel.presence);
    for (let number = 0; number < 15; number++) await channel.presence.update(`${number}`);
    assert.equal((await events.count(15)).length, 15);
    await settled(client);
    assert.equal(events.items.length, 15);
  });

  it('is complete after a detach during which it changed', async () => {
    const name = unique('refresh');
    const actor = await bench.connected();
    const own = actor.channels.get(name);
    await own.presence.enterClient('one');
    await own.presence.enterClient('two');
    const { channel: observer, client } = await watch(name);
    assert.deepEqual(ids(await observer.presence.get()), ['one', 'two']);
    await observer.detach();
    await own.presence.leaveClient('two');
    await own.presence.enterClient('three');
    await observer.attach();
    assert.deepEqual(ids(await observer.presence.get()), ['one', 'three']);
    await settled(client);
  });

  it('syncs when a client asks, which ends members that are not there', async () => {
    const name = unique('sync');
    const { client, channel, events } = await watch(name, { useBinaryProtocol: false });
    const other = await bench.connected({ clientId: 'there' });
    await other.channels.get(name).presence.enter();
    await events.count(1);
    const ghost = { clientId: 'ghost', action: 2, id: 'connid:0:0', connectionId: 'connid', timestamp: Date.now() };
    const manager = client.connection.connectionManager;
    const wire = manager.activeProtocol.getTransport();
    wire.onWsData(JSON.stringify({ action: 14, channel: name, id: 'connid:0', connectionId: 'connid', timestamp: Date.now(), presence: [ghost] }));
    await events.count(2);
    assert.deepEqual(ids(await channel.presence.get()), ['ghost', 'there']);
    const left = new Promise((resolve) => channel.presence.subscribe('leave', resolve));
    channel.sync();
    assert.equal((await within(5000, 'no leave', left)).clientId, 'ghost');
    const members = await channel.presence.get({ waitForSync: true });
    assert.deepEqual(ids(members), ['there']);
  });

  it('keeps members through a short loss of the socket', async () => {
    const name = unique('grace');
    const { events } = await watch(name);
    const client = await bench.connected({ clientId: 'mobile' });
    const channel = client.channels.get(name);
    await channel.presence.enter('here');
    await events.count(1);
    dropSocket(client);
    await state(client.connection, 'connected');
    await state(channel, 'attached');
    await settled(client);
    assert.deepEqual(ids(await channel.presence.get()), ['mobile']);
    await channel.presence.update('back');
    const told = await events.count(2);
    assert.deepEqual(told.map((event) => event.action), ['enter', 'update']);
  });

  it('brings members back by themselves when the connection could not be resumed', async () => {
    const name = unique('reenter');
    const client = await bench.connected();
    const channel = client.channels.get(name);
    await channel.attach();
    await channel.presence.enterClient('one', 'onedata');
    await settled(client);
    await becomeSuspended(client);
    client.connection.connectionManager.connectionKey = '_____!not-a-key';
    const entered = next(channel.presence.subscriptions, 'enter');
    client.connect();
    await state(channel, 'attached');
    await entered;
    const members = await channel.presence.get();
    assert.ok(members.some((member) => member.connectionId === client.connection.id && member.data === 'onedata'));
  });

  it('tells after a suspension only what has changed', async () => {
    const name = unique('suspended');
    const { client, channel, events } = await watch(name, { clientId: 'main' });
    await channel.presence.enter();
    const stays = await bench.connected({ clientId: 'stays' });
    await stays.channels.get(name).presence.enter();
    const leaves = await bench.connected({ clientId: 'leaves' });
    await leaves.channels.get(name).presence.enter();
    await events.count(3);
    await becomeSuspended(client);
    assert.equal((await rejection(channel.presence.get())).code, 91005);
    leaves.close();
    await state(leaves.connection, 'closed');
    client.connect();
    await state(channel, 'attached');
    await within(5000, 'no leave', new Promise((resolve) => channel.presence.subscribe('leave', resolve)));
    assert.deepEqual(events.items.slice(3).filter((event) => event.clientId !== 'main').map((event) => event.clientId), ['leaves']);
  });

  it('has a history, also until the attachment', async () => {
    const name = unique('history');
    const client = await bench.connected({ clientId: 'me' });
    const channel = client.channels.get(name);
    await channel.presence.enter('a');
    await channel.presence.leave('b');
    const page = await channel.presence.history();
    assert.deepEqual(page.items.map((event) => [event.action, event.data]), [['leave', 'b'], ['enter', 'a']]);
    const late = await bench.connected();
    await late.channels.get(name).attach();
    await channel.presence.enter('after');
    const until = await late.channels.get(name).presence.history({ untilAttach: true });
    assert.deepEqual(until.items.map((event) => event.data), ['b', 'a']);
  });

  it('serves the fixtures of a test app, encrypted ones too', async () => {
    const Ably = (await import('ably')).default;
    const cipher = { algorithm: 'aes', mode: 'cbc', keyLength: 128, key: 'WUP6u0K7MXI5Zeo0VppPwg==' };
    for (const { useBinaryProtocol } of FORMATS) {
      const channel = bench.rest({ useBinaryProtocol }).channels.get('persisted:presence_fixtures', { cipher: Ably.Realtime.Crypto.getDefaultParams(cipher) });
      for (const operation of ['get', 'history']) {
        const { items } = await channel.presence[operation]();
        const of = (clientId) => items.find((member) => member.clientId === clientId);
        assert.equal(items.length, 4);
        assert.deepEqual(of('client_encoded').data, of('client_decoded').data);
        assert.equal(of('client_bool').data, 'true');
        assert.equal(of('client_bool').action, operation === 'get' ? 'present' : 'enter');
      }
      assert.equal((await channel.presence.get({ limit: 3 })).items.length, 3);
      assert.equal((await channel.presence.get({ clientId: 'client_json' })).items.length, 1);
      const { connectionId } = (await channel.presence.get()).items[0];
      assert.equal((await channel.presence.get({ connectionId })).items.length, 4);
    }
  });
});
