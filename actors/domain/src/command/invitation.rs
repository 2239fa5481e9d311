//! How a session begins: created, the invitation confirmed, sent again, accepted or declined.

use serde::Deserialize;
use serde_json::json;

use super::{Command, action::NewEvents, activity, app_members, fields};
use crate::{
    app::Marker,
    context::{Actor, Caller, Context},
    event::{Event, EventBody},
    ids::{SessionId, UserId},
    invitation::InvitationStatus,
    private_text::{PrivateText, Salt},
    rejection::{Code, Rejection},
    session::Session,
    side::Side,
    stage::SessionStatus,
};

/// The body of `POST /sessions`. It names the invited person by `inviteName` or `personId`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "inviteName": "Ben", "context": "who cooks on Sundays" })))]
pub struct CreateSessionRequest {
    /// What you call the person you invite, 1 to 100 characters. This or `personId` is needed.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 100, pattern = r"\S"))]
    invite_name: Option<String>,
    /// The user to invite; nobody else can accept then.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UserId>))]
    person_id: Option<String>,
    /// What it is about, at most 500 characters; for you alone.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    context: Option<String>,
    /// `true`: the invitation goes out only when it is confirmed. If left out: `true` for the app, else `false`.
    draft: Option<bool>,
}

/// The creation of a session with its invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSession {
    invite_name: Option<PrivateText>,
    person: Option<UserId>,
    context: Option<PrivateText>,
    draft: Option<bool>,
}

impl CreateSession {
    /// The invited user, if the creator invites a known one.
    pub fn person(&self) -> Option<&UserId> {
        self.person.as_ref()
    }
}

impl TryFrom<CreateSessionRequest> for CreateSession {
    type Error = Rejection;
    fn try_from(request: CreateSessionRequest) -> Result<Self, Rejection> {
        let person = request.person_id.map(|id| fields::id("personId", &id)).transpose()?;
        let invite_name = match (request.invite_name, &person) {
            (None, Some(_)) => None,
            (None, None) => {
                let expected = "a name of 1 to 100 characters, or personId given instead";
                return Err(Rejection::invalid("inviteName", "nothing", expected));
            }
            (name, _) => Some(fields::text("inviteName", name, 1..=100)?),
        };
        let context = fields::optional_text("context", request.context, 500)?;
        Ok(Self { invite_name, person, context, draft: request.draft })
    }
}

/// The body of `POST /invitations/{id}/decline`.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schema(example = json!({ "reason": "not now" })))]
pub struct DeclineInvitationRequest {
    /// At most 500 characters. Nobody is shown it, so it is not kept.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    reason: Option<String>,
}

impl TryFrom<DeclineInvitationRequest> for Command {
    type Error = Rejection;
    fn try_from(request: DeclineInvitationRequest) -> Result<Self, Rejection> {
        fields::optional_text("reason", request.reason, 500)?;
        Ok(Command::DeclineInvitation)
    }
}

pub(super) fn create(id: SessionId, create: &CreateSession, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    let Actor::User(caller) = &ctx.by else {
        return Err(Rejection::forbidden("only a person can begin a session"));
    };
    if create.person.as_ref() == Some(&caller.id) {
        return Err(Rejection::invalid("personId", "your own id", "the id of another user"));
    }
    let expires_at = ctx.now + ctx.settings.invitation_ttl;
    let mut events = NewEvents::first(&caller.id, ctx.now);
    events.record(EventBody::Created {
        session: id,
        invitation: ctx.fresh(),
        salt: Salt::new(ctx.ids.fresh()),
        name: caller.name.clone(),
        invite_name: create.invite_name.clone(),
        person: create.person.clone(),
        context: create.context.clone(),
        expires_at,
    });
    activity::record_on_joining(caller, &mut events);
    let is_app = ctx.settings.serves_app(caller);
    if is_app {
        events.record(app_members::client_detected(Marker::App));
    }
    if !create.draft.unwrap_or(is_app) {
        events.record(EventBody::InvitationConfirmed { expires_at });
    }
    Ok(events.list)
}

pub(super) fn resend(session: &Session, caller: &Caller, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    let invitation = &session.invitation;
    if !session.is_member(&caller.id) {
        return Err(Rejection::no_such_invitation());
    }
    if caller.id != session.creator.id {
        return Err(Rejection::forbidden("only the one who invited can send the invitation again"));
    }
    if session.status != SessionStatus::Invited {
        let message = if session.status == SessionStatus::Created {
            "confirm the invitation first; that sends it"
        } else {
            "the invitation has been answered or withdrawn; it cannot be sent again"
        };
        return Err(Rejection::conflict(message));
    }
    let settings = ctx.settings;
    if invitation.resends >= settings.invitation_max_resends {
        let message = format!("an invitation can be sent again {} times at most", settings.invitation_max_resends);
        return Err(Rejection::new(Code::RateLimited, message).with_details(json!({ "resendsLeft": 0 })));
    }
    let last = invitation.resent_at.filter(|at| ctx.is_credible(*at, settings.invitation_resend_interval));
    let next = last.map(|at| at + settings.invitation_resend_interval);
    if let Some(next) = next.filter(|next| ctx.now < *next) {
        let message = format!("the invitation was sent again lately; the next time can be at {next}");
        return Err(Rejection::new(Code::RateLimited, message)
            .with_retry_after(next.since(ctx.now))
            .with_details(json!({ "nextAllowedAt": next })));
    }
    let mut events = NewEvents::after(session, Some(&caller.id), ctx);
    events.record(EventBody::InvitationResent { expires_at: ctx.now + settings.invitation_ttl });
    Ok(events.list)
}

pub(super) fn accept(session: &Session, caller: &Caller, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    let mut events = NewEvents::after(session, Some(&caller.id), ctx);
    // The same member accepts again: the app repeats the request until the user has left the page.
    if session.invitee.is_some() && session.side(&caller.id) == Some(Side::Invitee) {
        return Ok(events.list);
    }
    must_be_open_to(session, caller, ctx, "you cannot accept your own invitation")?;
    if caller.privacy.refuses_invitations {
        let message = "your privacy preferences allow no session invites; set allowSessionInvites to true first";
        return Err(Rejection::forbidden(message));
    }
    let told_to_app = session.creator.in_app_mode();
    events.record(EventBody::Joined { name: caller.name.clone(), told_to_app });
    activity::record_on_joining(caller, &mut events);
    if ctx.settings.serves_app(caller) {
        events.record(app_members::client_detected(Marker::App));
    }
    Ok(events.list)
}

pub(super) fn decline(session: &Session, caller: &Caller, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
    must_be_open_to(session, caller, ctx, "you cannot decline your own invitation; withdraw from the session instead")?;
    let mut events = NewEvents::after(session, Some(&caller.id), ctx);
    events.record(EventBody::InvitationDeclined {});
    Ok(events.list)
}

fn must_be_open_to(session: &Session, caller: &Caller, ctx: &Context<'_>, own: &'static str) -> Result<(), Rejection> {
    let invitation = &session.invitation;
    if caller.id == session.creator.id {
        return Err(Rejection::forbidden(own));
    }
    if session.status == SessionStatus::Created {
        return Err(Rejection::no_such_invitation());
    }
    if invitation.person.as_ref().is_some_and(|person| *person != caller.id) {
        return Err(Rejection::forbidden("the invitation is for somebody else"));
    }
    match invitation.status(!session.status.is_live(), ctx.now) {
        InvitationStatus::Pending => Ok(()),
        InvitationStatus::Accepted if session.is_member(&caller.id) => {
            Err(Rejection::conflict("you have accepted the invitation already")
                .with_details(json!({ "sessionId": session.id })))
        }
        InvitationStatus::Accepted => Err(Rejection::conflict("the invitation has been used")),
        InvitationStatus::Declined => Err(Rejection::conflict("the invitation has been declined")),
        InvitationStatus::Expired => Err(Rejection::new(
            Code::InvitationExpired,
            "the invitation has expired; the person who invited you can send it again",
        )),
    }
}
