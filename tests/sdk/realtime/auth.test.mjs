import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Bench, FORMATS, becomeSuspended, dropSocket, next, rejection, state, unique, url } from './support.mjs';

let bench;
before(async () => (bench = await Bench.create()));
after(() => bench.closeAll());

const base64url = (value) => Buffer.from(value).toString('base64url');

function jwt(key, claims = {}, lifetime = 3600) {
  const now = Math.floor(Date.now() / 1000);
  const head = base64url(JSON.stringify({ typ: 'JWT', alg: 'HS256', kid: key.keyName }));
  const body = base64url(JSON.stringify({ iat: now, exp: now + lifetime, ...claims }));
  const signature = createHmac('sha256', key.keySecret).update(`${head}.${body}`).digest('base64url');
  return `${head}.${body}.${signature}`;
}

describe('requestToken', () => {
  it('gives a token for an hour with everything that the key may do', async () => {
    const rest = bench.rest();
    const start = await rest.time();
    const token = await rest.auth.requestToken();
    assert.ok(token.token && token.issued >= start);
    assert.equal(token.expires - token.issued, 3_600_000);
    assert.deepEqual(JSON.parse(token.capability), { '*': ['*'] });
    assert.equal(token.keyName, bench.app.keys[0].keyName);
  });

  it('gives exactly the capability of a limited key', async () => {
    for (const index of [1, 2, 3, 5]) {
      const key = bench.app.keys[index];
      const token = await bench.rest().auth.requestToken(null, { key: key.keyStr });
      assert.deepEqual(JSON.parse(token.capability), JSON.parse(key.capability));
    }
  });

  it('cuts what is asked down to what the key has', async () => {
    const key = { key: bench.app.keys[2].keyStr };
    const ask = async (capability) => JSON.parse((await bench.rest().auth.requestToken({ capability }, key)).capability);
    assert.deepEqual(await ask({ channel2: ['presence', 'subscribe'], channelx: ['presence'] }), { channel2: ['subscribe'] });
    assert.deepEqual(await ask({ channel2: ['*'] }), { channel2: ['publish', 'subscribe'] });
    assert.deepEqual(await ask({ channel6: ['publish', 'subscribe'] }), { channel6: ['publish', 'subscribe'] });
    assert.equal((await rejection(ask({ channelx: ['publish'] }))).statusCode, 401);
    const subscriber = { key: bench.app.keys[3].keyStr };
    const token = await bench.rest().auth.requestToken({ capability: { 'cansubscribe:*': ['subscribe'] } }, subscriber);
    assert.deepEqual(JSON.parse(token.capability), { 'cansubscribe:*': ['subscribe'] });
  });

  for (const [what, params, status] of [
    ['an old timestamp', { timestamp: Date.now() - 30 * 60_000 }, 401],
    ['a wrong mac', { mac: '12345' }, 401],
    ['a ttl of a year', { ttl: 365 * 24 * 3_600_000 }, 400],
    ['a negative ttl', { ttl: -1 }, 400],
    ['a ttl that is no number', { ttl: 'notanumber' }, 400],
    ['an unknown operation', { capability: { channel0: ['publish_'] } }, 400],
    ['a wildcard beside others', { capability: { channel0: ['*', 'publish'] } }, 400],
    ['a resource without operations', { capability: { channel0: [] } }, 400],
  ]) {
    it(`refuses ${what}`, async () => {
      assert.equal((await rejection(bench.rest().auth.requestToken(params))).statusCode, status);
    });
  }

  it('takes a nonce once', async () => {
    const rest = bench.rest();
    const params = { timestamp: await rest.time(), nonce: unique('1234567890123456') };
    await rest.auth.requestToken(params);
    const error = await rejection(rest.auth.requestToken(params));
    assert.equal(error.statusCode, 401);
    assert.equal(error.code, 40105);
  });

  it('keeps the client id and the lifetime that were asked for', async () => {
    const token = await bench.rest({ defaultTokenParams: { ttl: 123, clientId: 'foo' } }).auth.requestToken();
    assert.equal(token.clientId, 'foo');
    assert.equal(token.expires - token.issued, 123);
  });

  it('knows no other app', async () => {
    const response = await bench.rest().request('get', '/keys/nobody.test/requestToken', 3);
    assert.equal(response.statusCode, 404);
    assert.equal(response.errorCode, 40400);
  });
});

describe('connecting', () => {
  for (const { name, useBinaryProtocol } of FORMATS) {
    it(`works with a key, a token, a token request and a JWT (${name})`, async () => {
      const rest = bench.rest();
      const ways = [
        {},
        { token: (await rest.auth.requestToken()).token },
        { authCallback: async (params, callback) => callback(null, await rest.auth.createTokenRequest(params)) },
        { authCallback: (params, callback) => callback(null, jwt(bench.app.keys[0])) },
      ];
      for (const way of ways) {
        const client = await bench.connected({ ...way, useBinaryProtocol });
        await client.channels.get(unique('any')).attach();
        client.close();
      }
    });
  }

  it('tells the client the id that its token was made for', async () => {
    const rest = bench.rest();
    const token = await rest.auth.requestToken({ clientId: 'testClientId' });
    const client = await bench.connected({ token: token.token });
    assert.equal(client.auth.clientId, 'testClientId');
    const withJwt = await bench.connected({ token: jwt(bench.app.keys[0], { 'x-ably-clientId': 'jwtClient' }) });
    assert.equal(withJwt.auth.clientId, 'jwtClient');
  });

  it('lets a wildcard token choose its id, and no other', async () => {
    const rest = bench.rest();
    const wildcard = await rest.auth.requestToken({ clientId: '*' });
    const client = await bench.connected({ token: wildcard.token, clientId: 'chosen' });
    assert.equal(client.auth.clientId, 'chosen');
    const bound = await rest.auth.requestToken({ clientId: 'me' });
    const other = bench.realtime({ token: bound.token, clientId: 'somebody' });
    const change = await next(other.connection, 'failed');
    assert.equal(change.reason.code, 40102);
  });

  it('takes the clientId of a token that is brought in band', async () => {
    const rest = bench.rest();
    const anonymous = { capability: { '*': ['*'] } };
    const client = await bench.connected({ authCallback: (_, callback) => rest.auth.requestToken(anonymous).then((token) => callback(null, token), callback) });
    const token = await rest.auth.requestToken({ clientId: 'bob' });
    await client.auth.authorize(null, { authCallback: (_, callback) => callback(null, token) });
    assert.equal(client.auth.clientId, 'bob');
    const channel = client.channels.get(unique('narrowed'));
    await channel.presence.enter();
    assert.equal((await channel.presence.get())[0].clientId, 'bob');
    assert.equal((await rejection(channel.presence.enterClient('eve'))).code, 40012);
  });

  it('fails for good with an unknown app and with a wrong secret', async () => {
    const malformed = await next(bench.realtime({ key: 'this.is:wrong' }).connection, 'failed');
    assert.equal(malformed.reason.code, 40101, 'that cannot be an app');
    const unknown = await next(bench.realtime({ key: 'nobody.is:wrong' }).connection, 'failed');
    assert.equal(unknown.reason.code, 40400);
    const wrong = await next(bench.realtime({ key: `${bench.app.keys[0].keyName}:wrong` }).connection, 'failed');
    assert.equal(wrong.reason.code, 40101);
  });

  it('refuses a JWT with a wrong signature with 40144, and one of nowhere with 40400', async () => {
    const forged = bench.rest({ token: jwt({ ...bench.app.keys[0], keySecret: 'wrong' }) });
    assert.equal((await rejection(forged.stats())).code, 40171, 'the SDK has no way to renew it');
    const response = await fetch(new URL('/stats', url), {
      headers: { authorization: `Bearer ${base64url(jwt({ ...bench.app.keys[0], keySecret: 'wrong' }))}` },
    });
    assert.equal(response.headers.get('x-ably-errorcode'), '40101', 'base64url is not base64');
    const raw = await fetch(new URL('/stats', url), {
      headers: { authorization: `Bearer ${jwt({ ...bench.app.keys[0], keySecret: 'wrong' })}` },
    });
    assert.equal(raw.headers.get('x-ably-errorcode'), '40144');
    const nowhere = await rejection(bench.rest({ token: jwt({ keyName: 'invalid.invalid', keySecret: 'x' }) }).stats());
    assert.equal(nowhere.code, 40400);
    assert.equal(nowhere.statusCode, 404);
  });

  it('keeps a JWT to the capability of its key', async () => {
    const client = await bench.connected({ token: jwt(bench.app.keys[3]) });
    const error = await rejection(client.channels.get('any').publish('greeting', 'hello'));
    assert.equal(error.code, 40160);
    assert.equal(error.statusCode, 401);
  });
});

describe('a token that expires', () => {
  it('is renewed after 40142, and the connection goes on', async () => {
    const rest = bench.rest();
    const client = await bench.connected({
      clientId: 'c',
      authCallback: async (params, callback) => callback(null, (await rest.auth.requestToken({ ...params, ttl: 2500 })).token),
    });
    const id = client.connection.id;
    const change = await next(client.connection, 'disconnected');
    assert.equal(change.reason.code, 40142);
    assert.equal(change.reason.statusCode, 401);
    await state(client.connection, 'connected');
    assert.equal(client.connection.id, id, 'it is the same connection');
  });

  it('cannot connect, and the client that cannot renew it fails', async () => {
    const token = await bench.rest().auth.requestToken({ ttl: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const change = await next(bench.realtime({ token: token.token }).connection, 'failed');
    assert.equal(change.reason.code, 40171);
  });

  it('is asked for anew before it expires, without a gap', async () => {
    let calls = 0;
    const client = await bench.connected({
      authCallback: (params, callback) => callback(null, jwt(bench.app.keys[0], { n: calls++ }, 32)),
    });
    client.connection.once('disconnected', () => assert.fail('the connection was lost'));
    const update = await next(client.connection, 'update');
    assert.equal(update.reason, undefined);
    assert.equal(calls, 2);
    client.connection.off();
  });
});

describe('a new token on the same connection', () => {
  const withToken = async (capability) => (await bench.rest().auth.requestToken({ clientId: 'c', capability })).token;

  it('opens what it newly allows', async () => {
    const client = await bench.connected({ token: await withToken({ wrong: ['*'] }) });
    assert.equal((await rejection(client.channels.get('right').attach())).code, 40160);
    const id = client.connection.id;
    await client.auth.authorize(null, { token: await withToken({ wrong: ['*'], right: ['*'] }) });
    await client.channels.get('right').attach();
    assert.equal(client.connection.id, id);
  });

  it('ends what it does not allow any more', async () => {
    const client = await bench.connected({ token: await withToken({ channel: ['*'], another: ['*'] }) });
    const channel = client.channels.get('channel');
    await channel.attach();
    const failed = next(channel, 'failed');
    await client.auth.authorize(null, { token: await withToken({ another: ['*'] }) });
    assert.equal((await failed).reason.code, 40160);
    assert.equal(client.connection.state, 'connected');
  });

  it('gives and takes operations on an attached channel', async () => {
    const client = await bench.connected({ token: await withToken({ channel: ['subscribe'] }) });
    const channel = client.channels.get('channel');
    await channel.attach();
    assert.equal((await rejection(channel.publish('a', null))).code, 40160);
    await client.auth.authorize(null, { token: await withToken({ channel: ['subscribe', 'publish'] }) });
    await channel.publish('a', null);
    await client.auth.authorize(null, { token: await withToken({ channel: ['subscribe'] }) });
    assert.equal((await rejection(channel.publish('a', null))).code, 40160);
    assert.equal(channel.state, 'attached');
  });

  it('fails the connection when it is not valid', async () => {
    const client = await bench.connected({ token: await withToken({ channel: ['*'] }) });
    const error = await rejection(client.auth.authorize(null, { token: `${bench.app.appId}.nonsense` }));
    assert.equal(error.code, 40171, 'the SDK has no way to renew it');
    assert.equal(client.connection.state, 'failed');
  });

  it('cannot change whose connection it is', async () => {
    const client = await bench.connected({ token: (await bench.rest().auth.requestToken({ clientId: 'me' })).token });
    const other = await bench.rest().auth.requestToken({ clientId: 'other' });
    const error = await rejection(client.auth.authorize(null, { token: other.token }));
    assert.equal(error.code, 40102);
    assert.equal(client.connection.state, 'failed');
  });
});

describe('revocation', () => {
  it('ends the connections of the tokens that it names, with 40141', async () => {
    const rest = bench.rest({ key: bench.app.keys[4].keyStr });
    const clientId = unique('client');
    const token = await rest.auth.requestToken({ clientId });
    const client = await bench.connected({ token: token.token });
    const spared = await bench.connected({ token: (await rest.auth.requestToken({ clientId: unique('other') })).token });
    const lost = next(client.connection, 'disconnected');
    const result = await rest.auth.revokeTokens([
      { type: 'clientId', value: clientId },
      { type: 'invalidType', value: 'abc' },
    ]);
    assert.equal(result.successCount, 1);
    assert.equal(result.failureCount, 1);
    assert.equal(result.results[0].target, `clientId:${clientId}`);
    assert.equal(typeof result.results[0].issuedBefore, 'number');
    assert.equal(result.results[1].error.statusCode, 400);
    assert.equal((await lost).reason.code, 40141);
    assert.equal(spared.connection.state, 'connected');
    await new Promise((resolve) => setTimeout(resolve, 5));
    const fresh = await rest.auth.requestToken({ clientId });
    await bench.connected({ token: fresh.token });
  });

  it('can leave time to renew', async () => {
    const rest = bench.rest({ key: bench.app.keys[4].keyStr });
    const start = await rest.time();
    const issuedBefore = start - 20 * 60_000;
    const result = await rest.auth.revokeTokens([{ type: 'clientId', value: 'x' }], { issuedBefore, allowReauthMargin: true });
    assert.equal(result.results[0].issuedBefore, issuedBefore);
    assert.ok(result.results[0].appliesAt > start + 30_000);
  });

  it('is refused for keys that do not have it', async () => {
    const error = await rejection(bench.rest().auth.revokeTokens([{ type: 'clientId', value: 'x' }]));
    assert.equal(error.statusCode, 401);
  });
});
