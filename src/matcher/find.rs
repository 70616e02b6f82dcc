//! Asks an index for one rule by its text: whether a newer layer speaks of what an older one answers with.

use super::index::{DOMAIN, GROUP, Hit, Index, SUBTREE};
use super::layout::IndexError;
use super::question::Question;
use crate::list::Kind;

impl Index {
    /// Whether it has the rule of this hit of the same question, or takes it away. One search, however many other rules
    /// the question meets, so that crafted rules around each other do not cost their number squared.
    pub(crate) fn speaks_of(&self, question: &Question<'_>, hashes: &[u64], hit: &Hit) -> Result<bool, IndexError> {
        let length = hit.length as usize;
        match hit.kind {
            Kind::Domain | Kind::Subtree => {
                let Some(n) = (0..hashes.len()).find(|n| question.suffix(*n).len() == length) else { return Ok(false) };
                let kind = if hit.kind == Kind::Domain { DOMAIN } else { SUBTREE };
                let mut found = false;
                self.probe(hashes[n], question.suffix(n), 1 << kind, |_, _, _| found = true)?;
                Ok(found)
            }
            Kind::Url | Kind::Prefix => {
                let name = question.name_octets();
                let (Some(hash), Some(rest)) = (hashes.first(), question.rest()) else { return Ok(false) };
                let Some(text) = length.checked_sub(name.len()).and_then(|n| rest.as_bytes().get(..n)) else { return Ok(false) };
                let mut group = None;
                self.probe(*hash, name, 1 << GROUP, |_, number, _| group = Some(number))?;
                group.map_or(Ok(false), |group| self.has_url_rule(group, text, hit.kind))
            }
            Kind::Cidr => question.as_address().map_or(Ok(false), |address| self.has_range(address, hit.length)),
        }
    }
}
