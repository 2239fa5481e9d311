//! Finds the paths that a file names: in `use` lines, in code and inside macros. A path is followed through `crate`,
//! `self` and `super`, and through the names that the root of the crate re-exports. Items under `#[cfg(test)]` are left
//! out.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::{
    Arrow,
    source::{File, is_within},
};

type Path = Vec<String>;

/// All arrows between rooms, and the files that lie in no room. The root of the crate may use every room.
pub(crate) fn arrows(files: &[File], rooms: &BTreeSet<&str>) -> (BTreeSet<Arrow>, Vec<String>) {
    let root = files.iter().filter(|file| file.module.is_empty());
    let exports: BTreeMap<String, Path> = root.flat_map(|file| exports(&file.text)).collect();
    let (mut arrows, mut homeless) = (BTreeSet::new(), Vec::new());
    for file in files.iter().filter(|file| !file.module.is_empty()) {
        let Some(from) = room_of(&file.module, rooms) else {
            homeless.push(file.name.clone());
            continue;
        };
        for path in named(file) {
            let path = match exports.get(path.first().map_or("", String::as_str)) {
                Some(export) => [export, &path[1..]].concat(),
                None => path,
            };
            if let Some(to) = room_of(&path, rooms).filter(|to| *to != from) {
                let place = format!("{}: {}", file.name, path.join("::"));
                arrows.insert(Arrow { from: from.to_owned(), to: to.to_owned(), place });
            }
        }
    }
    (arrows, homeless)
}

/// The innermost room that a path leads into.
fn room_of<'a>(path: &[String], rooms: &BTreeSet<&'a str>) -> Option<&'a str> {
    let path = path.join("::");
    rooms.iter().copied().filter(|room| is_within(&path, room)).max_by_key(|room| room.len())
}

/// The names that the root of a crate re-exports from its modules, with their paths.
fn exports(text: &str) -> Vec<(String, Path)> {
    let tokens: Vec<_> = parse(text, "the root").into_iter().collect();
    let mut exports = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if is_word(token, "use") && index > 0 && !is_punct(&tokens[index - 1], ';') {
            let mut paths = Vec::new();
            tree(&tokens, index + 1, &[], &mut paths);
            for path in paths {
                let path: Path = path.into_iter().filter(|part| part != "crate" && part != "self").collect();
                exports.extend(path.last().cloned().filter(|_| path.len() > 1).map(|name| (name, path)));
            }
        }
    }
    exports
}

/// The paths from the root of the crate that a file names.
fn named(file: &File) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    scan(parse(&file.text, &file.name), &file.module, &mut found);
    found
}

fn parse(text: &str, name: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn scan(stream: TokenStream, module: &[String], found: &mut BTreeSet<Path>) {
    let tokens: Vec<_> = stream.into_iter().collect();
    let children: BTreeSet<String> = children(&tokens);
    let mut index = 0;
    while index < tokens.len() {
        if is_test_attribute(&tokens, index) {
            index = end_of_item(&tokens, index + 2);
            continue;
        }
        if let (TokenTree::Ident(first), true) = (&tokens[index], is_path(&tokens, index)) {
            let first = first.to_string();
            let is_start = index < 2 || !is_colons(&tokens, index - 2);
            let is_relative = children.contains(&first);
            if is_start && (is_relative || matches!(first.as_str(), "crate" | "self" | "super")) {
                let mut paths = Vec::new();
                index = tree(&tokens, index, &[], &mut paths);
                found.extend(paths.into_iter().map(|path| absolute(path, module)));
                continue;
            }
        }
        match &tokens[index] {
            TokenTree::Group(group) => scan(group.stream(), &inner_module(&tokens, index, module), found),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        index += 1;
    }
}

/// The modules that are declared here.
fn children(tokens: &[TokenTree]) -> BTreeSet<String> {
    let declared = tokens.windows(2).filter(|pair| is_word(&pair[0], "mod"));
    declared.map(|pair| pair[1].to_string()).collect()
}

/// The module of a group: that of the file, or a module whose body stands in the file.
fn inner_module(tokens: &[TokenTree], index: usize, module: &[String]) -> Path {
    let mut inner = module.to_vec();
    if index >= 2 && is_word(&tokens[index - 2], "mod") {
        inner.push(tokens[index - 1].to_string());
    }
    inner
}

/// Reads one path from `start`, with all branches of its braces. Returns the index of the token behind it.
fn tree(tokens: &[TokenTree], start: usize, before: &[String], paths: &mut Vec<Path>) -> usize {
    let mut path = before.to_vec();
    let mut index = start;
    loop {
        match tokens.get(index) {
            Some(TokenTree::Ident(part)) => path.push(part.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                branches(group, &path, paths);
                return index + 1;
            }
            _ => break,
        }
        if !is_colons(tokens, index + 1) {
            index += 1;
            break;
        }
        index += 3;
    }
    paths.push(path);
    index
}

fn branches(group: &Group, before: &[String], paths: &mut Vec<Path>) {
    let tokens: Vec<_> = group.stream().into_iter().collect();
    for branch in tokens.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
        tree(branch, 0, before, paths);
    }
}

/// A path from the root of the crate, without `crate`, `self` and `super`.
fn absolute(path: Path, module: &[String]) -> Path {
    let mut from = module.to_vec();
    let mut rest = path.as_slice();
    if rest.first().is_some_and(|part| part == "crate") {
        from.clear();
        rest = &rest[1..];
    }
    while let Some(part) = rest.first().filter(|part| *part == "super" || *part == "self") {
        if part == "super" {
            from.pop();
        }
        rest = &rest[1..];
    }
    from.extend(rest.iter().filter(|part| *part != "self").cloned());
    from
}

/// `#[cfg(test)]`
fn is_test_attribute(tokens: &[TokenTree], index: usize) -> bool {
    let is_cfg = |group: &Group| group.stream().to_string().replace(' ', "") == "cfg(test)";
    is_punct(&tokens[index], '#') && matches!(tokens.get(index + 1), Some(TokenTree::Group(group)) if is_cfg(group))
}

/// The index behind the item that begins here: behind its braces or its semicolon.
fn end_of_item(tokens: &[TokenTree], start: usize) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    };
    let mut index = start;
    while index < tokens.len() && !is_end(&tokens[index]) {
        index += 1;
    }
    // The braces of a `use` have a semicolon behind them.
    if tokens.get(index + 1).is_some_and(|token| is_punct(token, ';')) { index + 2 } else { index + 1 }
}

fn is_path(tokens: &[TokenTree], index: usize) -> bool {
    is_colons(tokens, index + 1)
}

fn is_colons(tokens: &[TokenTree], index: usize) -> bool {
    let is_colon = |index: usize| tokens.get(index).is_some_and(|token| is_punct(token, ':'));
    is_colon(index) && is_colon(index + 1)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}
