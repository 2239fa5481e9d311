// A server that is killed under its clients and started again: the real binary, the real SDK.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Ably from 'ably';
import { collect, next, state } from './support.mjs';

const binary = process.env.TANDEM_BIN;

describe('a restart of the server', { skip: !binary && 'TANDEM_BIN names no binary' }, () => {
  let data, key, server, port;
  const clients = [];

  async function start(listen) {
    server = spawn(binary, ['serve', '--listen', listen, '--data', data], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(createInterface({ input: server.stdout }), 'line');
    port = Number(new URL(line.replace('listening on ', '')).port);
    key = (await readFile(join(data, 'realtime.key'), 'utf8')).trim();
  }

  const options = (own) => ({
    endpoint: '127.0.0.1', port, tls: false, key, transports: ['web_socket'], disableConnectivityCheck: true, logLevel: 0, ...own,
  });

  async function connected(own) {
    const client = new Ably.Realtime(options({ disconnectedRetryTimeout: 200, ...own }));
    clients.push(client);
    await state(client.connection, 'connected');
    return client;
  }

  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'tandem-restart-'));
    await start('127.0.0.1:0');
  });

  after(async () => {
    clients.forEach((client) => client.close());
    server.kill('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });

  for (const signal of ['SIGKILL', 'SIGTERM']) {
    it(`by ${signal} keeps connections, presence, continuity and history`, async () => {
      const name = `meetwithoutfear:${signal}`;
      const [alice, bob] = [await connected({ clientId: 'alice' }), await connected({ clientId: 'bob', useBinaryProtocol: false })];
      const [hers, his] = [alice, bob].map((client) => client.channels.get(name));
      const heard = collect(his);
      await his.presence.enter();
      await hers.presence.enter('here');
      await hers.publish('before', null);
      await heard.count(1);
      const ids = [alice.connection.id, bob.connection.id];
      const members = collect({ subscribe: (listener) => his.presence.subscribe(['enter', 'leave'], listener) });

      const lost = [next(alice.connection, 'disconnected'), next(bob.connection, 'disconnected')];
      server.kill(signal);
      await once(server, 'exit');
      await Promise.all(lost);
      const back = [next(alice.connection, 'connected'), next(bob.connection, 'connected')];
      await start(`127.0.0.1:${port}`);
      const rest = new Ably.Rest(options()).channels.get(name);
      await rest.publish('meanwhile', null);

      const changes = await Promise.all(back);
      assert.deepEqual(changes.map((change) => change.reason), [undefined, undefined], 'both are resumed');
      assert.deepEqual([alice.connection.id, bob.connection.id], ids);
      await hers.publish('after', null);
      const messages = await heard.count(3);
      assert.deepEqual(messages.map((message) => message.name), ['before', 'meanwhile', 'after']);
      const present = await his.presence.get();
      assert.deepEqual(present.map((member) => [member.clientId, member.data]).sort(), [['alice', 'here'], ['bob', undefined]]);
      assert.deepEqual(members.items, [], 'nobody left, so nobody entered');
      const history = await rest.history();
      assert.deepEqual(history.items.map((message) => message.name), ['after', 'meanwhile', 'before']);
    });
  }
});
