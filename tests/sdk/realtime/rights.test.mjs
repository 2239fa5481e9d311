// Rights begin and end with sessions: the real binary, the real SDK, logins as the app has them.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Ably from 'ably';
import { collect, next, state, within } from './support.mjs';

const binary = process.env.TANDEM_BIN;
const secret = 'a shared secret for the SDK: long enough for HS256';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function login(sub) {
  const body = `${base64url({ typ: 'JWT', alg: 'HS256' })}.${base64url({ sub, name: sub, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

describe('rights', { skip: !binary && 'TANDEM_BIN names no binary' }, () => {
  let data, server, origin;
  const clients = [];

  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'tandem-rights-'));
    const env = { ...process.env, TANDEM__AUTH__HS256_SECRET: secret };
    server = spawn(binary, ['serve', '--listen', '127.0.0.1:0', '--data', data], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(createInterface({ input: server.stdout }), 'line');
    origin = line.replace('listening on ', '').trim();
  });

  after(async () => {
    clients.forEach((client) => client.close());
    server.kill('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });

  async function api(user, method, path, body) {
    const headers = { authorization: `Bearer ${login(user)}`, ...(body && { 'content-type': 'application/json' }) };
    const response = await fetch(`${origin}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json();
    assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.data;
  }

  async function connected(user) {
    const calls = { count: 0 };
    const authCallback = (_, callback) => {
      calls.count += 1;
      api(user, 'GET', '/auth/ably-token').then(({ tokenRequest }) => callback(null, tokenRequest), callback);
    };
    const client = new Ably.Realtime({
      endpoint: '127.0.0.1', port: Number(new URL(origin).port), tls: false, authCallback,
      transports: ['web_socket'], disableConnectivityCheck: true, logLevel: 0, disconnectedRetryTimeout: 200,
    });
    clients.push(client);
    await state(client.connection, 'connected');
    return { client, calls };
  }

  async function begin(anna, ben) {
    const { session, invitation } = await api(anna, 'POST', '/sessions', { inviteName: ben });
    await api(ben, 'POST', `/invitations/${invitation.id}/accept`);
    return session.id;
  }

  it('of a session that has just begun need no new token', async () => {
    const [anna, ben] = [await connected('anna'), await connected('ben')];
    const session = await begin('anna', 'ben');
    const [hers, his] = [anna, ben].map(({ client }) => client.channels.get(`meetwithoutfear:session:${session}`));
    // The event of his joining may still be on its way when he attaches.
    const heard = collect({ subscribe: (listener) => his.subscribe(['typing', 'session.paused'], listener) });
    await his.attach();
    await hers.publish('typing', null);
    await api('anna', 'POST', `/sessions/${session}/pause`, { reason: 'a walk' });
    const names = (await heard.count(2)).map(({ name }) => name);
    assert.deepEqual(names, ['typing', 'session.paused']);
    const presence = ben.client.channels.get(`meetwithoutfear:session:${session}:presence`);
    await presence.presence.enter('here');
    assert.deepEqual((await presence.presence.get()).map(({ clientId }) => clientId), ['ben']);
    assert.deepEqual([anna.calls.count, ben.calls.count], [1, 1], 'nobody asked for another token');
  });

  it('end for who withdraws, at once and only there', async () => {
    const [carl, dora] = [await connected('carl'), await connected('dora')];
    const [session, other] = [await begin('carl', 'dora'), await begin('carl', 'emil')];
    const name = `meetwithoutfear:session:${session}:presence`;
    const [his, hers] = [carl, dora].map(({ client }) => client.channels.get(name));
    const leaves = collect({ subscribe: (listener) => hers.presence.subscribe('leave', listener) });
    await hers.attach();
    await his.presence.enter('here');
    const kept = carl.client.channels.get(`meetwithoutfear:session:${other}`);
    await kept.attach();
    const failed = next(his, 'failed');
    await api('carl', 'DELETE', `/sessions/${session}`);
    assert.equal((await failed).reason.code, 40160);
    assert.equal((await leaves.count(1))[0].clientId, 'carl');
    assert.equal(carl.client.connection.state, 'connected');
    await kept.publish('typing', null);
    await within(5_000, 'hers is gone', hers.attach());
  });

  it('end for who erases the account, whose connection begins anew with nothing', async () => {
    const [fred, gina] = [await connected('fred'), await connected('gina')];
    const session = await begin('fred', 'gina');
    const [his, hers] = [fred, gina].map(({ client }) => client.channels.get(`meetwithoutfear:session:${session}`));
    await his.attach();
    await hers.attach();
    const id = fred.client.connection.id;
    const lost = next(fred.client.connection, 'disconnected');
    const failed = next(his, 'failed');
    await api('fred', 'DELETE', '/auth/me');
    assert.equal((await lost).reason.code, 40141);
    assert.equal((await failed).reason.code, 40160);
    await state(fred.client.connection, 'connected');
    assert.notEqual(fred.client.connection.id, id);
    assert.equal(gina.client.connection.state, 'connected');
    await hers.publish('typing', null);
  });
});
