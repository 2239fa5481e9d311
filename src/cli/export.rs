//! `tandem export` and `tandem import`: all rows as lines of JSON. An export is made from a backup in a temporary
//! directory beside the file. So it is the state of one moment, also while the node runs.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use super::{CommandResult, Failure, backup, output::print, progress, restore::left_out};
use crate::{
    config::Settings,
    store::{self, RestorePoint, RestoreProgress},
};

pub fn export(settings: &Settings, to: &Path) -> CommandResult {
    let to = std::path::absolute(to)?;
    if to.exists() {
        return Err(Failure::new(format_args!("{}: is there already, and is not overwritten", to.display())));
    }
    let beside = to.parent().unwrap_or(Path::new("/"));
    let place = tempfile::Builder::new()
        .prefix(".tandem-export.")
        .tempdir_in(beside)
        .map_err(|error| Failure::new(format_args!("{}: cannot be written: {error}", beside.display())))?;
    let bar = progress::known("exporting", "rows");
    let taken = backup::take(settings, place.path(), backup::What::Snapshot, &bar);
    let exported = taken.and_then(|_| {
        let mut show = |RestoreProgress { rows, total, .. }: RestoreProgress| {
            bar.set_length(total);
            bar.set_position(rows);
        };
        let plan = store::plan(place.path(), &RestorePoint::Newest, &mut show)?;
        let mut file = tempfile::NamedTempFile::new_in(place.path())?;
        let mut out = BufWriter::new(file.as_file_mut());
        let rows = plan.export(&settings.store_options(), &mut out, &mut show)?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        file.persist_noclobber(&to).map_err(|error| error.error)?;
        File::open(beside)?.sync_all()?;
        Ok((rows, plan))
    });
    bar.finish_and_clear();
    let (rows, plan) = exported?;
    print(format_args!("exported {rows} rows at position {} to {}", plan.position, to.display()))?;
    if plan.manifest.damaged > 0 {
        print(format_args!("{}: `tandem store verify` names them", left_out(plan.manifest.damaged)))?;
    }
    Ok(())
}

pub fn import(settings: &Settings, from: &Path) -> CommandResult {
    let place = settings.store_place();
    let bar = progress::counting("importing");
    let mut show = |RestoreProgress { rows, .. }: RestoreProgress| bar.set_position(rows);
    let rows = place.import(from, &settings.store_options(), &mut show);
    bar.finish_and_clear();
    Ok(print(format_args!("imported {} rows into {place}", rows?))?)
}
