//! An entry: a rule and its attributes, one line (docs/PROTOCOL.md section 4).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Code, Date, EntryError, MAX_LINE, Rule, ids::quoted};

/// The rule of an entry line: the text up to the first TAB.
pub(crate) fn rule_of(line: &str) -> &str {
    match memchr::memchr(b'\t', line.as_bytes()) {
        Some(at) => &line[..at],
        None => line,
    }
}

/// What a filter is to do, where that differs from what the list's colour says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Block.
    Block,
    /// Show a warning that the user can pass.
    Warn,
    /// Only log.
    Log,
}

impl Action {
    /// The word in the line.
    pub const fn word(self) -> &'static str {
        match self {
            Action::Block => "block",
            Action::Warn => "warn",
            Action::Log => "log",
        }
    }
}

impl FromStr for Action {
    type Err = EntryError;
    fn from_str(text: &str) -> Result<Self, EntryError> {
        [Action::Block, Action::Warn, Action::Log]
            .into_iter()
            .find(|action| action.word() == text)
            .ok_or_else(|| value("act", text, "block, warn or log"))
    }
}

/// The attributes of an entry. Empty and `None` mean: not set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Attributes {
    /// Category codes; ascending and unique in the line, whatever the order here.
    pub categories: Vec<Code>,
    /// Public reference, `[A-Za-z0-9_-]{8,32}`.
    pub reference: Option<String>,
    /// Minimum age in years, 1 to 21.
    pub age: Option<u8>,
    /// What to do.
    pub action: Option<Action>,
    /// Reason code.
    pub reason: Option<Code>,
    /// When it is to leave the list.
    pub expires: Option<Date>,
}

const KEYS: [&str; 6] = ["cat", "ref", "age", "act", "rsn", "exp"];
const MAX_CATEGORIES: usize = 16;
const REFERENCE: &str = "8 to 32 of A-Z, a-z, 0-9, _ and -";
const AGE: &str = "a whole number of years from 1 to 21";

fn value(key: &'static str, text: &str, expected: &'static str) -> EntryError {
    EntryError::Value { key, value: quoted(text), expected }
}

impl Attributes {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Attributes::default()
    }

    /// Appends the attributes as they stand in an entry line, each behind a TAB; nothing if none is set.
    ///
    /// # Errors
    /// [`EntryError`] if one is out of range; `out` is then as it was.
    pub fn write(&self, out: &mut String) -> Result<(), EntryError> {
        self.check()?;
        let mut categories: Vec<&str> = self.categories.iter().map(Code::as_str).collect();
        categories.sort_unstable();
        categories.dedup();
        if categories.len() > MAX_CATEGORIES {
            return Err(EntryError::Categories(categories.len()));
        }
        let mut put = |key: &str, value: &str| {
            out.push('\t');
            out.push_str(key);
            out.push('=');
            out.push_str(value);
        };
        if !categories.is_empty() {
            put("cat", &categories.join(","));
        }
        if let Some(reference) = &self.reference {
            put("ref", reference);
        }
        if let Some(age) = self.age {
            put("age", &age.to_string());
        }
        if let Some(action) = self.action {
            put("act", action.word());
        }
        if let Some(reason) = &self.reason {
            put("rsn", reason.as_str());
        }
        if let Some(expires) = self.expires {
            put("exp", &expires.to_string());
        }
        Ok(())
    }

    /// Ranges of what the types leave open.
    fn check(&self) -> Result<(), EntryError> {
        if let Some(reference) = &self.reference {
            let plain = reference.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
            if !plain || !(8..=32).contains(&reference.len()) {
                return Err(value("ref", reference, REFERENCE));
            }
        }
        match self.age {
            Some(age) if !(1..=21).contains(&age) => Err(value("age", &age.to_string(), AGE)),
            _ => Ok(()),
        }
    }

    /// Reads the part of an entry line behind the rule, without its first TAB; strict, so that [`Attributes::write`]
    /// gives the same text again.
    ///
    /// # Errors
    /// [`EntryError`] if a key or a value is not in the table of section 4, or stands in the wrong order.
    pub fn parse(text: &str) -> Result<Attributes, EntryError> {
        let mut attributes = Attributes::default();
        let mut next = 0;
        for part in text.split('\t') {
            let (key, text) = part.split_once('=').ok_or_else(|| EntryError::Key(quoted(part)))?;
            let at = KEYS.iter().position(|k| *k == key).ok_or_else(|| EntryError::Key(quoted(key)))?;
            if at < next {
                return Err(EntryError::Order(quoted(key)));
            }
            next = at + 1;
            attributes.set(KEYS[at], text)?;
        }
        attributes.check()?;
        Ok(attributes)
    }

    fn set(&mut self, key: &'static str, text: &str) -> Result<(), EntryError> {
        const CODE: &str = "a code of a-z, 0-9, . _ and -, at most 32";
        match key {
            "cat" => {
                for code in text.split(',') {
                    let code = code.parse().map_err(|_| value("cat", text, "codes of a-z, 0-9, . _ and -, joined by commas"))?;
                    if self.categories.last().is_some_and(|before: &Code| *before >= code) {
                        return Err(EntryError::CategoryOrder(quoted(text)));
                    }
                    self.categories.push(code);
                }
                if self.categories.len() > MAX_CATEGORIES {
                    return Err(EntryError::Categories(self.categories.len()));
                }
            }
            "ref" => self.reference = Some(text.to_owned()),
            "age" => {
                let plain = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
                self.age = Some(text.parse().ok().filter(|_| plain).ok_or_else(|| value("age", text, AGE))?);
            }
            "act" => self.action = Some(text.parse()?),
            "rsn" => self.reason = Some(text.parse().map_err(|_| value("rsn", text, CODE))?),
            _ => self.expires = Some(text.parse().map_err(|_| value("exp", text, "a date, YYYY-MM-DD"))?),
        }
        Ok(())
    }
}

/// An entry as one canonical line without its LF, at most [`super::MAX_LINE`] octets. Ordered as lists are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry(Box<str>);

impl Entry {
    /// Makes an entry.
    ///
    /// # Errors
    /// [`EntryError`] if an attribute is out of range or the line would be too long.
    pub fn new(rule: &Rule, attributes: &Attributes) -> Result<Entry, EntryError> {
        let mut line = String::from(rule.as_str());
        attributes.write(&mut line)?;
        if line.len() > MAX_LINE { Err(EntryError::TooLong(line.len())) } else { Ok(Entry(line.into_boxed_str())) }
    }

    /// The whole line, without LF.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// The rule's text: the line up to the first TAB.
    pub fn rule_str(&self) -> &str {
        rule_of(&self.0)
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        Rule::trusted(self.rule_str())
    }

    /// The attributes, read from the line.
    pub fn attributes(&self) -> Attributes {
        let attributes = self.0.split_once('\t').and_then(|(_, text)| Attributes::parse(text).ok());
        attributes.unwrap_or_default()
    }

    /// An entry whose canonical form the caller vouches for (a line of a verified snapshot or of this process's own making).
    #[cfg(feature = "daemon")]
    pub(crate) fn trusted(line: &str) -> Entry {
        Entry(line.into())
    }
}

/// Reads a line that must already be canonical, but for public suffixes, see [`Rule::check_suffix`].
impl FromStr for Entry {
    type Err = EntryError;
    fn from_str(line: &str) -> Result<Self, EntryError> {
        if line.len() > MAX_LINE {
            return Err(EntryError::TooLong(line.len()));
        }
        match line.split_once('\t') {
            Some((rule, attributes)) => {
                rule.parse::<Rule>()?;
                Attributes::parse(attributes)?;
            }
            None => {
                line.parse::<Rule>()?;
            }
        }
        Ok(Entry(line.into()))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Attributes {
        Attributes {
            categories: vec!["dating".parse().expect("code"), "adult".parse().expect("code"), "adult".parse().expect("code")],
            reference: Some("Ab_-12345".to_owned()),
            age: Some(18),
            action: Some(Action::Warn),
            reason: Some("court.order".parse().expect("code")),
            expires: Some("2027-01-31".parse().expect("date")),
        }
    }

    #[test]
    fn attributes_stand_in_one_order() {
        let entry = Entry::new(&"domain:a.example".parse().expect("rule"), &full()).expect("entry");
        let line = "domain:a.example\tcat=adult,dating\tref=Ab_-12345\tage=18\tact=warn\trsn=court.order\texp=2027-01-31";
        assert_eq!(entry.line(), line);
        assert_eq!(entry.rule_str(), "domain:a.example");
        assert_eq!(line.parse(), Ok(entry.clone()));
        let read = entry.attributes();
        assert_eq!(read.categories.len(), 2);
        assert_eq!(Entry::new(&entry.rule(), &read), Ok(entry));
        assert!(Attributes::default().is_empty());
    }

    #[test]
    fn reading_is_strict() {
        type Check = fn(&EntryError) -> bool;
        let table: [(&str, Check); 17] = [
            ("cat=", |e| matches!(e, EntryError::Value { key: "cat", .. })),
            ("cat=b,a", |e| matches!(e, EntryError::CategoryOrder(_))),
            ("cat=a,a", |e| matches!(e, EntryError::CategoryOrder(_))),
            ("cat=A", |e| matches!(e, EntryError::Value { key: "cat", .. })),
            ("cat=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", |e| *e == EntryError::Categories(17)),
            ("ref=short", |e| matches!(e, EntryError::Value { key: "ref", .. })),
            ("ref=has space in it", |e| matches!(e, EntryError::Value { key: "ref", .. })),
            ("age=0", |e| matches!(e, EntryError::Value { key: "age", .. })),
            ("age=22", |e| matches!(e, EntryError::Value { key: "age", .. })),
            ("age=018", |e| matches!(e, EntryError::Value { key: "age", .. })),
            ("act=deny", |e| matches!(e, EntryError::Value { key: "act", .. })),
            ("exp=2027-02-30", |e| matches!(e, EntryError::Value { key: "exp", .. })),
            ("age=18\tcat=a", |e| matches!(e, EntryError::Order(_))),
            ("cat=a\tcat=b", |e| matches!(e, EntryError::Order(_))),
            ("note=x", |e| matches!(e, EntryError::Key(_))),
            ("", |e| matches!(e, EntryError::Key(_))),
            ("cat=a\t", |e| matches!(e, EntryError::Key(_))),
        ];
        for (attributes, check) in table {
            let error = format!("domain:a.example\t{attributes}").parse::<Entry>().expect_err(attributes);
            assert!(check(&error), "{attributes}: {error:?}");
            assert!(error.reason_and_hint().1.starts_with("write "), "{error}");
        }
    }

    #[test]
    fn ranges_and_length_hold_when_making() {
        let rule = "domain:a.example".parse().expect("rule");
        let make = |attributes: Attributes| Entry::new(&rule, &attributes);
        assert!(make(Attributes { age: Some(22), ..Attributes::default() }).is_err());
        assert!(make(Attributes { reference: Some("short".to_owned()), ..Attributes::default() }).is_err());
        let long = format!("domain:a.example\tref={}", "x".repeat(MAX_LINE));
        assert!(matches!(long.parse::<Entry>(), Err(EntryError::TooLong(_))));
    }
}
