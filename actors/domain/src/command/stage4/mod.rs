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
    turn::{Turn, not_active},
};
use crate::{
    event::EventBody,
    ids::SubChatId,
    rejection::{Code, Rejection},
    stage::{SessionStatus, Stage},
    stage4::{Path, SubChat},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage4Command {
    /// Looks at the stage: the first call of a client that goes by proposals.
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

pub(super) fn decide(turn: &mut Turn<'_>, command: &Stage4Command) -> Result<(), Rejection> {
    if let Stage4Command::Look = command {
        return look(turn);
    }
    if let Stage4Command::Close(close) = command {
        return close::decide(turn, close);
    }
    must_be_open(turn)?;
    enter(turn, Path::Proposals);
    match command {
        Stage4Command::Look | Stage4Command::Close(_) => Ok(()),
        Stage4Command::Select(select) => selections::select(turn, select),
        Stage4Command::Share => selections::share(turn),
        Stage4Command::Unshare => selections::unshare(turn),
        Stage4Command::DeclineNeed(decline) => needs::decline(turn, decline),
        Stage4Command::WalkNeed(walk) => needs::walk(turn, walk),
        Stage4Command::OpenSubChat(open) => sub_chats::open(turn, open),
        Stage4Command::ReadSubChat(id) => sub_chats::own(turn, id).map(drop),
        Stage4Command::SayInSubChat(say) => sub_chats::say(turn, say),
        Stage4Command::ResolveSubChat(resolve) => sub_chats::resolve(turn, resolve),
    }
}

/// The stage can be looked at while it goes on, and when it is over.
fn look(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match turn.session.status {
        SessionStatus::Resolved | SessionStatus::Archived if turn.session.resolved_at.is_some() => Ok(()),
        _ => {
            turn.must_be_in(Stage::StrategicRepair)?;
            enter(turn, Path::Proposals);
            Ok(())
        }
    }
}

/// The stage goes on: the session is active, the caller is in the stage, and nobody has closed it.
fn must_be_open(turn: &Turn<'_>) -> Result<(), Rejection> {
    if turn.session.closure.is_some() {
        return Err(Rejection::conflict("this stage is closed; what was decided can only be viewed"));
    }
    turn.must_be_in(Stage::StrategicRepair)
}

/// Notes by which way the caller's client goes through the stage, by its first call.
pub(in crate::command) fn enter(turn: &mut Turn<'_>, path: Path) {
    if turn.me.stage4.path.is_none() {
        let partner_waits = turn.partner().is_some_and(|partner| partner.round.ready_at.is_some());
        turn.record(EventBody::PathChosen { path, ready: path == Path::Proposals && partner_waits });
    }
}

fn not_found(what: &'static str) -> Rejection {
    Rejection::new(Code::NotFound, what)
}

fn is_over(status: SessionStatus) -> Rejection {
    not_active(status)
}

/// All of a partner's sub-chats together stay below this, in bytes.
const MOST_CHAT_BYTES: usize = 256 * 1024;

fn has_room_for(chats: &[SubChat], bytes: usize) -> bool {
    chats.iter().map(SubChat::size).sum::<usize>() + bytes <= MOST_CHAT_BYTES
}
