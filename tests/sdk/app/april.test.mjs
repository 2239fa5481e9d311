// Two partners with the app of April.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { April, agree, agreeOnNeeds, comeToStage4, couple, feelHeard, findIdeas, invite, join, judge, meet, phases, rank, refine, shareEmpathy, shareNeeds, walk } from './walk.mjs';

test('April and April go through a whole conflict', () =>
  walk(couple(April, April), async (x, y) => {
    await meet(x, y);
    await feelHeard(x, y);
    const { mine } = await shareEmpathy(x, y);
    await refine(x, y, mine);
    await judge(x, y);
    await shareNeeds(x, y);
    await agreeOnNeeds(x, y);
    const ids = await findIdeas(x, y);
    await rank(x, y, ids, [...ids].reverse());
    const overlaps = await Promise.all([x.overlap(), y.overlap()]);
    assert.deepEqual(await phases(x, y), ['REVEALING', 'REVEALING']);
    assert.ok(overlaps[0].overlap.length > 0);
    assert.deepEqual(overlaps[0].overlap.map(({ id }) => id), overlaps[1].overlap.map(({ id }) => id), 'the same for both');
    await agree(x, y, overlaps[0].overlap[0].id);
    for (const phone of [x, y]) await phone.seesTheEnd();
    assert.equal((await x.newSessionPage())[0].id, y.id, 'now they know each other');
  }));

test('the one who invites may feel heard before the partner has joined', () =>
  walk(couple(April, April), async (x, y) => {
    await invite(x, y);
    await x.feelsHeard();
    await x.standsIn(2, 'INVITED');
    await join(x, y);
    y.mark();
    await y.feelsHeard();
    await x.hears('partner.advanced', (data) => data.toStage === 2);
    const { mine } = await shareEmpathy(x, y);
    assert.ok(mine);
    await judge(x, y);
  }));

test('partners without a category in common go on, too', () =>
  walk(couple(April, April), async (x, y) => {
    await comeToStage4(x, y, { apart: true });
  }));

test('a round without overlap opens the pool again', () =>
  walk(couple(April, April), async (x, y) => {
    await comeToStage4(x, y);
    const ids = await findIdeas(x, y, 4);
    await rank(x, y, ids.slice(0, 2), ids.slice(2));
    assert.deepEqual(await phases(x, y), ['COLLECTING', 'COLLECTING'], 'April has neither pool nor input in any other phase');
    for (const phone of [x, y]) {
      const { strategies } = await phone.strategies();
      assert.deepEqual(strategies.map(({ id }) => id).sort(), [...ids].sort(), 'the ideas are kept');
    }
    await rank(x, y, ids.slice(0, 2), ids.slice(0, 2));
    assert.deepEqual(await phases(x, y), ['REVEALING', 'REVEALING']);
    await agree(x, y, ids[0]);
    for (const phone of [x, y]) await phone.seesTheEnd();
  }));

test('answers that are lost on the way are asked for again, and nothing goes wrong', () =>
  walk(couple(April, April), async (x, y) => {
    x.lossy = true;
    y.lossy = true;
    await comeToStage4(x, y);
    const ids = await findIdeas(x, y);
    await rank(x, y, ids, ids);
    await agree(x, y, ids[0]);
    for (const phone of [x, y]) await phone.seesTheEnd();
  }));

test('the session of before is offered again instead of a second one', () =>
  walk(couple(April, April), async (x, y) => {
    await meet(x, y);
    const shape = await import('./shapes.mjs');
    const answer = await x.once('/sessions', { personId: y.id }, shape.existing);
    assert.equal(answer.existingActiveSession.id, x.session);
    assert.equal(answer.session.id, x.session, 'the hook reads session.id unguarded');
  }));
