//! Source files as modules of their crate.

use std::{fs, path::Path};

/// One file of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its path from the folder of the sources.
    pub(crate) name: String,
    /// The path of its module; empty for the root.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let mut module: Vec<_> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        Self { name: name.to_owned(), module, text: text.to_owned() }
    }

    pub(crate) fn is_in(&self, room: &str) -> bool {
        is_within(&self.module.join("::"), room)
    }

    /// Modules of unit tests may use every room.
    fn is_test(&self) -> bool {
        self.module.iter().any(|part| part == "tests" || part.ends_with("_tests"))
    }
}

/// Whether a module is a room or lies in it.
pub(crate) fn is_within(module: &str, room: &str) -> bool {
    module.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// All Rust files of a folder, in order. Folders with a manifest of their own belong to another crate.
pub(crate) fn files(folder: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files);
    files.retain(|file| !file.is_test());
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                collect(root, &path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(root).expect("a file of the folder").to_string_lossy().into_owned();
            files.push(File::new(&name, &text));
        }
    }
}

/// The crates of the workspace among the dependencies of a manifest. Dependencies of tests do not count.
pub(crate) fn dependencies(manifest: &Path) -> Vec<String> {
    let text = fs::read_to_string(manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim();
        } else if section == "[dependencies]" && (line.starts_with("tandem-") || line.starts_with("tandem ")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push(name.to_owned());
        }
    }
    found
}
