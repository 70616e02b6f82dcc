//! The owner names of a zone, streamed from the lists' snapshots and what changed since: constant memory, each name once.
//!
//! A zone with the same record twice is refused whole by name servers. Two rules give the same name when `domain:x` and
//! `subtree:x` are both there, and when two lists of a selection name the same target. So all sources are read side by
//! side in order of the target, and what they have in common is given once.

use std::cmp::Ordering;
use std::io;

use crate::list::Kind;
use crate::store::{ArtefactKind, Artefacts, PublishedList, VersionLines};

use super::DnsError;
use super::owner::{Counts, LeftOut, enforced, host, range, rule_parts};
use super::part::Part;
use super::zone::{Newest, Zone};

/// An owner name relative to the zone, in wire form without a root label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner<'a> {
    /// This name.
    Name(&'a [u8]),
    /// `*` under this name.
    Wildcard(&'a [u8]),
}

fn lines<'c>(artefacts: &Artefacts, list: &'c PublishedList) -> Result<VersionLines<'c>, DnsError> {
    let base = list.bases.last().ok_or_else(|| io::Error::other("a published list has a base"))?;
    let file = artefacts.open_file(ArtefactKind::Snapshot, &base.snapshot)?;
    Ok(VersionLines::new(file, base, &list.content)?)
}

/// Between two looks at whether a walk is still wanted, in lines, also of rules that are not selected.
const LOOK: u64 = 4_096;

/// A walk so far.
struct Way<'a> {
    counts: Counts,
    lines: u64,
    ended: &'a dyn Fn() -> bool,
}

impl Way<'_> {
    /// A line more.
    fn step(&mut self) -> Result<(), DnsError> {
        self.lines += 1;
        if self.lines.is_multiple_of(LOOK) && (self.ended)() { Err(DnsError::Gone) } else { Ok(()) }
    }
}

/// Which rules a reader gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// `cidr:`, then `domain:`; stops before the first of another kind.
    Front,
    /// `subtree:`; counts what cannot be said; to the end, where the snapshot's digest is compared.
    Back,
}

/// The selected rules of one list, of some kinds, one at a time.
struct Reader<'c> {
    lines: VersionLines<'c>,
    half: Half,
    part: Part,
    kind: Kind,
    target: String,
    ended: bool,
}

impl Reader<'_> {
    fn advance(&mut self, zone: &Zone, way: &mut Way<'_>) -> Result<(), DnsError> {
        loop {
            way.step()?;
            let Some(line) = self.lines.next_line()? else {
                self.ended = true;
                return Ok(());
            };
            let Some((kind, target)) = rule_parts(line) else { continue };
            match (self.half, kind) {
                (Half::Front, Kind::Cidr | Kind::Domain) | (Half::Back, Kind::Subtree) => {}
                (Half::Front, _) => {
                    self.ended = true;
                    return Ok(());
                }
                (Half::Back, Kind::Url | Kind::Prefix) => {
                    if self.part.has(target) && zone.selection.has(line) {
                        way.counts.add(LeftOut::Url);
                    }
                    continue;
                }
                (Half::Back, _) => continue,
            }
            if !self.part.has(target) || !zone.selection.has(line) {
                continue;
            }
            if !enforced(line) {
                way.counts.add(LeftOut::Action);
                continue;
            }
            self.kind = kind;
            self.target.clear();
            self.target.push_str(target);
            return Ok(());
        }
    }

    fn at(&self, kinds: &[Kind]) -> Option<&str> {
        (!self.ended && kinds.contains(&self.kind)).then_some(self.target.as_str())
    }
}

/// Gives every owner name of a part of the zone once: ranges, then names, in the order of the targets, the wildcard behind its name.
///
/// # Errors
/// Of reading, and of `each`; [`DnsError::Gone`] soon after `ended` has become true. Only when this returns without an error have all snapshots been compared with their digests.
pub fn walk(
    artefacts: &Artefacts,
    zone: &Zone,
    part: Part,
    newest: &Newest,
    ended: &dyn Fn() -> bool,
    mut each: impl FnMut(Owner<'_>) -> Result<(), DnsError>,
) -> Result<Counts, DnsError> {
    let mut way = Way { counts: Counts::default(), lines: 0, ended };
    let mut readers = Vec::with_capacity(2 * newest.lists.len());
    for list in &newest.lists {
        for half in [Half::Front, Half::Back] {
            let lines = lines(artefacts, list)?;
            let mut reader = Reader { lines, half, part, kind: Kind::Url, target: String::new(), ended: false };
            reader.advance(zone, &mut way)?;
            readers.push(reader);
        }
    }
    let (mut wire, mut target) = (Vec::with_capacity(256), String::new());
    for kinds in [&[Kind::Cidr][..], &[Kind::Domain, Kind::Subtree]] {
        while let Some(found) = least(&readers, kinds) {
            let (mut named, mut subtree) = (false, false);
            target.clone_from(&readers[found].target);
            for reader in &mut readers {
                if reader.at(kinds) == Some(target.as_str()) {
                    subtree |= reader.kind == Kind::Subtree;
                    named |= reader.kind != Kind::Subtree;
                    reader.advance(zone, &mut way)?;
                }
            }
            give(zone, &target, Said { named, subtree }, kinds[0] == Kind::Cidr, &mut wire, &mut way.counts, &mut each)?;
        }
    }
    Ok(way.counts)
}

/// Which rules name a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// `domain:` or `cidr:`.
    pub named: bool,
    /// `subtree:`.
    pub subtree: bool,
}

fn give(
    zone: &Zone,
    target: &str,
    said: Said,
    is_range: bool,
    wire: &mut Vec<u8>,
    counts: &mut Counts,
    each: &mut impl FnMut(Owner<'_>) -> Result<(), DnsError>,
) -> Result<(), DnsError> {
    let (owners, left_out) = owners(zone.name_len(), target, said, is_range, wire);
    if let Some(why) = left_out {
        counts.add(why);
    }
    if owners.name {
        each(Owner::Name(wire))?;
    }
    if owners.wildcard {
        each(Owner::Wildcard(wire))?;
    }
    Ok(())
}

/// Which owner names a target has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owners {
    /// The name itself.
    pub name: bool,
    /// Its wildcard.
    pub wildcard: bool,
}

/// The owner names of a target that these rules name; `wire` is set to the name. The one place where this is decided, for
/// whole and for incremental transfers.
pub fn owners(zone: usize, target: &str, said: Said, is_range: bool, wire: &mut Vec<u8>) -> (Owners, Option<LeftOut>) {
    if !said.named && !said.subtree {
        return (Owners::default(), None);
    }
    if is_range {
        let left_out = range(target, zone, wire).err();
        return (Owners { name: left_out.is_none(), wildcard: false }, left_out);
    }
    if said.subtree {
        match host(target, true, zone, wire) {
            Ok(()) => return (Owners { name: true, wildcard: true }, None),
            Err(why) if !said.named => return (Owners::default(), Some(why)),
            // The subtree cannot be said; the name alone, which another rule lists, perhaps can.
            Err(why) => {
                let name = host(target, false, zone, wire).is_ok();
                return (Owners { name, wildcard: false }, Some(why));
            }
        }
    }
    let left_out = host(target, false, zone, wire).err();
    (Owners { name: left_out.is_none(), wildcard: false }, left_out)
}

/// The reader with the least target of these kinds.
fn least(readers: &[Reader<'_>], kinds: &[Kind]) -> Option<usize> {
    let mut found: Option<(usize, &str)> = None;
    for (at, reader) in readers.iter().enumerate() {
        if let Some(target) = reader.at(kinds)
            && found.is_none_or(|(_, least)| target.cmp(least) == Ordering::Less)
        {
            found = Some((at, target));
        }
    }
    found.map(|(at, _)| at)
}
