//! Reads a TOML file and the environment into checked values, each with the place it came from.

use std::path::Path;

use toml::de::{DeString, DeTable, DeValue};

use super::{ConfigError, KEYS, Key, OutputSection, SECTIONS, Source, Value, outputs, suggest::nearest};

/// Largest configuration file, in octets.
const MAX_FILE: u64 = 1 << 20;

/// A value that was set: index into [`KEYS`], the value, and where it was set.
pub(super) type Setting = (usize, Value, Source);

/// What a file says: settings, and the files for filters.
pub(super) type Said = (Vec<Setting>, Vec<OutputSection>);

/// The text of the file at `path`.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read as _;
    let fail = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(fail)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX_FILE {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_FILE });
    }
    Ok(text)
}

/// Reads the text of a file; `path` is for messages.
pub(super) fn read_text(text: &str, path: &Path) -> Result<Said, ConfigError> {
    let line_of = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count();
    let place_of = |at: usize| format!("{}, line {}", path.display(), line_of(at));
    let table = DeTable::parse(text)
        .map_err(|e| ConfigError::Syntax { place: place_of(e.span().map_or(0, |s| s.start)), reason: e.message().replace('\n', ", ") })?;
    let mut settings = Vec::new();
    let mut sections = Vec::new();
    for (section, content) in table.get_ref() {
        let place = place_of(section.span().start);
        let section = section.get_ref().as_ref();
        if section == "output" {
            sections = outputs::read(content.get_ref(), place, &place_of)?;
            continue;
        }
        if !SECTIONS.iter().any(|(name, _)| *name == section) {
            return Err(unknown_section(section, place));
        }
        let DeValue::Table(keys) = content.get_ref() else {
            let reason = format!("is a section; write [{section}] on a line of its own");
            return Err(ConfigError::Value { place, key: section.to_owned(), reason });
        };
        for (name, value) in keys {
            if section == "dns" && super::dns::NAMES.contains(&name.get_ref().as_ref()) {
                continue;
            }
            let (index, value, place) = checked(KEYS, section, name, value, &place_of)?;
            settings.push((index, value, Source::File(place)));
        }
    }
    Ok((settings, sections))
}

/// A key by its name in a table of keys: its place there, its checked value, and where that stands.
pub(super) fn checked(
    keys: &'static [Key],
    section: &str,
    name: &toml::Spanned<DeString<'_>>,
    value: &toml::Spanned<DeValue<'_>>,
    place_of: &dyn Fn(usize) -> String,
) -> Result<(usize, Value, String), ConfigError> {
    let place = place_of(name.span().start);
    let name = name.get_ref().as_ref();
    let named = |k: &Key| k.section == section && k.name == name;
    let index = keys.iter().position(named).ok_or_else(|| unknown_key(section, name, keys, place.clone()))?;
    let key = &keys[index];
    let place = if value.span().is_empty() { place } else { place_of(value.span().start) };
    let wrong = |reason| ConfigError::Value { place: place.clone(), key: key.path(), reason };
    let value = plain(value.get_ref(), key).and_then(|v| key.kind.check(v)).map_err(wrong)?;
    Ok((index, value, place))
}

/// Reads variables: `BWLD_SECTION_KEY`, and three short names.
pub(super) fn read_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Vec<Setting>, ConfigError> {
    const SHORT: [(&str, &str); 3] =
        [("BWLD_DATA", "BWLD_SERVE_DATA"), ("BWLD_SERVER", "BWLD_CLIENT_SERVER"), ("BWLD_TOKEN_FILE", "BWLD_CLIENT_TOKEN_FILE")];
    let mut settings = Vec::new();
    for (variable, text) in variables {
        let long = SHORT.iter().find(|(short, _)| *short == variable).map_or(variable.as_str(), |(_, long)| long);
        let Some(rest) = long.strip_prefix("BWLD_") else { continue };
        let section = SECTIONS.iter().map(|(name, _)| *name).find(|name| {
            rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) && rest.as_bytes().get(name.len()) == Some(&b'_')
        });
        let Some(section) = section else { continue };
        let name = rest[section.len() + 1..].to_ascii_lowercase();
        let index = KEYS
            .iter()
            .position(|k| k.section == section && k.name == name)
            .ok_or_else(|| unknown_key(section, &name, KEYS, format!("environment variable {variable}")))?;
        let key = &KEYS[index];
        let value = key.kind.read(&text).map_err(|reason| ConfigError::Value {
            place: format!("environment variable {variable}"),
            key: key.path(),
            reason,
        })?;
        settings.push((index, value, Source::Environment(variable)));
    }
    // The short names give way to the long ones, whatever the order of the environment.
    settings.sort_by_key(|(_, _, source)| !matches!(source, Source::Environment(v) if SHORT.iter().any(|(s, _)| s == v)));
    Ok(settings)
}

fn plain(value: &DeValue<'_>, key: &Key) -> Result<Value, String> {
    let wrong = || format!("wrong type ({}); expected {}", value.type_str(), key.kind.expects());
    match value {
        DeValue::Boolean(b) => Ok(Value::Bool(*b)),
        DeValue::String(s) => Ok(Value::Text(s.to_string())),
        DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix())
            .map(Value::Integer)
            .map_err(|_| format!("{n} is out of range; expected {}", key.kind.expects())),
        DeValue::Array(array) => {
            let texts = array.iter().map(|v| v.get_ref().as_str().map(str::to_owned).ok_or_else(wrong));
            Ok(Value::Texts(texts.collect::<Result<_, _>>()?))
        }
        _ => Err(wrong()),
    }
}

fn unknown_section(name: &str, place: String) -> ConfigError {
    // A key written outside its section is the likeliest slip when a key has that very name.
    let suggestion = KEYS
        .iter()
        .find(|k| k.name == name)
        .map(|k| format!("{}\" under \"[{}]", k.name, k.section))
        .or_else(|| nearest(name, SECTIONS.iter().map(|(s, _)| *s)).map(str::to_owned));
    ConfigError::Unknown { place, what: "section", name: cut(name), suggestion }
}

fn unknown_key(section: &str, name: &str, keys: &[Key], place: String) -> ConfigError {
    let near = nearest(name, keys.iter().filter(|k| k.section == section).map(|k| k.name)).map(str::to_owned);
    let suggestion = near.or_else(|| KEYS.iter().find(|k| k.name == name).map(|k| format!("{}\" under \"[{}]", k.name, k.section)));
    ConfigError::Unknown { place, what: "key", name: format!("{section}.{}", cut(name)), suggestion }
}

fn cut(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read_text(text, Path::new("x.toml")).expect_err("a refusal").to_string()
    }

    #[test]
    fn unknown_names_are_refused_with_line_and_suggestion() {
        let error = refused("[serve]\n\nlistn = \"127.0.0.1:1\"\n");
        assert_eq!(error, "x.toml, line 3: unknown key \"serve.listn\"; did you mean \"listen\"?");
        let error = refused("[publishr]\n");
        assert_eq!(error, "x.toml, line 1: unknown section \"publishr\"; did you mean \"publisher\"?");
        assert!(refused("listen = 1\n").contains("\"listen\" under \"[serve]\""));
        assert!(refused("[serve]\nlevel = \"info\"\n").contains("under \"[log]\""));
        assert!(refused("[serve]\nzzzzzzzzzzzzzzzz = 1\n").contains("bwld config show"));
    }

    #[test]
    fn wrong_values_are_refused_with_line() {
        assert!(refused("[serve]\nworkers = \"2\"\n").starts_with("x.toml, line 2: serve.workers: wrong type"));
        assert!(refused("[serve]\nworkers = 0\n").contains("from 1 to 64"));
        assert!(refused("[serve]\nworkers = -1\n").contains("from 1 to 64"));
        assert!(refused("[serve]\nworkers = 1.5\n").contains("float"));
        assert!(refused("[follow]\nlists = [1]\n").contains("wrong type"));
        assert!(refused("serve = 3\n").contains("is a section"));
        assert!(refused("[serve]\nworkers = \n").starts_with("x.toml, line 2: not TOML"));
        assert!(refused("[serve]\nworkers = 1\nworkers = 2\n").contains("line 3"));
    }

    #[test]
    fn the_environment_overrides_and_is_checked() {
        let vars = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter();
        let settings = read_environment(vars(&[("BWLD_SERVE_DATA", "long"), ("BWLD_DATA", "short"), ("HOME", "/")])).expect("valid");
        assert_eq!(settings.last().map(|s| &s.1), Some(&Value::Text("long".into())));
        let error = read_environment(vars(&[("BWLD_LOG_LEVLE", "x")])).expect_err("misspelled").to_string();
        assert!(error.contains("BWLD_LOG_LEVLE") && error.contains("\"level\""), "{error}");
        assert!(read_environment(vars(&[("BWLD_SERVE_WORKERS", "many")])).is_err());
    }
}
