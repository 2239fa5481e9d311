// The answers of stage 4 by both of its ways, and of tending to what was agreed on.

import { z } from 'zod';

import { bool, id, int, maybeText, maybeTime, object, text, time } from './fields.mjs';

const strategy = object({
  id,
  description: text,
  needsAddressed: z.array(z.unknown()),
  duration: maybeText,
  measureOfSuccess: maybeText,
});
const phase = z.enum(['COLLECTING', 'RANKING', 'REVEALING', 'NEGOTIATING', 'AGREED']);
export const strategies = object({ strategies: z.array(strategy), phase, aiSuggestionsAvailable: bool });
export const strategyAdded = object({ strategy });
export const ready = object({ ready: z.literal(true), readyAt: time, partnerReady: bool, canStartRanking: bool });
export const ranked = object({ submitted: z.literal(true), submittedAt: time, partnerSubmitted: bool, awaitingReveal: bool });
export const overlap = object({ overlap: z.array(strategy).nullable(), phase });
const agreement = object({
  id,
  strategyId: maybeText,
  description: text,
  type: z.enum(['MICRO_EXPERIMENT', 'COMMITMENT', 'CHECK_IN', 'HYBRID']),
  duration: maybeText,
  measureOfSuccess: maybeText,
  status: z.enum(['PROPOSED', 'AGREED', 'IN_PROGRESS', 'COMPLETED', 'ABANDONED']),
  agreedByMe: bool,
  agreedByPartner: bool,
  agreedAt: maybeTime,
  followUpDate: maybeTime,
});
export const agreements = object({ agreements: z.array(agreement) });
export const agreementProposed = object({ agreement, awaitingPartnerConfirmation: bool });
export const agreementAnswered = object({ agreement, sessionCanResolve: bool });
export const resolved = object({ resolved: z.literal(true), resolvedAt: time });

const day = z.iso.date();
const owner = z.enum(['YOU', 'PARTNER', 'UNKNOWN']);
const card = object({
  id,
  kind: z.enum(['SHARED_PROPOSAL', 'INDIVIDUAL_COMMITMENT']),
  description: text,
  needsAddressed: z.array(object({ id: id.optional(), label: text, coverage: z.enum(['COVERED', 'PARTIAL']) })),
  duration: maybeText,
  measureOfSuccess: maybeText,
  status: z.enum(['ACTIVE', 'REVISED', 'REMOVED', 'CONVERTED_TO_AGREEMENT']),
  myDecision: z.enum(['WILLING', 'NOT_WILLING']).nullish(),
  partnerDecisionVisible: z.enum(['WILLING', 'NOT_WILLING']).nullish(),
});
// Ideas are in one unlabelled pool: a card never says whose it is.
const idea = card.extend({ sourceLabel: z.enum(['UNKNOWN', 'AI']).optional(), ownerLabel: z.undefined().optional() });
const walkNeed = object({ id, label: text, source: owner, status: z.enum(['not_started', 'in_progress', 'covered', 'skipped', 'needs_options']) });
const coverage = object({
  id: id.optional(),
  label: text,
  source: owner,
  coveringProposalIds: z.array(id),
  note: maybeText,
  userDeclinedToAddress: bool.optional(),
});
const stance = object({ proposalId: id, decision: z.enum(['WILLING', 'NOT_WILLING']), note: maybeText, selectedAt: time, updatedAt: time });
export const outcome = object({
  kind: z.enum(['SHARED_AGREEMENT', 'NO_SHARED_AGREEMENT']),
  reason: z.enum(['MUTUAL_SELECTION', 'NO_OVERLAP', 'BOUNDARY_HONORED', 'USER_STOPPED']),
  summary: maybeText,
  agreements: z.array(agreement),
  individualCommitments: z.array(card),
  openNeeds: z.array(z.unknown()),
  closedAt: time,
  checkInAt: maybeTime,
});
export const entry = object({
  id,
  sessionId: id,
  agreementId: maybeText,
  type: z.enum(['SCHEDULED_SHARED_AGREEMENT_CHECKIN', 'SCHEDULED_INDIVIDUAL_COMMITMENT_CHECKIN', 'USER_INITIATED_REENTRY']),
  scope: z.enum(['SHARED', 'INDIVIDUAL']),
  ownerUserId: maybeText,
  optedInShared: bool,
  status: z.enum(['SCHEDULED', 'OPEN', 'PARTIAL', 'COMPLETED', 'EXPIRED', 'CANCELLED']),
  scheduledFor: maybeTime,
  openedAt: maybeTime,
  completedAt: maybeTime,
  summary: maybeText,
  createdAt: time,
  updatedAt: time,
  myResponse: object({ id, tendingEntryId: id, userId: id, status: text, reflection: maybeText, submittedAt: time }).nullable(),
  responseCount: int,
});
const stage4State = object({
  phase: z.enum([
    'INVENTORY_BUILDING',
    'COVERAGE_REVIEW',
    'SELECTION',
    'OUTCOME_REVIEW',
    'CLOSING',
    'CLOSED_SHARED_AGREEMENT',
    'CLOSED_NO_SHARED_AGREEMENT',
  ]),
  walkthrough: object({
    phase: z.enum(['MY_NEEDS', 'PARTNER_NEEDS', 'QUALITY_REVIEW', 'SUMMARY']),
    currentNeed: walkNeed.nullable(),
    currentIndex: int,
    totalInPhase: int,
    ownNeeds: z.array(walkNeed),
    partnerNeeds: z.array(walkNeed),
    proposalGroups: z.array(object({ key: text, title: text, proposals: z.array(card) })),
    qualityWarnings: z.array(object({ proposalId: id, description: text, warning: text })),
    defaultCheckInDate: day,
  }),
  inventory: object({
    sharedProposals: z.array(idea),
    individualCommitments: z.array(card),
    unaddressedNeeds: z.array(object({ id: id.optional(), label: text, source: owner, note: maybeText })),
    removedProposalCount: int,
    updatedAt: time,
  }),
  coverageAudit: object({ covered: z.array(coverage), partial: z.array(coverage), open: z.array(coverage), updatedAt: maybeTime }),
  mySelections: z.array(stance),
  partnerSelections: z.array(stance),
  mySelectionStatus: z.enum(['NOT_STARTED', 'SUBMITTED']),
  partnerSelectionStatus: z.enum(['NOT_STARTED', 'SUBMITTED']),
  outcome: outcome.nullable(),
  tendingPreview: object({ nextEntry: entry.nullable(), scheduledCount: int, openCount: int, passiveReentryAvailable: bool }).nullable(),
});
export const stage4 = stage4State;
export const stage4Change = object({ state: stage4State });
export const selected = object({ submitted: z.literal(true), submittedAt: time, partnerSubmitted: bool, state: stage4State });
export const closed = object({ closed: z.literal(true), closedAt: time, outcome, state: stage4State });

const cycle = object({
  id,
  sessionId: id,
  status: text,
  entryIds: z.array(id),
  participantUserIds: z.array(id),
  submittedUserIds: z.array(id),
  responseDeadlineAt: time,
  resolvedAt: maybeTime,
  resultSummary: maybeText,
  createdAt: time,
  updatedAt: time,
});
const note = object({
  id,
  sessionId: id,
  userId: id,
  content: text,
  carryForwardSelected: bool,
  consentToShareWithPartner: bool,
  shareConsentAt: maybeTime,
  selectedForCheckinId: maybeText,
  createdAt: time,
  updatedAt: time,
});
export const tending = object({
  entries: z.array(entry),
  coordinationCycles: z.array(cycle).optional(),
  betweenPeriodNotes: z.array(note).optional(),
});
export const noteAdded = object({ note });
export const entryAnswer = object({ entry });
export const history = object({
  cycles: z.array(
    object({
      checkinId: id,
      sessionId: id,
      userId: id,
      submittedAt: time,
      continueChoice: maybeText,
      nextAction: maybeText,
      reflectionSummary: maybeText,
      entryReviews: z.array(object({ tendingEntryId: id, scope: text, followThroughStatus: text, blockerCategories: z.array(text) })),
      needOutcomes: z.array(z.unknown()),
      adjustments: z.array(z.unknown()),
      reminders: z.array(z.unknown()),
    }),
  ),
});
export const checkin = object({
  entries: z.array(entry),
  checkin: object({}).optional(),
  coordinationCycle: cycle.nullish(),
  continueChoice: text,
  nextScheduledFor: maybeTime,
});
