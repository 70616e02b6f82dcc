//! The configuration as text: what is in force, and the commented example.

use std::fmt::Write as _;

use super::{KEYS, Kind, Loaded, SECTIONS, outputs};

/// All that is in force as TOML, each value with its source behind it.
pub fn in_force(loaded: &Loaded) -> String {
    let mut text = String::new();
    for (section, _) in SECTIONS {
        let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
        for (key, (value, source)) in KEYS.iter().zip(loaded.values()).filter(|(k, _)| k.section == *section) {
            let _ = writeln!(text, "{:<48} # {source}", format!("{} = {value}", key.name));
        }
    }
    let more = loaded.dns().to_toml();
    if !more.is_empty() {
        let _ = write!(text, "\n{more}");
    }
    text.push_str(&outputs::in_force(&loaded.outputs));
    text
}

/// The same for scripts: `section.key` to value and source.
pub fn in_force_json(loaded: &Loaded) -> serde_json::Value {
    let entry =
        |(value, source): &(super::Value, super::Source)| serde_json::json!({"value": value.to_json(), "source": source.to_string()});
    let mut all: serde_json::Map<_, _> = KEYS.iter().zip(loaded.values()).map(|(key, both)| (key.path(), entry(both))).collect();
    if !loaded.outputs.is_empty() {
        all.insert("output".into(), outputs::in_force_json(&loaded.outputs));
    }
    all.into()
}

/// The example configuration: every key with meaning, range and default.
pub fn example() -> String {
    let mut text = String::from(EXAMPLE_HEAD);
    for (section, docs) in SECTIONS {
        let _ = writeln!(text);
        for line in *docs {
            let _ = writeln!(text, "#{line}");
        }
        let _ = writeln!(text, "[{section}]");
        for key in KEYS.iter().filter(|k| k.section == *section) {
            let _ = writeln!(text);
            for line in key.docs {
                let _ = writeln!(text, "#{line}");
            }
            let range = match key.kind {
                Kind::Integer(low, high) => format!(" From {low} to {high}."),
                Kind::Choice(_) => format!(" {}.", key.kind.expects()),
                _ => String::new(),
            };
            let _ = writeln!(text, "#{range} Default: {}. Environment: {}.", (key.default)(), key.variable());
            let _ = writeln!(text, "{} = {}", key.name, (key.default)());
        }
    }
    text.push_str(&outputs::example());
    text
}

const EXAMPLE_HEAD: &str = "\
# Configuration of bwld. Every key is optional and stands here with its default, so this file as it is changes nothing.
# An unknown key, a wrong type and a value out of range are refused with the line.
#
# Searched in this order, the first one found is read: --config FILE, $BWLD_CONFIG, ./bwld.toml, /etc/bwld/bwld.toml.
# An environment variable overrides the file, an option on the command line overrides both.
# `bwld config check FILE` checks a file; `bwld config show` prints what is in force and from where;
# `bwld config example` prints this text.
";
