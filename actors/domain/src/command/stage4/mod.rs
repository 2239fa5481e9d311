//! Stage 4 by proposals: stances instead of a ranking, a walk through the needs, private sub-chats, and closing with or
//! without a shared agreement.

mod close;
mod needs;
mod selections;
mod sub_chats;

pub(crate) use close::CHECK_IN_AFTER;
pub(super) use close::Close;
pub use close::CloseStage4Request;
use needs::WalkNeed;
pub use needs::{DeclineNeed, WalkNeedRequest};

pub(super) use selections::Select;
pub use selections::{SelectManyRequest, SelectOneRequest};

pub(crate) use sub_chats::OpenSubChat;
pub use sub_chats::{AnswerSubChatRequest, OpenSubChatRequest, ResolveSubChatRequest, SayInSubChatRequest};
use sub_chats::{ResolveSubChat, SayInSubChat};

use super::{
    Command,
    action::{MemberAction, not_active},
};
use crate::{
    event::EventBody,
    ids::SubChatId,
    rejection::{Code, Rejection},
    stage::{SessionStatus, Stage},
    stage4::{Stage4Path, SubChat},
};

/// A command of the proposal path of stage 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage4Command {
    /// A look at the stage, which is the first call of a client on the proposal path.
    Look,
    /// The caller's stance on one or more proposals.
    Select(Select),
    /// The caller shows the stances to the partner, once the partner does the same.
    Share,
    /// The caller takes the stances back.
    Unshare,
    /// The caller does not want a need to be addressed, or no longer minds.
    DeclineNeed(DeclineNeed),
    /// The caller goes on to the next need of the walkthrough.
    WalkNeed(WalkNeed),
    /// The stage and the session end.
    Close(Close),
    /// The caller begins a private conversation with the AI service.
    OpenSubChat(OpenSubChat),
    /// The caller reads a sub-chat. It changes nothing.
    ReadSubChat(SubChatId),
    /// A message in a sub-chat: from the caller, or from the AI service for the caller.
    SayInSubChat(SayInSubChat),
    /// The caller ends a sub-chat. Accepted drafts go into the pool.
    ResolveSubChat(ResolveSubChat),
}

impl From<Stage4Command> for Command {
    fn from(command: Stage4Command) -> Self {
        Command::Stage4(command)
    }
}

pub(super) fn decide(action: &mut MemberAction<'_>, command: &Stage4Command) -> Result<(), Rejection> {
    if let Stage4Command::Look = command {
        return look(action);
    }
    if let Stage4Command::Close(close) = command {
        return close::decide(action, close);
    }
    must_be_open(action)?;
    enter(action, Stage4Path::Proposals);
    match command {
        Stage4Command::Look | Stage4Command::Close(_) => Ok(()),
        Stage4Command::Select(select) => selections::select(action, select),
        Stage4Command::Share => selections::share(action),
        Stage4Command::Unshare => selections::unshare(action),
        Stage4Command::DeclineNeed(decline) => needs::decline(action, decline),
        Stage4Command::WalkNeed(walk) => needs::walk(action, walk),
        Stage4Command::OpenSubChat(open) => sub_chats::open(action, open),
        Stage4Command::ReadSubChat(id) => sub_chats::own(action, id).map(drop),
        Stage4Command::SayInSubChat(say) => sub_chats::say(action, say),
        Stage4Command::ResolveSubChat(resolve) => sub_chats::resolve(action, resolve),
    }
}

/// The stage can be read while it is open and after it is closed.
fn look(action: &mut MemberAction<'_>) -> Result<(), Rejection> {
    let session = action.session;
    let is_closed = matches!(session.status, SessionStatus::Resolved | SessionStatus::Archived);
    if !is_closed || session.resolved_at.is_none() {
        action.must_be_in(Stage::StrategicRepair)?;
        enter(action, Stage4Path::Proposals);
    }
    Ok(())
}

/// Checks that the stage is open: the session is active, the caller is in the stage, and nobody has closed it.
fn must_be_open(action: &MemberAction<'_>) -> Result<(), Rejection> {
    if action.session.closure.is_some() {
        return Err(Rejection::conflict("this stage is closed; what was decided can only be viewed"));
    }
    action.must_be_in(Stage::StrategicRepair)
}

/// Records the path of the caller's client at its first call of the stage.
pub(in crate::command) fn enter(action: &mut MemberAction<'_>, path: Stage4Path) {
    if action.me.stage4.path.is_none() {
        let partner_waits = action.partner().is_some_and(|partner| partner.round.ready_at.is_some());
        action.record(EventBody::PathChosen { path, ready: path == Stage4Path::Proposals && partner_waits });
    }
}

fn not_found(what: &'static str) -> Rejection {
    Rejection::new(Code::NotFound, what)
}

fn is_over(status: SessionStatus) -> Rejection {
    not_active(status)
}

/// The largest size of all sub-chats of one partner, in bytes.
const MOST_CHAT_BYTES: usize = 256 * 1024;

fn has_room_for(chats: &[SubChat], bytes: usize) -> bool {
    chats.iter().map(SubChat::size).sum::<usize>() + bytes <= MOST_CHAT_BYTES
}
