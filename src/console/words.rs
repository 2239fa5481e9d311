//! Writes facts in words for the operator.

use std::time::Duration;

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tandem_actors::domain::{routing::Presence, stage::Stage, time::Timestamp};

/// A time of day. The whole time in UTC is in the attribute for programs and in the tooltip.
pub fn time(at: Timestamp) -> Markup {
    let whole = at.to_string();
    let short = whole.get(11..19).unwrap_or_default();
    html! { time datetime=(whole) title=(whole) { (short) } }
}

/// A date and a time of day, in UTC.
pub fn date(at: Timestamp) -> Markup {
    let whole = at.to_string();
    html! { time datetime=(whole) title=(whole) { (date_text(at)) } }
}

/// The same as a text.
pub fn date_text(at: Timestamp) -> String {
    let whole = at.to_string();
    format!("{} {}", whole.get(..10).unwrap_or_default(), whole.get(11..16).unwrap_or_default())
}

/// With a capital letter at the beginning.
pub fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An approximate duration, as `3 min`. It changes seldom, so that an open page is seldom updated.
pub fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => "a few seconds".to_owned(),
        10..60 => format!("{} s", seconds / 10 * 10),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = units.iter().enumerate().find(|(power, _)| bytes < 1024_f64.powi(*power as i32 + 1));
    let (power, name) = unit.map_or((4, "TiB"), |(power, name)| (power, *name));
    let amount = bytes / 1024_f64.powi(power as i32);
    if amount < 10.0 && power > 0 { format!("{amount:.1} {name}") } else { format!("{amount:.0} {name}") }
}

/// A number, rounded to the digits that matter.
pub fn number(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n < 1.0 => format!("{n:.2}"),
        n if n < 10.0 && n.fract() > 0.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// `1 session`, `2 sessions`.
pub fn count(number: usize, one: &str) -> String {
    let plural = match one {
        _ if number == 1 => "",
        _ if one.ends_with("sh") => "es",
        _ => "s",
    };
    format!("{number} {one}{plural}")
}

pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Onboarding => "0 · Onboarding",
        Stage::Witness => "1 · The Witness",
        Stage::PerspectiveStretch => "2 · Perspective Stretch",
        Stage::NeedMapping => "3 · Need Mapping",
        Stage::StrategicRepair => "4 · Strategic Repair",
    }
}

pub fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Present => "present",
        Presence::Absent => "absent",
        Presence::Unknown => "not known",
    }
}

/// Escapes a text for a query string.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub fn link_to_session(session: &str) -> Markup {
    html! { a.id href={ "/console/session?id=" (encoded(session)) } { (session) } }
}

/// An event in the timeline of its session.
pub fn link_to_event(session: &str, seq: u64) -> Markup {
    html! { a href={ "/console/session?id=" (encoded(session)) "#e" (seq) } { (seq) } }
}

pub fn link_to_person(user: &str) -> Markup {
    html! { a.id href={ "/console/people?user=" (encoded(user)) } { (user) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_rounded() {
        assert_eq!([0.0, 900.0, 1536.0, 20.0 * 1024.0 * 1024.0].map(bytes), ["0 B", "900 B", "1.5 KiB", "20 MiB"]);
        let durations = [3, 47, 130, 7300, 400_000].map(|seconds| rounded(Duration::from_secs(seconds)));
        assert_eq!(durations, ["a few seconds", "40 s", "2 min", "2 h", "4 days"]);
        assert_eq!([0.0, 0.257, 3.25, 12.0].map(number), ["0", "0.26", "3.2", "12"]);
    }
}
