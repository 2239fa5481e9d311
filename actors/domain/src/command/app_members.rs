//! Events that a command causes besides its own: a client is detected as the app, and members in app mode are advanced
//! as soon as they can be. They are part of the same commit, so that no crash can separate a gate from the advance that
//! it allows.

use super::{Command, action::NewEvents};
use crate::{
    app::{AppMode, Marker},
    context::{Actor, Caller, Context},
    event::{Event, EventBody},
    session::Session,
    side::Side,
    stage::SessionStatus,
};

impl Command {
    /// What a command reveals about the caller's client.
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
    pub(super) fn with_events(&self, events: &[Event]) -> Session {
        let mut ahead = self.clone();
        events.iter().for_each(|event| ahead.apply(event));
        ahead
    }

    /// The event that the caller's client is the app, if that was not known.
    pub(super) fn detect_client(&self, command: &Command, ctx: &Context<'_>) -> Vec<Event> {
        let Actor::User(caller) = &ctx.by else { return Vec::new() };
        let Some(member) = self.side(&caller.id).and_then(|side| self.member(side)) else { return Vec::new() };
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
            Some(marker) => vec![NewEvents::after(self, Some(&caller.id), ctx).event(client_detected(marker))],
            None => Vec::new(),
        }
    }

    /// Advances every member in app mode as far as possible, after `events`.
    pub(super) fn advance_app_members(&self, events: &mut Vec<Event>, ctx: &Context<'_>) {
        if !self.has_app_members(events) {
            return;
        }
        let mut ahead = self.with_events(events);
        while let Some((user, to)) = Side::BOTH.into_iter().find_map(|side| {
            let member = ahead.member(side).filter(|member| member.in_app_mode() && member.left_at.is_none())?;
            Some((member.id.clone(), ahead.next_stage(side).ok()?))
        }) {
            let from = ahead.side(&user).map(|side| ahead.stage_of(side));
            let completed = events.iter_mut().rev().find_map(|event| {
                let EventBody::StageCompleted { stage, moves_to } = &mut event.body else { return None };
                (event.by.as_ref() == Some(&user) && Some(*stage) == from).then_some(moves_to)
            });
            if let Some(moves_to) = completed {
                *moves_to = Some(to);
            }
            let event = NewEvents::after(&ahead, Some(&user), ctx).event(EventBody::Advanced { to, implicit: true });
            ahead.apply(&event);
            events.push(event);
        }
    }

    /// Whether a member is in app mode, or enters it by these events.
    fn has_app_members(&self, events: &[Event]) -> bool {
        self.serves_app() || events.iter().any(|event| matches!(event.body, EventBody::AppNoticed { .. }))
    }
}

pub(super) fn client_detected(marker: Marker) -> EventBody {
    EventBody::AppNoticed { june: marker == Marker::June }
}
