//! The words of an entry as options: all of a new one, or those of an old one that change.

use std::collections::BTreeMap;

use crate::desk::{LegalBasis, Words};
use crate::list::{Code, Date, Digest};

use super::super::exit::Ended;

/// What is written of an entry. What is not given stays as it is.
#[derive(clap::Args, Debug)]
pub struct WordArgs {
    /// The reason for everybody, as LANGUAGE=TEXT (may be repeated)
    #[arg(long, value_name = "LANGUAGE=TEXT", value_parser = pair)]
    text: Vec<(String, String)>,
    /// Why, as a code
    #[arg(long, value_name = "CODE")]
    reason_code: Option<Code>,
    /// Categories of the list, joined by commas
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    cat: Vec<Code>,
    /// Category of a scheme, as SCHEME=CODE (may be repeated)
    #[arg(long, value_name = "SCHEME=CODE", value_parser = pair)]
    scheme: Vec<(String, String)>,
    /// Where it is law, as UA or EU
    #[arg(long, value_name = "CODE")]
    basis_jurisdiction: Option<String>,
    /// The law or the order
    #[arg(long, value_name = "TEXT")]
    basis_instrument: Option<String>,
    /// Who decided
    #[arg(long, value_name = "TEXT")]
    basis_authority: Option<String>,
    /// Under which number
    #[arg(long, value_name = "TEXT")]
    basis_number: Option<String>,
    /// When
    #[arg(long, value_name = "YYYY-MM-DD")]
    basis_date: Option<Date>,
    /// Digest of the evidence, which is kept elsewhere
    #[arg(long, value_name = "DIGEST")]
    evidence: Option<Digest>,
    /// The day after which the entry leaves the list
    #[arg(long, value_name = "YYYY-MM-DD")]
    expires: Option<Date>,
    /// The day on which somebody is to look at it again
    #[arg(long, value_name = "YYYY-MM-DD")]
    review_by: Option<Date>,
}

impl WordArgs {
    /// `before` with what was given in its place.
    ///
    /// # Errors
    /// [`Ended::Usage`] if a category of a scheme is no code.
    pub(super) fn over(self, before: Words) -> anyhow::Result<Words> {
        let Words { rule, mut attributes, reasons, basis, mut schemes, evidence, review_by } = before;
        let mut given: BTreeMap<String, Vec<Code>> = BTreeMap::new();
        for (scheme, code) in self.scheme {
            let code = code.parse().map_err(|e| Ended::Usage(format!("--scheme: {e}")))?;
            given.entry(scheme).or_default().push(code);
        }
        schemes.extend(given);
        if !self.cat.is_empty() {
            attributes.categories = self.cat;
        }
        attributes.reason = self.reason_code.or(attributes.reason);
        attributes.expires = self.expires.or(attributes.expires);
        let old = basis.unwrap_or_default();
        let basis = LegalBasis {
            jurisdiction: self.basis_jurisdiction.unwrap_or(old.jurisdiction),
            instrument: self.basis_instrument.unwrap_or(old.instrument),
            authority: self.basis_authority.unwrap_or(old.authority),
            number: self.basis_number.unwrap_or(old.number),
            date: self.basis_date.or(old.date),
        };
        Ok(Words {
            rule,
            attributes,
            reasons: reasons.into_iter().chain(self.text).collect(),
            basis: (basis != LegalBasis::default()).then_some(basis),
            schemes,
            evidence: self.evidence.or(evidence),
            review_by: self.review_by.or(review_by),
        })
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    Ok((key.to_owned(), value.to_owned()))
}
