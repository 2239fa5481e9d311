//! Which shared needs the proposals cover. A proposal covers a need that it names by id, text or category. It covers a
//! need in part if their texts share words. The audit begins when a proposal names a need or a partner walks through
//! the needs; before that, every need would be open.

use std::collections::BTreeSet;

use crate::{ids::StrategyId, member::Member, needs::Need, session::Session, side::Side, strategy::Strategy};

/// The share of the words of a need that a proposal must hold to cover it in part.
const PARTIAL_FROM: f32 = 0.25;

/// Words that do not count.
const EMPTY_WORDS: [&str; 18] = [
    "and", "are", "but", "can", "for", "from", "have", "need", "needs", "not", "that", "the", "this", "want", "when",
    "will", "with", "you",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    Covered,
    Partial,
    Open,
}

#[derive(Clone, Debug)]
pub(crate) struct CoverageRow<'a> {
    pub(crate) need: &'a Need,
    pub(crate) owner: Side,
    pub(crate) coverage: Coverage,
    /// Ordered by id, so that the order reveals neither author nor age.
    pub(crate) covering: Vec<StrategyId>,
}

impl Strategy {
    fn names(&self, need: &Need) -> bool {
        self.needs_addressed.iter().any(|words| {
            let words = words.reveal().trim();
            words == need.id.as_str()
                || [need.need.reveal().trim(), need.category.into()].iter().any(|name| words.eq_ignore_ascii_case(name))
        })
    }

    fn shares_words_with(&self, need: &Need) -> bool {
        let wanted = meaningful_words(need.need.reveal());
        let offered = meaningful_words(self.description.reveal());
        let met = wanted.intersection(&offered).count();
        #[expect(clippy::cast_precision_loss, reason = "the counts are small, so no precision is lost")]
        let share = met as f32 / wanted.len().max(1) as f32;
        share >= PARTIAL_FROM
    }
}

fn meaningful_words(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() > 2 && !EMPTY_WORDS.contains(&word.as_str()))
        .collect()
}

impl Session {
    /// The needs that both may see, the viewer's own first. Empty unless both consents stand.
    pub(crate) fn shared_needs(&self, viewer: Side) -> impl Iterator<Item = (Side, &Need)> {
        let sees = |side| self.member(side).filter(|member: &&Member| member.needs.consent_stands());
        let both = sees(viewer).zip(sees(viewer.other()));
        both.into_iter().flat_map(move |(mine, theirs)| {
            let own = mine.needs.shared().map(move |need| (viewer, need));
            own.chain(theirs.needs.shared().map(move |need| (viewer.other(), need)))
        })
    }

    /// Whether a text is the id of anybody's need, shared or not.
    pub(crate) fn is_need_id(&self, text: &str) -> bool {
        let mut members = Side::BOTH.into_iter().filter_map(|side| self.member(side));
        members.any(|member| member.needs.list.iter().any(|need| need.id.as_str() == text))
    }

    /// The audit of all shared needs; empty before it begins.
    pub(crate) fn coverage(&self, viewer: Side) -> Vec<CoverageRow<'_>> {
        let walks = self.member(viewer).is_some_and(|me| me.stage4.walks);
        let names_needs = self.pool.strategies.iter().any(|strategy| !strategy.needs_addressed.is_empty());
        if !walks && !names_needs {
            return Vec::new();
        }
        self.shared_needs(viewer).map(|(owner, need)| self.coverage_of(owner, need)).collect()
    }

    fn coverage_of<'a>(&'a self, owner: Side, need: &'a Need) -> CoverageRow<'a> {
        let ids_where = |test: &dyn Fn(&Strategy) -> bool| {
            let mut ids: Vec<_> = self
                .pool
                .strategies
                .iter()
                .filter(|strategy| test(strategy))
                .map(|strategy| strategy.id.clone())
                .collect();
            ids.sort();
            ids
        };
        let named = ids_where(&|strategy| strategy.names(need));
        let (coverage, covering) = if named.is_empty() {
            let touched = ids_where(&|strategy| strategy.shares_words_with(need));
            (if touched.is_empty() { Coverage::Open } else { Coverage::Partial }, touched)
        } else {
            (Coverage::Covered, named)
        };
        CoverageRow { need, owner, coverage, covering }
    }
}
