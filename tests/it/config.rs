//! The example configuration: complete, equal to the defaults, and every key of it is guarded against misspelling, wrong
//! type and values out of range.

use std::path::Path;

use bwld::cmd::config::{KEYS, Key, Kind, Loaded, SECTIONS, Source};

const EXAMPLE: &str = include_str!("../../deploy/bwld.example.toml");

/// The example with the line of `key` replaced; the second value is that line's number.
fn with_line(key: &Key, line: &str) -> (String, usize) {
    let mut section = "";
    let mut at = None;
    let mut text = String::new();
    for (i, old) in EXAMPLE.lines().enumerate() {
        if let Some(name) = old.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let hit = section == key.section && old.split_once(" = ").is_some_and(|(name, _)| name == key.name);
        if hit {
            at = Some(i + 1);
        }
        text.push_str(if hit { line } else { old });
        text.push('\n');
    }
    (text, at.unwrap_or_else(|| panic!("{} stands in the example", key.path())))
}

fn refused(key: &Key, line: &str) -> String {
    let (text, number) = with_line(key, line);
    let error = Loaded::from_text(&text, Path::new("bwld.toml")).map(|_| ()).expect_err(line).to_string();
    assert!(error.starts_with(&format!("bwld.toml, line {number}: ")), "{line} is refused with its line: {error}");
    error
}

#[test]
fn the_example_is_what_the_program_prints() {
    assert_eq!(EXAMPLE, bwld::cmd::config::example(), "run `bwld config example > deploy/bwld.example.toml`");
}

#[test]
fn the_example_holds_every_key_at_its_default() {
    let example = Loaded::from_text(EXAMPLE, Path::new("bwld.toml")).expect("valid");
    for (key, ((value, source), (default, _))) in KEYS.iter().zip(example.values().iter().zip(Loaded::defaults().values())) {
        assert_eq!(value, default, "{}", key.path());
        assert!(matches!(source, Source::File(_)), "{} is missing", key.path());
    }
    let lines = EXAMPLE.lines().filter(|l| !l.starts_with('#') && l.contains(" = ")).count();
    assert_eq!(lines, KEYS.len(), "no key twice");
}

#[test]
fn every_misspelled_key_is_refused() {
    for key in KEYS {
        let value = (key.default)();
        let mut letters: Vec<char> = key.name.chars().collect();
        letters.swap(0, 1);
        let swapped: String = letters.into_iter().collect();
        for name in [format!("{}x", key.name), key.name[1..].to_owned(), swapped, key.name.to_uppercase()] {
            let error = refused(key, &format!("{name} = {value}"));
            assert!(error.contains("unknown key"), "{error}");
        }
        let error = refused(key, &format!("{}x = {value}", key.name));
        assert!(error.contains(&format!("did you mean \"{}\"?", key.name)), "{error}");
    }
}

#[test]
fn every_misspelled_section_is_refused() {
    for (section, _) in SECTIONS {
        let text = EXAMPLE.replace(&format!("\n[{section}]\n"), &format!("\n[{section}z]\n"));
        let error = Loaded::from_text(&text, Path::new("bwld.toml")).map(|_| ()).expect_err(section).to_string();
        assert!(error.contains("unknown section") && error.contains(&format!("did you mean \"{section}\"?")), "{error}");
    }
}

#[test]
fn every_wrong_type_is_refused() {
    for key in KEYS {
        let wrong: &[&str] = match key.kind {
            Kind::Bool => &["1", "\"true\"", "[]", "1.0"],
            Kind::Integer(..) => &["\"1\"", "true", "[1]", "1.5", "1979-05-27"],
            Kind::Choice(_) | Kind::Text(_) => &["1", "true", "[\"a\"]", "{a = 1}"],
            Kind::Texts(_) => &["\"a\"", "1", "[1]", "[[\"a\"]]", "true"],
        };
        for value in wrong {
            let error = refused(key, &format!("{} = {value}", key.name));
            assert!(error.contains(&key.path()) && error.contains("wrong type"), "{error}");
        }
    }
}

#[test]
fn every_value_out_of_range_is_refused() {
    for key in KEYS {
        let outside = match key.kind {
            // Two values, no others: nothing to be out of range.
            Kind::Bool => Vec::new(),
            Kind::Integer(low, high) => {
                let mut values = vec![(high + 1).to_string(), "-1".to_owned(), u64::MAX.to_string(), format!("{}0", i64::MAX)];
                values.extend(low.checked_sub(1).map(|n| n.to_string()));
                values
            }
            Kind::Choice(_) => vec!["\"\"".to_owned(), "\"sideways\"".to_owned()],
            Kind::Text(_) => vec![format!("\"{}\"", "x".repeat(5_000)), "\"a\\nb\"".to_owned()],
            Kind::Texts(_) => vec![format!("[\"{}\"]", "x".repeat(5_000)), format!("[{}]", "\"a\",".repeat(300))],
        };
        for value in outside {
            let error = refused(key, &format!("{} = {value}", key.name));
            assert!(error.contains(&key.path()), "{error}");
        }
    }
}

#[test]
fn values_with_a_form_of_their_own_are_held_to_it() {
    let by_path = |path: &str| KEYS.iter().find(|k| k.path() == path).expect("a key");
    for (path, value) in [
        ("serve.data", "\"\""),
        ("serve.listen", "\"localhost\""),
        ("serve.listen", "\"127.0.0.1:99999\""),
        ("serve.origin", "\"Lists.Example\""),
        ("follow.urls", "[\"ftp://a.example\"]"),
        ("follow.urls", "[\"a.example\"]"),
        ("follow.trust", "\"sha256:00\""),
        ("follow.lists", "[\"Adult\"]"),
        ("follow.lists", "[\"adult=\"]"),
        ("client.server", "\"127.0.0.1:7080\""),
    ] {
        let key = by_path(path);
        let error = refused(key, &format!("{} = {value}", key.name));
        assert!(error.contains(path), "{error}");
    }
}
