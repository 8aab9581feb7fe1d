//! Rules of the repository that no compiler checks: who may depend on whom, how files open, how
//! long they may be, which words must not appear, where `unsafe` may stand.

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] =
    ["engine", "journal", "pipeline", "wallet", "settlement", "gateway", "bench", "tests"];
/// Non-test lines of a file, lines of a function, columns of a line.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// The only files that may hold `unsafe` code.
const UNSAFE_FILES: [&str; 7] = [
    "bench/src/heap.rs",
    "bench/src/timer.rs",
    "engine/src/prefetch.rs",
    "journal/src/mmap.rs",
    "pipeline/src/huge_pages.rs",
    "tests/harness/alloc.rs",
    "tests/harness/power.rs",
];

/// A crate of ours, and those of ours that it may depend on.
const EDGES: [(&str, &[&str]); 8] = [
    ("engine", &[]),
    ("journal", &[]),
    ("pipeline", &["engine", "journal"]),
    ("wallet", &["engine", "journal", "pipeline"]),
    ("settlement", &["engine", "journal", "wallet"]),
    ("gateway", &["engine", "journal", "pipeline", "wallet", "settlement"]),
    ("bench", &["engine", "journal", "pipeline", "wallet", "settlement", "gateway", "tests"]),
    ("tests", &["engine", "journal", "pipeline", "wallet", "settlement", "gateway", "bench"]),
];

/// Text that must not appear in production code, where it may after all, and what to use instead.
const BANNED: [(&str, &[&str], &str); 8] = [
    ("dbg!", &[], "the tracing macros, or nothing"),
    ("todo!", &[], "an implementation"),
    ("unbounded_channel", &[], "a bounded one"),
    // Tokio's of the same name is bounded.
    ("mpsc::channel()", &[], "sync_channel"),
    (" channel()", &[], "sync_channel"),
    ("SystemTime::now", &["pipeline/src/clock.rs"], "pipeline::Clock"),
    ("env::var", &["gateway/src/config"], "gateway::config"),
    ("bincode::config", &["engine/src/codec.rs"], "engine::Codec"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").into()
}

fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the workspace: path from the root, and text.
fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for name in CRATES {
        sources_below(&root().join(name), &mut paths);
    }
    paths.sort();
    assert!(paths.len() > 50, "the search lost its way");
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        (name, fs::read_to_string(&path).expect("readable text"))
    };
    paths.into_iter().map(named).collect()
}

fn is_production(name: &str) -> bool {
    !name.starts_with("tests/") && !name.starts_with("bench/") && !name.contains("test")
}

/// The file without its in-file tests, which come last.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |end| &text[..end])
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn crates_depend_only_downwards() {
    let mut broken = Vec::new();
    for (name, allowed) in EDGES {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).expect("manifest");
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for other in CRATES.iter().filter(|other| **other != name && !allowed.contains(other)) {
            if normal.lines().any(|line| line.starts_with(&format!("{other}."))) {
                broken.push(format!("{name} must not depend on {other}"));
            }
        }
        if ["engine", "journal", "pipeline"].contains(&name) && manifest.contains("\ntokio") {
            broken.push(format!("{name} must not know tokio"));
        }
    }
    assert_none(&broken);
}

#[test]
fn files_open_with_what_they_own_and_stay_readable() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//! ") {
            broken.push(format!("{name} does not open with //!"));
        }
        let lines = without_tests(&text).lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{name} has {lines} lines"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > COLUMNS_MAX {
                broken.push(format!("{name}:{number} is wider than {COLUMNS_MAX} columns"));
            }
            if !line.is_ascii() {
                broken.push(format!("{name}:{number} is not ASCII"));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn functions_fit_one_screen() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        // A table of examples may be as long as it likes.
        let is_table = name.ends_with("codec/tests.rs");
        for (start, line) in lines.iter().enumerate().filter(|_| !is_table) {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start();
            let is_function = ["fn ", "pub fn ", "pub(crate) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|head| words.starts_with(head));
            if !is_function || words.ends_with(';') || words.ends_with('}') {
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing).unwrap_or(0);
            if length > FUNCTION_LINES_MAX {
                broken.push(format!("{name}:{} is {length} lines long", start + 1));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn banned_words_stay_out() {
    let mut broken = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| is_production(name)) {
        for (word, exceptions, instead) in BANNED {
            let excused = exceptions.iter().any(|exception| name.starts_with(exception));
            if !excused && without_tests(text).contains(word) {
                broken.push(format!("{name} says {word}: use {instead}"));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn unsafe_code_stands_in_named_files_only() {
    let word = concat!("unsafe", " ");
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        let is_used = code.filter(|line| !line.contains('"')).any(|line| line.contains(word));
        if is_used && !UNSAFE_FILES.contains(&name.as_str()) {
            broken.push(format!("{name} has unsafe code"));
        }
    }
    assert_none(&broken);
}

#[test]
fn links_between_documents_resolve() {
    let mut broken = Vec::new();
    let mut pages = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).expect("docs") {
        pages.push(entry.expect("a readable entry").path());
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(page).expect("readable text");
        let folder = page.parent().expect("a page lies in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.starts_with("http") && !folder.join(file).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn tests_that_are_named_in_documents_exist() {
    let mut broken = Vec::new();
    let page = fs::read_to_string(root().join("docs/fault-matrix.md")).expect("readable text");
    let named: Vec<&str> = page.split('`').filter(|word| word.contains(".rs::")).collect();
    assert!(named.len() > 50, "the search lost its way");
    for name in named {
        let (file, function) = name.split_once("::").expect("a file and a function");
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        let begins = format!("fn {function}(");
        let is_test = |before: &str| before.trim_end().ends_with(']') || before.ends_with("async ");
        if !text.match_indices(&begins).any(|(at, _)| is_test(&text[..at])) {
            broken.push(name.to_owned());
        }
    }
    assert_none(&broken);
}
