//! Asks an index for one rule by its text: whether a newer layer speaks of what an older one answers with.

use super::index::{DOMAIN, GROUP, Hit, Index, SUBTREE};
use super::layout::Fault;
use super::question::Question;
use crate::list::Kind;

impl Index {
    /// Whether it has the rule of this hit of the same question, or takes it away. One search, however many other rules
    /// the question meets, so that crafted rules around each other do not cost their number squared.
    pub(crate) fn speaks_of(&self, question: &Question<'_>, hashes: &[u64], hit: &Hit) -> Result<bool, Fault> {
        let length = hit.length as usize;
        match hit.kind {
            Kind::Domain | Kind::Subtree => {
                let Some(n) = (0..hashes.len()).find(|n| question.suffix(*n).len() == length) else { return Ok(false) };
                let kind = if hit.kind == Kind::Domain { DOMAIN } else { SUBTREE };
                Ok(self.find(hashes[n], question.suffix(n), kind)?.is_some())
            }
            Kind::Url | Kind::Prefix => {
                let name = question.name_octets();
                let (Some(hash), Some(rest)) = (hashes.first(), question.rest()) else { return Ok(false) };
                let Some(text) = length.checked_sub(name.len()).and_then(|n| rest.as_bytes().get(..n)) else { return Ok(false) };
                let group = self.find(*hash, name, GROUP)?;
                group.map_or(Ok(false), |(group, _)| self.has_url_rule(group, text, hit.kind))
            }
            Kind::Cidr => question.as_address().map_or(Ok(false), |address| self.has_range(address, hit.length)),
        }
    }
}
