//! What a zone says of its names: the target of every CNAME in it.

use std::str::FromStr;

use bytes::Bytes;
use domain::base::Name;

use crate::list::Colour;

/// A policy, as response policy zones know them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The name does not exist: `CNAME .`
    NxDomain,
    /// The name has no such record: `CNAME *.`
    NoData,
    /// No answer at all: `CNAME rpz-drop.`
    Drop,
    /// A truncated answer, so that only who asks again over TCP gets the true one: `CNAME rpz-tcp-only.`
    TcpOnly,
    /// The answer as it is; what white lists say: `CNAME rpz-passthru.`
    PassThru,
    /// The addresses of this name instead, our block page for example: `CNAME` to it.
    Garden(Name<Bytes>),
}

impl Policy {
    /// Words of the configuration, without the garden's name.
    pub const WORDS: [&str; 6] = ["nxdomain", "nodata", "drop", "tcp-only", "passthru", "walled-garden"];

    /// By the configuration's word, whatever the list's colour; `garden` is the name for `walled-garden`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn named(word: &str, garden: Option<&str>) -> Result<Policy, String> {
        if !Policy::WORDS.contains(&word) {
            return Err(format!("policy \"{word}\" is unknown; write one of {}", Policy::WORDS.join(", ")));
        }
        if (word == "walled-garden") != garden.is_some() {
            return Err("policy \"walled-garden\" and the key garden, its host name, belong together".into());
        }
        Ok(match (word, garden) {
            ("nxdomain", _) => Policy::NxDomain,
            ("nodata", _) => Policy::NoData,
            ("drop", _) => Policy::Drop,
            ("tcp-only", _) => Policy::TcpOnly,
            ("passthru", _) => Policy::PassThru,
            (_, garden) => Policy::Garden(garden_of(garden.unwrap_or_default())?),
        })
    }

    /// As [`Policy::named`]; without a word by the list's colour: black
    /// is `nxdomain`, white is `passthru`.
    ///
    /// # Errors
    /// What is wrong, in words. A white list can only pass, a black one only hold back.
    pub fn new(word: Option<&str>, garden: Option<&str>, colour: Colour) -> Result<Policy, String> {
        let word = word.unwrap_or(match colour {
            Colour::Black => "nxdomain",
            Colour::White => "passthru",
        });
        let policy = Policy::named(word, garden)?;
        match (colour, policy == Policy::PassThru) {
            (Colour::White, false) => Err("a white list can only have the policy \"passthru\"".into()),
            (Colour::Black, true) => Err("a black list cannot have the policy \"passthru\"; that would allow what it blocks".into()),
            _ => Ok(policy),
        }
    }

    /// Where the CNAMEs point.
    pub fn target(&self) -> Name<Bytes> {
        let wire: &'static [u8] = match self {
            Policy::NxDomain => b"\0",
            Policy::NoData => b"\x01*\0",
            Policy::Drop => b"\x08rpz-drop\0",
            Policy::TcpOnly => b"\x0crpz-tcp-only\0",
            Policy::PassThru => b"\x0crpz-passthru\0",
            Policy::Garden(name) => return name.clone(),
        };
        Name::from_octets(Bytes::from_static(wire)).expect("these are names")
    }
}

/// The name of a block page. Resolvers take a last label that begins with `rpz-` for a policy: to allow, for one.
fn garden_of(text: &str) -> Result<Name<Bytes>, String> {
    let name = absolute(text)?;
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if last.starts_with("rpz-") {
        return Err(format!("garden \"{text}\" is not a host name but a word of policy zones; write policy = \"...\" for that"));
    }
    Ok(name)
}

/// A host name as a name that ends in the root.
///
/// # Errors
/// What is wrong, in words.
pub fn absolute(text: &str) -> Result<Name<Bytes>, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text == "." || !text.chars().all(plain) {
        return Err(format!("\"{text}\" is not a host name; write letters, digits and hyphens, as in block.example.org"));
    }
    Name::<Bytes>::from_str(&text.to_ascii_lowercase()).map_err(|e| format!("\"{text}\" is not a host name: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_response_policy_zones() {
        let table = [
            ("nxdomain", None, "."),
            ("nodata", None, "*."),
            ("drop", None, "rpz-drop."),
            ("tcp-only", None, "rpz-tcp-only."),
            ("walled-garden", Some("Block.example.org"), "block.example.org."),
        ];
        for (word, garden, target) in table {
            let policy = Policy::new(Some(word), garden, Colour::Black).expect(word);
            assert_eq!(format!("{}", policy.target().fmt_with_dot()), target);
        }
        let white = Policy::new(None, None, Colour::White).expect("passthru");
        assert_eq!(format!("{}", white.target().fmt_with_dot()), "rpz-passthru.");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (word, garden, colour) in [
            (Some("passthru"), None, Colour::Black),
            (Some("nxdomain"), None, Colour::White),
            (Some("walled-garden"), None, Colour::Black),
            (Some("drop"), Some("a.example"), Colour::Black),
            (Some("nonsense"), None, Colour::Black),
            (Some("walled-garden"), Some("a b"), Colour::Black),
            (Some("walled-garden"), Some("rpz-passthru"), Colour::Black),
            (Some("walled-garden"), Some("a.RPZ-Drop."), Colour::Black),
        ] {
            assert!(Policy::new(word, garden, colour).is_err(), "{word:?} {garden:?}");
        }
    }
}
