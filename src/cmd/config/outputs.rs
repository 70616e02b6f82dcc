//! The sections `[[output]]`: files for filters, as many as there are. They stand in the file only; neither the environment nor
//! the command line sets them.

use toml::de::DeValue;

use crate::formats::write::ExportFormat;
use crate::list::{Code, ListId};

use super::kinds::{any, some};
use super::{ConfigError, Key, Kind, Value, file};

/// Most outputs.
const MOST: usize = 64;

/// `haproxy-socket` and `nft` are given to the running program, too.
pub const LIVE: [(&str, &str); 2] = [("haproxy-socket", "haproxy"), ("nft", "nftables")];

fn format(text: &str) -> Result<(), String> {
    if LIVE.iter().any(|(name, _)| *name == text) {
        return Ok(());
    }
    text.parse::<ExportFormat>().map(|_| ()).map_err(|e| format!("{e}, haproxy-socket, nft"))
}

fn list(text: &str) -> Result<(), String> {
    text.parse::<ListId>().map(|_| ()).map_err(|e| e.to_string())
}

fn code(text: &str) -> Result<(), String> {
    text.parse::<Code>().map(|_| ()).map_err(|e| e.to_string())
}

fn none() -> Value {
    Value::Text(String::new())
}

fn nothing() -> Value {
    Value::Texts(Vec::new())
}

const fn key(name: &'static str, docs: &'static [&'static str], kind: Kind, default: fn() -> Value) -> Key {
    Key { section: "output", name, docs, kind, default }
}

/// The keys of an output.
pub const OUTPUT_KEYS: &[Key] = &[
    key(
        "format",
        &[" The format: docs/FILTERS.md lists them; also haproxy-socket and nft, which a running program takes in."],
        Kind::Text(format),
        none,
    ),
    key("file", &[" The file, replaced in one step when something in it changes, and only then."], Kind::Text(some), none),
    key("lists", &[" Lists of `follow.lists`. Empty: all of them."], Kind::Texts(list), nothing),
    key("categories", &[" Only entries of these categories, and those of none. Empty: all."], Kind::Texts(code), nothing),
    key("age", &[" Age of those who ask: entries for older people only are left away. 0: nobody's."], Kind::Integer(0, 120), || {
        Value::Integer(0)
    }),
    key(
        "limit",
        &[" Most rules of the format; what does not fit is left out and counted. 0: no limit."],
        Kind::Integer(0, 1_000_000_000),
        || Value::Integer(0),
    ),
    key("priority", &[" Which categories come first where not all fits."], Kind::Texts(code), nothing),
    key("name", &[" The name of the set or zone, where the format has one. Empty: the list's."], Kind::Text(any), none),
    key(
        "reload",
        &[" Program and arguments to run after the file was replaced. No shell is involved. Empty: none."],
        Kind::Texts(any),
        nothing,
    ),
    key("socket", &[" For haproxy-socket: HAProxy's runtime socket, of level admin."], Kind::Text(any), none),
    key("map", &[" For haproxy-socket: the map as HAProxy's configuration names it. Empty: as `file`."], Kind::Text(any), none),
];

/// One output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputSection {
    /// File and line of its beginning.
    pub place: String,
    /// Values in the order of [`OUTPUT_KEYS`].
    pub values: Vec<Value>,
}

impl OutputSection {
    fn value(&self, name: &str) -> &Value {
        let at = OUTPUT_KEYS.iter().position(|k| k.name == name).expect("callers name keys of the table");
        &self.values[at]
    }

    /// A text; empty: not set.
    pub fn text(&self, name: &str) -> &str {
        if let Value::Text(text) = self.value(name) { text } else { "" }
    }

    /// Texts; empty: not set.
    pub fn texts(&self, name: &str) -> &[String] {
        if let Value::Texts(texts) = self.value(name) { texts } else { &[] }
    }

    /// A number; `None`: 0, which means not set.
    pub fn number(&self, name: &str) -> Option<u64> {
        if let Value::Integer(n @ 1..) = self.value(name) { Some(*n) } else { None }
    }
}

/// Reads what stands under `output`. `place_of` says where an octet of the file is.
pub(super) fn read(content: &DeValue<'_>, place: String, place_of: &dyn Fn(usize) -> String) -> Result<Vec<OutputSection>, ConfigError> {
    let wrong = |place: &str, reason: String| ConfigError::Value { place: place.to_owned(), key: "output".to_owned(), reason };
    let DeValue::Array(all) = content else {
        return Err(wrong(&place, "is a section of which there may be several; write [[output]] on a line of its own".into()));
    };
    if all.len() > MOST {
        return Err(wrong(&place, format!("{} outputs; at most {MOST} are allowed", all.len())));
    }
    let mut sections = Vec::new();
    for one in all {
        let place = place_of(one.span().start);
        let DeValue::Table(keys) = one.get_ref() else {
            return Err(wrong(&place, "write [[output]] on a line of its own, and its keys below".into()));
        };
        let mut section = OutputSection { place: place.clone(), values: OUTPUT_KEYS.iter().map(|k| (k.default)()).collect() };
        for (name, value) in keys {
            let (at, value, _) = file::checked(OUTPUT_KEYS, "output", name, value, place_of)?;
            section.values[at] = value;
        }
        check(&section).map_err(|(key, reason)| ConfigError::Value { place, key: format!("output.{key}"), reason })?;
        sections.push(section);
    }
    Ok(sections)
}

/// What the keys of one output say together.
fn check(section: &OutputSection) -> Result<(), (&'static str, String)> {
    for key in ["format", "file"] {
        if section.text(key).is_empty() {
            return Err((key, "is missing; every output has a format and a file".into()));
        }
    }
    let format = section.text("format");
    let socket = !section.text("socket").is_empty();
    match format {
        "haproxy-socket" if !socket => Err(("socket", "is missing; name HAProxy's runtime socket".into())),
        "haproxy-socket" | "nft" if !section.texts("reload").is_empty() => {
            Err(("reload", format!("{format} is taken in by the running program; leave reload out")))
        }
        "haproxy-socket" => Ok(()),
        _ if socket => Err(("socket", "is only for the format haproxy-socket".into())),
        _ if !section.text("map").is_empty() => Err(("map", "is only for the format haproxy-socket".into())),
        _ => Ok(()),
    }
}

/// The outputs as TOML.
pub(super) fn in_force(sections: &[OutputSection]) -> String {
    let mut text = String::new();
    for section in sections {
        text.push_str(&format!("\n[[output]] # {}\n", section.place));
        for (key, value) in OUTPUT_KEYS.iter().zip(&section.values).filter(|(key, value)| **value != (key.default)()) {
            text.push_str(&format!("{} = {value}\n", key.name));
        }
    }
    text
}

/// The same for scripts.
pub(super) fn in_force_json(sections: &[OutputSection]) -> serde_json::Value {
    let of = |section: &OutputSection| {
        let mut all: serde_json::Map<_, _> =
            OUTPUT_KEYS.iter().zip(&section.values).map(|(key, value)| (key.name.to_owned(), value.to_json())).collect();
        all.insert("source".into(), section.place.clone().into());
        serde_json::Value::from(all)
    };
    sections.iter().map(of).collect::<Vec<_>>().into()
}

/// The part of the example that shows an output, in comments: there is none by default.
pub(super) fn example() -> String {
    let mut text = String::from(
        "\n# Files for filters, in the formats that they read (docs/FILTERS.md). As many sections as there are files; each key is as\n\
         # here when it is left out, but for format and file. They stand in this file only, not in the environment.\n# [[output]]\n",
    );
    for key in OUTPUT_KEYS {
        text.push_str("#\n");
        for line in key.docs {
            text.push_str(&format!("#{line}\n"));
        }
        let value = match key.name {
            "format" => Value::Text("squid-domains".into()),
            "file" => Value::Text("/etc/squid/blocked.txt".into()),
            _ => (key.default)(),
        };
        text.push_str(&format!("# {} = {value}\n", key.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Loaded;

    fn loaded(text: &str) -> Result<Loaded, String> {
        Loaded::from_text(text, Path::new("x.toml")).map_err(|e| e.to_string())
    }

    const ONE: &str = "[[output]]\nformat = \"hosts\"\nfile = \"/x\"\n";

    #[test]
    fn outputs_are_read_and_shown_and_read_again() {
        let text =
            format!("[log]\nlevel = \"warn\"\n{ONE}\n[[output]]\nformat = \"nft\"\nfile = \"y\"\ncategories = [\"adult\"]\nlimit = 9\n");
        let config = loaded(&text).unwrap();
        let shown = loaded(&super::super::in_force(&config)).unwrap();
        for outputs in [&config.outputs, &shown.outputs] {
            assert_eq!(outputs.len(), 2);
            assert_eq!((outputs[0].text("format"), outputs[0].texts("reload"), outputs[0].number("limit")), ("hosts", &[][..], None));
            assert_eq!((outputs[1].texts("categories").join(","), outputs[1].number("limit")), ("adult".to_owned(), Some(9)));
        }
        assert_eq!(config.outputs[1].place, "x.toml, line 7");
        let uncommented: String =
            super::example().lines().filter_map(|l| l.strip_prefix("# ")).filter(|l| l.contains(" = ")).map(|l| format!("{l}\n")).collect();
        assert_eq!(loaded(&format!("[[output]]\n{uncommented}")).unwrap().outputs.len(), 1, "{uncommented}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, said) in [
            ("[output]\nformat = \"hosts\"\n", "write [[output]]"),
            ("output = [1]\n", "write [[output]]"),
            ("[[output]]\nfile = \"/x\"\n", "x.toml, line 1: output.format: is missing"),
            ("[[output]]\nformat = \"hosts\"\n", "output.file: is missing"),
            ("[[output]]\nformat = \"hostz\"\nfile = \"/x\"\n", "x.toml, line 2: output.format: \"hostz\" is not a format"),
            ("[[output]]\nfromat = \"hosts\"\n", "did you mean \"format\"?"),
            (&format!("{ONE}limit = \"9\"\n"), "x.toml, line 4: output.limit: wrong type"),
            (&format!("{ONE}lists = [\"A\"]\n"), "output.lists"),
            (&format!("{ONE}socket = \"/s\"\n"), "only for the format haproxy-socket"),
            ("[[output]]\nformat = \"haproxy-socket\"\nfile = \"/x\"\n", "output.socket: is missing"),
            ("[[output]]\nformat = \"nft\"\nfile = \"/x\"\nreload = [\"x\"]\n", "leave reload out"),
        ] {
            let error = loaded(text).map(|_| ()).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
    }
}
