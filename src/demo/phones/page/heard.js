// What a phone hears, in words. `{other}` is the partner's name: what begins with it is also shown on the phone, as an app would.

import { stageName } from './screens.js';

const HEARD = {
  'session.joined': '{other} has joined',
  'invitation.declined': '{other} has declined the invitation',
  'partner.signed_compact': '{other} has signed',
  'partner.advanced': '{other} has gone on to {stage}',
  'partner.stage_completed': '{other} has finished {stage}',
  'partner.empathy_shared': '{other} has shared a guess',
  'partner.validated': '{other} feels understood',
  'partner.revision_requested': '{other} says: not quite, and asks to write it again',
  'partner.needs_confirmed': '{other} has confirmed needs',
  'partner.needs_shared': '{other} has shared needs',
  'partner.common_ground_confirmed': '{other} has confirmed the common ground',
  'partner.ready_to_rank': '{other} is ready to rank',
  'partner.marked_ready': 'look at the ideas again',
  'partner.ranking_submitted': '{other} has ranked',
  'strategies.overlap_ready': 'both have ranked',
  'session.strategies_updated': 'the ideas have changed',
  'agreement.proposed': '{other} proposes something to try',
  'agreement.confirmed': 'both agree',
  'agreement.declined': '{other} would rather try something else',
  'session.paused': 'a pause',
  'session.resumed': 'the pause is over',
  'session.resolved': 'resolved',
};

/** What an event says to somebody whose partner has this name. */
export function heard(name, { toStage, stage = toStage }, other) {
  return (HEARD[name] ?? name).replace('{other}', other).replace('{stage}', stageName(stage));
}

/** Whether an event is about the other, so that a phone shows it. */
export const isNews = (name) => HEARD[name]?.startsWith('{other}') ?? false;
