//! Stage 4 by proposals: stances instead of a ranking, a walk through the needs, private sub-chats, and closing with or
//! without a shared agreement.

mod close;
mod needs;
mod selections;
mod sub_chats;

pub use close::{CHECK_IN_AFTER, Close, CloseStage4Request};
pub use needs::{DeclineNeed, WalkNeed, WalkNeedRequest};
pub use selections::{Select, SelectManyRequest, SelectOneRequest, SelectionRequest};
pub use sub_chats::{
    AnswerSubChatRequest, DraftRequest, OpenSubChat, OpenSubChatRequest, ResolveSubChat, ResolveSubChatRequest,
    SayInSubChat, SayInSubChatRequest,
};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage4Command {
    /// A look at the stage, which is the first call of a client on the proposal path.
    Look,
    Select(Select),
    Share,
    Unshare,
    DeclineNeed(DeclineNeed),
    WalkNeed(WalkNeed),
    Close(Close),
    OpenSubChat(OpenSubChat),
    ReadSubChat(SubChatId),
    SayInSubChat(SayInSubChat),
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
    match action.session.status {
        SessionStatus::Resolved | SessionStatus::Archived if action.session.resolved_at.is_some() => Ok(()),
        _ => {
            action.must_be_in(Stage::StrategicRepair)?;
            enter(action, Stage4Path::Proposals);
            Ok(())
        }
    }
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
