//! `tandem store verify`, `repair`, `rekey` and `dump`, on the store of a stopped node. `rekey` also works on that of a
//! running node.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::Path,
};

use indicatif::ProgressBar;

use super::{CommandResult, Failure, node::this_user, output::print, progress};
use crate::{
    config::Settings,
    operator::{self, OperatorError},
    store::{self, Place, RepairReport, StoreOpenError, VerifyReport},
};

/// Names what is damaged. Ends with 1 if anything is.
pub fn verify(settings: &Settings, place: Option<Place>) -> CommandResult {
    let place = place.unwrap_or_else(|| settings.store_place());
    let bar = progress::counting("verifying");
    let verified = place.verify(&settings.store_options(), &mut |rows| bar.set_position(rows));
    bar.finish_and_clear();
    let VerifyReport { rows, checkpoint, journal, bad } = verified?;
    for line in &bad {
        print(format_args!("BAD  {line}"))?;
    }
    match &place {
        Place::Directory(_) => print(format_args!("{place}: {rows} rows in the engine, up to group {checkpoint}"))?,
        Place::Postgres { .. } => print(format_args!("{place}: {rows} rows"))?,
    }
    if let (Some(first), Some(last)) = (journal.first, journal.last) {
        let (groups, segments) = (journal.groups, journal.segments);
        print(format_args!("journal: {groups} groups, {first} to {last}, in {segments} files"))?;
    }
    if let Some((path, offset)) = &journal.torn {
        print(format_args!(
            "{}, offset {offset}: the last group is not complete; it was never acknowledged, and is no damage",
            path.display()
        ))?;
    }
    match bad.len() {
        0 => Ok(print("nothing is damaged")?),
        1 => Err(Failure::new("1 place is damaged")),
        many => Err(Failure::new(format_args!("{many} places are damaged"))),
    }
}

/// Replaces a damaged store by its intact rows, and reports the losses.
pub fn repair(settings: &Settings, place: Option<Place>) -> CommandResult {
    let place = place.unwrap_or_else(|| settings.store_place());
    let RepairReport { rows, given_up, kept } = place.repair(&settings.store_options())?;
    for line in &given_up {
        print(format_args!("GAVE UP  {line}"))?;
    }
    print(format_args!("{place}: {rows} rows are saved; the damaged store is in {}", kept.display()))?;
    Ok(print(if given_up.is_empty() { "nothing was given up" } else { "everything else is as it was" })?)
}

/// Encrypts the keys of a store with another operator's key. A running node does it itself.
pub fn rekey(settings: &Settings, place: Option<Place>, new: &Path) -> CommandResult {
    let own = settings.store_place();
    let place = place.unwrap_or_else(|| own.clone());
    let new = std::path::absolute(new)?;
    let then = match place.rekey(&settings.store_options(), &new) {
        Ok(()) => "the node then encrypts everything again",
        Err(locked @ StoreOpenError::Locked { .. }) if place == own => {
            actix_web::rt::System::new().block_on(rekey_of_node(settings, &new, locked))?;
            "the node encrypts everything again now"
        }
        Err(error) => return Err(error.into()),
    };
    let new = new.display();
    Ok(print(format_args!(
        "{place}: its key is now the one in {new}: store.encryption_key_file must name this file before the next start; {then}"
    ))?)
}

async fn rekey_of_node(settings: &Settings, new: &Path, locked: StoreOpenError) -> CommandResult {
    let file = new.to_str().ok_or_else(|| Failure::new("the file's name must be UTF-8"))?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("keyFile", file)
        .append_pair("by", &this_user())
        .finish();
    match operator::call(&settings.data, reqwest::Method::POST, &format!("store/rekey?{query}")).await {
        // Another command uses the store.
        Err(OperatorError::NoNode { .. }) => Err(locked.into()),
        asked => Ok(asked.map(drop)?),
    }
}

/// A line of JSON for each row.
pub fn dump(settings: &Settings, place: Option<Place>, words: bool) -> CommandResult {
    let place = place.unwrap_or_else(|| settings.store_place());
    let mut out = BufWriter::new(io::stdout().lock());
    // On a terminal, the rows themselves show the progress.
    let bar = if io::stdout().is_terminal() { ProgressBar::hidden() } else { progress::counting("dumping") };
    let report = &mut |rows| bar.set_position(rows);
    let dumped = store::dump(&place, &settings.store_options(), words, &mut out, report);
    bar.finish_and_clear();
    let dumped = dumped.and_then(|_| Ok(out.flush()?));
    match dumped {
        // A closed pipe is not an error.
        Err(store::DumpError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}
