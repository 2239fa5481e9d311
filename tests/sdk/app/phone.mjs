// One person with a phone. What both generations of the app do alike is here; what they do differently is in `april.mjs` and
// `june.mjs`.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';

import { Ears } from './ears.mjs';
import * as shape from './shapes.mjs';
import { Api } from './transport.mjs';

const SECRET = process.env.TANDEM_SECRET ?? '';

function token(user, name) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, name, email: `${user}@example.org`, iat: now, exp: now + 3600 })}`;
  return `${signed}.${crypto.createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** Somebody who may own phones of several generations. */
export class Person {
  constructor(name) {
    this.name = name;
    this.id = `user_${name.toLowerCase()}_${crypto.randomBytes(4).toString('hex')}`;
    this.token = token(this.id, name);
  }
}

export class Phone {
  constructor(person, ledger, ears) {
    Object.assign(this, { person, ledger, id: person.id, name: person.name });
    this.api = new Api(person.token, ledger, person.name);
    this.ears = new Ears(this.api, person.id, person.name, ears);
  }

  async close() {
    await this.ears.close();
    this.api.close();
  }

  get(path, shape) {
    return this.api.call('GET', path, undefined, shape);
  }

  /** A button. With `app.lossy`, the first answer is lost on the way, and the client sends the same again. */
  async post(path, body, shape) {
    if (this.lossy) {
      await this.api.send('POST', path, body);
    }
    return this.api.call('POST', path, body, shape);
  }

  /** What a repeat would make anew (a session, a need, an idea) is sent once. */
  once(path, body, shape) {
    return this.api.call('POST', path, body, shape);
  }

  refusedPost(path, body) {
    return this.api.refused('POST', path, body);
  }

  of(rest) {
    return `/sessions/${this.session}${rest}`;
  }

  /** Text that the person writes; nobody else may see it until it is shared. */
  writes(about) {
    return this.ledger.write(this.name, about);
  }

  // ---- before a session ---------------------------------------------------------------------------------------------

  async home() {
    await this.get('/auth/me', shape.account);
    await this.get('/sessions', shape.sessions);
    await this.get('/sessions/unread-count', shape.unread);
    await this.get('/v1/sessions', shape.sessions);
  }

  /** The page on which a new session begins: both generations ask for the people first. */
  async newSessionPage() {
    return (await this.get('/people', shape.people)).people;
  }

  async begins(inviteName, more = {}) {
    await this.newSessionPage();
    const created = await this.once('/sessions', { inviteName, innerThoughtsId: null, ...more }, shape.created);
    assert.equal(created.session.status, 'CREATED', 'a new session waits for its invitation to be confirmed');
    this.session = created.session.id;
    this.invitation = created.invitationId;
    return created;
  }

  async invitationPage(invitation) {
    const seen = await this.api.call('GET', `/v1/invitations/${invitation}`, undefined, shape.publicInvitation, { bearer: false });
    return seen.invitation;
  }

  async joins(invitation) {
    assert.equal((await this.invitationPage(invitation)).status, 'PENDING');
    await this.post(`/v1/invitations/${invitation}/acknowledge`, {}, shape.acknowledged);
    const { session } = await this.once(`/invitations/${invitation}/accept`, undefined, shape.sessionAnswer);
    // The screen posts again on its next render, before it has left the page.
    const again = await this.once(`/invitations/${invitation}/accept`, undefined, shape.sessionAnswer);
    assert.equal(again.session.id, session.id);
    assert.equal(session.status, 'ACTIVE');
    this.session = session.id;
  }

  async listens() {
    await this.ears.open(this.session);
  }

  hears(name, matches) {
    return this.ears.hears(name, matches);
  }

  mark() {
    this.ears.mark();
  }

  // ---- the session's screen -----------------------------------------------------------------------------------------

  /** Where the answers put the person: what decides which screen is shown. */
  async standsIn(stage, status) {
    const state = await this.state();
    const at = `${this.name} (${this.generation})`;
    assert.equal(state.session.currentStage, stage, `${at} is in stage ${stage}`);
    assert.equal(state.session.myProgress.stage, stage, `${at}: state.session.myProgress`);
    assert.equal(state.progress.myProgress.stage, stage, `${at}: state.progress`);
    const progress = await this.get(this.of('/progress'), shape.progress);
    assert.equal(progress.myProgress.stage, stage, `${at}: progress`);
    // Waiting is a way of being active.
    if (status) assert.equal(state.session.status.replace('WAITING', 'ACTIVE'), status);
    return { ...state, progress };
  }

  progress() {
    return this.get(this.of('/progress'), shape.progress);
  }

  signs() {
    return this.post(this.of('/compact/sign'), { agreed: true }, shape.signed);
  }

  async looks(lastSeenChatItemId) {
    const body = lastSeenChatItemId ? { lastSeenChatItemId } : {};
    const seen = await this.post(this.of('/viewed'), body, shape.viewed);
    if (lastSeenChatItemId) {
      assert.equal(seen.lastSeenChatItemId, lastSeenChatItemId);
      const { session } = await this.state();
      assert.equal(session.lastSeenChatItemId, lastSeenChatItemId, 'kept for each member');
    }
  }

  async feelsHeard() {
    const progress = await this.progress();
    assert.equal(progress.myProgress.gatesSatisfied.feelHeardCheckOffered, true, 'the button is offered');
    const felt = await this.post(this.of('/feel-heard'), { confirmed: true }, shape.feltHeard);
    assert.equal(felt.advancedToStage, 2, 'the client does not ask again: the server must be in 2');
    return felt;
  }

  // ---- stage 2 ------------------------------------------------------------------------------------------------------

  draft() {
    return this.get(this.of('/empathy/draft'), shape.draft);
  }

  partnerAttempt() {
    return this.get(this.of('/empathy/partner'), shape.partnerAttempt);
  }

  empathy() {
    return this.get(this.of('/empathy/status'), shape.empathyStatus);
  }

  /** The AI's text comes by event and is saved by the client; then the panel is confirmed. */
  async sharesEmpathy(content) {
    await this.post(this.of('/empathy/draft'), { content, readyToShare: false }, shape.draftSaved);
    assert.equal((await this.draft()).draft.content, content, 'the review panel shows it');
    for (let time = 0; time < 2; time += 1) {
      await this.post(this.of('/empathy/draft'), { content, readyToShare: true }, shape.draftSaved);
    }
    return this.post(this.of('/empathy/consent'), { consent: true }, shape.consented);
  }

  judges(validated, feedback) {
    const body = { sessionId: this.session, validated, ...(feedback ? { feedback } : {}) };
    return this.post(this.of('/empathy/validate'), body, shape.judged);
  }

  // ---- stage 3 ------------------------------------------------------------------------------------------------------

  /** The AI's part: it writes needs for the member. */
  async needIsFound(text, category) {
    const { need } = await this.once(this.of('/needs'), { need: text, category, description: text }, shape.needAdded);
    return need.id;
  }

  async needs() {
    return (await this.get(this.of('/needs'), shape.needs)).needs;
  }

  // ---- stage 4, common to both --------------------------------------------------------------------------------------

  /** The AI's part: an idea comes into the pool. */
  async ideaComesUp(description, needsAddressed = []) {
    const { strategy } = await this.once(this.of('/strategies'), { description, needsAddressed }, shape.strategyAdded);
    return strategy.id;
  }

  agreements() {
    return this.get(this.of('/agreements'), shape.agreements).then(({ agreements }) => agreements);
  }

  async confirms(agreement) {
    return this.post(this.of(`/agreements/${agreement}/confirm`), { confirmed: true }, shape.agreementAnswered);
  }

  /** The client resolves by itself when the confirmation says that it can. That a second time is refused does no harm. */
  resolves() {
    return this.once(this.of('/resolve'), undefined, shape.resolved);
  }

  async isOver() {
    const state = await this.state();
    assert.equal(state.session.status, 'RESOLVED');
    assert.equal(state.progress.myProgress.status, 'COMPLETED');
    return state;
  }
}
