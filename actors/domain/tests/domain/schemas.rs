use std::collections::BTreeMap;

use tandem_domain::{Answer, command::*};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// Two types of one name would silently become one in the OpenAPI document.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    Answer::schemas(&mut schemas);
    macro_rules! requests {
        ($($request:ty),*) => { $(<$request>::schemas(&mut schemas); schemas.push((<$request>::name().into(), <$request as utoipa::PartialSchema>::schema()));)* };
    }
    requests!(
        AddNeedRequest,
        AdvanceRequest,
        CaptureNeedsRequest,
        DecideConsentRequest,
        EditNeedsRequest,
        ResubmitEmpathyRequest,
        SkipRefinementRequest,
        ValidateNeedsRequest,
        ConfirmAgreementRequest,
        ConfirmCommonGroundRequest,
        ConfirmNeedsRequest,
        ConsentEmpathyRequest,
        CreateSessionRequest,
        DeclineInvitationRequest,
        FeelHeardRequest,
        PauseRequest,
        ProposeAgreementRequest,
        ProposeStrategyRequest,
        RevokeConsentRequest,
        SaveEmpathyDraftRequest,
        ShareNeedsRequest,
        SignCompactRequest,
        SubmitRankingRequest,
        CloseStage4Request,
        OpenSubChatRequest,
        ResolveSubChatRequest,
        SayInSubChatRequest,
        SelectManyRequest,
        SelectOneRequest,
        WalkNeedRequest,
        AnswerSubChatRequest,
        CheckInRequest,
        ReenterTendingRequest,
        RespondTendingRequest,
        WriteTendingNoteRequest,
        ValidateEmpathyRequest,
        ViewedRequest
    );
    let mut by_name = BTreeMap::new();
    for (name, schema) in schemas {
        let schema = serde_json::to_value(schema).unwrap();
        let known = by_name.entry(name.clone()).or_insert_with(|| schema.clone());
        assert_eq!(*known, schema, "{name} names two types");
    }
    assert!(by_name.len() > 60, "{}", by_name.len());
}
