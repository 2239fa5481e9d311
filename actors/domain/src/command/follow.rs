//! What follows from a command without being asked for: a client shows itself as the app, and members in app mode go on as
//! soon as they can. Both are events of the same commit, so no crash comes between a gate and the move that it opens.

use super::Command;
use crate::{
    app::{AppMode, Marker},
    context::{Actor, Caller, Context},
    event::{Event, EventBody},
    ids::UserId,
    session::Session,
    side::Side,
    stage::SessionStatus,
};

impl Command {
    /// What the command tells of the caller's client.
    fn marker(&self, session: &Session, caller: &Caller) -> Option<Marker> {
        match self {
            Command::ConfirmTopicFrame => Some(Marker::June),
            Command::ConfirmInvitation(confirm) => confirm.has_message().then_some(Marker::App),
            Command::WriteInvitation(_) => Some(Marker::App),
            Command::SignCompact => (session.status == SessionStatus::Created).then_some(Marker::App),
            Command::AcceptInvitation => caller.app.then_some(Marker::App),
            Command::Notice(marker) => Some(*marker),
            Command::SawShareTab | Command::ResubmitEmpathy(_) | Command::SkipRefinement(_) => Some(Marker::App),
            Command::EditNeeds(_) | Command::RemoveNeed(_) | Command::ValidateNeeds(_) => Some(Marker::June),
            Command::Stage4(_) | Command::Tending(_) => Some(Marker::June),
            Command::DeclineInvitation
            | Command::ResendInvitation
            | Command::ConfirmFeelHeard(_)
            | Command::OfferFeelHeard
            | Command::SaveEmpathyDraft(_)
            | Command::ConsentEmpathy(_)
            | Command::ValidateEmpathy(_)
            | Command::AddNeed(_)
            | Command::CaptureNeeds(_)
            | Command::ConfirmNeeds(_)
            | Command::ShareNeeds(_)
            | Command::ConfirmCommonGround(_)
            | Command::DecideConsent(_)
            | Command::RevokeConsent(_)
            | Command::ProposeStrategy(_)
            | Command::ReadyToRank
            | Command::SubmitRanking(_)
            | Command::ProposeAgreement(_)
            | Command::AnswerAgreement(_)
            | Command::Advance(_)
            | Command::Pause(_)
            | Command::Resume
            | Command::Resolve
            | Command::Archive
            | Command::Withdraw
            | Command::EraseAccount
            | Command::Rename(_)
            | Command::ShowActivity { .. }
            | Command::Viewed(_)
            | Command::Nudge
            | Command::Timer(_) => None,
        }
    }
}

impl Session {
    /// The state after these events.
    pub(super) fn after(&self, events: &[Event]) -> Session {
        let mut ahead = self.clone();
        events.iter().for_each(|event| ahead.apply(event));
        ahead
    }

    /// That the caller's client is the app, if that is news.
    pub(super) fn notice(&self, command: &Command, ctx: &Context<'_>) -> Vec<Event> {
        let Actor::User(caller) = &ctx.by else { return Vec::new() };
        let Some(member) = self.side(&caller.id).and_then(|side| self.seat(side)) else { return Vec::new() };
        let marker = match ctx.settings.app.mode {
            AppMode::Off => None,
            AppMode::On => Some(command.marker(self, caller).unwrap_or(Marker::App)),
            AppMode::Auto => command.marker(self, caller),
        };
        let is_news = marker.is_some_and(|marker| match marker {
            Marker::App => !member.in_app_mode(),
            Marker::June => !member.is_june(),
        });
        match marker.filter(|_| is_news) {
            Some(marker) => vec![self.next_event(&[], &caller.id, ctx, noticed(marker))],
            None => Vec::new(),
        }
    }

    /// Takes every member in app mode on as far as it goes, after `events`.
    pub(super) fn follow(&self, events: &mut Vec<Event>, ctx: &Context<'_>) {
        if !self.may_follow(events) {
            return;
        }
        let mut ahead = self.after(events);
        while let Some((user, to)) = Side::BOTH.into_iter().find_map(|side| {
            let member = ahead.seat(side).filter(|member| member.in_app_mode() && member.left_at.is_none())?;
            Some((member.id.clone(), ahead.next_stage(side).ok()?))
        }) {
            let from = ahead.side(&user).map(|side| ahead.stage_of(side));
            let completed = events.iter_mut().rev().find_map(|event| match &mut event.body {
                EventBody::StageCompleted { stage, moves_to } if event.by.as_ref() == Some(&user) => {
                    (Some(*stage) == from).then_some(moves_to)
                }
                _ => None,
            });
            if let Some(moves_to) = completed {
                *moves_to = Some(to);
            }
            let event = self.next_event(events, &user, ctx, EventBody::Advanced { to, implicit: true });
            ahead.apply(&event);
            events.push(event);
        }
    }

    /// Whether anybody is, or has just come, into app mode.
    fn may_follow(&self, events: &[Event]) -> bool {
        self.serves_app() || events.iter().any(|event| matches!(event.body, EventBody::AppNoticed { .. }))
    }

    fn next_event(&self, before: &[Event], by: &UserId, ctx: &Context<'_>, body: EventBody) -> Event {
        let (seq, at) = before.last().map_or((self.seq, self.last_event_at), |event| (event.seq, event.at));
        Event { seq: seq + 1, at: at.max(ctx.now), by: Some(by.clone()), body }
    }
}

pub(super) fn noticed(marker: Marker) -> EventBody {
    EventBody::AppNoticed { june: marker == Marker::June }
}
