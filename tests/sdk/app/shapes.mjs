// The answers that the app's two generations read, as shapes. Further fields never hurt; what a screen reads has to be there, in
// its type. A field that may be null has to be there all the same.

import { z } from 'zod';

import { bool, id, int, maybeText, maybeTime, object, text, time } from './fields.mjs';

export * from './shapes-stage4.mjs';

export const anything = object({});

export const status = z.enum(['CREATED', 'INVITED', 'ACTIVE', 'WAITING', 'PAUSED', 'RESOLVED', 'ABANDONED', 'ARCHIVED']);
const stage = z.int().min(0).max(4);
const stageStatus = z.enum(['NOT_STARTED', 'IN_PROGRESS', 'GATE_PENDING', 'COMPLETED']);
const standing = object({ stage, status: stageStatus });
// The id is an empty text while nobody joined.
const partner = object({ id: text, name: text, nickname: maybeText });

export const session = object({
  id,
  status,
  currentStage: stage,
  stageStatus,
  relationshipId: id,
  partner,
  myProgress: standing,
  createdAt: time,
  updatedAt: time,
  resolvedAt: maybeTime,
  lastViewedAt: maybeTime,
  lastSeenChatItemId: maybeText,
});
const juneSession = session.extend({ partnerLastViewedAt: maybeTime, partnerLastActiveAt: maybeTime, sourceInnerThoughts: z.null() });
export const sessionAnswer = object({ session });

export const created = object({ session, invitationId: id, invitationUrl: text });
export const existing = created.partial({ invitationId: true, invitationUrl: true }).extend({
  existingActiveSession: object({ id, status, updatedAt: time }),
});

export const sessions = object({
  items: z.array(
    object({
      id,
      status,
      partner,
      myProgress: standing,
      selfActionNeeded: z.array(z.unknown()),
      partnerActionNeeded: z.array(z.unknown()),
      hasUnread: bool,
      updatedAt: time,
    }),
  ),
  cursor: text.optional(),
});

const gates = object({
  feelHeardCheckOffered: bool.optional(),
  feelHeardConfirmed: bool.optional(),
  needsConfirmed: bool.optional(),
  needsShared: bool.optional(),
  needsValidated: bool.optional(),
  readyToRank: bool.optional(),
}).nullable();
export const progress = object({
  sessionId: id,
  myProgress: object({ stage, status: stageStatus, startedAt: maybeTime, completedAt: maybeTime, gatesSatisfied: gates }),
  partnerProgress: standing,
  canAdvance: bool,
  milestones: object({ feelHeardConfirmedAt: maybeTime }),
});
const page = object({ messages: z.array(z.unknown()).max(0), hasMore: z.literal(false) });
export const messages = page;
export const compact = object({
  mySigned: bool,
  mySignedAt: maybeTime,
  partnerSigned: bool,
  partnerSignedAt: maybeTime,
  canAdvance: bool,
});
const invitation = object({
  id,
  isInviter: bool,
  status: z.enum(['PENDING', 'ACCEPTED', 'DECLINED', 'EXPIRED']),
  messageConfirmed: bool,
  messageConfirmedAt: maybeTime,
  acceptedAt: maybeTime,
  expiresAt: time,
});
// With a null in either text, the one who invites can never send.
const canSend = (words) => [(seen) => !seen.isInviter || typeof seen[words] === 'string', { error: `${words} is what the one who invites sends` }];
const aprilInvitation = invitation.extend({ invitationMessage: maybeText }).refine(...canSend('invitationMessage'));
const juneInvitation = invitation.extend({ topicFrame: maybeText, topicFrameConfirmedAt: maybeTime }).refine(...canSend('topicFrame'));
const state = (session, invitation, compact) => object({ session, progress, messages: page, invitation, compact });
export const aprilState = state(session, aprilInvitation, compact);
export const juneState = state(juneSession, juneInvitation, compact.extend({ isFirstSession: bool }));

export const signed = object({ signed: z.literal(true), signedAt: time, partnerSigned: bool, canAdvance: bool });
export const invitationAnswer = object({ invitation: invitation.extend({ name: text }) });
const confirmed = (fields) =>
  object({
    confirmed: z.literal(true),
    invitation: object({ id, messageConfirmed: z.literal(true), messageConfirmedAt: time, ...fields }),
    advancedToStage: stage.nullable(),
  });
export const aprilInvited = confirmed({ invitationMessage: text });
export const juneInvited = confirmed({ topicFrame: text, topicFrameConfirmedAt: time });
export const topicConfirmed = object({ topicFrame: text, confirmedAt: time });
export const publicInvitation = object({
  invitation: object({
    id,
    status: z.enum(['PENDING', 'ACCEPTED', 'DECLINED', 'EXPIRED']),
    invitedBy: object({ id, name: text }),
    createdAt: time,
    expiresAt: time,
  }),
});
export const acknowledged = object({
  acknowledged: bool,
  invitation: object({ id, status: text, invitedBy: object({ id, name: text }), session: object({ id, status }), expiresAt: time }),
});
export const viewed = object({ success: z.literal(true), lastViewedAt: time, lastSeenChatItemId: maybeText });
export const shareTabViewed = object({ success: z.literal(true), lastViewedShareTabAt: time });
export const pendingActions = object({
  actions: z.array(object({ type: z.enum(['share_offer', 'validate_empathy', 'context_received']), id, data: object({}) })),
  sentTabUpdates: int,
});
export const badge = object({ count: int, bySession: z.record(z.string(), int) });
export const unread = object({ count: int });
export const feltHeard = object({
  confirmed: z.literal(true),
  confirmedAt: time,
  canAdvance: bool,
  partnerCompleted: bool,
  transitionMessage: z.unknown().optional(),
  advancedToStage: stage.nullable(),
});

export const noOffer = object({ hasSuggestion: z.literal(false), suggestion: z.null() });

export const draft = object({
  draft: z
    .union([object({ id, content: text, readyToShare: bool, version: int, updatedAt: time }), z.strictObject({})])
    .nullable(),
  canConsent: bool,
  alreadyConsented: bool,
});
export const draftSaved = object({ draftId: id, savedAt: time, readyToShare: bool });
export const consented = object({
  consented: z.literal(true),
  consentedAt: time,
  partnerConsented: bool,
  canReveal: bool,
  empathyMessage: object({ id, content: text, timestamp: time, stage }).nullish(),
});
const attemptStatus = z.enum(['HELD', 'ANALYZING', 'AWAITING_SHARING', 'READY', 'REVEALED', 'REFINING', 'NEEDS_WORK', 'VALIDATED']);
const attempt = object({
  id,
  sourceUserId: id,
  content: text,
  sharedAt: time,
  status: attemptStatus,
  revealedAt: maybeTime,
  consentRecordId: maybeText,
  revisionCount: int,
});
export const partnerAttempt = object({
  attempt: attempt.nullable(),
  waitingForPartner: bool,
  partnerStatus: maybeText,
  validated: bool,
  validatedAt: maybeTime,
  awaitingRevision: bool,
});
const delivered = attempt.extend({ deliveryStatus: z.enum(['pending', 'delivered', 'seen']) });
export const empathyStatus = object({
  myAttempt: delivered.nullable(),
  partnerAttempt: delivered.extend({ status: z.enum(['REVEALED', 'VALIDATED']) }).nullable(),
  partnerCompletedStage1: bool,
  analyzing: z.literal(false),
  awaitingSharing: z.literal(false),
  hasNewSharedContext: bool,
  hasUnviewedSharedContext: bool,
  sharedContext: maybeText,
  refinementHint: z.unknown(),
  readyForStage3: bool,
  messageCountSinceSharedContext: int,
  sharedContentDeliveryStatus: maybeText,
  mySharedContext: maybeText,
  mySharedAt: z.null(),
  myReconcilerResult: z.null(),
  partnerHasSubmittedEmpathy: bool,
  partnerEmpathyHeldStatus: maybeText,
  partnerEmpathySubmittedAt: maybeTime,
  statusVersion: int.optional(),
});
export const judged = object({
  validated: bool,
  validatedAt: maybeTime,
  feedbackShared: bool,
  awaitingRevision: bool,
  canAdvance: bool,
  partnerValidated: bool,
});
export const resubmitted = object({
  status: text,
  message: z.unknown(),
  empathyMessage: object({ id, content: text, stage, timestamp: time }),
  transitionMessage: z.unknown().optional(),
});

const category = z.enum(['SAFETY', 'CONNECTION', 'AUTONOMY', 'RECOGNITION', 'MEANING', 'FAIRNESS']);
const need = object({
  id,
  category,
  need: text,
  description: maybeText,
  evidence: z.array(text),
  aiConfidence: z.number().nullable(),
  confirmed: bool,
  createdAt: time,
});
export const needs = object({ needs: z.array(need), synthesizedAt: maybeTime });
export const needAdded = object({ need });
export const needDeleted = object({ deleted: z.literal(true), needId: id, need: need.extend({ deletedAt: time }) });
export const needsConfirmed = object({ confirmed: bool, confirmedAt: time, partnerConfirmed: bool, canAdvance: bool });
export const needsShared = object({ consented: z.literal(true), sharedAt: time, waitingForPartner: bool, commonGroundReady: bool });
export const juneNeedsShared = needsShared.extend({ needsRevealReady: bool, advancedToStage4: bool });
const ground = object({
  id,
  category,
  need: text,
  description: maybeText,
  confirmedByMe: bool,
  confirmedByPartner: bool,
  confirmedAt: maybeTime,
});
export const comparison = object({
  myNeeds: z.array(object({ id, category, need: text })),
  partnerNeeds: z.array(object({ id, category, need: text })),
  commonGround: z.array(z.unknown()),
  analysisComplete: bool,
  noOverlap: bool,
});
export const juneComparison = comparison.extend({ myValidated: bool, partnerValidated: bool, canAdvance: bool });
export const commonGround = object({
  commonGround: z.array(ground),
  analysisComplete: bool,
  bothConfirmed: bool,
  noOverlap: bool,
});
export const commonGroundConfirmed = object({ allConfirmedByMe: bool, allConfirmedByBoth: bool, canAdvance: bool });
export const needsValidated = object({ validated: bool, validatedAt: maybeTime, partnerValidated: bool, canAdvance: bool });

export const account = object({
  user: object({
    id,
    email: text,
    name: maybeText,
    firstName: maybeText,
    lastName: maybeText,
    biometricEnabled: bool,
    lastMoodIntensity: int.nullable(),
    createdAt: time,
  }),
  activeSessions: int,
  pushNotificationsEnabled: bool,
});
export const people = object({
  people: z.array(
    object({
      id,
      relationshipId: id,
      name: text,
      nickname: maybeText,
      initials: text,
      connectedSince: time,
      lastSession: object({ id, status, updatedAt: time }).nullable(),
      activeSessionCount: int,
    }),
  ),
});
export const person = object({
  person: object({
    id,
    name: text,
    initials: text,
    connectedSince: time,
    activeSession: object({
      id,
      stage,
      status: z.enum(['waiting_on_you', 'your_turn', 'waiting_on_partner', 'both_active']),
      lastUpdate: time,
    }).nullable(),
    pendingInvitation: object({ id, sessionId: id, sentAt: time, expiresAt: time }).nullable(),
  }),
});
export const personSessions = object({ sessions: z.array(object({ id, date: time, topic: text })) });
export const token = object({ tokenRequest: object({ keyName: text, ttl: int, timestamp: int, capability: text, clientId: text, nonce: text, mac: text }) });
