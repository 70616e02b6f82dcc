//! Changes of a list and how they compose (docs/PROTOCOL.md section 7).

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use super::{Entry, Rule};

/// What happens to one rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// `+`: an entry whose rule was not there.
    Add(Entry),
    /// `~`: another entry for a rule that was there.
    Replace(Entry),
    /// `-`: the rule leaves.
    Remove(Rule),
}

impl Change {
    /// The rule it is about.
    pub fn rule_str(&self) -> &str {
        match self {
            Change::Add(e) | Change::Replace(e) => e.rule_str(),
            Change::Remove(r) => r.as_str(),
        }
    }

    /// The rule it is about, as a value of its own.
    pub fn rule(&self) -> Rule {
        match self {
            Change::Add(e) | Change::Replace(e) => e.rule(),
            Change::Remove(r) => r.clone(),
        }
    }

    /// `+`, `~` or `-`.
    pub const fn sign(&self) -> char {
        match self {
            Change::Add(_) => '+',
            Change::Replace(_) => '~',
            Change::Remove(_) => '-',
        }
    }

    /// The text behind the sign.
    pub fn body(&self) -> &str {
        match self {
            Change::Add(e) | Change::Replace(e) => e.line(),
            Change::Remove(r) => r.as_str(),
        }
    }
}

/// Two changes of the same rule that cannot follow each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: \"{second}\" cannot follow \"{first}\"; the two deltas do not belong together")]
pub struct ComposeError {
    /// The rule.
    pub rule: Rule,
    /// Sign of the earlier change.
    pub first: char,
    /// Sign of the later change.
    pub second: char,
}

/// Changes ordered by rule, at most one a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChangeSet(BTreeMap<Rule, Change>);

impl ChangeSet {
    /// Puts a change in; a second one for the same rule composes with the first.
    ///
    /// # Errors
    /// [`ComposeError`] by the table of section 7; the set is then as it was.
    pub fn push(&mut self, change: Change) -> Result<(), ComposeError> {
        let rule = change.rule();
        match self.0.entry(rule) {
            Slot::Vacant(slot) => {
                slot.insert(change);
            }
            Slot::Occupied(mut slot) => {
                let composed = match (slot.get(), change) {
                    (Change::Add(_), Change::Replace(b)) => Some(Change::Add(b)),
                    (Change::Add(_), Change::Remove(_)) => None,
                    (Change::Replace(_), later @ (Change::Replace(_) | Change::Remove(_))) => Some(later),
                    (Change::Remove(_), Change::Add(b)) => Some(Change::Replace(b)),
                    (first, second) => {
                        return Err(ComposeError { rule: slot.key().clone(), first: first.sign(), second: second.sign() });
                    }
                };
                match composed {
                    Some(change) => {
                        slot.insert(change);
                    }
                    None => {
                        slot.remove();
                    }
                }
            }
        }
        Ok(())
    }

    /// This set followed by `later`.
    ///
    /// # Errors
    /// [`ComposeError`] if they cannot follow each other.
    pub fn then(mut self, later: ChangeSet) -> Result<ChangeSet, ComposeError> {
        for change in later.0.into_values() {
            self.push(change)?;
        }
        Ok(self)
    }

    /// Changes in order of the rule.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.0.values()
    }

    /// The change of this rule.
    pub fn get(&self, rule: &Rule) -> Option<&Change> {
        self.0.get(rule)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for ChangeSet {
    type Item = Change;
    type IntoIter = std::collections::btree_map::IntoValues<Rule, Change>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(category: &str) -> Entry {
        format!("domain:a.example\tcat={category}").parse().expect("an entry")
    }

    #[test]
    fn composition_is_the_table_of_section_7() {
        let rule = || entry("x").rule();
        let (a, b) = (entry("a"), entry("b"));
        let table = [
            (Change::Add(a.clone()), Change::Replace(b.clone()), Some(Change::Add(b.clone()))),
            (Change::Add(a.clone()), Change::Remove(rule()), None),
            (Change::Replace(a.clone()), Change::Replace(b.clone()), Some(Change::Replace(b.clone()))),
            (Change::Replace(a.clone()), Change::Remove(rule()), Some(Change::Remove(rule()))),
            (Change::Remove(rule()), Change::Add(b.clone()), Some(Change::Replace(b.clone()))),
        ];
        for (first, second, composed) in table {
            let mut set = ChangeSet::default();
            set.push(first).expect("the first");
            set.push(second).expect("composes");
            assert_eq!(set.iter().next(), composed.as_ref());
        }
        let wrong = [
            (Change::Add(a.clone()), Change::Add(b.clone())),
            (Change::Replace(a), Change::Add(b.clone())),
            (Change::Remove(rule()), Change::Replace(b)),
            (Change::Remove(rule()), Change::Remove(rule())),
        ];
        for (first, second) in wrong {
            let mut set = ChangeSet::default();
            set.push(first.clone()).expect("the first");
            let error = set.push(second.clone()).expect_err("cannot follow");
            assert_eq!((error.first, error.second), (first.sign(), second.sign()));
            assert_eq!(set.into_iter().collect::<Vec<_>>(), [first], "the set is as it was");
        }
    }
}
