// Two partners go through a whole conflict with a client that is generated from the API's description: every path, every
// body and every answer is checked by the compiler. There is no cast in this file, and no type is left open.

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { paths } from './api.d.ts';

const [, , origin, alexToken, samToken] = process.argv;
assert(origin && alexToken && samToken, 'conflict.ts ORIGIN TOKEN TOKEN');

const client = (token: string) => createClient<paths>({ baseUrl: origin, headers: { Authorization: `Bearer ${token}` } });
const alex = client(alexToken);
const sam = client(samToken);
type Partner = typeof alex;

/** The `data` of an answer. A refusal becomes an error. */
async function done<T>(answer: Promise<{ data?: { data: T }; error?: { error: { code: string; message: string } } }>): Promise<T> {
  const { data, error } = await answer;
  if (error) throw new Error(`${error.error.code}: ${error.error.message}`);
  assert(data, 'an answer without data');
  return data.data;
}

const created = await done(alex.POST('/api/v1/sessions', { body: { inviteName: 'Sam' } }));
assert('invitationUrl' in created, 'the session is a new one');
const params = { path: { id: created.session.id } };
await done(sam.POST('/api/v1/invitations/{id}/accept', { params: { path: { id: created.invitationId } } }));

const inTurn = async (work: (partner: Partner) => Promise<void>) => {
  for (const partner of [alex, sam]) await work(partner);
};
const advance = () => inTurn(async (partner) => {
  const { advanced } = await done(partner.POST('/api/v1/sessions/{id}/stages/advance', { params }));
  assert.equal(advanced, true);
});

// Before it is time, the answer is a refusal with a code that the description names.
const { error } = await alex.POST('/api/v1/sessions/{id}/feel-heard', { params, body: { confirmed: true } });
assert.equal(error?.error.code, 'INVALID_STAGE');

// Stage 0: both sign.
await inTurn(async (partner) => { await done(partner.POST('/api/v1/sessions/{id}/compact/sign', { params, body: { agreed: true } })); });
await advance();

// Stage 1: both feel heard.
await inTurn(async (partner) => { await done(partner.POST('/api/v1/sessions/{id}/feel-heard', { params, body: { confirmed: true } })); });
await advance();

// Stage 2: each writes how it may be for the other, both share, both say that it is right.
await inTurn(async (partner) => {
  const body = { content: 'You may have felt alone with it.', readyToShare: true };
  await done(partner.POST('/api/v1/sessions/{id}/empathy/draft', { params, body }));
  await done(partner.POST('/api/v1/sessions/{id}/empathy/consent', { params, body: { consent: true } }));
});
await inTurn(async (partner) => {
  const { attempt } = await done(partner.GET('/api/v1/sessions/{id}/empathy/partner', { params }));
  assert.equal(attempt?.content, 'You may have felt alone with it.');
  await done(partner.POST('/api/v1/sessions/{id}/empathy/validate', { params, body: { validated: true } }));
});
await advance();

// Stage 3: a need of each, shared, and the common ground.
await inTurn(async (partner) => {
  const { need } = await done(partner.POST('/api/v1/sessions/{id}/needs', { params, body: { need: 'To be asked', category: 'CONNECTION' } }));
  await done(partner.POST('/api/v1/sessions/{id}/needs/confirm', { params, body: { needIds: [need.id] } }));
  await done(partner.POST('/api/v1/sessions/{id}/needs/consent', { params, body: { needIds: [need.id] } }));
});
await inTurn(async (partner) => {
  const { commonGround } = await done(partner.GET('/api/v1/sessions/{id}/common-ground', { params }));
  assert(commonGround && commonGround.length === 1);
  const confirmations = commonGround.map(({ id }) => ({ commonGroundId: id, confirmed: true }));
  await done(partner.POST('/api/v1/sessions/{id}/common-ground/confirm', { params, body: { confirmations } }));
});
await advance();

// Stage 4: ideas, rankings, an agreement.
await inTurn(async (partner) => {
  await done(partner.POST('/api/v1/sessions/{id}/strategies', { params, body: { description: 'A walk on Sundays' } }));
});
await inTurn(async (partner) => { await done(partner.POST('/api/v1/sessions/{id}/strategies/ready', { params })); });
const { strategies } = await done(alex.GET('/api/v1/sessions/{id}/strategies', { params }));
const rankedIds = strategies.map(({ id }) => id);
await inTurn(async (partner) => { await done(partner.POST('/api/v1/sessions/{id}/strategies/rank', { params, body: { rankedIds } })); });
const { overlap } = await done(alex.GET('/api/v1/sessions/{id}/strategies/overlap', { params }));
const first = overlap?.[0];
assert(first, 'both ranked the same');
const { agreement } = await done(alex.POST('/api/v1/sessions/{id}/agreements', {
  params, body: { strategyId: first.id, description: 'We walk on Sundays', type: 'MICRO_EXPERIMENT' },
}));
const path = { id: params.path.id, agreementId: agreement.id };
await done(sam.POST('/api/v1/sessions/{id}/agreements/{agreementId}/confirm', { params: { path }, body: { confirmed: true } }));
const { resolved } = await done(sam.POST('/api/v1/sessions/{id}/resolve', { params }));
assert.equal(resolved, true);
console.log('resolved');
