// The steps of a whole conflict, for two phones of any generation. After each step the partner's side is looked at: what the
// partner's screen needs next has to be in the answers, and an event has to say that it is worth asking.

import assert from 'node:assert/strict';

import { April } from './april.mjs';
import { June } from './june.mjs';
import { Person } from './phone.mjs';
import { Ledger } from './transport.mjs';

export { April, June };

/** Two people with phones, who do not know each other yet. */
export function couple(First, Second, names = ['Xenia', 'Yuri']) {
  const ledger = new Ledger();
  return [new First(new Person(names[0]), ledger), new Second(new Person(names[1]), ledger)];
}

/** Runs a walk and hangs up afterwards, also if the walk fails. */
export async function walk(phones, steps) {
  try {
    await steps(...phones);
  } catch (error) {
    for (const phone of phones) await phone.close().catch(() => {});
    throw error;
  }
  for (const phone of phones) await phone.close();
}

/** The person takes another phone, in the same session. */
export async function changesTo(Generation, phone) {
  const other = new Generation(phone.person, phone.ledger);
  Object.assign(other, { session: phone.session, invitation: phone.invitation });
  await phone.close();
  await other.opens();
  await other.listens();
  return other;
}

const isApril = (phone) => phone instanceof April;

function revealed(text, writer, reader) {
  writer.ledger.share(text, reader.name);
}

async function partnerMoved(phone, toStage) {
  await phone.hears('partner.advanced', (data) => data.toStage === toStage);
  const { partnerProgress } = await phone.progress();
  assert.equal(partnerProgress.stage, toStage, `${phone.name} sees the partner in ${toStage}`);
}

// ---- stages 0 and 1 -------------------------------------------------------------------------------------------------

/** The first invites, alone, and is in stage 1. */
export async function invite(x, y, more) {
  await x.home();
  await x.begins(y.name, more);
  if (isApril(x)) await x.listens();
  await x.invites();
  if (!isApril(x)) await x.listens();
}

/** The second comes. */
export async function join(x, y) {
  await y.home();
  await y.joins(x.invitation);
  x.mark();
  await y.arrives();
  await y.listens();
  if (!isApril(x) && !isApril(y)) {
    const { topicFrame } = (await y.state()).invitation;
    assert.equal(topicFrame, (await x.state()).invitation.topicFrame, 'the invited sees the topic');
  }
  if (x.generation === y.generation) {
    assert.deepEqual((await x.ears.seesPresent(y.id)).data, { name: y.name });
    assert.deepEqual((await y.ears.seesPresent(x.id)).data, { name: x.name });
  }
  await x.hears('partner.signed_compact');
  const { compact, session } = await x.state();
  assert.equal(compact.partnerSigned, true);
  assert.equal(session.partner.id, y.id, 'the partner has an id once joined');
  await x.looks('message-1764339999-abc');
  await y.looks();
}

export async function meet(x, y, more) {
  await invite(x, y, more);
  await join(x, y);
  await partnerMoved(x, 1);
}

export async function feelHeard(x, y) {
  for (const [me, other] of [[x, y], [y, x]]) {
    other.mark();
    await me.feelsHeard();
    await me.standsIn(2, 'ACTIVE');
    await other.hears('partner.stage_completed');
    await partnerMoved(other, 2);
  }
}

// ---- stage 2 --------------------------------------------------------------------------------------------------------

export async function shareEmpathy(x, y) {
  const [mine, theirs] = [x.writes('empathy'), y.writes('empathy')];
  y.mark();
  await x.sharesEmpathy(mine);
  await y.hears('partner.empathy_shared');
  assert.equal((await x.empathy()).myAttempt.status, 'HELD', 'it is held until the partner has shared');
  assert.equal(await y.card(), null, 'nothing is shown before both have shared');
  const seen = await y.empathy();
  assert.equal(seen.partnerHasSubmittedEmpathy, true);
  assert.equal(seen.partnerEmpathyHeldStatus, 'HELD', 'the waiting banner needs it');
  assert.equal(seen.partnerAttempt, null);

  [x, y].forEach((phone) => phone.mark());
  revealed(mine, x, y);
  revealed(theirs, y, x);
  await y.sharesEmpathy(theirs);
  for (const [me, text] of [[x, theirs], [y, mine]]) {
    const event = await me.hears('empathy.revealed');
    assert.equal(event.forUserId, me.id, 'each hears of it for itself');
    const card = await me.card();
    assert.equal(card?.content, text, `${me.name} sees the judging card`);
    assert.ok(card.revealedAt && card.status === 'REVEALED' && !card.validated);
    assert.ok(await me.mayJudge());
    assert.equal((await me.empathy()).myAttempt.status, 'REVEALED');
  }
  return { mine, theirs };
}

/** The second finds that the first did not quite understand, and the first writes again. */
export async function refine(x, y, text) {
  const feedback = y.writes('feedback');
  x.mark();
  await y.judges(false, feedback);
  await x.hears('empathy.resubmitted', (data) => data.forUserId === x.id);
  const asked = await x.empathy();
  assert.equal(asked.hasNewSharedContext, true, 'the refine panel is asked for');
  assert.ok(asked.messageCountSinceSharedContext > 0, 'the refine panel of April counts messages');
  assert.equal(asked.myAttempt.status, 'REFINING');
  assert.equal(await y.mayJudge(), false, 'there is nothing to judge until it comes again');

  if (!isApril(x)) {
    const unchanged = await x.refusedPost(x.of('/empathy/resubmit'), { content: text });
    assert.equal(unchanged.status, 400, 'June asks for another text');
  }
  const again = isApril(x) ? text : x.writes('empathy, again');
  if (again !== text) revealed(again, x, y);
  y.mark();
  const { empathyMessage } = await x.refines(again);
  assert.equal(empathyMessage.content, again);
  await y.hears('empathy.resubmitted', (data) => data.forUserId === y.id);
  const card = await y.card();
  assert.equal(card?.content, again);
  assert.ok(card.status === 'REVEALED' && !card.validated, 'it is to be judged anew');
  assert.equal(card.revisionCount, 1);
  assert.ok(await y.mayJudge());
}

export async function judge(x, y) {
  y.mark();
  await x.judges(true);
  assert.equal((await y.empathy()).myAttempt.status, 'VALIDATED');
  x.mark();
  await y.judges(true);
  await partnerMoved(x, 3);
  for (const phone of [x, y]) await phone.standsIn(3, 'ACTIVE');
}

// ---- stage 3 --------------------------------------------------------------------------------------------------------

const SHARED = ['SAFETY', 'RECOGNITION'];
const APART = { first: ['SAFETY', 'AUTONOMY'], second: ['MEANING', 'FAIRNESS'] };

/** Both send their needs. `apart`: without a category in common. */
export async function shareNeeds(x, y, { apart = false } = {}) {
  const texts = new Map();
  for (const [phone, categories] of [[x, apart ? APART.first : SHARED], [y, apart ? APART.second : SHARED]]) {
    texts.set(phone, []);
    for (const category of categories) {
      const text = phone.writes(`need for ${category}`);
      await phone.needIsFound(text, category);
      texts.get(phone).push(text);
    }
    if (!isApril(phone)) {
      const unwanted = phone.writes('need that is thrown away');
      await phone.removesNeed(await phone.needIsFound(unwanted, 'MEANING'));
      const live = (await phone.needs()).filter((need) => !need.deletedAt);
      assert.equal(live.length, categories.length, 'the bin has taken it');
    }
    const { myNeeds: _, partnerNeeds } = await phone.comparison();
    assert.deepEqual(partnerNeeds, [], 'nothing to compare yet');
  }

  y.mark();
  const first = await x.sendsNeeds();
  assert.equal(first.waitingForPartner, true);
  await y.hears('partner.needs_confirmed');
  await y.hears('partner.needs_shared');
  assert.deepEqual((await y.comparison()).partnerNeeds, [], 'nothing is shown before both have shared');

  for (const text of texts.get(x)) revealed(text, x, y);
  for (const text of texts.get(y)) revealed(text, y, x);
  x.mark();
  await y.sendsNeeds();
  await x.hears(isApril(x) ? 'session.common_ground_ready' : 'session.needs_reveal_ready');
  for (const phone of [x, y]) {
    const { myNeeds, partnerNeeds, noOverlap } = await phone.comparison();
    assert.equal(myNeeds.length, 2);
    assert.equal(partnerNeeds.length, 2);
    assert.equal(noOverlap, apart);
  }
  return { mine: texts.get(x), theirs: texts.get(y) };
}

export async function agreeOnNeeds(x, y) {
  y.mark();
  await x.agreesOnNeeds();
  const { myProgress } = await y.progress();
  if (myProgress.stage === 3) {
    await y.hears(isApril(x) ? 'partner.common_ground_confirmed' : 'partner.needs_validated');
    x.mark();
    await y.agreesOnNeeds();
    await partnerMoved(x, 4);
  }
  for (const phone of [x, y]) await phone.standsIn(4, 'ACTIVE');
}

export async function comeToStage4(x, y, options) {
  await meet(x, y);
  await feelHeard(x, y);
  await shareEmpathy(x, y);
  await judge(x, y);
  await shareNeeds(x, y, options);
  await agreeOnNeeds(x, y);
}

// ---- stage 4 --------------------------------------------------------------------------------------------------------

/** Ideas of both come into one pool, where nobody sees whose they are. The first may name shared needs that it answers. */
export async function findIdeas(x, y, count = 3, needs = []) {
  const ids = [];
  for (let number = 0; number < count; number += 1) {
    const [author, other] = number % 2 === 0 ? [x, y] : [y, x];
    const idea = author.writes('idea');
    revealed(idea, author, other);
    other.mark();
    ids.push(await author.ideaComesUp(idea, number === 0 ? needs : []));
    if (other.isExplicit) continue;
    const told = await other.hears(isApril(other) ? 'partner.marked_ready' : 'session.strategies_updated');
    for (const person of [x, y]) assert.ok(!JSON.stringify(told).includes(person.id), `an idea has no author: ${JSON.stringify(told)}`);
  }
  for (const phone of [x, y]) {
    const pool = isApril(phone) ? await phone.strategies() : (await phone.stage4()).inventory;
    const shown = JSON.stringify(pool);
    for (const person of [x, y]) assert.ok(!shown.includes(person.id), 'no idea names its author');
    assert.doesNotMatch(shown, /"(author|authorId|createdBy\w*|proposedBy\w*|submittedBy|source\w*Id|createdAt)":/);
    const ideas = isApril(phone) ? pool.strategies : pool.sharedProposals;
    assert.deepEqual(ideas.map(({ id }) => id).sort(), [...ids].sort());
  }
  return ids;
}

/** The phase that each April phone reports. */
export async function phases(...phones) {
  return Promise.all(phones.map((phone) => phone.phase()));
}

/** April on both sides: ready, ranked, and the overlap is there for both at once. */
export async function rank(x, y, first, second) {
  assert.deepEqual(await phases(x, y), ['COLLECTING', 'COLLECTING']);
  y.mark();
  await x.isReady();
  await y.hears('partner.marked_ready');
  x.mark();
  await y.isReady();
  await x.hears('partner.marked_ready');
  assert.deepEqual(await phases(x, y), ['RANKING', 'RANKING']);

  y.mark();
  await x.ranks(first);
  await y.hears('partner.ranking_submitted');
  for (const phone of [x, y]) {
    const { overlap, phase } = await phone.overlap();
    assert.ok(phase !== 'REVEALING' && (overlap === null || overlap.length === 0), 'nothing shows before both have ranked');
  }
  x.mark();
  await y.ranks(second);
  await x.hears('partner.ranking_submitted');
}

/** The first proposes; the second is told, sees it, confirms, and resolves. */
export async function agree(x, y, idea) {
  const text = x.writes('agreement');
  revealed(text, x, y);
  y.mark();
  const agreement = await x.proposes(idea, text);
  await y.hears('agreement.proposed');
  if (isApril(y)) {
    await y.hears('partner.marked_ready');
    assert.notEqual(await y.phase(), 'REVEALING', 'the full screen of the ranking goes away');
  }
  if (!x.isExplicit) assert.notEqual(await x.phase(), 'REVEALING');
  const open = (await y.agreements()).find(({ id }) => id === agreement);
  assert.ok(open && !open.agreedByMe && open.agreedByPartner && open.status === 'PROPOSED', 'the card is shown');
  [x, y].forEach((phone) => phone.mark());
  const { sessionCanResolve } = await y.confirms(agreement);
  assert.equal(sessionCanResolve, true);
  await x.hears('agreement.confirmed');
  await y.resolves();
  for (const phone of [x, y]) await phone.hears('session.resolved');
}

/** June on both sides: a stance on each card, which the other sees once both have shared. */
export async function takeStances(x, y, ids, decisions) {
  for (const [phone, own] of [[x, decisions[0]], [y, decisions[1]]]) {
    await phone.walksThrough();
    for (const [at, id] of ids.entries()) await phone.stands(id, own[at]);
  }
  y.mark();
  await x.sharesStances();
  await y.hears('session.strategies_updated', (data) => data.change === 'stage4_selection_submitted');
  const before = await y.stage4();
  assert.equal(before.partnerSelectionStatus, 'SUBMITTED');
  assert.deepEqual(before.partnerSelections, [], 'stances show once both have shared');
  assert.ok(before.inventory.sharedProposals.every((card) => !card.partnerDecisionVisible));
  x.mark();
  await y.sharesStances();
  await x.hears('session.strategies_updated', (data) => data.change === 'stage4_selection_submitted');
  for (const [phone, other] of [[x, decisions[1]], [y, decisions[0]]]) {
    const { phase, partnerSelections } = await phone.stage4();
    assert.equal(phase, 'OUTCOME_REVIEW');
    const seen = new Map(partnerSelections.map(({ proposalId, decision }) => [proposalId, decision]));
    assert.deepEqual(ids.map((id) => seen.get(id)), other);
  }
}

export function day(fromNow = 0) {
  return new Date(Date.now() + fromNow * 86_400_000).toISOString().slice(0, 10);
}

/** Either closes; both are told, the one who closed included, and both see the end. */
export async function close(x, y, body) {
  [x, y].forEach((phone) => phone.mark());
  const closed = await x.closes(body);
  for (const phone of [x, y]) await phone.hears('session.resolved');
  for (const phone of [x, y]) await phone.seesTheEnd();
  return closed;
}
