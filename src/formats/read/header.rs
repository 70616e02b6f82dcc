//! The header block of a file in `lists/`.

use std::{
    collections::BTreeMap,
    io::{self, BufRead},
};

use crate::list::{Code, Colour, ListId, quoted};

use super::lines::{Line, Lines};

/// The keys, in the order in which people write them.
const KEYS: [&str; 8] = ["id", "colour", "title", "categories", "owner", "licence", "source", "review"];
const MAX_LINE: usize = 1_024;
const MAX_LINES: u64 = 64;

/// The header block of a file in `lists/`: `# key: value` lines at its beginning, up to the first line that is not a
/// comment or is a bare `#`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header(pub BTreeMap<String, String>);

impl Header {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// [`HeaderError::Missing`].
    pub fn require(&self, key: &'static str) -> Result<&str, HeaderError> {
        self.get(key).ok_or(HeaderError::Missing { key })
    }

    /// The list's name.
    ///
    /// # Errors
    /// [`HeaderError::Missing`], or [`HeaderError::Value`] for a header made by hand.
    pub fn id(&self) -> Result<ListId, HeaderError> {
        parsed("id", self.require("id")?)
    }

    /// The list's colour.
    ///
    /// # Errors
    /// As [`Header::id`].
    pub fn colour(&self) -> Result<Colour, HeaderError> {
        parsed("colour", self.require("colour")?)
    }

    /// The categories its entries may carry; empty if the header has none.
    ///
    /// # Errors
    /// [`HeaderError::Value`] for a header made by hand.
    pub fn categories(&self) -> Result<Vec<Code>, HeaderError> {
        codes(self.get("categories").unwrap_or_default()).map(|code| parsed("categories", code)).collect()
    }
}

/// Why a header block was refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The input could not be read.
    #[error("reading the file failed: {0}; try again or take another copy")]
    Io(#[from] io::Error),
    /// A line that is not `# key: value`.
    #[error("line {line}: not a header line; write \"# key: value\", or end the header with an empty line")]
    Line {
        /// Line, from 1.
        line: u64,
    },
    /// A key that is not in the table.
    #[error("line {line}: \"{key}\" is not a header key; write one of id, colour, title, categories, owner, licence, source, review")]
    Key {
        /// Line, from 1.
        line: u64,
        /// The key, escaped and cut.
        key: String,
    },
    /// A key twice.
    #[error("line {line}: \"{key}\" is there twice; write it once")]
    Twice {
        /// Line, from 1.
        line: u64,
        /// The key.
        key: &'static str,
    },
    /// A value that is empty or that the key cannot have.
    #[error("line {line}: {key}: {reason}")]
    Value {
        /// Line, from 1; 0 if the header does not come from a file.
        line: u64,
        /// The key.
        key: &'static str,
        /// What is wrong and what to write.
        reason: String,
    },
    /// A key that must be there is not.
    #[error("the header has no \"{key}\"; write \"# {key}: ...\" at the beginning of the file")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// More than 64 lines.
    #[error("the header block is longer than 64 lines; end it with an empty line")]
    TooLong,
}

/// Reads the header block at the top of `input`; stops at the first line that is no `#` comment, or a bare `#`. A file
/// without a header gives an empty one.
///
/// # Errors
/// [`HeaderError`] names line and key.
pub fn header(input: impl BufRead) -> Result<Header, HeaderError> {
    let mut lines = Lines::new(input, MAX_LINE, false);
    let mut header = Header::default();
    while let Some((line, text)) = lines.next()? {
        let Line::Text(text) = text else { return Err(HeaderError::Line { line }) };
        let text = text.trim_start_matches('\u{feff}').trim();
        let Some(text) = text.strip_prefix('#').map(str::trim).filter(|text| !text.is_empty()) else { break };
        if line > MAX_LINES {
            return Err(HeaderError::TooLong);
        }
        let (key, value) = text.split_once(':').ok_or(HeaderError::Line { line })?;
        let (key, value) = (key.trim(), value.trim());
        let key = *KEYS.iter().find(|k| **k == key).ok_or_else(|| HeaderError::Key { line, key: quoted(key) })?;
        check(key, value).map_err(|reason| HeaderError::Value { line, key, reason })?;
        if header.0.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(HeaderError::Twice { line, key });
        }
    }
    Ok(header)
}

/// What a value must be, by its key.
fn check(key: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("the value is empty; write one or leave the line out".to_owned());
    }
    match key {
        "id" => value.parse::<ListId>().map(drop).map_err(|e| e.to_string()),
        "colour" => value.parse::<Colour>().map(drop).map_err(|e| e.to_string()),
        "categories" => codes(value).try_for_each(|code| code.parse::<Code>().map(drop).map_err(|e| e.to_string())),
        _ => Ok(()),
    }
}

fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|code| !code.is_empty())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(key: &'static str, text: &str) -> Result<T, HeaderError> {
    text.parse().map_err(|error: T::Err| HeaderError::Value { line: 0, key, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}# id: adult\r\n# colour: black\n#title:  Adult sites: all of them\n# categories: adult, dating\n# owner: O\n\
                        # licence: CC0-1.0\n# source: s\n# review: yearly\n#\n# free text, no key\ndomain:a.example\n";

    #[test]
    fn a_full_header() {
        let header = header(TEXT.as_bytes()).expect("a header");
        assert_eq!(header.0.len(), KEYS.len());
        assert_eq!(header.id().expect("id").as_str(), "adult");
        assert_eq!(header.colour().expect("colour"), Colour::Black);
        assert_eq!(header.require("title").expect("title"), "Adult sites: all of them");
        assert_eq!(header.categories().expect("categories").len(), 2);
    }

    #[test]
    fn mistakes_are_named_by_line_and_key() {
        for (text, message) in [
            ("# id: a\n# color: black\n", "line 2: \"color\" is not a header key"),
            ("# id: A\n", "line 1: id: \"A\" is not a list name"),
            ("# id: a\n# id: b\n", "line 2: \"id\" is there twice"),
            ("# colour: red\n", "line 1: colour: \"red\" is not a colour"),
            ("# categories: a, B\n", "line 1: categories: \"B\" is not a code"),
            ("# title:\n", "line 1: title: the value is empty"),
            ("# id: a\n# just words\n", "line 2: not a header line"),
        ] {
            let error = header(text.as_bytes()).expect_err(text).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let none = header(&b"domain:a.example\n"[..]).expect("an empty header");
        assert!(matches!(none.id(), Err(HeaderError::Missing { key: "id" })));
        let endless = "# \n".to_owned() + &"# source: x\n".repeat(100);
        assert!(header(endless.as_bytes()).expect("ends at the bare mark").0.is_empty());
    }
}
