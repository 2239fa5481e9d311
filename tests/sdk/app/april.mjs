// The app of April: it enters presence on the session's channel, invites with a message, confirms common ground, and ranks.

import assert from 'node:assert/strict';

import { Phone } from './phone.mjs';
import * as shape from './shapes.mjs';

export class April extends Phone {
  generation = 'April';

  constructor(person, ledger) {
    super(person, ledger, { presence: (session) => `meetwithoutfear:session:${session}`, dropsOthers: false });
  }

  state() {
    return this.get(this.of('/state'), shape.aprilState);
  }

  /** Everything that the screen asks for when it opens, whatever the stage is. */
  async opens() {
    const state = await this.state();
    await this.get(this.of('/messages?limit=25'), shape.messages);
    await this.draft();
    await this.partnerAttempt();
    await this.empathy();
    await this.needs();
    await this.strategies();
    await this.overlap();
    await this.agreements();
    await this.get(this.of('/reconciler/share-offer'), shape.noOffer);
    await this.pending();
    return state;
  }

  pending() {
    return this.get(this.of('/pending-actions'), shape.pendingActions);
  }

  /** From the signature to the sent invitation, alone. */
  async invites() {
    const opened = await this.opens();
    assert.equal(opened.session.status, 'CREATED');
    assert.equal(opened.session.partner.id, '', 'nobody joined');
    assert.equal(opened.compact.mySigned, false, 'the compact is shown');
    await this.signs();
    const signed = await this.standsIn(0, 'CREATED');
    assert.equal(signed.compact.mySigned, true);
    assert.equal(signed.invitation.messageConfirmed, false);
    assert.ok(signed.invitation.invitationMessage, 'the share panel has a text to begin with');
    const message = this.writes('an invitation');
    const body = { message };
    const sent = await this.post(this.of('/invitation/confirm'), body, shape.aprilInvited);
    assert.equal(sent.advancedToStage, 1, 'the one who invites goes on alone');
    assert.equal(sent.invitation.invitationMessage, message);
    const after = await this.standsIn(1, 'INVITED');
    assert.equal(after.invitation.messageConfirmed, true);
    this.ledger.share(message, 'everybody');
  }

  async arrives() {
    const opened = await this.opens();
    assert.equal(opened.compact.mySigned, false, 'the compact is shown to the invited, too');
    await this.signs();
    await this.standsIn(1, 'ACTIVE');
  }

  // ---- stage 2 ------------------------------------------------------------------------------------------------------

  /** The card with the partner's attempt, as the screen shows it; null if it shows none. */
  async card() {
    const { attempt, validated } = await this.partnerAttempt();
    return attempt?.content && attempt.revealedAt ? { ...attempt, validated } : null;
  }

  async mayJudge() {
    const { actions } = await this.pending();
    return actions.some(({ type }) => type === 'validate_empathy');
  }

  refines(content) {
    return this.post(this.of('/empathy/resubmit'), { content }, shape.resubmitted);
  }

  // ---- stage 3 ------------------------------------------------------------------------------------------------------

  async sendsNeeds() {
    const needIds = (await this.needs()).map(({ id }) => id);
    await this.post(this.of('/needs/confirm'), { needIds }, shape.needsConfirmed);
    return this.post(this.of('/needs/consent'), { needIds }, shape.needsShared);
  }

  comparison() {
    return this.get(this.of('/needs/comparison'), shape.comparison);
  }

  commonGround() {
    return this.get(this.of('/common-ground'), shape.commonGround);
  }

  /** The panel comes up once the analysis is complete, and there is something to confirm or nothing at all. */
  async agreesOnNeeds() {
    const { commonGround, analysisComplete, noOverlap } = await this.commonGround();
    assert.ok(analysisComplete && (commonGround.length > 0 || noOverlap), 'the panel comes up');
    const confirmations = commonGround.map(({ id }) => ({ commonGroundId: id, confirmed: true }));
    return this.post(this.of('/common-ground/confirm'), { confirmations }, shape.commonGroundConfirmed);
  }

  // ---- stage 4 ------------------------------------------------------------------------------------------------------

  strategies() {
    return this.get(this.of('/strategies'), shape.strategies);
  }

  overlap() {
    return this.get(this.of('/strategies/overlap'), shape.overlap);
  }

  async phase() {
    return (await this.strategies()).phase;
  }

  isReady() {
    return this.post(this.of('/strategies/ready'), undefined, shape.ready);
  }

  ranks(rankedIds) {
    return this.post(this.of('/strategies/rank'), { rankedIds }, shape.ranked);
  }

  async proposes(strategyId, description) {
    const body = { strategyId, description, type: 'MICRO_EXPERIMENT' };
    const { agreement, awaitingPartnerConfirmation } = await this.once(this.of('/agreements'), body, shape.agreementProposed);
    assert.ok(awaitingPartnerConfirmation);
    return agreement.id;
  }

  async seesTheEnd() {
    await this.isOver();
    assert.ok((await this.agreements()).some(({ status }) => status === 'AGREED'), 'the completion screen has an agreement');
    assert.deepEqual((await this.pending()).actions, [], 'nothing is to be done any more');
  }
}
