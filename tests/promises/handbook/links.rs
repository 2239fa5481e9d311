//! Links between pages, and paths of the repository that pages name.

use std::path::{Component, Path, PathBuf};

use super::pages::{Page, all, root};

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let pages = all();
    assert!(pages.len() > 5, "README, docs and others");
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in &pages {
        for (number, target) in links(page) {
            if target.contains("://") {
                continue;
            }
            followed += 1;
            if let Err(problem) = follow(&pages, page, &target) {
                broken.push(format!("{}:{number}: {target}: {problem}", page.path.display()));
            }
        }
    }
    assert!(followed > 20, "{followed} links only: are they still found?");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_path_that_a_page_names_exists() {
    const ROOMS: [&str; 6] = ["src/", "actors/", "tests/", "benches/", "docs/", ".ci/"];
    let mut missing = Vec::new();
    for page in all() {
        if page.path == Path::new("CHANGELOG.md") {
            continue;
        }
        for (number, line, code) in page.lines() {
            let spans = line.split('`').skip(1).step_by(2).filter(|_| !code);
            for span in spans.filter(|span| ROOMS.iter().any(|room| span.starts_with(room))) {
                let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
                if plain && !root().join(span).exists() {
                    missing.push(format!("{}:{number}: {span}", page.path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "these paths do not exist:\n{}", missing.join("\n"));
}

/// The targets of `[text](target)` outside of code.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line, _) in page.lines().filter(|(_, _, code)| !code) {
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let targets = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        found.extend(targets.map(|target| (number, target)));
    }
    found
}

fn follow(pages: &[Page], from: &Page, target: &str) -> Result<(), String> {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { from.path.clone() } else { join(&from.path, file) };
    if !root().join(&path).exists() {
        return Err("no such file".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let page = pages.iter().find(|page| page.path == path).ok_or("an anchor of what is no page")?;
    let mut headings = page.lines().filter(|(_, line, code)| !code && line.starts_with('#'));
    let found = headings.any(|(_, line, _)| slug(line.trim_start_matches('#')) == anchor);
    if found { Ok(()) } else { Err("no such heading".to_owned()) }
}

fn join(from: &Path, file: &str) -> PathBuf {
    let mut path = from.parent().expect("a page has a folder").to_path_buf();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

/// A heading's anchor, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
