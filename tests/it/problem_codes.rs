//! Codes of problems: each that the sources answer has its line in the table of docs/PROBLEMS.md, with the words of the source, and
//! the description names the same.

use std::collections::BTreeSet;
use std::path::Path;

fn sources(folder: &Path, into: &mut String) {
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        match file.path() {
            path if path.is_dir() => sources(&path, into),
            path => into.push_str(&std::fs::read_to_string(path).expect("a source")),
        }
    }
}

/// Codes as the sources write them: behind a status, or first in what makes a problem.
fn written(sources: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let before = ["Problem::bad_request(", "Problem::not_found(", "Problem::busy(", "Self::new(", "Problem::new("];
    for start in before {
        for rest in sources.split(start).skip(1) {
            found.extend(code(rest));
        }
    }
    for rest in sources.split("StatusCode::").skip(1) {
        let name = rest.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
        found.extend(name.strip_prefix(',').and_then(code));
    }
    found
}

fn code(rest: &str) -> Option<String> {
    let word = rest.trim_start().strip_prefix('"')?.split('"').next()?;
    let good = !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'-');
    good.then(|| word.to_owned())
}

#[test]
fn every_code_has_its_line_in_the_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src/http"), &mut text);
    let written = written(&text);
    assert!(written.len() > 40, "{written:?}");

    let known: Vec<&(&str, &str)> = bwld::http::PROBLEM_CODES.iter().collect();
    let names: BTreeSet<String> = known.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(names.len(), known.len(), "each is there once");
    let missing: Vec<&String> = written.difference(&names).collect();
    assert!(missing.is_empty(), "answered, and not in CODES of src/http/problem.rs: {missing:?}");

    let document = std::fs::read_to_string(root.join("docs/PROBLEMS.md")).expect("the table");
    let mut lines: Vec<String> = known.iter().map(|(code, about)| format!("| `{code}` | {about} |")).collect();
    lines.sort();
    let table: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(table, lines, "docs/PROBLEMS.md has a line for each code, by name, in the words of src/http/problem.rs");

    let description = bwld::http::description();
    let described = description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().expect("codes").len();
    assert_eq!(described, known.len());
}
