//! The host table of an index: every name in its home line, or in one behind it where that is full.

use super::{
    AT_LENGTHS, AT_OVERFLOW, AT_TAGS, BuildError, DOMAIN, EXTRA_LINES, GROUP, Header, IndexBuilder, Key, LINE, NONE, Place, SLOTS, Section,
    lossy, prefetch, reference_key,
};
use crate::list::Kind;

/// What is known when the names have their places.
pub(super) struct Table {
    /// Place and length of the host of each group.
    pub(super) group_places: Vec<(u32, u32)>,
    pub(super) references: Vec<((u32, u32), u32)>,
}

/// Names whose text is fetched before they are written: it lies anywhere in the pool.
const AHEAD: usize = 32;

impl IndexBuilder {
    /// Orders the names by hash, which is the order of their home lines too.
    ///
    /// # Errors
    /// [`BuildError::Twice`].
    pub(super) fn sort_names(&mut self) -> Result<(), BuildError> {
        let mut names = std::mem::take(&mut self.names);
        let text = |key: &Key| self.text(key.text, key.length.into());
        names.sort_unstable_by(|a, b| (a.hash, a.kind).cmp(&(b.hash, b.kind)).then_with(|| text(a).cmp(text(b))));
        let twice = names.windows(2).find(|pair| {
            let (a, b) = (&pair[0], &pair[1]);
            (a.hash, a.kind) == (b.hash, b.kind) && text(a) == text(b)
        });
        if let Some([key, _]) = twice {
            let kind = if u16::from(key.kind) == DOMAIN { Kind::Domain } else { Kind::Subtree };
            return Err(BuildError::Twice(format!("{}:{}", kind.word(), lossy(text(key)))));
        }
        self.names = names;
        Ok(())
    }

    /// Puts the sorted names into their lines; `None` if they do not fit.
    pub(super) fn fill_table(&self, header: &Header, groups: usize, octets: &mut [u8]) -> Option<Table> {
        let home_lines = header.home_lines;
        let mut table = Table { group_places: vec![(0, 0); groups], references: Vec::new() };
        let (lines_at, names_at) = (header.section(Section::Lines).0, header.section(Section::Names).0);
        let (mut next, mut next_name) = (0, 0);
        let (mut waiting, mut row): (Vec<Key>, Vec<Key>) = (Vec::new(), Vec::new());
        for line in 0..home_lines as usize + EXTRA_LINES {
            // What waits goes first, so that it does not travel far; then what is at home, the highest class last.
            row.clear();
            row.append(&mut waiting);
            let own = row.len();
            while let Some(key) = self.names.get(next).filter(|key| Place::of(key.hash, home_lines).line == line) {
                if let Some(later) = self.names.get(next + AHEAD) {
                    prefetch(&self.pool, later.text as usize);
                }
                row.push(*key);
                next += 1;
            }
            row[own..].sort_by_key(|key| Place::of(key.hash, home_lines).class);
            let slots = &mut octets[lines_at + line * LINE..][..LINE];
            slots[..4].copy_from_slice(&(next_name as u32).to_le_bytes());
            let mut overflow = 0_u16;
            for late in row.iter().skip(SLOTS) {
                overflow |= 1 << Place::of(late.hash, home_lines).class;
                waiting.push(*late);
            }
            // A look-up does not go farther than this.
            if waiting.iter().any(|late| Place::of(late.hash, home_lines).line + EXTRA_LINES <= line) {
                return None;
            }
            slots[AT_OVERFLOW..AT_OVERFLOW + 2].copy_from_slice(&overflow.to_le_bytes());
            for (slot, key) in row.iter().take(SLOTS).enumerate() {
                let tag = Place::of(key.hash, home_lines).tag << 2 | u16::from(key.kind);
                let slots = &mut octets[lines_at + line * LINE..][..LINE];
                slots[AT_LENGTHS + slot] = key.length;
                slots[AT_TAGS + 2 * slot..AT_TAGS + 2 * slot + 2].copy_from_slice(&tag.to_le_bytes());
                let at = next_name as u32;
                let name = &mut octets[names_at + next_name..][..header.width + usize::from(key.length)];
                name[..header.width].copy_from_slice(&key.number.to_le_bytes()[..header.width]);
                name[header.width..].copy_from_slice(self.text(key.text, key.length.into()));
                next_name += name.len();
                if u16::from(key.kind) == GROUP {
                    table.group_places[key.number as usize] = (at + header.width as u32, u32::from(key.length));
                } else if key.reference != NONE {
                    table.references.push((reference_key(Kind::Domain, at), key.reference));
                }
            }
        }
        waiting.is_empty().then_some(table)
    }
}
