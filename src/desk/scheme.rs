//! Category schemes: which codes there are, what they are called, from which age on. A scheme is data: some come with the
//! program, others are put in and kept as documents; one of the same name stands in for the one that came.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::Code;
use crate::publisher::{By, Refusal};
use crate::store::{Record, digest_of};

use super::case::{Words, is_language};
use super::{Desk, DeskError};

/// The table of documents.
const TABLE: &str = "scheme";
/// Most categories of a scheme.
const MAX_CODES: usize = 1_000;

/// A category.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemeCode {
    /// Its code.
    pub code: Code,
    /// Its name by language (BCP 47).
    pub names: BTreeMap<String, String>,
    /// The age in years from which on it is no concern; none: of every age.
    #[serde(default)]
    pub age: Option<u8>,
}

/// A category scheme.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Its name.
    pub id: Code,
    /// What it is called, by language.
    pub names: BTreeMap<String, String>,
    /// Its categories.
    pub codes: Vec<SchemeCode>,
}

/// Those that come with the program.
fn shipped() -> &'static [Scheme] {
    static SHIPPED: OnceLock<Vec<Scheme>> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let texts = [include_str!("schemes/content.json"), include_str!("schemes/threats.json"), include_str!("schemes/age.json")];
        texts.iter().map(|text| serde_json::from_str(text).expect("a shipped scheme is read by a test")).collect()
    })
}

impl Desk {
    /// All schemes by name.
    ///
    /// # Errors
    /// Of the store.
    pub fn schemes(&self) -> Result<Vec<Scheme>, DeskError> {
        let mut all: BTreeMap<String, Scheme> = shipped().iter().map(|scheme| (scheme.id.to_string(), scheme.clone())).collect();
        for (id, value) in self.store.documents(TABLE, "", 1_000)? {
            if let Ok(scheme) = serde_json::from_value(value) {
                all.insert(id, scheme);
            }
        }
        Ok(all.into_values().collect())
    }

    /// The scheme of this name, if there is one.
    ///
    /// # Errors
    /// Of the store.
    pub fn scheme(&self, id: &Code) -> Result<Option<Scheme>, DeskError> {
        Ok(self.schemes()?.into_iter().find(|scheme| scheme.id == *id))
    }

    /// Puts a scheme in, or in place of the one of its name. A category that cases use stays.
    ///
    /// # Errors
    /// [`DeskError::Refused`] by form, or if a category is missing that cases use; of the store.
    pub fn put_scheme(&self, scheme: &Scheme, by: &By) -> Result<(), DeskError> {
        let named = |names: &BTreeMap<String, String>| {
            !names.is_empty() && names.iter().all(|(tag, name)| is_language(tag) && !name.is_empty() && name.len() <= 300)
        };
        let codes = &scheme.codes;
        let unique = codes.iter().map(|code| code.code.as_str()).collect::<std::collections::BTreeSet<_>>().len() == codes.len();
        let ages = codes.iter().all(|code| code.age.is_none_or(|age| (1..=21).contains(&age)));
        if !named(&scheme.names) || codes.len() > MAX_CODES || !unique || !ages || !codes.iter().all(|code| named(&code.names)) {
            let reason = "each code stands there once, at most 1,000 of them, each with names by language, ages are 1 to 21".to_owned();
            let (place, text, hint) = ("codes".to_owned(), scheme.id.to_string(), "correct it".to_owned());
            return Err(DeskError::Refused(vec![Refusal { place, text, reason, hint }]));
        }
        let _writing = self.documents.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = self.scheme(&scheme.id)?;
        let before = known.as_ref().map(digest_of);
        by.expects(|| Ok::<_, DeskError>(before))?;
        let refusals = known.map_or(Vec::new(), |known| self.still_used(&known, scheme));
        if !refusals.is_empty() {
            return Err(DeskError::Refused(refusals));
        }
        let value = Some(serde_json::to_value(scheme).map_err(|_| DeskError::Form("the scheme"))?);
        self.write(
            vec![Record::Document { table: TABLE.into(), key: scheme.id.to_string(), value }],
            by,
            "scheme.put",
            format!("scheme:{}", scheme.id),
            (before, Some(digest_of(scheme))),
        )
    }

    /// Categories that are in `before` and not in `after`, and that cases use which have not ended: they could not be edited any more.
    fn still_used(&self, before: &Scheme, after: &Scheme) -> Vec<Refusal> {
        let gone = before.codes.iter().map(|known| &known.code).filter(|code| after.codes.iter().all(|kept| kept.code != **code));
        let mut used: BTreeMap<&str, u64> = gone.map(|code| (code.as_str(), 0)).collect();
        if used.is_empty() {
            return Vec::new();
        }
        self.read(|cases| {
            for code in cases.all_open(None).filter_map(|case| case.words.schemes.get(before.id.as_str())).flatten() {
                used.get_mut(code.as_str()).into_iter().for_each(|count| *count += 1);
            }
        });
        let used = used.into_iter().filter(|(_, count)| *count > 0).take(100);
        used.map(|(code, count)| Refusal {
            place: "codes".into(),
            text: format!("{}:{code}", before.id),
            reason: format!("cases that have not ended use this category: {count}"),
            hint: "keep it, or change or end those cases first".into(),
        })
        .collect()
    }

    /// What is wrong with the categories by scheme; fills in the age that they ask for where none is set.
    pub(super) fn settle_schemes(&self, words: &mut Words) -> Result<Vec<Refusal>, DeskError> {
        let mut refusals = Vec::new();
        if words.schemes.is_empty() {
            return Ok(refusals);
        }
        let known = self.schemes()?;
        let mut age = None;
        for (id, codes) in &words.schemes {
            let scheme = known.iter().find(|scheme| scheme.id.as_str() == id);
            for code in codes {
                match scheme.and_then(|scheme| scheme.codes.iter().find(|known| known.code == *code)) {
                    Some(found) => age = age.max(found.age),
                    None => refusals.push(Refusal {
                        place: "words.schemes".into(),
                        text: format!("{id}:{code}").chars().take(80).collect(),
                        reason: "there is no such category".into(),
                        hint: "GET /v1/schemes names those there are".into(),
                    }),
                }
            }
        }
        words.attributes.age = words.attributes.age.or(age);
        Ok(refusals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemes_that_ship_are_whole() {
        for scheme in shipped() {
            assert!(!scheme.codes.is_empty() && scheme.names.contains_key("en"));
            for code in &scheme.codes {
                assert!(code.names.len() >= 2, "{}: {} is named in several languages", scheme.id, code.code);
                assert!(code.names.keys().all(|tag| is_language(tag)));
            }
        }
    }
}
