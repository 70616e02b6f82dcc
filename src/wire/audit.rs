//! The audit chain as text: one JSON object a line, each naming the SHA-256 of the line before (docs/PROTOCOL.md section 14).
//!
//! Guarantees: one encoding per value; a chain that verifies has no line changed, left out, added or moved between its ends. Whether its
//! newest line is the one that heads are bound to is for the reader to compare. It holds no secret: what goes into an [`Act`] is
//! shown to auditors as it is.

use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::list::{Digest, Timestamp};

use super::WireError;

/// Longest line of the chain in octets, its LF not counted.
pub const MAX_AUDIT_LINE: usize = 16 << 10;
/// Longest text of one field of an act, in octets; longer ones are cut off at the end of a character.
const MAX_FIELD: usize = 1_000;

/// Who did what, when, from where, to what, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who: an account, or what acted by itself (`bwld`).
    pub who: String,
    /// From where: an address, `local`, or empty if bwld acted by itself.
    pub from: String,
    /// What: a stable word such as `list.publish`.
    pub what: String,
    /// To what: `list:adult`, `account:anna`.
    pub object: String,
    /// Digest of the object before; absent: it was not there, or had no content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Digest>,
    /// Digest of the object after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Digest>,
    /// Why, in the words of the one who did it; may be empty.
    pub reason: String,
}

impl Act {
    /// The act with every text within its bound.
    #[must_use]
    pub fn bounded(mut self) -> Act {
        for text in [&mut self.who, &mut self.from, &mut self.what, &mut self.object, &mut self.reason] {
            let end = (0..=MAX_FIELD.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        self
    }
}

/// Number and digest of a line of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct AuditTip {
    /// Number of the line, from 1.
    pub number: u64,
    /// SHA-256 of the line without its LF.
    pub digest: Digest,
}

impl fmt::Display for AuditTip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.digest)
    }
}

impl FromStr for AuditTip {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number from 1, a space and a digest";
        let (number, digest) = text.split_once(' ').ok_or(EXPECTED)?;
        let tip = AuditTip { number: number.parse().map_err(|_| EXPECTED)?, digest: digest.parse().map_err(|_| EXPECTED)? };
        // One way to write each: no sign, no zeros in front.
        if tip.number == 0 || tip.to_string() != text { Err(EXPECTED) } else { Ok(tip) }
    }
}

/// One line of the chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// Number, from 1, +1 each.
    pub number: u64,
    /// Digest of the line before; absent in the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Digest>,
    /// What was done.
    pub act: Act,
}

impl AuditLine {
    /// The line that follows `tip`.
    pub fn after(tip: Option<AuditTip>, act: Act) -> AuditLine {
        AuditLine { number: tip.map_or(1, |t| t.number + 1), previous: tip.map(|t| t.digest), act: act.bounded() }
    }

    /// The line without its LF.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("an audit line has only text keys and values that JSON can hold")
    }

    /// Number and digest.
    pub fn tip(&self) -> AuditTip {
        AuditTip { number: self.number, digest: Digest::of(self.encode()) }
    }

    /// Reads a line without its LF. Only what [`AuditLine::encode`] writes is one.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(line: &str) -> Result<AuditLine, String> {
        if line.len() > MAX_AUDIT_LINE {
            return Err(format!("longer than {MAX_AUDIT_LINE} octets"));
        }
        let parsed: AuditLine = serde_json::from_str(line).map_err(|e| e.to_string())?;
        if parsed.encode() == line {
            Ok(parsed)
        } else {
            Err("not written as the chain writes it (spaces, order or escapes differ)".into())
        }
    }
}

/// Follows a chain line by line.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditChain {
    tip: Option<AuditTip>,
}

impl AuditChain {
    /// A chain whose lines up to `tip` were seen before; `None`: from the beginning.
    pub fn from(tip: Option<AuditTip>) -> AuditChain {
        AuditChain { tip }
    }

    /// The line seen last.
    pub fn tip(&self) -> Option<AuditTip> {
        self.tip
    }

    /// Takes the next line, without its LF.
    ///
    /// # Errors
    /// What is wrong, in words. The chain is as it was.
    pub fn take(&mut self, line: &str) -> Result<AuditLine, String> {
        let parsed = AuditLine::parse(line)?;
        let (number, previous) = (self.tip.map_or(1, |t| t.number + 1), self.tip.map(|t| t.digest));
        if parsed.number != number {
            return Err(format!("this is number {}, and {number} was expected: lines are missing, doubled or moved", parsed.number));
        }
        if parsed.previous != previous {
            return Err("the line before is not the one that this line names: one of the two was changed".into());
        }
        self.tip = Some(AuditTip { number, digest: Digest::of(line) });
        Ok(parsed)
    }

    /// Takes a whole export, one line after the other, each of them handed to `each`.
    ///
    /// # Errors
    /// [`WireError::Line`] names the first line that does not follow; of the input.
    pub fn read(&mut self, mut input: impl BufRead, mut each: impl FnMut(&AuditLine)) -> Result<(), WireError> {
        let mut line = Vec::new();
        for at in 1.. {
            line.clear();
            let wrong = |reason: String| WireError::Line { what: "audit chain", line: at, reason };
            let read = std::io::Read::take(&mut input, MAX_AUDIT_LINE as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            if line.pop() != Some(b'\n') {
                return Err(wrong("it does not end with LF: it is cut off, or longer than a line of the chain".into()));
            }
            let text = std::str::from_utf8(&line).map_err(|_| wrong("not UTF-8".into()))?;
            each(&self.take(text).map_err(wrong)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn act(what: &str) -> Act {
        Act {
            at: Timestamp::from_unix(1_795_500_000),
            who: "anna".into(),
            from: "192.0.2.1".into(),
            what: what.into(),
            object: "list:adult".into(),
            before: None,
            after: Some(Digest::of("x")),
            reason: "court order \"12\"".into(),
        }
    }

    fn chain(n: usize) -> Vec<String> {
        let mut tip = None;
        (0..n)
            .map(|i| {
                let line = AuditLine::after(tip, act(&format!("step.{i}")));
                tip = Some(line.tip());
                line.encode()
            })
            .collect()
    }

    fn reads(lines: &[String]) -> Result<Option<AuditTip>, WireError> {
        let mut chain = AuditChain::default();
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        chain.read(text.as_bytes(), |_| ()).map(|()| chain.tip())
    }

    #[test]
    fn a_whole_chain_verifies_and_its_tip_is_the_last_line() {
        let lines = chain(5);
        let tip = reads(&lines).unwrap().unwrap();
        assert_eq!((tip.number, tip.digest), (5, Digest::of(&lines[4])));
        assert_eq!(tip.to_string().parse::<AuditTip>(), Ok(tip));
        assert!("05 sha256:00".parse::<AuditTip>().is_err());
    }

    #[test]
    fn a_text_too_long_is_cut_and_still_read_back() {
        let line = AuditLine::after(None, Act { reason: "ü".repeat(5_000), ..act("x") });
        assert_eq!(AuditLine::parse(&line.encode()).unwrap(), line);
        assert!(line.act.reason.len() <= MAX_FIELD);
    }

    proptest! {
        /// Whatever is left out, doubled, moved or changed: it is seen, at that line or the next.
        #[test]
        fn no_change_goes_unnoticed(n in 3usize..12, at in 0usize..10, kind in 0u8..4, octet: prop::sample::Index, bit in 0u8..7) {
            let lines = chain(n);
            let at = at % (n - 1);
            let mut bad = lines.clone();
            match kind {
                0 => { bad.remove(at); }
                1 => { let again = bad[at].clone(); bad.insert(at, again); }
                2 => bad.swap(at, at + 1),
                _ => {
                    let mut bytes = bad[at].clone().into_bytes();
                    let i = octet.index(bytes.len());
                    bytes[i] ^= 1 << bit;
                    bad[at] = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
            prop_assert!(reads(&bad).is_err());
        }
    }
}
