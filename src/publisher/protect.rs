//! The protected set: names that no black list may block, however urgent it seems to somebody.
//!
//! A black list may hold no rule that blocks a protected name as a whole: not `domain:` of it, not `subtree:` of it or
//! of a name above it, not `prefix:` of all of it. Parts of it (one URL, a path, a name below) can be blocked. There is
//! no way to force it; who means it takes the name out of the set first, which is a visible act.

use std::collections::HashMap;

use crate::list::{Kind, TargetError, canonical_domain};

/// A line of the protected set that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protected set, line {line}: {source}")]
pub struct ProtectedError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: TargetError,
}

/// Names that may never be blocked, or not without more ado; each has a rank, from 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Protected {
    names: HashMap<Box<str>, u32>,
    /// The names and all names above them, with the best rank under each.
    above: HashMap<Box<str>, u32>,
}

impl Protected {
    /// Reads one name a line; `#` begins a comment; empty lines are passed over.
    ///
    /// # Errors
    /// [`ProtectedError`] names the first line that is no name.
    pub fn parse(text: &str) -> Result<Protected, ProtectedError> {
        let mut set = Protected::default();
        for (at, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or("").trim();
            if name.is_empty() {
                continue;
            }
            match canonical_domain(name) {
                Ok(name) => set.insert(&name, rank(at)),
                // No rule for a public suffix exists, but naming one here is not wrong.
                Err(TargetError::PublicSuffix(_)) => set.insert(&name.to_ascii_lowercase(), rank(at)),
                Err(source) => return Err(ProtectedError { line: at + 1, source }),
            }
        }
        Ok(set)
    }

    /// Reads a ranked list: one name a line; a number before a comma is its rank, else its place in the file is. A line that is no name that a rule could
    /// have, as a public suffix, is passed over: such lists are made by machines.
    ///
    /// # Errors
    /// [`ProtectedError`] if the first line with a name is none, for then it is another kind of file.
    pub fn ranked(text: &str) -> Result<Protected, ProtectedError> {
        let mut set = Protected::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("");
            let (before, name) = line.rsplit_once(',').unwrap_or(("", line));
            let name = name.trim();
            match canonical_domain(name) {
                Ok(name) => set.insert(&name, before.trim().parse().unwrap_or_else(|_| rank(at))),
                Err(source) if !name.is_empty() && at == 0 => return Err(ProtectedError { line: 1, source }),
                Err(_) => {}
            }
        }
        Ok(set)
    }

    fn insert(&mut self, name: &str, rank: u32) {
        let better = |ranks: &mut HashMap<Box<str>, u32>, name: &str| {
            let kept = ranks.entry(name.into()).or_insert(rank);
            *kept = rank.min(*kept);
        };
        better(&mut self.names, name);
        let mut rest = name;
        loop {
            better(&mut self.above, rest);
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => break,
            }
        }
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a black list with this rule would block a protected name.
    pub fn forbids(&self, rule: &str) -> bool {
        self.best_rank(rule).is_some()
    }

    /// The best rank among the names that a black list with this rule would block; none: it would block none of them.
    pub fn best_rank(&self, rule: &str) -> Option<u32> {
        let (kind, target) = Kind::split(rule)?;
        match kind {
            Kind::Domain => self.names.get(target).copied(),
            Kind::Subtree => self.above.get(target).copied(),
            Kind::Prefix => self.names.get(target.strip_suffix('/')?).copied(),
            Kind::Url | Kind::Cidr => None,
        }
    }
}

/// The rank of what stands at this place, from 0.
fn rank(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbids_what_would_block_a_protected_name_and_nothing_else() {
        let set = Protected::parse("# ours\nwww.wikipedia.example  # the encyclopaedia\n\nBank.example.\n").unwrap();
        assert_eq!(set.len(), 2);
        for (rule, forbidden) in [
            ("domain:www.wikipedia.example", true),
            ("domain:wikipedia.example", false),
            ("subtree:www.wikipedia.example", true),
            ("subtree:wikipedia.example", true),
            ("subtree:upload.wikipedia.example", false),
            ("subtree:m.www.wikipedia.example", false),
            ("prefix:bank.example/", true),
            ("prefix:bank.example/fraud/", false),
            ("prefix:bank.example:8443/", false),
            ("prefix:notbank.example/", false),
            ("url:bank.example/", false),
            ("domain:bank.example", true),
            ("domain:notbank.example", false),
            ("cidr:192.0.2.0/24", false),
        ] {
            assert_eq!(set.forbids(rule), forbidden, "{rule}");
        }
    }

    #[test]
    fn a_ranked_list_may_hold_ranks_and_what_no_rule_has() {
        let set = Protected::ranked("1,big.example\n2,co.uk\nlarge.example\n").unwrap();
        assert_eq!(set.len(), 2);
        assert!(set.forbids("domain:big.example") && set.forbids("subtree:large.example"));
        let ranks =
            ["domain:big.example", "domain:large.example", "subtree:example", "domain:small.example"].map(|rule| set.best_rank(rule));
        assert_eq!(ranks, [Some(1), Some(3), Some(1), None]);
        assert!(Protected::ranked("{\"not\": \"a list\"}\n").is_err());
    }

    #[test]
    fn a_line_that_is_no_name_is_refused_with_its_place() {
        assert_eq!(Protected::parse("good.example\nnot a name\n").unwrap_err().line, 2);
    }
}
