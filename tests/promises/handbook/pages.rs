//! The pages of the documentation.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Markdown file with its path from the root of the repository.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

impl Page {
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { path, text }
    }

    /// Lines with their numbers, from 1, and whether each is part of a code block. The fences are part of their block.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut inside = false;
        self.text.lines().zip(1..).map(move |(line, number)| {
            let fence = line.starts_with("```");
            let code = inside || fence;
            inside ^= fence;
            (number, line, code)
        })
    }
}

/// All pages: the Markdown files of the root, and those below `docs/`.
pub fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    collect(Path::new(""), false, &mut paths);
    collect(Path::new("docs"), true, &mut paths);
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

fn collect(folder: &Path, deep: bool, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder of the repository") {
        let entry = entry.expect("an entry of a folder");
        let path = folder.join(entry.file_name());
        if deep && entry.path().is_dir() {
            collect(&path, deep, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}
