// What nobody may see, in the shapes of both generations. That texts stay with their authors until they are shared is checked on
// every answer and every message of every walk; here is the rest: consent taken back, strangers, and what events carry.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Person } from './phone.mjs';
import * as shape from './shapes.mjs';
import { April, June, comeToStage4, couple, feelHeard, findIdeas, judge, meet, shareEmpathy, walk } from './walk.mjs';

for (const Generation of [April, June]) {
  test(`${Generation.name}: consent that is taken back hides the text everywhere`, () =>
    walk(couple(Generation, Generation), async (x, y) => {
      await meet(x, y);
      await feelHeard(x, y);
      const { mine, theirs } = await shareEmpathy(x, y);
      await x.once(x.of('/consent/revoke'), { kind: 'empathy' }, shape.anything);
      x.ledger.unshare(mine, y.name);
      assert.equal(await y.card(), null);
      assert.equal(await y.mayJudge(), false);
      await y.opens();
      await y.api.send('GET', y.of('/events'));
      // The ledger has read each of those answers. The partner's own text is there as before.
      assert.equal((await y.draft()).draft.content, theirs);
    }));

  test(`${Generation.name}: consent to needs that is taken back hides them everywhere`, () =>
    walk(couple(Generation, Generation), async (x, y) => {
      await comeToStage4(x, y);
      const texts = (await x.needs()).filter((need) => !need.deletedAt).map(({ need }) => need);
      await x.once(x.of('/consent/revoke'), { kind: 'needs' }, shape.anything);
      for (const text of texts) x.ledger.unshare(text, y.name);
      const reads = ['/state', '/needs', '/needs/comparison', '/common-ground', '/strategies', '/agreements', '/stage4', '/events', '/pending-actions'];
      for (const path of reads) {
        const { text } = await y.api.send('GET', y.of(path));
        y.ledger.read(y.name, path, text);
      }
    }));
}

/** Every read of both generations, and a body for every button. */
const READS = [
  '/state', '/messages?limit=25', '/messages?limit=500', '/progress', '/invitation', '/empathy/draft', '/empathy/partner', '/empathy/status',
  '/needs', '/needs/comparison', '/common-ground', '/strategies', '/strategies/overlap', '/agreements', '/reconciler/share-offer',
  '/pending-actions', '/stage4', '/tending', '/tending/history', '/consent/pending', '/consent/history',
];
const BUTTONS = [
  ['/topic-frame/confirm', {}], ['/invitation/confirm', { message: 'x' }], ['/compact/sign', { agreed: true }], ['/viewed', { lastSeenChatItemId: 'x' }],
  ['/share-tab-viewed', {}], ['/feel-heard', { confirmed: true }], ['/empathy/resubmit', { content: 'x' }], ['/empathy/skip-refinement', { willingToAccept: true }],
  ['/needs/capture', { needs: [{ need: 'x', category: 'SAFETY', description: 'x', evidence: [] }] }], ['/needs/validate', {}],
  ['/needs/apply-edits', { operations: [{ type: 'addNeed', text: 'x', category: 'SAFETY' }] }], ['/stage4/proposals/csomeproposal0/selection', { decision: 'WILLING' }],
  ['/stage4/selections', { selections: [{ proposalId: 'csomeproposal0', decision: 'WILLING' }] }], ['/stage4/share-selections', {}],
  ['/stage4/unshare-selections', {}], ['/stage4/needs/csomeneed00/decline', {}], ['/stage4/walkthrough/needs/csomeneed00', { action: 'skip' }],
  ['/stage4/close', {}], ['/stage4/subchat', { anchorKind: 'NO_OVERLAP' }], ['/tending/notes', { content: 'x' }], ['/tending/reentry', {}],
  ['/tending/centry0000/responses', { status: 'WORKED' }], ['/tending/centry0000/share', {}], ['/tending/checkin', {}],
  ['/consent/decide', { consentRequestId: 'cconsent000', decision: 'GRANTED' }], ['/consent/revoke', { consentRecordId: 'cconsent000' }],
];

test('a stranger hears the same of every call as of a session that does not exist', () =>
  walk(couple(April, June), async (x, y) => {
    await meet(x, y);
    const eve = new April(new Person('Eve'), x.ledger);
    try {
      const heard = async (session, method, path, body) => {
        const { status, text } = await eve.api.send(method, `/sessions/${session}${path}`, body);
        eve.ledger.read(eve.name, path, text);
        return [status, JSON.parse(text).error];
      };
      for (const [method, path, body] of [...READS.map((path) => ['GET', path]), ...BUTTONS.map(([path, body]) => ['POST', path, body])]) {
        for (const sent of method === 'GET' ? [undefined] : [body, 'x', {}]) {
          const there = await heard(x.session, method, path, sent);
          assert.equal(there[0], 404, `${method} ${path} answers a stranger ${JSON.stringify(there)}`);
          assert.deepEqual(there, await heard('cnosuchsession000000', method, path, sent), `${method} ${path}`);
        }
      }
    } finally {
      await eve.close();
    }
    assert.equal((await x.state()).session.status, 'ACTIVE', 'nothing of it changed anything');
  }));

test('a link that was used tells its finder nothing of the two', () =>
  walk(couple(April, June), async (x, y) => {
    await meet(x, y);
    const eve = new April(new Person('Eve'), x.ledger);
    try {
      const { acknowledged, reason } = await eve.once(`/v1/invitations/${x.invitation}/acknowledge`, {}, shape.acknowledged);
      assert.equal(acknowledged, false);
      assert.ok(reason, 'it says why');
      const { status, code } = await eve.refusedPost(`/invitations/${x.invitation}/accept`);
      assert.deepEqual([status, code], [409, 'CONFLICT']);
      for (const [method, path, body] of [
        ['POST', `/v1/invitations/${x.invitation}/acknowledge`, {}],
        ['GET', `/v1/invitations/${x.invitation}`],
        ['POST', `/invitations/${x.invitation}/accept`],
        ['POST', `/invitations/${x.invitation}/decline`, {}],
      ]) {
        const { text } = await eve.api.send(method, path, body);
        assert.ok(!text.includes(y.id) && !text.includes(y.name), `${method} ${path} names the partner: ${text}`);
      }
    } finally {
      await eve.close();
    }
    assert.equal((await x.refusedPost(`/v1/invitations/${x.invitation}/acknowledge`, {})).status, 400, 'it is one of their own');
    assert.equal((await y.refusedPost('/v1/invitations/cnosuchinvitation0/acknowledge', {})).status, 404);
  }));

test('events carry ids, stages and times, and reach each partner under names that the app knows', () =>
  walk(couple(April, June), async (x, y) => {
    await meet(x, y);
    await feelHeard(x, y);
    await shareEmpathy(x, y);
    await judge(x, y);
    const plain = new Set([
      'sessionId', 'seq', 'timestamp', 'excludeUserId', 'triggeredByUserId', 'forUserId', 'stage', 'previousStage', 'currentStage', 'toStage',
      'signedAt', 'completedAt', 'viewedAt', 'activeAt', 'presenceVisible', 'userId', 'status', 'agreementId', 'agreementIds', 'change', 'submittedBy', 'kind',
    ]);
    for (const phone of [x, y]) {
      assert.ok(phone.ears.raw.length > 5);
      for (const { name, data } of phone.ears.raw) {
        const unknown = Object.keys(data).filter((key) => !plain.has(key));
        assert.deepEqual(unknown, [], `${name} carries more than ids, stages and times: ${JSON.stringify(data)}`);
      }
    }
  }));

test('an idea has no author, in no answer that shows it', () =>
  walk(couple(June, April), async (x, y) => {
    await comeToStage4(x, y);
    await findIdeas(x, y);
    for (const [phone, path] of [[x, '/strategies'], [x, '/stage4'], [y, '/strategies'], [y, '/stage4'], [x, '/events'], [y, '/events']]) {
      const { text } = await phone.api.send('GET', phone.of(path));
      if (path !== '/events') for (const person of [x, y]) assert.ok(!text.includes(person.id), `${path} names ${person.name}`);
      assert.doesNotMatch(text, /"sourceLabel":"(YOU|PARTNER)"/);
    }
    // Whoever looks first sees no order in which the ideas came.
    const order = async (phone) => (await phone.get(phone.of('/strategies'), shape.strategies)).strategies.map(({ id }) => id);
    assert.deepEqual(await order(x), await order(x), 'stable for each viewer');
  }));
