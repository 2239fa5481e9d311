//! `tandem store copy`, with its progress on stderr.

use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::{
    config::Settings,
    store::{self, Location, Phase, Progress},
};

pub fn run(settings: &Settings, from: &Location, to: &Location) -> Outcome {
    let counting = ProgressStyle::with_template("{spinner} {msg} {human_pos} rows")?;
    let known = ProgressStyle::with_template("{msg} [{wide_bar}] {human_pos}/{human_len} rows, {eta}")?;
    let bar = ProgressBar::new_spinner().with_style(counting);
    let mut last = None;
    let report = store::copy(from, to, &settings.store_options(), |Progress { phase, rows, total }| {
        if last.replace(phase) != Some(phase) {
            bar.set_message(name(phase));
            if let Some(total) = total {
                bar.set_style(known.clone());
                bar.set_length(total);
            }
        }
        bar.set_position(rows);
    });
    bar.finish_and_clear();
    let report = report?;
    let digest: String = report.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("copied {from} to {to}: {} rows, {} bytes, verified, sha256 {digest}", report.rows, report.bytes);
    Ok(())
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Counting => "counting",
        Phase::Copying => "copying",
        Phase::Verifying => "verifying",
    }
}
