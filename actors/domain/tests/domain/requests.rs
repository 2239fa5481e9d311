//! What clients may send: limits in characters, both generations' forms, and refusals that help and repeat nothing.

use serde_json::{Value, json};
use tandem_domain::{Code, Command, CreateSession, Rejection, command::*};

use crate::world::*;

fn create(body: Value) -> Result<(), Rejection> {
    CreateSession::try_from(serde_json::from_value::<CreateSessionRequest>(body).unwrap()).map(drop)
}

fn field(rejection: Rejection) -> String {
    assert_eq!(rejection.code, Code::ValidationError);
    let details = rejection.details.expect("a validation error has details");
    for part in ["found", "expected"] {
        assert!(!text(&details[part]).is_empty());
    }
    text(&details["field"])
}

#[test]
fn an_empty_body_is_read_and_the_missing_field_named() {
    let empty = || json!({});
    assert_eq!(field(create(empty()).unwrap_err()), "inviteName");
    assert_eq!(field(parse::<FeelHeardRequest>(empty()).unwrap_err()), "confirmed");
    assert_eq!(field(parse::<SaveEmpathyDraftRequest>(empty()).unwrap_err()), "content");
    assert_eq!(field(parse::<ConsentEmpathyRequest>(empty()).unwrap_err()), "consent");
    assert_eq!(field(parse::<ValidateEmpathyRequest>(empty()).unwrap_err()), "validated");
    assert_eq!(field(parse::<AddNeedRequest>(empty()).unwrap_err()), "need");
    assert_eq!(field(parse::<ConfirmNeedsRequest>(empty()).unwrap_err()), "needIds");
    assert_eq!(field(parse::<ShareNeedsRequest>(empty()).unwrap_err()), "needIds");
    assert_eq!(field(parse::<ConfirmCommonGroundRequest>(empty()).unwrap_err()), "confirmations");
    assert_eq!(field(parse::<ProposeStrategyRequest>(empty()).unwrap_err()), "description");
    assert_eq!(field(parse::<SubmitRankingRequest>(empty()).unwrap_err()), "rankedIds");
    assert_eq!(field(parse::<ProposeAgreementRequest>(empty()).unwrap_err()), "description");
    assert_eq!(field(parse::<RevokeConsentRequest>(empty()).unwrap_err()), "kind");
    assert_eq!(field(parse::<DecideConsentRequest>(empty()).unwrap_err()), "consentRequestId");
    assert_eq!(field(parse::<ResubmitEmpathyRequest>(empty()).unwrap_err()), "content");
    assert_eq!(field(parse::<SkipRefinementRequest>(empty()).unwrap_err()), "willingToAccept");
    assert_eq!(field(parse::<CaptureNeedsRequest>(empty()).unwrap_err()), "needs");
    assert_eq!(field(parse::<EditNeedsRequest>(empty()).unwrap_err()), "operations");
    for free in [
        parse::<SignCompactRequest>(empty()),
        parse::<AdvanceRequest>(empty()),
        parse::<PauseRequest>(empty()),
        parse::<ViewedRequest>(empty()),
        parse::<DeclineInvitationRequest>(empty()),
        parse::<ValidateNeedsRequest>(empty()),
    ] {
        free.unwrap();
    }
}

fn capture(need: Value) -> Result<(), Rejection> {
    parse::<CaptureNeedsRequest>(json!({ "needs": [need] })).map(drop)
}

fn edit(operation: Value) -> Result<(), Rejection> {
    parse::<EditNeedsRequest>(json!({ "operations": [operation] })).map(drop)
}

#[test]
fn lengths_are_counted_in_characters() {
    type Case = (usize, fn(String) -> Result<(), Rejection>);
    let long = |length: usize| "ü".repeat(length);
    let table: [Case; 19] = [
        (100, |t| create(json!({ "inviteName": t }))),
        (500, |t| create(json!({ "inviteName": "x", "context": t }))),
        (500, |t| parse::<FeelHeardRequest>(json!({ "confirmed": true, "feedback": t })).map(drop)),
        (2_000, |t| parse::<SaveEmpathyDraftRequest>(json!({ "content": t })).map(drop)),
        (2_000, |t| parse::<ConsentEmpathyRequest>(json!({ "consent": true, "finalContent": t })).map(drop)),
        (1_000, |t| parse::<ValidateEmpathyRequest>(json!({ "validated": false, "feedback": t })).map(drop)),
        (2_000, |t| parse::<ResubmitEmpathyRequest>(json!({ "content": t })).map(drop)),
        (500, |t| parse::<SkipRefinementRequest>(json!({ "willingToAccept": true, "reason": t })).map(drop)),
        (200, |t| capture(json!({ "need": t, "category": "SAFETY" }))),
        (500, |t| capture(json!({ "need": "x", "category": "SAFETY", "evidence": [t] }))),
        (500, |t| edit(json!({ "type": "addNeed", "text": t }))),
        (500, |t| edit(json!({ "type": "updateNeedText", "needId": "caaaaaaaa", "newText": t }))),
        (200, |t| parse::<AddNeedRequest>(json!({ "need": t, "category": "SAFETY" })).map(drop)),
        (1_000, |t| parse::<ProposeStrategyRequest>(json!({ "description": t })).map(drop)),
        (100, |t| parse::<ProposeStrategyRequest>(json!({ "description": "x", "duration": t })).map(drop)),
        (500, |t| parse::<ProposeStrategyRequest>(json!({ "description": "x", "measureOfSuccess": t })).map(drop)),
        (1_000, |t| parse::<ProposeAgreementRequest>(json!({ "description": t, "type": "HYBRID" })).map(drop)),
        (200, |t| parse::<PauseRequest>(json!({ "reason": t })).map(drop)),
        (500, |t| parse::<DeclineInvitationRequest>(json!({ "reason": t })).map(drop)),
    ];
    for (index, (limit, parse)) in table.into_iter().enumerate() {
        parse(long(limit)).unwrap_or_else(|rejection| panic!("case {index}: {rejection}"));
        let refused = parse(long(limit + 1)).expect_err(&format!("case {index}"));
        assert!(!refused.to_string().contains('ü'), "the value is not repeated");
        field(refused);
    }
}

#[test]
fn a_blank_text_is_none() {
    for blank in ["", "   ", "\n\t"] {
        field(create(json!({ "inviteName": blank })).unwrap_err());
        field(parse::<SaveEmpathyDraftRequest>(json!({ "content": blank })).unwrap_err());
        field(parse::<ProposeStrategyRequest>(json!({ "description": blank })).unwrap_err());
    }
    assert_eq!(
        parse::<PauseRequest>(json!({ "reason": "  " })).unwrap(),
        parse::<PauseRequest>(json!({})).unwrap(),
        "where a text may be left out, a blank one is left out"
    );
}

#[test]
fn the_error_for_an_enum_lists_the_names_and_never_the_value() {
    let refused = parse::<AddNeedRequest>(json!({ "need": "x", "category": "secret-word" })).unwrap_err();
    assert!(refused.message.contains("SAFETY") && !refused.message.contains("secret-word"));
    assert_eq!(field(refused), "category");
    let refused = parse::<ProposeAgreementRequest>(json!({ "description": "x", "type": "secret-word" })).unwrap_err();
    assert!(refused.message.contains("MICRO_EXPERIMENT") && !refused.to_string().contains("secret-word"));
}

#[test]
fn malformed_ids_lists_and_dates_are_refused() {
    let agreement = |date: &str| json!({ "description": "x", "type": "HYBRID", "followUpDate": date });
    let table = [
        parse::<ConsentEmpathyRequest>(json!({ "draftId": "not-an-id" })),
        parse::<ConfirmNeedsRequest>(json!({ "needIds": ["NOPE"] })),
        parse::<ConfirmNeedsRequest>(json!({ "needIds": [] })),
        parse::<ConfirmNeedsRequest>(json!({ "needIds": ["caaaaaaaa", "caaaaaaaa"] })),
        parse::<ConfirmNeedsRequest>(json!({ "confirmations": [{ "needId": "caaaaaaaa" }] })),
        parse::<ShareNeedsRequest>(json!({ "needIds": [] })),
        parse::<SubmitRankingRequest>(json!({ "rankedIds": ["caaaaaaaa", "caaaaaaaa"] })),
        parse::<ProposeStrategyRequest>(json!({ "description": "x", "needsAddressed": ["a", "b", "c", "d"] })),
        parse::<AdvanceRequest>(json!({ "fromStage": 5 })),
        parse::<AdvanceRequest>(json!({ "toStage": -1 })),
        parse::<RevokeConsentRequest>(json!({ "kind": "everything" })),
        parse::<DecideConsentRequest>(json!({ "consentRequestId": "caaaaaaaa", "decision": "MAYBE" })),
        parse::<CaptureNeedsRequest>(json!({ "needs": [] })),
        parse::<CaptureNeedsRequest>(json!({ "needs": [{ "need": "x", "category": "NOPE" }] })),
        parse::<EditNeedsRequest>(json!({ "operations": [] })),
        parse::<EditNeedsRequest>(json!({ "operations": [{ "type": "addNeeds", "text": "x" }] })),
        parse::<EditNeedsRequest>(json!({ "operations": [{ "type": "removeNeed" }] })),
        parse::<EditNeedsRequest>(json!({ "operations": [{ "type": "updateNeedText", "needId": "caaaaaaaa" }] })),
        parse::<ProposeAgreementRequest>(agreement("tomorrow")),
        parse::<ProposeAgreementRequest>(agreement("2027-02-30")),
        parse::<ValidateEmpathyRequest>(json!({ "validated": false })),
    ];
    for (index, refused) in table.into_iter().enumerate() {
        field(refused.expect_err(&format!("case {index}")));
    }
    for date in ["2027-02-01", "2027-02-01T09:00:00Z", "2027-02-01T09:00:00.000+02:00"] {
        parse::<ProposeAgreementRequest>(agreement(date)).unwrap();
    }
}

#[test]
fn both_generations_of_clients_are_understood() {
    let same =
        |one: Result<Command, Rejection>, other: Result<Command, Rejection>| assert_eq!(one.unwrap(), other.unwrap());
    same(
        parse::<ConfirmNeedsRequest>(json!({ "needIds": ["caaaaaaaa"], "sessionId": "ignored" })),
        parse::<ConfirmNeedsRequest>(json!({ "confirmations": [{ "needId": "caaaaaaaa", "confirmed": true }] })),
    );
    let corrected = json!([{ "needId": "caaaaaaaa", "confirmed": true, "correction": "to be asked" }]);
    let adjusted = json!([{ "needId": "caaaaaaaa", "confirmed": true, "adjustment": "to be asked" }]);
    same(
        parse::<ConfirmNeedsRequest>(json!({ "needIds": ["caaaaaaaa"], "adjustments": corrected })),
        parse::<ConfirmNeedsRequest>(json!({ "confirmations": adjusted })),
    );
    same(parse::<ValidateNeedsRequest>(json!({})), parse::<ValidateNeedsRequest>(json!({ "validated": true })));
    same(
        parse::<ConsentEmpathyRequest>(json!({ "draftId": "caaaaaaaa" })),
        parse::<ConsentEmpathyRequest>(json!({ "draftId": "caaaaaaaa", "consent": true })),
    );
    same(
        parse::<RevokeConsentRequest>(json!({ "kind": "NEEDS" })),
        parse::<RevokeConsentRequest>(json!({ "kind": "needs" })),
    );
    same(parse::<AdvanceRequest>(json!({ "fromStage": null })), parse::<AdvanceRequest>(json!({})));
}
