//! Names: origin, list, colour, serial, code (docs/PROTOCOL.md section 2).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a list name.
    #[error("\"{0}\" is not a list name; use 1 to 63 of a-z, 0-9 and -, not beginning with -")]
    List(String),
    /// Not an origin.
    #[error("\"{0}\" is not an origin; use a lower-case host name such as lists.example.org")]
    Origin(String),
    /// Not a category or reason code.
    #[error("\"{0}\" is not a code; use 1 to 32 of a-z, 0-9, . _ and -, beginning with a letter or digit")]
    Code(String),
    /// Not a colour.
    #[error("\"{0}\" is not a colour; it is black (block) or white (allow)")]
    Colour(String),
    /// Not a serial.
    #[error("\"{0}\" is not a serial; it is a whole number from 1 to 9223372036854775807")]
    Serial(String),
}

/// Cuts what a message quotes, so that an error about a 2 MiB name is not 2 MiB long.
pub(crate) fn quoted(text: &str) -> String {
    if text.chars().count() <= 80 {
        text.escape_debug().to_string()
    } else {
        format!("{}…", text.chars().take(80).collect::<String>().escape_debug())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&[u8]) -> bool = $valid;
                if valid(text.as_bytes()) { Ok($name(text.into())) } else { Err(IdError::$error(quoted(text))) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

name! {
    /// The name of a list within its origin: `[a-z0-9][a-z0-9-]{0,62}`.
    ListId, List, |b| {
        (1..=63).contains(&b.len()) && b[0] != b'-' && b.iter().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }
}

name! {
    /// The publisher's name: a lower-case host name of at most 253 octets.
    Origin, Origin, |b| {
        (1..=253).contains(&b.len())
            && b.split(|c| *c == b'.').all(|label| {
                (1..=63).contains(&label.len())
                    && label[0] != b'-'
                    && label[label.len() - 1] != b'-'
                    && label.iter().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            })
    }
}

name! {
    /// A category or reason code: `[a-z0-9][a-z0-9._-]{0,31}`.
    Code, Code, |b| {
        (1..=32).contains(&b.len())
            && b[0].is_ascii_alphanumeric()
            && b.iter().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    }
}

/// What a list is for: black blocks, white allows. Fixed for the life of a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Targets to block.
    Black,
    /// Targets to allow.
    White,
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Colour::Black => "black",
            Colour::White => "white",
        })
    }
}

impl FromStr for Colour {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "black" => Ok(Colour::Black),
            "white" => Ok(Colour::White),
            _ => Err(IdError::Colour(quoted(text))),
        }
    }
}

/// The number of a version: 1 to 2^63-1, +1 per version, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Serial(u64);

impl Serial {
    /// The first version of a list.
    pub const FIRST: Serial = Serial(1);

    /// The serial with this number, if it is one.
    pub const fn new(number: u64) -> Option<Serial> {
        if number >= 1 && number <= i64::MAX as u64 { Some(Serial(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The serial after this one; `None` after 2^63-1, which no publisher reaches.
    pub const fn next(self) -> Option<Serial> {
        Serial::new(self.0 + 1)
    }
}

impl TryFrom<u64> for Serial {
    type Error = IdError;
    fn try_from(number: u64) -> Result<Self, IdError> {
        Serial::new(number).ok_or_else(|| IdError::Serial(number.to_string()))
    }
}

impl From<Serial> for u64 {
    fn from(serial: Serial) -> u64 {
        serial.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Serial {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::Serial(quoted(text));
        // One encoding per value: no sign, no leading zero.
        if text.len() > 19 || text.starts_with('0') || !text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(error());
        }
        text.parse().ok().and_then(Serial::new).ok_or_else(error)
    }
}
