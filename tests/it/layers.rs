//! Holds the layer table of `src/lib.rs`: a module imports only modules with a smaller number. And no file outgrows its reader.

use std::{fs, path::Path};

/// Module and layer, as in `src/lib.rs`.
const LAYERS: [(&str, u8); 15] = [
    ("list", 0),
    ("wire", 1),
    ("formats", 1),
    ("matcher", 1),
    ("trust", 2),
    ("indexes", 2),
    ("store", 3),
    ("publisher", 4),
    ("feed", 4),
    ("follower", 4),
    ("people", 4),
    ("desk", 5),
    ("dns", 6),
    ("http", 6),
    ("cmd", 7),
];

/// Crates that layers 0 to 2 must not name.
const DAEMON_ONLY: [&str; 7] = ["tokio", "hyper", "axum", "sled", "tracing", "reqwest", "tower"];

/// Lines that a file of `src` may have, its tests included.
const MOST_LINES: usize = 400;

fn sources(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the source tree").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Names of modules behind `crate::` in a line; a `crate::{a::.., b::..}` group gives each.
fn imports(line: &str) -> Vec<String> {
    let word = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = 0;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        found.push(word(&group[start..i]));
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push(word(&group[start..i]));
                        start = i + 1;
                    }
                    _ => {}
                }
            }
        } else {
            found.push(word(rest));
        }
    }
    found
}

#[test]
fn imports_are_read_singly_and_in_groups() {
    assert_eq!(imports("use crate::list::Rule;"), ["list"]);
    assert_eq!(imports("use crate::{list::{A, B}, wire::C};"), ["list", "wire"]);
    assert_eq!(imports("let x = crate::store::Y; crate::feed::z()"), ["store", "feed"]);
}

#[test]
fn a_module_imports_only_lower_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "the walk found the source tree");
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).expect("below src").to_owned();
        let module = relative.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        if module == "lib" || module == "main" {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{module} has no layer; add it to src/lib.rs and here"));
        let text = fs::read_to_string(&file).expect("readable source");
        // A group may span lines: join them, so that no import hides behind a line break.
        let joined = text.replace('\n', " ");
        for target in imports(&joined) {
            if target.is_empty() || target == module {
                continue;
            }
            match layer(&target) {
                Some(l) if l < own => {}
                Some(l) => wrong.push(format!("{}: layer {own} imports {target} of layer {l}", relative.display())),
                None => wrong.push(format!("{}: crate::{target} is no module of the table", relative.display())),
            }
        }
        if own <= 2 {
            for name in DAEMON_ONLY {
                if joined.contains(&format!("{name}::")) {
                    wrong.push(format!("{}: names {name}, which the core must not see", relative.display()));
                }
            }
        }
        let room_of = |name: &str, allowed: &str| {
            joined.contains(&format!("{name}::")) && relative.to_string_lossy() != allowed && !relative.starts_with(allowed)
        };
        if room_of("sled", "store/index.rs") {
            wrong.push(format!("{}: names sled; only store/index.rs may", relative.display()));
        }
        if room_of("ed25519_dalek", "trust") {
            wrong.push(format!("{}: names ed25519_dalek; only trust may", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "layers are broken:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20, "the walk found the source tree");
    let lines = |file: &Path| fs::read_to_string(file).expect("readable source").lines().count();
    let long: Vec<String> =
        files.iter().map(|f| (lines(f), f)).filter(|(n, _)| *n > MOST_LINES).map(|(n, f)| format!("{n} {}", f.display())).collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines; part these by what they are about:\n{}", long.join("\n"));
}
