//! URL rules of one host: sorted, each knowing the nearest prefix rule around it.
//!
//! Every rule that a URL continues is the greatest one not after the URL, or around that one: texts between a prefix and
//! its continuation begin with the prefix too. So one binary search and a walk outwards find all, longest first.

use std::cmp::Ordering;

use super::index::{Hit, Index, u32_at};
use super::layout::{Fault, Section};
use crate::list::Kind;

/// A group: first rule, place and length of the host's name.
pub(crate) const GROUP_SIZE: usize = 12;
/// A rule: place of its text, length, kind, attributes, the rule around it.
pub(crate) const URL_SIZE: usize = 16;
/// No rule around it.
pub(crate) const NONE: u32 = u32::MAX;

/// One URL rule as it is stored; its text begins behind the host.
#[derive(Clone, Copy)]
pub(crate) struct UrlRule {
    pub(crate) text: u32,
    pub(crate) length: u16,
    pub(crate) kind: Kind,
    pub(crate) attributes: u32,
    /// Number of the nearest prefix rule of the group around it, or [`NONE`].
    pub(crate) around: u32,
}

impl UrlRule {
    pub(crate) fn encode(&self) -> [u8; URL_SIZE] {
        let mut octets = [0; URL_SIZE];
        octets[0..4].copy_from_slice(&self.text.to_le_bytes());
        octets[4..6].copy_from_slice(&self.length.to_le_bytes());
        octets[6] = u8::from(self.kind == Kind::Url);
        octets[8..12].copy_from_slice(&self.attributes.to_le_bytes());
        octets[12..16].copy_from_slice(&self.around.to_le_bytes());
        octets
    }
}

/// Whether a URL is covered by a prefix that it begins with: docs/PROTOCOL.md section 3.2.
pub(crate) fn at_boundary(prefix: &[u8], url: &[u8]) -> bool {
    let edge = |c: Option<&u8>| matches!(c, Some(b'/' | b'?' | b'&' | b'='));
    prefix.len() == url.len() || edge(prefix.last()) || edge(url.get(prefix.len()))
}

impl Index {
    /// First and last (excluded) rule of a group.
    pub(crate) fn group(&self, group: u32) -> Result<(u32, u32), Fault> {
        let at = group as usize * GROUP_SIZE;
        Ok((self.read_u32(Section::Groups, at)?, self.read_u32(Section::Groups, at + GROUP_SIZE)?))
    }

    /// The host of a group.
    pub(crate) fn group_host(&self, group: u32) -> Result<&[u8], Fault> {
        let (place, length) = self.group_place(group)?;
        self.read(Section::Names, place, length)
    }

    /// Place and length of the name of a group's host.
    pub(crate) fn group_place(&self, group: u32) -> Result<(usize, usize), Fault> {
        let at = group as usize * GROUP_SIZE;
        Ok((self.read_u32(Section::Groups, at + 4)? as usize, self.read_u32(Section::Groups, at + 8)? as usize))
    }

    pub(crate) fn url_rule(&self, n: u32) -> Result<UrlRule, Fault> {
        let octets = self.read(Section::Urls, n as usize * URL_SIZE, URL_SIZE)?;
        Ok(UrlRule {
            text: u32_at(octets, 0),
            length: u16::from_le_bytes([octets[4], octets[5]]),
            kind: if octets[6] == 1 { Kind::Url } else { Kind::Prefix },
            attributes: u32_at(octets, 8),
            around: u32_at(octets, 12),
        })
    }

    pub(crate) fn url_text(&self, rule: &UrlRule) -> Result<&[u8], Fault> {
        self.read(Section::UrlText, rule.text as usize, usize::from(rule.length))
    }

    /// Whether a group has exactly this rule; its text begins behind the host.
    pub(crate) fn has_url_rule(&self, group: u32, text: &[u8], kind: Kind) -> Result<bool, Fault> {
        let (mut low, mut high) = self.group(group)?;
        while low < high {
            let middle = low + (high - low) / 2;
            let rule = self.url_rule(middle)?;
            match self.url_text(&rule)?.cmp(text).then((rule.kind == Kind::Url).cmp(&(kind == Kind::Url))) {
                Ordering::Greater => high = middle,
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Gives the rules of a group that `rest` (what follows the host) meets, longest first.
    pub(crate) fn url_hits(&self, group: u32, host: usize, rest: &[u8], each: &mut impl FnMut(Hit) -> bool) -> Result<bool, Fault> {
        let (first, last) = self.group(group)?;
        let (mut low, mut high) = (first, last);
        while low < high {
            let middle = low + (high - low) / 2;
            let rule = self.url_rule(middle)?;
            match self.url_text(&rule)?.cmp(rest) {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle + 1,
            }
        }
        let mut next = if low > first { low - 1 } else { NONE };
        while next != NONE {
            let rule = self.url_rule(next)?;
            let text = self.url_text(&rule)?;
            let met = match rule.kind {
                Kind::Url => text == rest,
                _ => rest.starts_with(text) && at_boundary(text, rest),
            };
            if met {
                let hit = Hit { kind: rule.kind, length: (host + text.len()) as u32, attributes: rule.attributes, at: next };
                if each(hit) {
                    return Ok(true);
                }
            }
            // Strictly outwards, so that the walk ends whatever the octets are.
            match rule.around {
                NONE => next = NONE,
                around if around < next && around >= first => next = around,
                _ => return Err(Fault::URL_AROUND),
            }
        }
        Ok(false)
    }
}
