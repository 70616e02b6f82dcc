//! The host table of an index: every name in its home line, or in one behind it where that is full.

use super::{
    AT_LENGTHS, AT_OVERFLOW, AT_TAGS, BuildError, DOMAIN, EXTRA_LINES, GROUP, Header, IndexBuilder, Key, LINE, NONE, Place, SLOTS, Section,
    lossy, names_place, prefetch, reference_key,
};
use crate::list::Kind;

/// What is known when the names have their places.
pub(super) struct Table {
    /// Place and length of the host of each group.
    pub(super) group_places: Vec<(u32, u32)>,
    pub(super) references: Vec<((u32, u32), u32)>,
}

/// Names whose text is fetched before they are written.
const AHEAD: usize = 32;
/// One part in so many is left free among the names, so that what is long in one line is made up for in the next ones.
const SLACK: usize = 20;

/// Which names stand in which line.
pub(super) struct Plan {
    home_lines: u32,
    pub(super) stride: u16,
    /// Numbers of the names, line by line.
    rows: Vec<u32>,
    lines: Vec<Line>,
    pub(super) names_length: usize,
}

struct Line {
    names_at: u32,
    overflow: u16,
    filled: u8,
}

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

    /// Finds a place for each of the sorted names; `None` if they do not fit.
    pub(super) fn plan(&self, home_lines: u32, width: usize) -> Option<Plan> {
        let octets: usize = self.names.iter().map(|key| width + usize::from(key.length)).sum();
        let mean = octets.div_ceil(home_lines as usize);
        let mut plan = Plan {
            home_lines,
            stride: u16::try_from(mean + mean / SLACK).unwrap_or(u16::MAX),
            rows: Vec::with_capacity(self.names.len()),
            lines: Vec::with_capacity(home_lines as usize + EXTRA_LINES),
            names_length: 0,
        };
        let place = |n: &u32| Place::of(self.names[*n as usize].hash, home_lines);
        let mut next = 0;
        let (mut waiting, mut row): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for line in 0..home_lines as usize + EXTRA_LINES {
            // What waits goes first, so that it does not travel far; then what is at home, the highest class last.
            row.clear();
            row.append(&mut waiting);
            let own = row.len();
            while (next as usize) < self.names.len() && place(&next).line == line {
                row.push(next);
                next += 1;
            }
            row[own..].sort_by_key(|n| place(n).class);
            let mut overflow = 0;
            for late in row.iter().skip(SLOTS) {
                overflow |= 1 << place(late).class;
                waiting.push(*late);
            }
            // A look-up does not go farther than this.
            if waiting.iter().any(|late| place(late).line + EXTRA_LINES <= line) {
                return None;
            }
            row.truncate(SLOTS);
            let names_at = names_place(line, plan.stride, plan.names_length, row.is_empty());
            plan.names_length = names_at;
            plan.names_length += row.iter().map(|n| width + usize::from(self.names[*n as usize].length)).sum::<usize>();
            plan.lines.push(Line { names_at: u32::try_from(names_at).ok()?, overflow, filled: row.len() as u8 });
            plan.rows.extend_from_slice(&row);
        }
        waiting.is_empty().then_some(plan)
    }

    /// Writes lines and names as they were planned.
    pub(super) fn fill_table(&self, header: &Header, plan: &Plan, groups: usize, octets: &mut [u8]) -> Table {
        let mut table = Table { group_places: vec![(0, 0); groups], references: Vec::new() };
        let (lines_at, names_at) = (header.section(Section::Lines).0, header.section(Section::Names).0);
        let mut done = 0;
        for (line, planned) in plan.lines.iter().enumerate() {
            let mut next_name = planned.names_at as usize;
            for slot in 0..usize::from(planned.filled) {
                // Texts lie anywhere in the pool.
                if let Some(later) = plan.rows.get(done + AHEAD) {
                    prefetch(&self.pool, self.names[*later as usize].text as usize);
                }
                let key = &self.names[plan.rows[done] as usize];
                done += 1;
                let tag = Place::of(key.hash, plan.home_lines).tag << 2 | u16::from(key.kind);
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
            let slots = &mut octets[lines_at + line * LINE..][..LINE];
            slots[..4].copy_from_slice(&planned.names_at.to_le_bytes());
            slots[AT_OVERFLOW..AT_OVERFLOW + 2].copy_from_slice(&planned.overflow.to_le_bytes());
        }
        table
    }
}
