//! Kinds of values a key can hold, each with its bounds: type and range are checked here and nowhere else.

use crate::list::{Digest, ListId, Origin, canonical_cidr};

/// Longest text value, in octets.
const MAX_TEXT: usize = 4_096;
/// Most elements of an array.
const MAX_TEXTS: usize = 256;

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second, both included.
    Integer(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text that the function accepts.
    Text(fn(&str) -> Result<(), String>),
    /// An array of such texts.
    Texts(fn(&str) -> Result<(), String>),
}

/// A checked value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`].
    Integer(u64),
    /// Of [`Kind::Choice`] and [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Texts`].
    Texts(Vec<String>),
}

impl Kind {
    /// What may be written, in words.
    pub fn expects(&self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Kind::Choice(words) => words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "),
            Kind::Text(_) => "a text in quotes".into(),
            Kind::Texts(_) => "an array of texts, [\"like\", \"this\"]".into(),
        }
    }

    /// Checks a value that has been read.
    ///
    /// # Errors
    /// What is wrong and what is allowed, in words.
    pub fn check(&self, value: Value) -> Result<Value, String> {
        match (self, &value) {
            (Kind::Bool, Value::Bool(_)) => {}
            (Kind::Integer(low, high), Value::Integer(n)) if low <= n && n <= high => {}
            (Kind::Integer(..), Value::Integer(n)) => return Err(format!("{n} is out of range; expected {}", self.expects())),
            (Kind::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => {}
            (Kind::Choice(_), Value::Text(text)) => return Err(format!("\"{}\" is not allowed; expected {}", short(text), self.expects())),
            (Kind::Text(valid), Value::Text(text)) => check_text(text, *valid)?,
            (Kind::Texts(valid), Value::Texts(texts)) => {
                if texts.len() > MAX_TEXTS {
                    return Err(format!("{} elements; at most {MAX_TEXTS} are allowed", texts.len()));
                }
                texts.iter().try_for_each(|text| check_text(text, *valid))?;
            }
            _ => return Err(format!("wrong type; expected {}", self.expects())),
        }
        Ok(value)
    }

    /// Reads a value from an environment variable or an option: plain text, arrays as a TOML array or joined by commas.
    ///
    /// # Errors
    /// As [`Kind::check`].
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let wrong = || format!("\"{}\" is not allowed; expected {}", short(text), self.expects());
        let value = match self {
            Kind::Bool => Value::Bool(text.parse().map_err(|_| wrong())?),
            Kind::Integer(..) => Value::Integer(text.parse().map_err(|_| wrong())?),
            Kind::Choice(_) | Kind::Text(_) => Value::Text(text.to_owned()),
            Kind::Texts(_) if text.trim_start().starts_with('[') => {
                let table: toml::Table = toml::from_str(&format!("v = {text}")).map_err(|_| wrong())?;
                let array = table.get("v").and_then(toml::Value::as_array).ok_or_else(wrong)?;
                Value::Texts(array.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>()?)
            }
            Kind::Texts(_) => Value::Texts(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()),
        };
        self.check(value)
    }
}

impl std::fmt::Display for Value {
    /// As TOML.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(b) => b.fmt(f),
            Value::Integer(n) => n.fmt(f),
            Value::Text(t) => toml::Value::String(t.clone()).fmt(f),
            Value::Texts(ts) => toml::Value::from(ts.clone()).fmt(f),
        }
    }
}

impl Value {
    /// For `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Bool(b) => (*b).into(),
            Value::Integer(n) => (*n).into(),
            Value::Text(t) => t.clone().into(),
            Value::Texts(ts) => ts.clone().into(),
        }
    }
}

fn check_text(text: &str, valid: fn(&str) -> Result<(), String>) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("longer than {MAX_TEXT} octets"));
    }
    if text.contains(['\0', '\n', '\r']) {
        return Err("holds a line break or a zero octet".into());
    }
    valid(text)
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Any text that is not empty.
pub fn some(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("empty; leave the key out for its default".into()) } else { Ok(()) }
}

/// Any text, also none.
pub fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// ADDRESS:PORT.
pub fn address(text: &str) -> Result<(), String> {
    match text.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("\"{}\" is not an address; expected IP:PORT as in 127.0.0.1:7080 or [::1]:7080", short(text))),
    }
}

/// The publisher's name.
pub fn origin(text: &str) -> Result<(), String> {
    text.parse::<Origin>().map(|_| ()).map_err(|e| e.to_string())
}

/// An address, or a network that is not everybody: at least 8 bits of IPv4, 16 of IPv6.
pub fn network(text: &str) -> Result<(), String> {
    canonical_cidr(text).map(|_| ()).map_err(|e| e.to_string())
}

/// An `http://` or `https://` address.
pub fn url(text: &str) -> Result<(), String> {
    match url::Url::parse(text) {
        Ok(u) if matches!(u.scheme(), "http" | "https") && u.host().is_some() && u.query().is_none() && u.fragment().is_none() => Ok(()),
        _ => Err(format!("\"{}\" is not an address; expected http://HOST[:PORT] or https://HOST[:PORT]", short(text))),
    }
}

/// A key set's fingerprint, or empty for none.
pub fn fingerprint(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { text.parse::<Digest>().map(|_| ()).map_err(|e| format!("{e}; `bwld keys fingerprint` prints it")) }
}

/// `LIST` or `LIST=FILE`.
pub fn list_choice(text: &str) -> Result<(), String> {
    let (list, file) = text.split_once('=').map_or((text, None), |(l, f)| (l, Some(f)));
    list.parse::<ListId>().map_err(|e| e.to_string())?;
    if file == Some("") { Err(format!("\"{}\": no file behind \"=\"", short(text))) } else { Ok(()) }
}

/// A `tracing` level.
pub const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_types_are_held() {
        let kind = Kind::Integer(1, 9);
        assert_eq!(kind.read("9"), Ok(Value::Integer(9)));
        assert!(kind.read("10").is_err_and(|e| e.contains("1 to 9")));
        assert!(kind.read("-1").is_err());
        assert!(kind.check(Value::Text("1".into())).is_err_and(|e| e.contains("wrong type")));
        assert!(Kind::Choice(&["a", "b"]).read("c").is_err_and(|e| e.contains("\"a\" or \"b\"")));
        assert!(Kind::Text(any).read("a\nb").is_err());
        assert!(Kind::Text(any).read(&"x".repeat(5_000)).is_err());
    }

    #[test]
    fn arrays_are_read_with_commas_or_as_toml() {
        let kind = Kind::Texts(any);
        assert_eq!(kind.read("a, b"), Ok(Value::Texts(vec!["a".into(), "b".into()])));
        assert_eq!(kind.read(r#"["a,b"]"#), Ok(Value::Texts(vec!["a,b".into()])));
        assert_eq!(kind.read(""), Ok(Value::Texts(vec![])));
        assert!(kind.read("[1]").is_err());
    }

    #[test]
    fn special_texts() {
        assert!(address("127.0.0.1:0").is_ok() && address("localhost:1").is_err());
        assert!(url("http://a.example:1").is_ok() && url("ftp://a.example").is_err() && url("a.example").is_err());
        assert!(
            list_choice("adult").is_ok() && list_choice("adult=/x").is_ok() && list_choice("adult=").is_err() && list_choice("A").is_err()
        );
        assert!(fingerprint("").is_ok() && fingerprint("sha256:12").is_err());
    }
}
