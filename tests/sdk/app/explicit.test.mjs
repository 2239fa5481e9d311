// A client that follows the stages explicitly, as the coordinator's own documentation has it, meets partners with the app. It does
// nothing that only the app does, so it is never taken on by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { April } from './april.mjs';
import * as shape from './shapes.mjs';
import { June, agree, couple, findIdeas, walk } from './walk.mjs';

/** Reads with the shapes of April, and advances by asking. */
class Explicit extends April {
  generation = 'Explicit';
  isExplicit = true;

  async begins(inviteName) {
    const created = await this.once('/sessions', { inviteName }, shape.created);
    assert.equal(created.session.status, 'INVITED', 'without a draft the invitation goes out at once');
    this.session = created.session.id;
    this.invitation = created.invitationId;
  }

  async advances(to) {
    const { myProgress } = await this.progress();
    assert.equal(myProgress.stage, to - 1, 'nobody is taken on who did not ask');
    const { advanced, newStage } = await this.once(this.of('/stages/advance'), undefined, shape.anything);
    assert.deepEqual([advanced, newStage], [true, to]);
    const again = await this.once(this.of('/stages/advance'), { fromStage: to - 1, toStage: to }, shape.anything);
    assert.equal(again.advanced, true, 'a repeat of what is done says so');
  }

  /** Without what only the app asks for. */
  async card() {
    const { attempt, validated } = await this.partnerAttempt();
    return attempt && { ...attempt, validated };
  }
}

for (const Partner of [April, June]) {
  test(`an explicit client and ${Partner.name} reach the end together`, () =>
    walk(couple(Explicit, Partner), async (x, y) => {
      await x.begins(y.name);
      await x.listens();
      await y.joins(x.invitation);
      await y.listens();
      await y.signs();
      await y.standsIn(0, 'ACTIVE');
      y.mark();
      await x.signs();
      await y.standsIn(1, 'ACTIVE');
      await x.advances(1);

      await y.feelsHeard();
      await y.standsIn(2, 'ACTIVE');
      const felt = await x.once(x.of('/feel-heard'), { confirmed: true }, shape.feltHeard);
      assert.equal(felt.advancedToStage, null);
      await x.advances(2);

      const mine = x.writes('empathy');
      const theirs = y.writes('empathy');
      await y.sharesEmpathy(theirs);
      x.ledger.share(theirs, x.name);
      x.ledger.share(mine, y.name);
      await x.sharesEmpathy(mine);
      await y.hears('empathy.revealed');
      assert.equal((await y.card()).content, mine);
      assert.equal((await x.card()).content, theirs);
      await x.judges(true);
      await y.judges(true);
      await y.standsIn(3, 'ACTIVE');
      await x.advances(3);

      for (const phone of [x, y]) {
        const text = phone.writes('need');
        await phone.needIsFound(text, 'SAFETY');
        phone.ledger.share(text, 'everybody');
      }
      await x.sendsNeeds();
      await y.sendsNeeds();
      await x.agreesOnNeeds();
      await y.agreesOnNeeds();
      await y.standsIn(4, 'ACTIVE');
      await x.advances(4);

      const ids = await findIdeas(x, y, 2);
      if (y instanceof June) {
        for (const id of ids) await y.stands(id, 'WILLING');
        await x.isReady();
        await x.ranks(ids);
        await y.sharesStances();
      } else {
        await x.isReady();
        await y.isReady();
        await x.ranks(ids);
        await y.ranks(ids);
      }
      assert.equal((await x.overlap()).overlap.length, 2);
      await agree(x, y, ids[0]);
      for (const phone of [x, y]) await phone.isOver();
    }));
}
