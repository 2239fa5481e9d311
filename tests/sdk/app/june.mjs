// The app of June: it enters presence on a channel of its own, invites with a topic, and closes with stances on proposals instead
// of rankings.

import assert from 'node:assert/strict';

import { Phone } from './phone.mjs';
import * as shape from './shapes.mjs';

export class June extends Phone {
  generation = 'June';

  constructor(person, ledger) {
    super(person, ledger, { presence: (session) => `meetwithoutfear:presence:${session}`, dropsOthers: true });
  }

  state() {
    return this.get(this.of('/state'), shape.juneState);
  }

  /** What the screen asks for when it opens. While the session waits for its invitation, the state is all. */
  async opens() {
    const state = await this.state();
    if (state.session.status === 'CREATED') return state;
    await this.get(this.of('/messages?limit=500'), shape.messages);
    await this.draft();
    await this.partnerAttempt();
    await this.empathy();
    await this.needs();
    await this.comparison();
    await this.agreements();
    await this.get(this.of('/reconciler/share-offer'), shape.noOffer);
    return state;
  }

  async invites() {
    const opened = await this.opens();
    assert.equal(opened.session.status, 'CREATED');
    assert.equal(opened.compact.mySigned, false, 'the compact is shown');
    await this.signs();
    const signed = await this.standsIn(0, 'CREATED');
    assert.ok(signed.invitation.topicFrame, 'the topic panel has a topic');
    assert.equal(signed.invitation.topicFrameConfirmedAt, null, 'which is not confirmed');
    const { topicFrame } = await this.post(this.of('/topic-frame/confirm'), {}, shape.topicConfirmed);
    assert.equal(topicFrame, signed.invitation.topicFrame);
    assert.equal((await this.state()).session.status, 'INVITED');
    const sent = await this.post(this.of('/invitation/confirm'), {}, shape.juneInvited);
    assert.equal(sent.advancedToStage, 1, 'the one who invites goes on alone');
    await this.standsIn(1, 'INVITED');
  }

  async arrives() {
    const opened = await this.opens();
    assert.equal(opened.compact.mySigned, false, 'the compact is shown to the invited, too');
    await this.signs();
    await this.standsIn(1, 'ACTIVE');
  }

  // ---- stage 2 ------------------------------------------------------------------------------------------------------

  /** The panel with the partner's attempt, as the screen shows it; null if it shows none. */
  async card() {
    const { partnerAttempt } = await this.empathy();
    const { validated } = await this.partnerAttempt();
    return partnerAttempt && { ...partnerAttempt, validated };
  }

  async mayJudge() {
    const card = await this.card();
    return card !== null && card.status === 'REVEALED' && !card.validated;
  }

  refines(content) {
    return this.post(this.of('/empathy/resubmit'), { content }, shape.resubmitted);
  }

  // ---- stage 3 ------------------------------------------------------------------------------------------------------

  /** The bin in the drawer. */
  removesNeed(need) {
    return this.api.call('DELETE', this.of(`/needs/${need}`), undefined, shape.needDeleted);
  }

  async sendsNeeds() {
    const live = (await this.needs()).filter((need) => !need.deletedAt && !need.supersededByNeedId);
    const needIds = live.map(({ id }) => id);
    await this.post(this.of('/needs/confirm'), { needIds }, shape.needsConfirmed);
    return this.post(this.of('/needs/consent'), { needIds }, shape.juneNeedsShared);
  }

  comparison() {
    return this.get(this.of('/needs/comparison'), shape.juneComparison);
  }

  /** The panel comes up in stage 3 as long as the own gate is open; otherwise the screen is in stage 4 already. */
  async agreesOnNeeds() {
    const { myProgress } = await this.progress();
    if (myProgress.stage === 4) return;
    const { myNeeds, partnerNeeds } = await this.comparison();
    assert.ok(myNeeds.length > 0 && partnerNeeds.length > 0 && myProgress.gatesSatisfied.needsValidated !== true, 'the panel comes up');
    await this.post(this.of('/needs/validate'), {}, shape.needsValidated);
  }

  // ---- stage 4 ------------------------------------------------------------------------------------------------------

  stage4() {
    return this.get(this.of('/stage4'), shape.stage4);
  }

  /** Walks through the needs, as long as the panel shows one at a time. */
  async walksThrough() {
    for (let step = 0; step < 30; step += 1) {
      const { walkthrough } = await this.stage4();
      if (!walkthrough.currentNeed || !['MY_NEEDS', 'PARTNER_NEEDS'].includes(walkthrough.phase)) return;
      await this.once(this.of(`/stage4/walkthrough/needs/${walkthrough.currentNeed.id}`), { action: 'covered' }, shape.stage4Change);
    }
    throw new Error('the walkthrough has no end');
  }

  stands(proposal, decision, note) {
    return this.post(this.of(`/stage4/proposals/${proposal}/selection`), { decision, ...(note ? { note } : {}) }, shape.selected);
  }

  /** The share button is enabled by the panel's own rules; what is open is declined first. */
  async sharesStances() {
    const { inventory, coverageAudit } = await this.stage4();
    assert.ok(inventory.sharedProposals.length > 0 && inventory.sharedProposals.every(({ myDecision }) => myDecision), 'each card has a stance');
    const willing = new Set(inventory.sharedProposals.filter(({ myDecision }) => myDecision === 'WILLING').map(({ id }) => id));
    for (const need of coverageAudit.open) {
      if (!need.userDeclinedToAddress && !need.coveringProposalIds.some((id) => willing.has(id))) {
        await this.post(this.of(`/stage4/needs/${need.id}/decline`), undefined, shape.stage4Change);
      }
    }
    const { state } = await this.post(this.of('/stage4/share-selections'), {}, shape.stage4Change);
    assert.equal(state.mySelectionStatus, 'SUBMITTED');
    return state;
  }

  closes(body) {
    return this.once(this.of('/stage4/close'), body, shape.closed);
  }

  tending() {
    return this.get(this.of('/tending'), shape.tending);
  }

  history() {
    return this.get(this.of('/tending/history'), shape.history);
  }

  async seesTheEnd() {
    await this.isOver();
    const { outcome } = await this.stage4();
    await this.tending();
    await this.history();
    if (outcome?.kind !== 'NO_SHARED_AGREEMENT') {
      assert.ok((await this.agreements()).some(({ status }) => status === 'AGREED'), 'the completion view has an agreement');
    }
    return outcome;
  }
}
