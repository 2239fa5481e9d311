//! The names of the gates.

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum Gate {
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
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
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
