//! The host table of an index: every name in its home line, or in one behind it where that is full.

use super::{
    AT_LENGTHS, AT_OVERFLOW, AT_TAGS, BuildError, DOMAIN, EXTRA_LINES, GROUP, Header, IndexBuilder, Key, LINE, NONE, Place, SLOTS, Section,
    lossy, reference_key,
};
use crate::list::Kind;

/// What is known when the names have their places.
pub(super) struct Table {
    /// Place and length of the host of each group.
    pub(super) group_places: Vec<(u32, u32)>,
    pub(super) references: Vec<((u32, u32), u32)>,
}

impl IndexBuilder {
    /// Puts the names into their lines; `None` if they do not fit.
    pub(super) fn fill_table(&self, header: &Header, octets: &mut [u8]) -> Result<Option<Table>, BuildError> {
        let home_lines = header.home_lines;
        let (order, ends) = self.by_home_line(home_lines);
        let mut table = Table { group_places: vec![(0, 0); self.names.len().min(self.urls.len())], references: Vec::new() };
        let (lines_at, names_at) = (header.section(Section::Lines).0, header.section(Section::Names).0);
        let mut next_name = 0;
        let (mut waiting, mut row): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for line in 0..home_lines as usize + EXTRA_LINES {
            row.clear();
            row.append(&mut waiting);
            if let Some(end) = ends.get(line) {
                let start = if line == 0 { 0 } else { ends[line - 1] };
                let own = row.len();
                row.extend_from_slice(&order[start as usize..*end as usize]);
                row[own..].sort_unstable_by(|a, b| self.cmp_names(*a, *b));
                if let Some(twice) = row[own..].windows(2).find(|pair| self.cmp_names(pair[0], pair[1]).is_eq()) {
                    let key = &self.names[twice[0] as usize];
                    let kind = if key.kind == DOMAIN as u8 { Kind::Domain } else { Kind::Subtree };
                    return Err(BuildError::Twice(format!("{}:{}", kind.word(), lossy(self.text(key.text, key.length.into())))));
                }
            }
            let slots = &mut octets[lines_at + line * LINE..][..LINE];
            slots[..4].copy_from_slice(&(next_name as u32).to_le_bytes());
            for late in row.iter().skip(SLOTS) {
                slots[AT_OVERFLOW] |= Place::of(self.names[*late as usize].hash, home_lines).overflow;
                waiting.push(*late);
            }
            if waiting.first().is_some_and(|first| Place::of(self.names[*first as usize].hash, home_lines).line + EXTRA_LINES <= line) {
                return Ok(None);
            }
            for (slot, n) in row.iter().take(SLOTS).enumerate() {
                let key = &self.names[*n as usize];
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
        Ok(waiting.is_empty().then_some(table))
    }

    fn cmp_names(&self, a: u32, b: u32) -> std::cmp::Ordering {
        let (a, b) = (&self.names[a as usize], &self.names[b as usize]);
        self.text(a.text, a.length.into()).cmp(self.text(b.text, b.length.into())).then(a.kind.cmp(&b.kind))
    }

    /// Numbers of the names in the order of their home lines, and where each line's end.
    fn by_home_line(&self, home_lines: u32) -> (Vec<u32>, Vec<u32>) {
        let line = |key: &Key| Place::of(key.hash, home_lines).line;
        let mut ends = vec![0_u32; home_lines as usize];
        self.names.iter().for_each(|key| ends[line(key)] += 1);
        let mut sum = 0;
        for end in &mut ends {
            (*end, sum) = (sum, sum + *end);
        }
        let mut order = vec![0; self.names.len()];
        for (n, key) in (0..).zip(&self.names) {
            let next = &mut ends[line(key)];
            order[*next as usize] = n;
            *next += 1;
        }
        (order, ends)
    }
}
