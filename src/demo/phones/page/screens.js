// What a phone shows. Everything follows from what the server answers, so a phone that was away, cut off, or whose server was
// killed shows the right thing as soon as it has asked.

const STAGES = ['Onboarding', 'The Witness', 'Perspective Stretch', 'Need Mapping', 'Strategic Repair'];
const EMPATHY = {
  alex: 'You might feel that your evenings are never your own.',
  sam: 'You might feel alone with the planning, and not seen in it.',
};
const CORRECTION = {
  alex: 'It is less the planning, more that I do it alone.',
  sam: 'I like the plans. I only want a say in them.',
};
const REVISED = {
  alex: 'You might like our plans, and wish to have a say in them.',
  sam: 'You might feel that you plan for us both, alone.',
};
const NEEDS = [
  ['CONNECTION', { alex: 'An evening together that nobody plans', sam: 'Time for the two of us' }],
  ['RECOGNITION', { alex: 'That my planning is seen', sam: 'That my work is seen' }],
  ['AUTONOMY', { alex: 'To decide about my weekends', sam: 'Evenings without a plan' }],
];
const IDEAS = {
  alex: ['Sunday evening: plan the week for ten minutes', 'A shared calendar', 'One of us plans, the other cooks'],
  sam: ['Two evenings a week without any plan', 'Phones away at dinner', 'A walk before we decide'],
};
/** How long it is tried, in a first proposal and after a decline. */
const DURATIONS = ['two weeks', 'one week'];
/** Ideas after which one may well rank them. */
const ENOUGH = 2;

/** A stage as the phones call it. */
export const stageName = (stage) => `“${STAGES[stage]}”`;
const agreedCard = ({ description, duration }) => [description, `agreed by both${duration ? `, for ${duration}` : ''}`];
/** What the inviter wrote that it is about. */
const topic = ({ context }) => (context ? [[context, 'what it is about']] : []);

/** What the screen of the session's stage needs, read from the server. */
export async function load(wire, session) {
  const at = (path) => wire.get(`/sessions/${session}${path}`);
  const view = await at('/state');
  const { stage } = view.progress.myProgress;
  const status = view.session.storedStatus;
  if (status !== 'ACTIVE') return status === 'RESOLVED' ? { ...view, ...(await at('/agreements')) } : view;
  if (stage === 2) {
    const [draft, partner] = await Promise.all([at('/empathy/draft'), at('/empathy/partner')]);
    return { ...view, draft, partner };
  }
  if (stage === 3) {
    const ground = await at('/common-ground');
    const comparison = ground.analysisComplete ? await at('/needs/comparison') : null;
    return { ...view, ground, comparison };
  }
  if (stage === 4) {
    const [pool, shared, { agreements }] = await Promise.all([at('/strategies'), at('/strategies/overlap'), at('/agreements')]);
    return { ...view, pool, shared, agreements };
  }
  return view;
}

/**
 * A screen: `title`, `text`, `cards`, `field`, `picks`, `ranks`, `waiting`, and `actions` of `{id, label, run}`. `run` gets
 * what was written and picked. An action that `writes` needs something in the field. One is `main`, by default the first.
 */
export function screen({ who, other, view, command }) {
  const stage = view.progress.myProgress.stage;
  const status = view.session.storedStatus; // `status` may be WAITING instead of ACTIVE
  if (status === 'INVITED') return { stage, title: 'Your invitation is on its way', cards: topic(view.session), waiting: `${other} has not joined yet.` };
  if (status === 'PAUSED') {
    const by = view.session.pausedBy === view.session.partner.id ? `${other} asked` : 'You asked';
    return {
      stage, title: 'A pause', text: `${by} for a pause. Nothing is lost, and nobody has to hurry.`,
      actions: [{ id: 'resume', label: 'Go on', run: () => command('goes on after the pause', 'resume') }],
    };
  }
  if (status === 'RESOLVED') {
    const cards = view.agreements.filter((each) => each.status === 'AGREED').map(agreedCard);
    return { stage: STAGES.length, ended: true, title: 'Resolved', text: `You and ${other} found something to try.`, cards };
  }
  if (view.invitation?.status === 'DECLINED') {
    return { stage, ended: true, title: `${other} said no`, text: `${other} declined your invitation, and has seen nothing but it.` };
  }
  if (status !== 'ACTIVE') return { stage, ended: true, title: 'This session has ended', text: 'It ended without an agreement. Nothing of it was shared.' };
  const shown = [compact, witness, perspective, needs, repair][stage]({ who, other, view, command });
  if (view.progress.canAdvance) {
    const next = stage + 1;
    shown.done = next;
    shown.waiting = undefined;
    shown.title = `Done with ${stageName(stage)}`;
    shown.text = `Go on when you are ready. ${other} hears that you have.`;
    shown.actions = [{
      id: 'next', label: `Go on to ${stageName(next)}`,
      run: () => command(`goes on to ${stageName(next)}`, 'stages/advance', { fromStage: stage, toStage: next }),
    }];
    shown.field = shown.picks = shown.cards = undefined;
  }
  return { ...shown, stage, pause: () => command('asks for a pause', 'pause', { reason: 'A moment, please' }), heading: `${STAGES[stage]} · ${stage + 1} of ${STAGES.length}` };
}

function compact({ other, view, command }) {
  return {
    title: 'The Curiosity Compact',
    text: `“I want to be curious about how this is for ${other}, before I judge.”`,
    cards: topic(view.session),
    ...(view.compact.mySigned
      ? { waiting: `You have signed. ${other} has not signed yet.` }
      : { actions: [{ id: 'sign', label: 'Sign the Compact', run: () => command('signs the Compact', 'compact/sign', { agreed: true }) }] }),
  };
}

function witness({ other, command }) {
  return {
    title: 'Tell your side',
    text: `Here you tell your side to a listener until you feel heard. ${other} does the same, apart from you. (The listener is not part of this demo.)`,
    actions: [{ id: 'heard', label: 'I feel heard', run: () => command('feels heard', 'feel-heard', { confirmed: true }) }],
  };
}

function perspective({ who, other, view, command }) {
  const { draft, partner } = view;
  if (!draft.alreadyConsented) {
    return {
      title: `How might this be for ${other}?`, text: `${other} sees your words when you both have shared.`,
      field: { id: 'empathy', label: `Your guess about ${other}`, value: EMPATHY[who], lines: 3 },
      actions: [{
        id: 'share', writes: true, label: `Share with ${other}`, run: async ({ field }) => {
          await command('writes how it might be for the other', 'empathy/draft', { content: field, readyToShare: true });
          await command('agrees to share it', 'empathy/consent', { consent: true });
        },
      }],
    };
  }
  if (draft.awaitingRevision) {
    return {
      title: `Not quite, says ${other}`, cards: draft.partnerFeedback ? [[draft.partnerFeedback, `${other}’s words`]] : [],
      field: { id: 'revision', label: `Your guess about ${other}, once more`, value: REVISED[who], lines: 3 },
      actions: [{
        id: 'revise', writes: true, label: `Share it with ${other}`, run: async ({ field }) => {
          await command('writes it again', 'empathy/draft', { content: field, readyToShare: true });
          await command('agrees to share it', 'empathy/consent', { consent: true });
        },
      }],
    };
  }
  if (!partner.attempt) return { title: 'Shared', waiting: `You see ${other}’s words as soon as ${other} has shared, too.` };
  const cards = [[partner.attempt.content, `${other}’s guess about you`]];
  if (partner.validated) return { title: 'You feel understood', cards, waiting: `${other} is still reading.` };
  if (partner.awaitingRevision) return { title: 'Not quite', cards, waiting: `${other} reads what you wrote, and tries again.` };
  return {
    title: `${other} wrote about you`, cards, text: 'Is it right?',
    field: { id: 'correction', label: `If not: what ${other} should know`, value: CORRECTION[who], lines: 2 },
    actions: [
      { id: 'yes', label: 'Yes, I feel understood', run: () => command('feels understood', 'empathy/validate', { validated: true }) },
      {
        id: 'not-quite', writes: true, label: 'Not quite',
        run: ({ field }) => command('says that it is not quite right', 'empathy/validate', { validated: false, feedback: field, consentToShareFeedback: true }),
      },
    ],
  };
}

function needs({ who, other, view, command }) {
  const { gates } = view.progress.myProgress;
  if (!gates.needsShared) {
    return {
      title: 'What do you need?', text: `${other} sees them when you both have shared.`,
      picks: { legend: 'My needs', least: 1, options: NEEDS.map(([category, text], index) => ({ id: category, label: text[who], picked: index < 2 })) },
      actions: [{
        id: 'needs', label: `Share these with ${other}`, run: async ({ picked }) => {
          const ids = [];
          for (const [category, text] of NEEDS.filter(([category]) => picked.includes(category))) {
            ids.push((await command('writes down a need', 'needs', { need: text[who], category })).need.id);
          }
          await command('confirms them', 'needs/confirm', { needIds: ids });
          await command('agrees to share them', 'needs/consent', { needIds: ids });
        },
      }],
    };
  }
  if (!view.ground.analysisComplete) return { title: 'Shared', waiting: `Common ground shows when ${other} has shared, too.` };
  const cards = view.comparison.partnerNeeds.map((each) => [each.need, `${other} needs`]);
  const { commonGround } = view.ground;
  cards.push(...commonGround.map((each) => [each.description, 'common ground']));
  if (gates.commonGroundConfirmed) return { title: 'Common ground', cards, waiting: `${other} has not confirmed yet.` };
  return {
    title: commonGround.length ? 'Common ground' : 'Different needs', cards,
    actions: [{
      id: 'ground', label: commonGround.length ? 'Yes, we both need this' : 'I have seen what the other needs',
      run: () => command('confirms the common ground', 'common-ground/confirm', {
        confirmations: commonGround.map(({ id }) => ({ commonGroundId: id, confirmed: true })),
      }),
    }],
  };
}

function repair(phone) {
  const { other, view, command } = phone;
  const { pool, agreements } = view;
  const agreed = agreements.find((each) => each.status === 'AGREED');
  if (agreed) {
    return {
      title: 'You agree', cards: [agreedCard(agreed)],
      actions: [{ id: 'resolve', label: 'Resolve the session', run: () => command('resolves the session', 'resolve') }],
    };
  }
  const proposed = agreements.find((each) => each.status === 'PROPOSED');
  if (proposed) return proposal(phone, proposed);
  if (pool.phase === 'RANKING') {
    if (pool.myRanking.length) return { title: 'Ranked', waiting: `The overlap shows when ${other} has ranked, too.` };
    return {
      title: 'What would you try first?', text: `Tap up to three ideas, the best one first. ${other} does not see your order.`,
      ranks: pool.strategies.map(({ id, description }) => ({ id, label: description })),
      actions: [{ id: 'rank', label: 'Hand in my ranking', run: ({ ranked }) => command('ranks in private', 'strategies/rank', { rankedIds: ranked }) }],
    };
  }
  if (pool.phase === 'REVEALING') return overlap(phone);
  return collecting(phone);
}

function collecting({ who, other, view, command }) {
  const { strategies, myReadyToRank, phase } = view.pool;
  const cards = strategies.map(({ description }) => [description]);
  if (myReadyToRank) return { title: 'Ideas', cards, waiting: `${other} is still collecting.` };
  const left = IDEAS[who].find((idea) => !strategies.some(({ description }) => description === idea)) ?? '';
  const ready = { id: 'ready', main: strategies.length >= ENOUGH, label: 'Enough ideas: rank them', run: () => command('is ready to rank', 'strategies/ready') };
  return {
    title: phase === 'NEGOTIATING' ? 'Nothing in common yet: add ideas, or rank anew' : 'What could you try?',
    text: 'Nobody sees who had an idea.', cards,
    field: { id: `idea${strategies.length}`, label: 'An idea', value: left },
    actions: [
      { id: 'idea', writes: true, label: 'Add this idea', run: ({ field }) => command('adds an idea', 'strategies', { description: field }) },
      ...(strategies.length ? [ready] : []),
    ],
  };
}

function overlap({ other, view, command }) {
  const options = view.shared.overlap ?? [];
  const declined = view.agreements.filter((each) => each.status === 'ABANDONED').at(-1);
  const duration = DURATIONS[declined ? 1 : 0];
  const wish = declined?.modification && [declined.modification, declined.proposedByMe ? `${other} would rather` : 'you would rather'];
  return {
    title: declined ? 'Not quite: another proposal' : 'You would both try this', cards: wish ? [wish] : [],
    picks: { legend: 'One to begin with', only: true, least: 1, options: options.map(({ id, description }, index) => ({ id, label: description, picked: index === 0 })) },
    actions: [{
      id: 'propose', label: `Propose to ${other}: try it for ${duration}`, run: ({ picked: [id] }) => command('proposes an agreement', 'agreements', {
        strategyId: id, description: options.find((each) => each.id === id).description, type: 'MICRO_EXPERIMENT', duration,
      }),
    }],
  };
}

function proposal({ other, command }, { id, description, duration, proposedByMe }) {
  const cards = [[description, `try it for ${duration}`]];
  if (proposedByMe) return { title: 'Proposed', cards, waiting: `${other} has not answered yet.` };
  return {
    title: `${other} proposes`, cards,
    actions: [
      { id: 'agree', label: 'I agree', run: () => command('agrees', `agreements/${id}/confirm`, { confirmed: true }) },
      { id: 'decline', label: 'Something else, please', run: () => command('declines', `agreements/${id}/confirm`, { confirmed: false, modification: 'Can we begin with something smaller?' }) },
    ],
  };
}
