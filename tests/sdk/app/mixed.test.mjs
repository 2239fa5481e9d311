// Partners with apps of different generations in one session, and a partner who takes a newer app on the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { April, June, agree, agreeOnNeeds, changesTo, close, comeToStage4, couple, day, feelHeard, findIdeas, judge, meet, phases, refine, shareEmpathy, shareNeeds, takeStances, walk } from './walk.mjs';

const [WILLING, NOT] = ['WILLING', 'NOT_WILLING'];
const ids = (list) => list.map(({ id }) => id);

/** A ranking and stances on the same ideas, and each sees the other's in their own words. */
async function rankAndStand(april, june, pool) {
  await june.stage4();
  june.mark();
  await april.isReady();
  assert.deepEqual(await phases(april), ['RANKING'], 'nobody waits for a partner who has no such button');

  await june.walksThrough();
  june.mark();
  await april.ranks([pool[0], pool[1]]);
  await june.hears('partner.ranking_submitted');
  assert.equal((await april.overlap()).overlap, null);
  const before = await june.stage4();
  assert.deepEqual(before.partnerSelections, [], 'a ranking shows no more than stances do');

  for (const [at, decision] of [WILLING, NOT, WILLING].entries()) await june.stands(pool[at], decision);
  april.mark();
  await june.sharesStances();
  await april.hears('partner.ranking_submitted');
  const { overlap, phase } = await april.overlap();
  assert.deepEqual([ids(overlap), phase], [[pool[0]], 'REVEALING'], 'what April ranked and June is willing to');
  const { partnerSelections } = await june.stage4();
  const seen = new Map(partnerSelections.map(({ proposalId, decision }) => [proposalId, decision]));
  assert.deepEqual(pool.map((id) => seen.get(id)), [WILLING, WILLING, NOT], 'ranked is willing');
}

for (const [First, Second] of [[April, June], [June, April]]) {
  const pair = `${First.name} and ${Second.name}`;

  test(`${pair}: an agreement is proposed in one app and confirmed in the other`, () =>
    walk(couple(First, Second), async (x, y) => {
      await meet(x, y);
      await feelHeard(x, y);
      const { mine } = await shareEmpathy(x, y);
      await refine(x, y, mine);
      await judge(x, y);
      await shareNeeds(x, y);
      await agreeOnNeeds(x, y);
      const pool = await findIdeas(x, y);
      const [april, june] = x instanceof April ? [x, y] : [y, x];
      await rankAndStand(april, june, pool);
      await agree(april, june, pool[0]);
      for (const phone of [x, y]) await phone.seesTheEnd();
    }));

  test(`${pair}: June closes`, () =>
    walk(couple(First, Second), async (x, y) => {
      await comeToStage4(x, y, { apart: true });
      const pool = await findIdeas(x, y);
      const [april, june] = x instanceof April ? [x, y] : [y, x];
      await rankAndStand(april, june, pool);
      const { outcome } = await close(june, april, { kind: 'SHARED_AGREEMENT', reason: 'MUTUAL_SELECTION', checkInDate: day(10) });
      assert.equal(outcome.agreements.length, 1);
      assert.equal(outcome.agreements[0].strategyId, pool[0]);
    }));
}

test('a conflict that begins in the app of April ends in that of June', () =>
  walk(couple(April, April), async (a, b) => {
    await meet(a, b);
    await feelHeard(a, b);
    await shareEmpathy(a, b);
    const x = await changesTo(June, a);
    await judge(x, b);
    await shareNeeds(x, b);
    const y = await changesTo(June, b);
    try {
      await agreeOnNeeds(x, y);
      const pool = await findIdeas(x, y, 2);
      await takeStances(x, y, pool, [[WILLING, NOT], [WILLING, WILLING]]);
      await close(y, x, { kind: 'SHARED_AGREEMENT', reason: 'MUTUAL_SELECTION', checkInDate: day(10) });
    } finally {
      for (const phone of [x, y]) await phone.close();
    }
  }));
