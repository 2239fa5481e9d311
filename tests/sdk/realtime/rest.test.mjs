import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, collect, newApp, rejection, unique, url } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

const basic = (key) => ({ authorization: `Basic ${Buffer.from(key).toString('base64')}` });
const MESSAGES = [
  { name: 'event0', data: 'some data' },
  { name: 'event1', data: 'some more data' },
  { name: 'event2', data: [1, 2, 3] },
  { name: 'event3', data: { one: 1 } },
  { name: 'event4', data: Buffer.from([1, 2, 3]) },
];

for (const { name: format, useBinaryProtocol } of FORMATS) {
  describe(`REST in ${format}`, () => {
    const rest = (options = {}) => bench.rest({ useBinaryProtocol, ...options });

    it('tells the time', async () => {
      assert.ok(Math.abs((await rest().time()) - Date.now()) < 5_000);
      const response = await rest().request('get', '/time', 3);
      assert.equal(response.items.length, 1);
    });

    it('takes fixtures for statistics and sums them up', async () => {
      const fixture = (minute, count) => ({ intervalId: `2024-02-03:15:0${minute}`, inbound: { realtime: { messages: { count, data: count * 100 } } } });
      const fixtures = [fixture(3, 50), fixture(4, 60), fixture(5, 70)];
      assert.equal((await rest().request('post', '/stats', 3, null, fixtures)).statusCode, 201);
      const range = { start: `2024-02-03:15:03`, end: `2024-02-03:15:05` };
      const inbound = (stats) => stats.entries['messages.inbound.all.messages.count'];
      let page = await rest().stats({ ...range, limit: 2 });
      assert.deepEqual(page.items.map(inbound), [70, 60]);
      page = await page.next();
      assert.deepEqual([page.items.map(inbound), page.isLast()], [[50], true]);
      const [hour] = (await rest().stats({ ...range, unit: 'hour' })).items;
      assert.deepEqual([hour.intervalId, hour.unit, inbound(hour), hour.appId], [`2024-02-03:15`, 'hour', 180, bench.app.appId]);
    });

    it('counts what is published', async () => {
      await rest().channels.get('counted').publish('name', 'data');
      const [now] = (await rest().stats({ unit: 'month' })).items;
      assert.ok(now.entries['messages.inbound.rest.messages.count'] >= 1);
      assert.ok(now.inProgress);
    });

    it('says as Ably does that there is nothing at a path', async () => {
      const response = await rest().request('get', '/nothing/here', 3);
      assert.deepEqual([response.statusCode, response.errorCode], [404, 40400]);
    });

    it('answers HEAD as GET, without the body', async () => {
      const head = await fetch(new URL('/time', url), { method: 'HEAD' });
      assert.deepEqual([head.status, await head.text()], [200, '']);
    });

    it('refuses a publish when it is asked to', async () => {
      const channel = rest().channels.get(unique('refused'));
      const error = await rejection(channel.publish('name', 'data', { _forceNack: true }));
      assert.deepEqual([error.code, error.statusCode], [40099, 400]);
      assert.deepEqual((await channel.history()).items, []);
    });

    it('publishes and reads back, page by page in both directions', async () => {
      const channel = rest().channels.get(unique('persisted:history,with comma'));
      for (const { name, data } of MESSAGES) await channel.publish(name, data);
      for (const direction of ['forwards', 'backwards']) {
        const expected = direction === 'forwards' ? MESSAGES : [...MESSAGES].reverse();
        let page = await channel.history({ limit: 2, direction });
        const seen = [];
        for (;;) {
          seen.push(...page.items);
          if (page.isLast()) break;
          page = await page.next();
        }
        assert.deepEqual(seen.map(({ name, data }) => ({ name, data })), expected);
        assert.equal(new Set(seen.map((message) => message.id)).size, MESSAGES.length);
        const first = await page.first();
        assert.deepEqual(first.items.map((message) => message.name), expected.slice(0, 2).map((message) => message.name));
        const current = await page.current();
        assert.deepEqual(current.items.map((message) => message.name), page.items.map((message) => message.name));
      }
    });

    it('publishes several at once with ids and serials of their own', async () => {
      const channel = rest().channels.get(unique('several'));
      const { serials } = await channel.publish(MESSAGES);
      assert.equal(new Set(serials).size, MESSAGES.length);
      const { items } = await channel.history();
      assert.deepEqual(items.map((message) => message.serial), [...serials].reverse());
      assert.equal(await (await channel.history({ limit: 100 })).next(), null);
    });

    it('reads history between two moments', async () => {
      const channel = rest().channels.get(unique('between'));
      await channel.publish('early', null);
      const [{ timestamp }] = (await channel.history()).items;
      await new Promise((resolve) => setTimeout(resolve, 15));
      await channel.publish('late', null);
      const names = async (params) => (await channel.history(params)).items.map((message) => message.name);
      assert.deepEqual(await names({ end: timestamp }), ['early']);
      assert.deepEqual(await names({ start: timestamp + 1 }), ['late']);
      assert.equal((await rejection(channel.history({ start: 2, end: 1 }))).statusCode, 400);
      assert.equal((await rejection(channel.history({ limit: 1001 }))).statusCode, 400);
    });

    it('answers a raw publish as the reference says', async () => {
      const name = unique('raw');
      const response = await rest().request('post', `/channels/${name}/messages`, 3, null, { name: 'faye', data: 'whittaker' });
      assert.equal(response.statusCode, 201);
      const [receipt] = response.items;
      assert.equal(receipt.channel, name);
      assert.match(receipt.messageId, /:0$/);
      assert.equal(receipt.serials.length, 1);
      await rest().request('post', `/channels/${name}/messages`, 3, null, { name: 'martin', data: 'reed' });
      let page = await rest().request('get', `/channels/${name}/messages`, 3, { limit: 1, direction: 'forwards' });
      assert.equal(page.items[0].name, 'faye');
      assert.ok(page.hasNext());
      page = await page.next();
      assert.equal(page.statusCode, 200);
      assert.equal(page.items[0].data, 'reed');
    });

    it('delivers what is published to who is attached', async () => {
      const client = await bench.connected({ useBinaryProtocol: !useBinaryProtocol });
      const channel = client.channels.get(unique('delivered'));
      const received = collect(channel);
      await channel.attach();
      await rest().channels.get(channel.name).publish(MESSAGES);
      const items = await received.count(MESSAGES.length);
      assert.deepEqual(items.map(({ name, data }) => ({ name, data })), MESSAGES);
    });

    it('keeps client ids honest', async () => {
      const channel = unique('ids');
      await rest({ clientId: 'me' }).channels.get(channel).publish('implicit', null);
      assert.equal((await rest().channels.get(channel).history()).items[0].clientId, 'me');
      const token = await rest().auth.requestToken({ clientId: 'me' });
      const bound = rest({ token: token.token }).channels.get(channel);
      assert.equal((await rejection(bound.publish({ name: 'x', clientId: 'you' }))).code, 40012);
      assert.equal((await rest().channels.get(channel).history()).items.length, 1);
    });

    it('publishes an id once', async () => {
      const channel = rest({ idempotentRestPublishing: false }).channels.get(unique('idempotent'));
      const message = { name: 'test', id: 'idempotent-msg-id:0' };
      await Promise.all([channel.publish(message), channel.publish(message), channel.publish(message)]);
      const { items } = await channel.history();
      assert.deepEqual(items.map((item) => item.id), ['idempotent-msg-id:0']);
    });

    it('publishes to several channels, and says which failed', async () => {
      const limited = rest({ key: bench.app.keys[2].keyStr });
      const [first, second] = await limited.batchPublish([
        { channels: ['channel0', 'channel3'], messages: [{ data: 'message1' }, { data: 'message2' }] },
        { channels: ['channel4', 'channel5'], messages: { data: 'message3' } },
      ]);
      assert.deepEqual([first.successCount, first.failureCount, second.successCount, second.failureCount], [1, 1, 1, 1]);
      assert.equal(first.results[0].channel, 'channel0');
      assert.match(first.results[0].messageId, /:0/);
      assert.equal(first.results[1].channel, 'channel3');
      assert.equal(first.results[1].error.statusCode, 401);
      assert.ok(!('messageId' in first.results[1]) && !('error' in first.results[0]));
      const { items } = await rest().channels.get('channel0').history({ limit: 2 });
      assert.deepEqual(new Set(items.map((item) => item.data)), new Set(['message1', 'message2']));
      const single = await limited.batchPublish({ channels: ['channel0'], messages: [{ data: 'x' }] });
      assert.equal(single.successCount, 1);
      const old = await rest().request('POST', '/messages', 2, {}, { channels: ['a1', 'a2'], messages: { data: 'foo' } }, {});
      assert.equal(old.statusCode, 201);
      assert.deepEqual(old.items.map((item) => item.channel), ['a1', 'a2']);
    });

    it('reads the presence of several channels', async () => {
      const client = await bench.connected({ clientId: 'batch' });
      await client.channels.get('channel0').presence.enter();
      await client.channels.get('channel4').presence.enter();
      const result = await rest({ key: bench.app.keys[2].keyStr }).batchPresence(['channel0', 'channel4']);
      assert.deepEqual([result.successCount, result.failureCount], [1, 1]);
      assert.equal(result.results[0].error.statusCode, 401);
      assert.deepEqual(result.results[1].presence.map((member) => member.clientId), ['batch']);
      client.close();
    });

    it('tells a channel’s status', async () => {
      const client = await bench.connected({ clientId: 'x' });
      const channel = client.channels.get(unique('status'));
      await channel.presence.enter();
      const { channelId, status } = await rest().channels.get(channel.name).status();
      assert.equal(channelId, channel.name);
      assert.equal(status.isActive, true);
      const { metrics } = status.occupancy;
      assert.deepEqual(
        [metrics.connections, metrics.subscribers, metrics.publishers, metrics.presenceMembers, metrics.presenceConnections, metrics.presenceSubscribers],
        [1, 1, 1, 1, 1, 1],
      );
    });
  });
}

describe('answers', () => {
  it('carry errors in the body and in headers', async () => {
    const response = await fetch(new URL('/channels/a/messages', url));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('x-ably-errorcode'), '40101');
    assert.ok(response.headers.get('x-ably-errormessage'));
    const { error } = await response.json();
    assert.deepEqual([error.code, error.statusCode], [40101, 401]);
    assert.ok(error.message && error.href);
  });

  it('come in an envelope for clients that cannot read headers', async () => {
    const key = bench.app.keys[0].keyStr;
    const name = unique('envelope');
    for (const number of [1, 2]) await bench.rest().channels.get(name).publish('m', `${number}`);
    const path = `/channels/${name}/messages?limit=1&envelope=json&key=${encodeURIComponent(key)}`;
    const response = await fetch(new URL(path, url));
    assert.equal(response.status, 200);
    const { statusCode, headers, response: items } = await response.json();
    assert.equal(statusCode, 200);
    assert.equal(items.length, 1);
    assert.match(headers.Link, /rel="next"/);
    assert.ok(!headers.Link.includes(key.split(':')[1]), 'no link holds the key');
    const refused = await (await fetch(new URL('/channels/:x/messages?envelope=json', url), { headers: basic(key) })).json();
    assert.equal(refused.statusCode, 400);
    assert.equal(refused.response.error.code, 40010);
  });

  it('may be read by browsers of any origin', async () => {
    const preflight = await fetch(new URL('/channels/a/messages', url), {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,x-ably-version' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.equal(preflight.headers.get('access-control-allow-headers'), 'authorization,x-ably-version');
    const response = await fetch(new URL('/time', url), { headers: { origin: 'https://app.example' } });
    assert.match(response.headers.get('access-control-expose-headers'), /Link.*X-Ably-Errorcode/);
  });

  it('say clearly what is left out', async () => {
    const headers = basic(bench.app.keys[0].keyStr);
    for (const path of ['/push/channelSubscriptions', '/channels/a/objects', '/channels/a/messages/serial/annotations', '/comet/connect']) {
      const response = await fetch(new URL(path, url), { headers });
      assert.equal(response.status, 403, path);
      assert.equal((await response.json()).error.code, 40300, path);
    }
  });
});

describe('test apps', () => {
  it('repeat what was asked for, in number and order', async () => {
    const { app } = bench;
    assert.match(app.appId, /^\w{6}$/);
    assert.ok(app.accountId);
    assert.equal(app.keys.length, 6);
    for (const key of app.keys) {
      assert.equal(key.keyName.split('.')[0], app.appId);
      assert.equal(key.keyStr, `${key.keyName}:${key.keySecret}`);
      assert.equal(typeof JSON.parse(key.capability), 'object');
    }
    assert.equal(app.namespaces[0].id, 'persisted');
    assert.equal(app.channels[0].presence.length, 4);
    assert.equal(app.tls, false);
    assert.equal(app.port, Number(url.port));
  });

  it('are apart from each other, and gone when deleted', async () => {
    const other = new Bench();
    other.app = await newApp({ keys: [{}] });
    await bench.rest().channels.get('shared').publish('secret', null);
    assert.deepEqual((await other.rest().channels.get('shared').history()).items, []);
    const client = await other.connected();
    const [mine, theirs] = [bench.app.keys[0].keyStr, other.app.keys[0].keyStr];
    const remove = (key) => fetch(new URL(`/apps/${other.app.appId}`, url), { method: 'DELETE', headers: basic(key) });
    assert.equal((await remove(mine)).status, 401);
    const lost = new Promise((resolve) => client.connection.once('failed', resolve));
    assert.equal((await remove(theirs)).status, 204);
    assert.equal((await lost).reason.code, 40400);
    assert.equal((await rejection(other.rest().channels.get('shared').history())).code, 40400);
  });
});
