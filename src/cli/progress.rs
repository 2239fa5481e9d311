//! The progress of long work, on stderr. Nothing is shown unless stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Counts things whose number is known when it has begun.
pub fn known(what: &'static str, things: &str) -> ProgressBar {
    let template = format!("{{msg}} [{{wide_bar}}] {{human_pos}}/{{human_len}} {things}, {{eta}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what)
}

/// Counts rows whose number is not known.
pub fn counting(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} rows");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style).with_message(what)
}
