//! The key set document (docs/PROTOCOL.md section 9). Text only; the chain is verified in `trust`.

use std::{collections::HashSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::list::{Digest, ListId, Origin, Timestamp};

use super::{WireError, lines::Lines};

/// Largest threshold: two of them, before and after a rotation, fit into the signature lines of one note.
pub const MAX_THRESHOLD: u32 = 8;

/// A root key: signs key sets, lies off line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootKey {
    /// Its name in signature lines.
    pub name: String,
    /// Ed25519 public key.
    pub key: [u8; 32],
}

/// Which lists a signing key may sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListSelection {
    /// `*`
    All,
    /// These, ascending.
    Some(Vec<ListId>),
}

impl ListSelection {
    /// Whether `list` is among them.
    pub fn allows(&self, list: &ListId) -> bool {
        match self {
            ListSelection::All => true,
            ListSelection::Some(lists) => lists.contains(list),
        }
    }
}

/// A signing key: signs heads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeyLine {
    /// Its name in signature lines.
    pub name: String,
    /// Ed25519 public key.
    pub key: [u8; 32],
    /// Valid from, inclusive.
    pub from: Timestamp,
    /// Valid until, exclusive.
    pub until: Timestamp,
    /// For which lists.
    pub lists: ListSelection,
}

/// A key set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySet {
    /// The publisher.
    pub origin: Origin,
    /// Its number, from 1.
    pub number: u64,
    /// Digest of the text of the key set before; `None` exactly in number 1.
    pub previous: Option<Digest>,
    /// How many root keys must sign.
    pub threshold: u32,
    /// Root keys, ordered by name.
    pub roots: Vec<RootKey>,
    /// Signing keys, ordered by name.
    pub signing: Vec<SigningKeyLine>,
    /// When it was made.
    pub issued: Timestamp,
}

impl KeySet {
    /// The text that is signed. Fields that contradict each other print, but do not parse: whoever makes a key set
    /// parses what it printed before signing it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = write!(text, "bwld keyset v1\norigin {}\nkeyset {}\nprevious ", self.origin, self.number);
        let _ = match self.previous {
            Some(digest) => writeln!(text, "{digest}"),
            None => writeln!(text, "none"),
        };
        let _ = writeln!(text, "threshold {}", self.threshold);
        for RootKey { name, key } in &self.roots {
            let _ = writeln!(text, "root {name} {}", STANDARD.encode(key));
        }
        for SigningKeyLine { name, key, from, until, lists } in &self.signing {
            let _ = write!(text, "signing {name} {} {from} {until} ", STANDARD.encode(key));
            match lists {
                ListSelection::All => text.push('*'),
                ListSelection::Some(lists) => {
                    for (i, list) in lists.iter().enumerate() {
                        text.push_str(if i == 0 { "" } else { "," });
                        text.push_str(list.as_str());
                    }
                }
            }
            text.push('\n');
        }
        let _ = writeln!(text, "issued {}", self.issued);
        text
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(text: &str) -> Result<KeySet, WireError> {
        let mut lines = Lines::new("key set", text);
        lines.exactly("bwld keyset v1")?;
        let origin = lines.parsed("origin")?;
        let number = lines.number("keyset")?;
        if number == 0 {
            return Err(lines.error("key sets are numbered from 1"));
        }
        let previous = match lines.field("previous")? {
            "none" => None,
            digest => Some(lines.value(digest)?),
        };
        if previous.is_none() != (number == 1) {
            return Err(lines.error("\"previous none\" belongs to key set 1 and to no other"));
        }
        let threshold = lines.number("threshold")?;
        let threshold = u32::try_from(threshold).ok().filter(|t| (1..=MAX_THRESHOLD).contains(t));
        let threshold = threshold.ok_or_else(|| lines.error(format!("the threshold is a number from 1 to {MAX_THRESHOLD}")))?;

        let mut seen = Seen::default();
        let mut roots: Vec<RootKey> = Vec::new();
        while lines.peek().starts_with("root ") {
            let root = parse_root_key(&mut lines)?;
            seen.add(&lines, &root.name, root.key, roots.last().map(|r| r.name.as_str()))?;
            roots.push(root);
        }
        if (roots.len() as u64) < u64::from(threshold) {
            return Err(lines.error(format!("{} root keys cannot reach the threshold of {threshold}", roots.len())));
        }
        let mut signing: Vec<SigningKeyLine> = Vec::new();
        while lines.peek().starts_with("signing ") {
            let line = parse_signing_key(&mut lines)?;
            seen.add(&lines, &line.name, line.key, signing.last().map(|s| s.name.as_str()))?;
            signing.push(line);
        }
        let issued = lines.parsed("issued")?;
        lines.end()?;
        Ok(KeySet { origin, number, previous, threshold, roots, signing, issued })
    }

    /// SHA-256 of the text: what a subscriber pins.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.to_text())
    }
}

/// Names and keys met so far: no name and no key twice in one document.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    keys: HashSet<[u8; 32]>,
}

impl Seen {
    fn add(&mut self, lines: &Lines<'_>, name: &str, key: [u8; 32], before: Option<&str>) -> Result<(), WireError> {
        if before.is_some_and(|before| before >= name) {
            return Err(lines.error("the keys are not ordered by name"));
        }
        if !self.names.insert(name.to_owned()) {
            return Err(lines.error("a name stands for one key only; this one was used before"));
        }
        if !self.keys.insert(key) {
            return Err(lines.error("this public key was listed before under another name"));
        }
        Ok(())
    }
}

/// Whether `name` may name a key: 1 to 255 octets of `a-z 0-9 . - _ /`.
pub fn is_key_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'/'))
}

fn parse_name(lines: &Lines<'_>, name: &str) -> Result<String, WireError> {
    if is_key_name(name) { Ok(name.to_owned()) } else { Err(lines.error("a key's name is 1 to 255 of a-z, 0-9 and . - _ /")) }
}

fn parse_key(lines: &Lines<'_>, text: &str) -> Result<[u8; 32], WireError> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| lines.error("expected a public key: 32 octets in base64 with padding"))
}

fn parse_root_key(lines: &mut Lines<'_>) -> Result<RootKey, WireError> {
    let (name, key) =
        lines.field("root")?.split_once(' ').ok_or_else(|| lines.error("expected \"root\", a name and a public key in base64"))?;
    Ok(RootKey { name: parse_name(lines, name)?, key: parse_key(lines, key)? })
}

fn parse_signing_key(lines: &mut Lines<'_>) -> Result<SigningKeyLine, WireError> {
    let parts: Vec<&str> = lines.field("signing")?.split(' ').collect();
    let [name, key, from, until, lists] = parts[..] else {
        return Err(lines.error("expected \"signing\", a name, a public key, two times and the lists"));
    };
    let name = parse_name(lines, name)?;
    let key = parse_key(lines, key)?;
    let (from, until): (Timestamp, Timestamp) = (lines.value(from)?, lines.value(until)?);
    if from >= until {
        return Err(lines.error("the key's time ends before it begins"));
    }
    let lists = if lists == "*" {
        ListSelection::All
    } else {
        let lists: Vec<ListId> = lists.split(',').map(|list| lines.value(list)).collect::<Result<_, _>>()?;
        if lists.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(lines.error("the list names are not ascending"));
        }
        ListSelection::Some(lists)
    };
    Ok(SigningKeyLine { name, key, from, until, lists })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key_set() -> impl Strategy<Value = KeySet> {
        let names = prop::collection::btree_set("[a-z0-9._/-]{1,12}", 1..10);
        let from_until = (0..1_000_000_u64, 1..1_000_000_u64);
        let lists = prop::collection::btree_set("[a-z0-9][a-z0-9-]{0,9}", 0..4);
        (names, any::<u8>(), 1..=i64::MAX as u64, from_until, lists, any::<[u8; 32]>()).prop_map(
            |(names, roots, number, (from, span), lists, previous)| {
                let names: Vec<String> = names.into_iter().collect();
                let roots = 1 + usize::from(roots) % names.len();
                let key = |i: usize| [i as u8; 32];
                let lists: Vec<ListId> = lists.iter().map(|l| l.parse().unwrap()).collect();
                let signing = names[roots..].iter().enumerate().map(|(i, name)| SigningKeyLine {
                    name: name.clone(),
                    key: key(roots + i),
                    from: Timestamp::from_unix(from),
                    until: Timestamp::from_unix(from + span),
                    lists: if lists.is_empty() { ListSelection::All } else { ListSelection::Some(lists.clone()) },
                });
                KeySet {
                    origin: "lists.example.org".parse().unwrap(),
                    number,
                    previous: (number != 1).then_some(Digest(previous)),
                    threshold: 1 + (roots as u32 - 1) % MAX_THRESHOLD,
                    signing: signing.collect(),
                    roots: names[..roots].iter().enumerate().map(|(i, n)| RootKey { name: n.clone(), key: key(i) }).collect(),
                    issued: Timestamp::from_unix(from),
                }
            },
        )
    }

    fn text() -> String {
        let key = |i: u8| STANDARD.encode([i; 32]);
        format!(
            "bwld keyset v1\norigin lists.example.org\nkeyset 1\nprevious none\nthreshold 2\nroot a {}\nroot b {}\n\
             signing c {} 2026-11-24T01:00:00Z 2027-11-24T01:00:00Z adult,games\n\
             signing d {} 2026-11-24T01:00:00Z 2027-11-24T01:00:00Z *\nissued 2026-11-24T01:00:00Z\n",
            key(1),
            key(2),
            key(3),
            key(4),
        )
    }

    #[test]
    fn a_key_set_is_read() {
        let set = KeySet::parse(&text()).unwrap();
        assert_eq!((set.number, set.threshold, set.roots.len(), set.signing.len()), (1, 2, 2, 2));
        assert!(set.signing[0].lists.allows(&"games".parse().unwrap()) && !set.signing[0].lists.allows(&"drugs".parse().unwrap()));
        assert!(set.signing[1].lists.allows(&"drugs".parse().unwrap()));
        assert_eq!(set.fingerprint(), Digest::of(text()));
    }

    #[test]
    fn there_is_one_way_to_write_a_key_set() {
        let text = text();
        for (from, to) in [
            ("v1", "v2"),
            ("keyset 1", "keyset 0"),
            ("keyset 1", "keyset 2"),
            ("threshold 2", "threshold 0"),
            ("threshold 2", "threshold 3"),
            ("threshold 2", "threshold 02"),
            ("root b ", "root a "),
            ("root a ", "root c "),
            ("root a ", "root A "),
            ("root a ", "root "),
            ("root a ", "root  "),
            ("signing c ", "signing a "),
            ("signing c ", "signing e "),
            ("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
            ("BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
            ("AgI=", "AgJ="),
            ("AgI=", "AgI"),
            ("AgICAgI=", "AgI="),
            ("adult,games", "games,adult"),
            ("adult,games", "adult,adult"),
            ("adult,games", "adult,"),
            ("adult,games", ""),
            ("adult,games", "*,adult"),
            ("2027-11-24", "2026-11-24"),
            ("issued", "root z AAAA\nissued"),
            ("issued 2026", "issued  2026"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(KeySet::parse(&changed).is_err(), "{from:?} -> {to:?}");
        }
        assert!(KeySet::parse(&format!("{text}\n")).is_err());
        assert!(KeySet::parse(text.trim_end()).is_err());
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverse(set in key_set()) {
            prop_assert_eq!(KeySet::parse(&set.to_text()).unwrap(), set);
        }
    }
}
