// Two partners with the app of June.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as shape from './shapes.mjs';
import { June, agreeOnNeeds, close, comeToStage4, couple, day, feelHeard, findIdeas, invite, join, judge, meet, refine, shareEmpathy, shareNeeds, takeStances, walk } from './walk.mjs';

const [WILLING, NOT] = ['WILLING', 'NOT_WILLING'];

test('June and June go through a whole conflict', () =>
  walk(couple(June, June), async (x, y) => {
    await meet(x, y);
    await feelHeard(x, y);
    const { mine } = await shareEmpathy(x, y);
    await refine(x, y, mine);
    await judge(x, y);
    const { mine: needs } = await shareNeeds(x, y);
    await agreeOnNeeds(x, y);
    const ids = await findIdeas(x, y, 3, [needs[0]]);
    const { walkthrough, coverageAudit } = await x.stage4();
    assert.equal(walkthrough.phase, 'MY_NEEDS', 'one need at a time, the own ones first');
    assert.deepEqual([walkthrough.currentNeed.source, walkthrough.totalInPhase], ['YOU', 2]);
    assert.deepEqual(coverageAudit.covered.map(({ label }) => label), [needs[0]]);
    assert.equal(coverageAudit.open.length, 3);
    for (const id of ids) await x.stands(id, WILLING);
    assert.equal((await x.refusedPost(x.of('/stage4/share-selections'), {})).status, 400, 'an open need is named or declined first');
    await takeStances(x, y, ids, [[WILLING, WILLING, NOT], [WILLING, NOT, NOT]]);

    // A change takes the own sharing back, and what the partner saw with it.
    const note = x.writes('note on a stance');
    y.mark();
    await x.stands(ids[1], NOT, note);
    await y.hears('session.strategies_updated', (data) => data.change === 'stage4_selection_revised' && data.submittedBy === x.id);
    assert.equal((await x.stage4()).mySelectionStatus, 'NOT_STARTED');
    const revised = await y.stage4();
    assert.equal(revised.partnerSelectionStatus, 'NOT_STARTED');
    assert.deepEqual(revised.partnerSelections, []);
    x.ledger.share(note, y.name);
    await x.sharesStances();
    assert.equal((await y.stage4()).partnerSelections.length, 3);

    const { outcome } = await close(x, y, { kind: 'SHARED_AGREEMENT', reason: 'MUTUAL_SELECTION', checkInDate: day(10) });
    assert.equal(outcome.kind, 'SHARED_AGREEMENT');
    assert.equal(outcome.agreements.length, 1, 'what both are willing to');
    for (const phone of [x, y]) {
      const { phase, inventory } = await phone.stage4();
      assert.equal(phase, 'CLOSED_SHARED_AGREEMENT');
      assert.ok(inventory.sharedProposals.length > 0);
      const { entries } = await phone.tending();
      assert.ok(entries.some(({ status, scope }) => status === 'SCHEDULED' && scope === 'SHARED'), 'the check-in is scheduled');
    }
    assert.equal((await y.newSessionPage())[0].id, x.id, 'now they know each other');
  }));

test('the one who invites may feel heard before the partner has joined', () =>
  walk(couple(June, June), async (x, y) => {
    await invite(x, y);
    await x.feelsHeard();
    await x.standsIn(2, 'INVITED');
    await join(x, y);
    await y.feelsHeard();
    await shareEmpathy(x, y);
    await judge(x, y);
  }));

test('the topic is shown to nobody before it is confirmed', () =>
  walk(couple(June, June), async (x, y) => {
    const context = x.writes('context');
    await x.home();
    await x.begins(y.name, { context });
    await x.opens();
    assert.equal((await y.api.send('GET', `/v1/invitations/${x.invitation}`, undefined)).status, 404, 'an unsent invitation is none');
    assert.equal((await y.refusedPost(`/invitations/${x.invitation}/accept`)).status, 404);
    const { invitation } = await x.state();
    if (invitation.topicFrame.includes(context)) x.ledger.share(context, y.name);
    await x.invites();
    await x.listens();
    const seen = await y.invitationPage(x.invitation);
    if (seen.session?.topicFrame) assert.equal(seen.session.topicFrame, invitation.topicFrame);
    await join(x, y);
    assert.equal((await y.state()).invitation.topicFrame, invitation.topicFrame);
  }));

test('a close without overlap is a close', () =>
  walk(couple(June, June), async (x, y) => {
    await comeToStage4(x, y, { apart: true });
    const ids = await findIdeas(x, y, 2);
    await takeStances(x, y, ids, [[WILLING, NOT], [NOT, WILLING]]);
    const early = await x.refusedPost(x.of('/stage4/close'), { kind: 'SHARED_AGREEMENT', reason: 'MUTUAL_SELECTION', checkInDate: day(10) });
    assert.equal(early.status, 400, 'nothing is shared, so nothing can be agreed on');
    const { outcome } = await close(y, x, { kind: 'NO_SHARED_AGREEMENT', reason: 'NO_OVERLAP', checkInDate: day(10) });
    assert.deepEqual(outcome.agreements, []);
    for (const phone of [x, y]) assert.equal((await phone.stage4()).phase, 'CLOSED_NO_SHARED_AGREEMENT');
  }));

test('answers that are lost on the way are asked for again, and nothing goes wrong', () =>
  walk(couple(June, June), async (x, y) => {
    x.lossy = true;
    y.lossy = true;
    await comeToStage4(x, y);
    const ids = await findIdeas(x, y, 2);
    await takeStances(x, y, ids, [[WILLING, NOT], [WILLING, WILLING]]);
    await close(x, y, { checkInDate: day(10) });
  }));

/** What the check-in page sends for these entries. */
function checkinOf(entries, continueChoice, words) {
  const reflection = (text) => ({ reflection: '', perEntryNotes: Object.fromEntries(entries.map(({ id }) => [id, text])) });
  return {
    orientations: {
      whatWorked: reflection(words),
      whereMoreSupport: reflection(''),
      whatComesNext: { continueChoice, partialClosure: {}, reminders: [] },
    },
    entryOutcomes: entries.map(({ id }) => ({
      tendingEntryId: id,
      followThroughStatus: 'HAPPENED',
      helpfulnessStatus: 'HELPED',
      blockerCategories: [],
      whatHappened: words,
      stillWorthTrying: true,
    })),
    needOutcomes: [{ needLabel: 'to be heard', resolutionStatus: continueChoice === 'FULL_CLOSURE' ? 'RESOLVED' : 'IMPROVING' }],
    reminders: [],
    includedBetweenPeriodNoteIds: [],
    shareBetweenPeriodNoteIds: [],
  };
}

/** The check-in page is open for these entries. */
async function openEntries(phone) {
  for (let tries = 0; tries < 100; tries += 1) {
    const entries = (await phone.tending()).entries.filter(({ status, scope }) => ['OPEN', 'PARTIAL'].includes(status) && scope === 'SHARED');
    if (entries.length > 0) return entries;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no entry opens on its day');
}

for (const [choice, end] of [['FULL_CLOSURE', 'COMPLETED'], ['EXTEND', 'SCHEDULED']]) test(`after the day of the check-in each says how it went, and only together does it count: ${choice}`, () =>
  walk(couple(June, June), async (x, y) => {
    await comeToStage4(x, y);
    const ids = await findIdeas(x, y, 2);
    await takeStances(x, y, ids, [[WILLING, NOT], [WILLING, WILLING]]);
    await close(x, y, { kind: 'SHARED_AGREEMENT', reason: 'MUTUAL_SELECTION', checkInDate: day() });

    const secret = x.writes('note in between');
    await x.once(x.of('/tending/notes'), { content: secret }, shape.noteAdded);
    assert.equal((await x.tending()).betweenPeriodNotes.length, 1);
    assert.deepEqual((await y.tending()).betweenPeriodNotes ?? [], []);

    const words = x.writes('how it went');
    const mine = await x.once(x.of('/tending/checkin'), checkinOf(await openEntries(x), choice, words), shape.checkin);
    assert.equal(mine.continueChoice, choice);
    const waiting = await openEntries(y);
    assert.ok(waiting.every(({ status, myResponse }) => status === 'PARTIAL' && myResponse === null), 'the entry waits for the other');
    assert.ok((await y.tending()).coordinationCycles.some(({ status }) => status === 'WAITING_FOR_PARTNER'));
    const theirs = y.writes('how it went');
    await y.once(y.of('/tending/checkin'), checkinOf(waiting, choice, theirs), shape.checkin);
    for (const phone of [x, y]) {
      const { entries } = await phone.tending();
      assert.ok(entries.filter(({ scope }) => scope === 'SHARED').every(({ status }) => status === end), JSON.stringify(entries));
      assert.ok((await phone.history()).cycles.length > 0);
    }
    const { entry } = await x.once(x.of('/tending/reentry'), { intent: x.writes('intent') }, shape.entryAnswer);
    assert.equal(entry.type, 'USER_INITIATED_REENTRY');
    assert.ok((await y.tending()).entries.every(({ id }) => id !== entry.id), 'coming back alone is private');
  }));
