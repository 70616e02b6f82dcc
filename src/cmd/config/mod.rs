//! The configuration: one TOML file, the environment, the command line, defaults. Only `cmd` sees it; every component
//! gets its own small options.
//!
//! Guarantees: an unknown key, a wrong type or a value out of range never passes; each value in force knows where it
//! was set.

mod dns;
mod error;
mod file;
mod kinds;
mod outputs;
mod print;
mod suggest;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::store::Watched;

pub use dns::DnsSections;
pub use error::ConfigError;
pub use kinds::{Kind, Value};
pub use outputs::{LIVE, OUTPUT_KEYS, OutputSection};
pub use print::{example, in_force, in_force_json};
pub use table::{Client, Config, Dns, Follow, KEYS, Key, Log, Publisher, SECTIONS, Serve};

/// Where a value was set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nowhere.
    Default,
    /// In a file; with the line.
    File(String),
    /// By this environment variable.
    Environment(String),
    /// By this option.
    CommandLine(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(place) => f.write_str(place),
            Source::Environment(name) => write!(f, "${name}"),
            Source::CommandLine(option) => f.write_str(option),
        }
    }
}

/// Values in force with their sources, in the order of [`KEYS`].
#[derive(Clone, Debug)]
pub struct Loaded {
    file: Option<PathBuf>,
    /// The file as it was before it was read.
    watched: Watched,
    values: Vec<(Value, Source)>,
    dns: DnsSections,
    /// The files for filters.
    pub outputs: Vec<OutputSection>,
}

/// Option, key and text as given on the command line.
pub type Override = (&'static str, &'static str, String);

impl Loaded {
    /// Only defaults.
    pub fn defaults() -> Loaded {
        Loaded {
            file: None,
            watched: Watched::default(),
            values: KEYS.iter().map(|k| ((k.default)(), Source::Default)).collect(),
            dns: DnsSections::default(),
            outputs: Vec::new(),
        }
    }

    /// Reads one file over the defaults, without the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names file and line.
    pub fn from_file(path: &Path) -> Result<Loaded, ConfigError> {
        let watched = Watched::new([path]);
        let mut loaded = Loaded::from_text(&file::text_of(path)?, path)?;
        (loaded.file, loaded.watched) = (Some(path.to_owned()), watched);
        Ok(loaded)
    }

    /// Reads a text over the defaults; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] names file and line.
    pub fn from_text(text: &str, path: &Path) -> Result<Loaded, ConfigError> {
        let mut loaded = Loaded::defaults();
        loaded.put_file(file::read_text(text, path)?);
        loaded.dns = dns::read(text, path)?;
        Ok(loaded)
    }

    /// The file by the search order, then the environment, then `overrides`.
    ///
    /// # Errors
    /// [`ConfigError`] names the place.
    pub fn load(explicit: Option<&Path>, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        let mut loaded = match find(explicit) {
            Some(path) => Loaded::from_file(&path)?,
            None => Loaded::defaults(),
        };
        loaded.put(file::read_environment(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))?);
        for (option, path, text) in overrides {
            let index = KEYS.iter().position(|k| k.path() == *path).expect("options name keys of the table");
            let value = KEYS[index].kind.read(text).map_err(|reason| ConfigError::Value {
                place: format!("option {option}"),
                key: KEYS[index].path(),
                reason,
            })?;
            loaded.values[index] = (value, Source::CommandLine(option));
        }
        Ok(loaded)
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Sees what has changed in the file since before it was read.
    pub fn watched(&self) -> Watched {
        self.watched.clone()
    }

    /// Values with their sources in the order of [`KEYS`].
    pub fn values(&self) -> &[(Value, Source)] {
        &self.values
    }

    /// Zones, keys and the catalog of the DNS server.
    pub fn dns(&self) -> &DnsSections {
        &self.dns
    }

    /// Where the value of `section.key` was set.
    pub fn source(&self, path: &str) -> &Source {
        let index = KEYS.iter().position(|k| k.path() == path).expect("callers name keys of the table");
        &self.values[index].1
    }

    /// As typed structs.
    pub fn config(&self) -> Config {
        let mut config = Config::from_values(self.values.iter().map(|(value, _)| value.clone()));
        config.outputs.clone_from(&self.outputs);
        config
    }

    fn put_file(&mut self, (settings, outputs): file::Said) {
        self.put(settings);
        self.outputs = outputs;
    }

    fn put(&mut self, settings: Vec<file::Setting>) {
        for (index, value, source) in settings {
            self.values[index] = (value, source);
        }
    }
}

/// The file to read: named, in the environment, here, or for the whole machine.
fn find(explicit: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = explicit {
        return Some(path.to_owned());
    }
    if let Some(path) = std::env::var_os("BWLD_CONFIG").filter(|p| !p.is_empty()) {
        return Some(path.into());
    }
    ["./bwld.toml", "/etc/bwld/bwld.toml"].into_iter().map(PathBuf::from).find(|p| p.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_own_range() {
        for key in KEYS {
            let value = (key.default)();
            assert_eq!(key.kind.check(value.clone()), Ok(value), "{}", key.path());
            assert!(!key.docs.is_empty(), "{} says what it means", key.path());
        }
    }

    #[test]
    fn the_example_is_the_defaults() {
        let loaded = Loaded::from_text(&example(), Path::new("example")).expect("valid");
        for (key, ((value, source), (default, _))) in KEYS.iter().zip(loaded.values().iter().zip(Loaded::defaults().values())) {
            assert_eq!(value, default, "{}", key.path());
            assert!(matches!(source, Source::File(_)), "{} stands in the example", key.path());
        }
    }

    #[test]
    fn what_show_prints_can_be_read_again() {
        let loaded = Loaded::from_text("[log]\nlevel = \"warn\"\n", Path::new("x.toml")).expect("valid");
        let text = in_force(&loaded);
        assert!(text.contains("level = \"warn\"") && text.contains("# x.toml, line 2"), "{text}");
        let again = Loaded::from_text(&text, Path::new("again")).expect("valid");
        assert!(again.values().iter().zip(loaded.values()).all(|(a, b)| a.0 == b.0));
    }
}
