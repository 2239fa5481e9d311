//! Texts in stage 4: how many are taken, and that erasure takes them away.

use serde_json::json;
use tandem_domain::{Code, Command, command::*};

use crate::{
    stage4::{close, proposals, share, shared},
    world::*,
};

#[test]
fn texts_are_bounded() {
    let long = |length: usize| "x".repeat(length);
    let id = "cabcdefghijkl";
    let refused = |outcome: Result<Command, tandem_domain::Rejection>, field: &str| {
        let rejection = outcome.expect_err(field);
        assert_eq!(rejection.code, Code::ValidationError);
        assert!(rejection.message.starts_with(field), "{}", rejection.message);
        assert!(!rejection.message.contains("xxx"));
    };
    let one =
        |body| Command::try_from((id.parse().unwrap(), serde_json::from_value::<SelectOneRequest>(body).unwrap()));
    refused(one(json!({ "decision": "WILLING", "note": long(1_001) })), "note");
    refused(one(json!({ "decision": "MAYBE" })), "decision");
    refused(parse::<SelectManyRequest>(json!({ "selections": [] })), "selections");
    let twice = json!([{ "proposalId": id, "decision": "WILLING" }, { "proposalId": id, "decision": "WILLING" }]);
    refused(parse::<SelectManyRequest>(json!({ "selections": twice })), "selections");
    refused(parse::<CloseStage4Request>(json!({ "summary": long(2_001) })), "summary");
    refused(parse::<CloseStage4Request>(json!({ "kind": "MAYBE" })), "kind");
    refused(parse::<CloseStage4Request>(json!({ "checkInDate": "tomorrow" })), "checkInDate");
    refused(parse::<OpenSubChatRequest>(json!({ "anchorKind": "ELSE" })), "anchorKind");
    let say =
        |body| Command::try_from((id.parse().unwrap(), serde_json::from_value::<SayInSubChatRequest>(body).unwrap()));
    refused(say(json!({ "content": long(4_001) })), "content");
    refused(say(json!({ "content": "" })), "content");
    let resolve =
        |body| Command::try_from((id.parse().unwrap(), serde_json::from_value::<ResolveSubChatRequest>(body).unwrap()));
    refused(resolve(json!({ "updatedProposals": [{ "description": "walk" }] })), "updatedProposals.proposalId");
    refused(resolve(json!({ "acceptedProposals": [{ "description": long(1_001) }] })), "acceptedProposals.description");
}

#[test]
fn the_size_of_sub_chats_is_limited() {
    let (mut world, _) = proposals();
    let chat = text(&world.post::<OpenSubChatRequest>(ANN, json!({ "anchorKind": "NO_OVERLAP" }))["subChat"]["id"]);
    let request = || serde_json::from_value::<SayInSubChatRequest>(json!({ "content": "x".repeat(4_000) })).unwrap();
    let full =
        (0..200).any(|_| world.act(ANN, Command::try_from((chat.parse().unwrap(), request())).unwrap()).is_err());
    assert!(full);
}

#[test]
fn erasure_removes_the_texts_of_stage_4() {
    let (mut world, ids) = shared();
    let note: SelectOneRequest =
        serde_json::from_value(json!({ "decision": "WILLING", "note": "the note of ann" })).unwrap();
    world.ok(ANN, Command::try_from((ids[1].parse().unwrap(), note)).unwrap());
    share(&mut world, ANN);
    let chat = text(&world.post::<OpenSubChatRequest>(ANN, json!({ "anchorKind": "NO_OVERLAP" }))["subChat"]["id"]);
    let request: SayInSubChatRequest = serde_json::from_value(json!({ "content": "the secret of ann" })).unwrap();
    world.ok(ANN, Command::try_from((chat.parse().unwrap(), request)).unwrap());
    close(&mut world, ANN, json!({ "summary": "the summary of ann" }));
    world.ok(ANN, Command::EraseAccount);
    world.log.iter_mut().for_each(|event| *event = event.redacted(&user(ANN)));
    let all = serde_json::to_string(&(&world.session, &world.log)).unwrap();
    for words in ["of ann", "\"walk\""] {
        assert!(!all.contains(words), "{words}");
    }
    let replayed = tandem_domain::Session::replay(world.log.clone());
    assert_eq!(replayed.as_ref(), Some(&world.session));
}
