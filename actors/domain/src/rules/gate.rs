//! The names of the gates.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    CompactSigned,
    FeelHeardConfirmed,
    EmpathyDraftReady,
    EmpathyConsented,
    EmpathyValidated,
    NeedsConfirmed,
    NeedsShared,
    CommonGroundConfirmed,
    StrategiesSubmitted,
    RankingsSubmitted,
    OverlapIdentified,
    AgreementCreated,
}

impl Gate {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Gate::CompactSigned => "compactSigned",
            Gate::FeelHeardConfirmed => "feelHeardConfirmed",
            Gate::EmpathyDraftReady => "empathyDraftReady",
            Gate::EmpathyConsented => "empathyConsented",
            Gate::EmpathyValidated => "empathyValidated",
            Gate::NeedsConfirmed => "needsConfirmed",
            Gate::NeedsShared => "needsShared",
            Gate::CommonGroundConfirmed => "commonGroundConfirmed",
            Gate::StrategiesSubmitted => "strategiesSubmitted",
            Gate::RankingsSubmitted => "rankingsSubmitted",
            Gate::OverlapIdentified => "overlapIdentified",
            Gate::AgreementCreated => "agreementCreated",
        }
    }

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Gate::CompactSigned => "Sign the Curiosity Compact",
            Gate::FeelHeardConfirmed => "Confirm that you feel heard",
            Gate::EmpathyDraftReady => "Write what you imagine your partner feels",
            Gate::EmpathyConsented => "Agree to share it with your partner",
            Gate::EmpathyValidated => "Say whether your partner's attempt fits",
            Gate::NeedsConfirmed => "Confirm your needs",
            Gate::NeedsShared => "Agree to share your needs",
            Gate::CommonGroundConfirmed => "Confirm what you have in common",
            Gate::StrategiesSubmitted => "Say that your ideas are in",
            Gate::RankingsSubmitted => "Rank the ideas",
            Gate::OverlapIdentified => "See where your rankings meet",
            Gate::AgreementCreated => "Agree on an experiment",
        }
    }
}
