//! `tandem store copy`, with its progress on stderr. Secrets are beside the store. They are copied too if both data
//! directories are known; otherwise the command names them.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use indicatif::ProgressStyle;

use super::{CommandResult, output::print, progress};
use crate::{
    config::Settings,
    secrets,
    store::{self, Phase, Place, Progress},
};

pub fn run(settings: &Settings, from: &Place, to: &Place) -> CommandResult {
    let known = ProgressStyle::with_template("{msg} [{wide_bar}] {human_pos}/{human_len} rows, {eta}")?;
    let bar = progress::counting(name(Phase::Counting));
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
    let digest = HEXLOWER.encode(&report.digest);
    let (rows, bytes) = (report.rows, report.bytes);
    print(format_args!("copied {from} to {to}: {rows} rows, {bytes} bytes, verified, sha256 {digest}"))?;
    copy_secrets(from, to)
}

/// The data directory of a store, if the store is in its default place.
fn data_of(store: &Place) -> Option<PathBuf> {
    let Place::Directory(store) = store else { return None };
    let is_default = store.path.file_name().is_some_and(|name| name == "store");
    let data = store.path.parent().filter(|_| is_default)?;
    Some(if data.as_os_str().is_empty() { PathBuf::from(".") } else { data.to_owned() })
}

fn copy_secrets(from: &Place, to: &Place) -> CommandResult {
    let there = |data: &PathBuf| secrets::FILES.iter().any(|name| data.join(name).exists());
    match (data_of(from).filter(there), data_of(to)) {
        (Some(source), Some(target)) => {
            let copied = secrets::copy(&source, &target)?;
            if !copied.is_empty() {
                let names = copied.join(" and ");
                print(format_args!("copied {names} of {} to {}", source.display(), target.display()))?;
            }
        }
        (Some(source), None) => print(format_args!(
            "not copied: the secrets beside the store ({} in {}); a node on the copy needs them in its data directory",
            secrets::FILES.join(", "),
            source.display()
        ))?,
        (None, _) => {}
    }
    Ok(())
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Counting => "counting",
        Phase::Copying => "copying",
        Phase::Verifying => "verifying",
    }
}
