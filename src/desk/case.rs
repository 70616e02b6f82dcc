//! An entry under administration: what it is, why, on what legal basis, who decided, and until when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Attributes, Code, Date, Digest, Entry, EntryError, ListId, Rule, Serial, Timestamp};
use crate::publisher::Refusal;

use super::states::CaseState;

/// Longest text of a reason or a note, in octets.
const MAX_TEXT: usize = 4_000;
/// Longest line, in octets.
const MAX_LINE: usize = 300;
/// Most languages, schemes and notes.
const MAX_MANY: usize = 32;

/// The law that an entry stands on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LegalBasis {
    /// Where it is law, as `UA` or `EU`.
    pub jurisdiction: String,
    /// The law or the order.
    pub instrument: String,
    /// Who decided.
    pub authority: String,
    /// Under which number.
    pub number: String,
    /// When.
    pub date: Option<Date>,
}

/// A note that never leaves the publisher.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Remark {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

/// An approval of the words as they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What is written of an entry: all that somebody proposes and others approve.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// `kind:target`, or a bare host, URL or address as people write it: exact.
    pub rule: String,
    /// What stands in the list beside the rule. The reference is that of the case.
    pub attributes: Attributes,
    /// The reason for everybody, by language (BCP 47).
    pub reasons: BTreeMap<String, String>,
    /// The law.
    pub basis: Option<LegalBasis>,
    /// Categories by scheme.
    pub schemes: BTreeMap<String, Vec<Code>>,
    /// Digest of the evidence, which is kept elsewhere.
    pub evidence: Option<Digest>,
    /// The day on which somebody is to look at it again.
    pub review_by: Option<Date>,
}

/// An entry under administration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Public, random: nothing of the target can be told from it.
    pub reference: String,
    /// The list it is for.
    pub list: ListId,
    /// Which one it is of all that were begun here, from 1; 0 if it was begun before they were counted.
    #[serde(default)]
    pub number: u64,
    /// Where it stands.
    pub state: CaseState,
    /// What is written of it.
    pub words: Words,
    /// Notes for those who work on it.
    pub notes: Vec<Remark>,
    /// Who proposed it.
    pub proposer: String,
    /// Everybody who wrote or changed its words.
    pub authors: Vec<String>,
    /// Approvals of the words as they are.
    pub approvals: Vec<Approval>,
    /// What was found when it was written, proposed or approved last: its target on a list of the other colour, a popular name.
    #[serde(default)]
    pub notices: Vec<Refusal>,
    /// Why it came to its state, for those who work on it.
    pub decision: String,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was put before those who approve.
    pub proposed: Option<Timestamp>,
    /// When it had its approvals.
    pub approved: Option<Timestamp>,
    /// When it came onto the list first.
    pub published: Option<Timestamp>,
    /// When it left the list last.
    pub ended: Option<Timestamp>,
    /// The version that brought it onto the list last.
    pub serial: Option<Serial>,
    /// How often it was changed: for If-Match.
    pub revision: u64,
}

impl Case {
    /// The rule.
    pub fn rule(&self) -> Rule {
        Rule::trusted(&self.words.rule)
    }

    /// The entry as it stands in the list.
    ///
    /// # Errors
    /// [`EntryError`] if an attribute is out of range.
    pub fn entry(&self) -> Result<Entry, EntryError> {
        let attributes = Attributes { reference: Some(self.reference.clone()), ..self.words.attributes.clone() };
        Entry::new(&self.rule(), &attributes)
    }
}

impl Words {
    /// The last day of its time, if that is before `today`.
    pub(super) fn over(&self, today: Date) -> Option<Date> {
        self.attributes.expires.filter(|day| *day < today)
    }

    /// Its categories, as the list has them and by scheme.
    pub(super) fn categories(&self) -> impl Iterator<Item = &Code> {
        self.attributes.categories.iter().chain(self.schemes.values().flatten())
    }

    /// Brings them into their form, or says what is wrong, place by place.
    pub(super) fn settle(&mut self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |place: &str, text: &str, reason: String, hint: &str| {
            let text = text.chars().take(80).collect::<String>().escape_debug().to_string();
            refusals.push(Refusal { place: place.into(), text, reason, hint: hint.into() });
        };
        match Rule::interpret(self.rule.trim()).and_then(|rule| rule.check_suffix().map(|()| rule)) {
            Ok(rule) => {
                if self.attributes.reference.take().is_some() {
                    refuse("words.attributes.reference", "", "the reference is given by the publisher".into(), "leave it out");
                } else if let Err(e) = Entry::new(&rule, &self.attributes) {
                    let (reason, hint) = e.reason_and_hint();
                    refuse("words.attributes", &self.rule, reason, &hint);
                }
                self.rule = rule.as_str().to_owned();
            }
            Err(e) => {
                let (reason, hint) = e.reason_and_hint();
                refuse("words.rule", &self.rule, reason, &hint);
            }
        }
        if self.reasons.len() > MAX_MANY || self.schemes.len() > MAX_MANY || self.schemes.values().any(|codes| codes.len() > MAX_MANY) {
            refuse("words", "", format!("more than {MAX_MANY} languages, schemes or categories"), "leave some out");
        }
        for (language, text) in &self.reasons {
            if !is_language(language) {
                refuse("words.reasons", language, "not a language tag".into(), "write one as en, uk or pt-BR (BCP 47)");
            }
            if text.trim().is_empty() || text.len() > MAX_TEXT {
                refuse("words.reasons", text, format!("empty, or longer than {MAX_TEXT} octets"), "write some sentences");
            }
        }
        if let Some(basis) = &self.basis {
            for text in [&basis.jurisdiction, &basis.instrument, &basis.authority, &basis.number] {
                if text.len() > MAX_LINE || text.chars().any(char::is_control) {
                    refuse("words.basis", text, format!("longer than {MAX_LINE} octets, or more than one line"), "write one line");
                }
            }
        }
        refusals
    }
}

/// Adds a note, if it is one.
pub(super) fn note(case: &mut Case, at: Timestamp, by: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > MAX_TEXT || case.notes.len() >= 1_000 {
        let reason = format!("longer than {MAX_TEXT} octets, or there are 1,000 notes already");
        return Err(Refusal { place: "note".into(), text: String::new(), reason, hint: "write less".into() });
    }
    case.notes.push(Remark { at, by: by.to_owned(), text: text.to_owned() });
    Ok(())
}

/// Whether a text has the form of a language tag (RFC 5646): subtags of one to eight letters and digits, the first of letters.
pub(super) fn is_language(text: &str) -> bool {
    let mut tags = text.split('-');
    let first = tags.next().unwrap_or_default();
    let plain = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|c| c.is_ascii_alphanumeric());
    text.len() <= 35 && first.len() >= 2 && first.bytes().all(|c| c.is_ascii_alphabetic()) && plain(first) && tags.all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_have_a_form() {
        for (text, good) in
            [("en", true), ("pt-BR", true), ("zh-Hant-TW", true), ("", false), ("e", false), ("en_GB", false), ("12", false)]
        {
            assert_eq!(is_language(text), good, "{text}");
        }
    }

    #[test]
    fn words_are_brought_into_their_form_or_refused_with_the_place() {
        let mut words = Words { rule: " Bad.Example ".into(), ..Words::default() };
        assert_eq!(words.settle(), []);
        assert_eq!(words.rule, "domain:bad.example");
        let reasons = BTreeMap::from([("english".to_owned() + "-too-long", "x".to_owned()), ("en".into(), " ".into())]);
        let mut words = Words { rule: "subtree:co.uk".into(), reasons, ..Words::default() };
        let places: Vec<String> = words.settle().into_iter().map(|r| r.place).collect();
        assert_eq!(places, ["words.rule", "words.reasons"]);
    }
}
