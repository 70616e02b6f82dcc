//! The URL rules of an index: sorted by host and text, grouped by host, each with the prefix rule around it.

use super::{BuildError, GROUP, GROUP_SIZE, IndexBuilder, Key, NONE, Url, UrlRule, index32, lossy};
use crate::list::Kind;

/// URL rules as they are written.
pub(super) struct UrlLayout {
    /// First rule of each group.
    pub(super) groups: Vec<u32>,
    pub(super) rules: Vec<UrlRule>,
    pub(super) text: Vec<u8>,
}

impl IndexBuilder {
    /// Sorts the URL rules, groups them by host and enters the hosts into the table. A group is its first rule.
    pub(super) fn lay_urls(&mut self) -> Result<UrlLayout, BuildError> {
        let mut urls = std::mem::take(&mut self.urls);
        {
            let host = |url: &Url| self.text(url.host.0, url.host.1.into());
            let rest = |url: &Url| self.text(url.rest.0, url.rest.1.into());
            // A prefix stands before the URL of the same text, so that it lies around it.
            let key = |url: &Url| url.kind == Kind::Url;
            urls.sort_unstable_by(|a, b| host(a).cmp(host(b)).then_with(|| rest(a).cmp(rest(b))).then_with(|| key(a).cmp(&key(b))));
        }
        let (mut groups, mut rules, mut text) = (Vec::new(), Vec::with_capacity(urls.len()), Vec::new());
        let mut open: Vec<u32> = Vec::new();
        // Place and length of the host, and the group it names.
        let mut hosts = Vec::new();
        for n in 0..urls.len() {
            let url = &urls[n];
            let host = self.text(url.host.0, url.host.1.into());
            let same_host = n > 0 && self.text(urls[n - 1].host.0, urls[n - 1].host.1.into()) == host;
            let rest = self.text(url.rest.0, url.rest.1.into());
            if same_host {
                let before = &urls[n - 1];
                if before.kind == url.kind && self.text(before.rest.0, before.rest.1.into()) == rest {
                    return Err(BuildError::Twice(format!("{}:{}{}", url.kind.word(), lossy(host), lossy(rest))));
                }
            } else {
                open.clear();
                groups.push(index32(n, "URL rules")?);
                hosts.push((url.host, groups.len() as u32 - 1));
            }
            let encloses = |around: &u32| {
                let around = &urls[*around as usize];
                rest.starts_with(self.text(around.rest.0, around.rest.1.into()))
            };
            while open.last().is_some_and(|around| !encloses(around)) {
                open.pop();
            }
            rules.push(UrlRule {
                text: index32(text.len(), "text of URLs")?,
                length: url.rest.1,
                kind: url.kind,
                attributes: url.attributes,
                around: open.last().copied().unwrap_or(NONE),
            });
            text.extend_from_slice(rest);
            if url.kind == Kind::Prefix {
                open.push(index32(n, "URL rules")?);
            }
        }
        for ((at, length), number) in hosts {
            let host = self.text(at, length.into()).to_vec();
            let (text, hash) = (index32(self.pool.len(), "text")?, self.push_name(&host));
            self.names.push(Key { hash, text, number, reference: NONE, length, kind: GROUP as u8 });
        }
        self.urls = urls;
        Ok(UrlLayout { groups, rules, text })
    }
}

pub(super) fn encode_groups(groups: &[u32], places: &[(u32, u32)], rules: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity((groups.len() + 1) * GROUP_SIZE);
    let end = rules as u32;
    for (n, first) in groups.iter().chain([&end]).enumerate() {
        let (place, length) = places.get(n).copied().filter(|_| n < groups.len()).unwrap_or_default();
        for number in [*first, place, length] {
            octets.extend_from_slice(&number.to_le_bytes());
        }
    }
    octets
}
