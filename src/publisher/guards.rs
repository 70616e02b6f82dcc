//! What keeps a mistake from being published: how much may change at once, which names may never be blocked, which
//! categories a list knows. Each looks at changes only, so its cost follows the change.

use crate::list::{Colour, ListId};
use crate::store::ListMeta;

use super::error::cut;
use super::{Protected, PublisherOptions, Refusal};

/// How many of each there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub added: u64,
    pub removed: u64,
    pub replaced: u64,
}

impl Tally {
    pub(super) fn count(&mut self, sign: u8) {
        match sign {
            b'+' => self.added += 1,
            b'-' => self.removed += 1,
            _ => self.replaced += 1,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.added + self.removed + self.replaced
    }

    /// Entries of a list of `entries` after these changes.
    pub(super) fn after(&self, entries: u64) -> u64 {
        (entries + self.added).saturating_sub(self.removed)
    }
}

/// Names of the guards that can be forced.
pub(super) const FORCEABLE: [&str; 2] = ["max-added", "max-removed"];

/// The guards against too much at once: refused is what is more than the share *and* more than the number.
pub(super) fn too_much(tally: Tally, entries: u64, options: &PublisherOptions) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let share = u128::from(entries) * u128::from(options.guard_percent) / 100;
    let exceeded = |count: u64| count > options.guard_entries && u128::from(count) > share;
    let mut refuse = |name: &str, count: u64, word: &str| {
        refusals.push(Refusal {
            place: format!("guard:{name}"),
            text: count.to_string(),
            reason: format!(
                "{count} entries would be {word}, of a list of {entries}; more than {} and more than {} % at once is refused",
                options.guard_entries, options.guard_percent
            ),
            hint: format!("look at what is staged; if it is meant, publish with --force {name}"),
        });
    };
    // Filling an empty list is how every list begins.
    if entries > 0 && exceeded(tally.added) {
        refuse("max-added", tally.added, "added");
    }
    if exceeded(tally.removed) {
        refuse("max-removed", tally.removed, "removed");
    }
    refusals
}

/// Looks at single changes: protected names and the list's categories.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    list: &'a ListId,
    protected: Option<&'a Protected>,
    meta: &'a ListMeta,
    /// The last `cat=` value that was found good: in bulk they are nearly all the same.
    good: String,
}

impl<'a> Screen<'a> {
    pub(super) fn new(meta: &'a ListMeta, options: &'a PublisherOptions) -> Screen<'a> {
        let protected = (meta.colour == Colour::Black && !options.protected.is_empty()).then_some(&options.protected);
        Screen { list: &meta.id, protected, meta, good: String::new() }
    }

    /// Why this entry line may not be put on the list; `None` if it may.
    pub(super) fn refuses(&mut self, line: &str) -> Option<Refusal> {
        let (rule, attributes) = match memchr::memchr(b'\t', line.as_bytes()) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, ""),
        };
        if self.protected.is_some_and(|protected| protected.forbids(rule)) {
            return Some(Refusal {
                place: "guard:protected".into(),
                text: cut(rule),
                reason: "the rule would block a protected name".into(),
                hint: "leave it out; it cannot be forced. Who means it takes the name out of the protected set first".into(),
            });
        }
        self.refuses_category(attributes).map(|code| Refusal {
            place: "categories".into(),
            text: cut(line),
            reason: format!("list \"{}\" has no category \"{code}\"", self.list),
            hint: "correct it, or add the category to the list with `bwld list set`".into(),
        })
    }

    fn refuses_category(&mut self, attributes: &str) -> Option<String> {
        if self.meta.categories.is_empty() {
            return None;
        }
        // `cat` is the first attribute, if it is there at all.
        let value = attributes.split('\t').next()?.strip_prefix("cat=")?;
        if value == self.good {
            return None;
        }
        let unknown = value.split(',').find(|code| self.meta.categories.iter().all(|known| known.as_str() != *code));
        if unknown.is_none() {
            self.good = value.to_owned();
        }
        unknown.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Timestamp;

    fn options() -> PublisherOptions {
        let mut options = PublisherOptions::new("lists.example.org".parse().unwrap());
        options.protected = Protected::parse("bank.example\n").unwrap();
        options
    }

    fn meta(colour: Colour, categories: &[&str]) -> ListMeta {
        ListMeta {
            id: "test".parse().unwrap(),
            colour,
            title: String::new(),
            categories: categories.iter().map(|c| c.parse().unwrap()).collect(),
            owner: String::new(),
            licence: String::new(),
            source: String::new(),
            review: String::new(),
            created: Timestamp::from_unix(0),
        }
    }

    #[test]
    fn too_much_at_once_needs_both_the_share_and_the_number() {
        for (added, removed, entries, refused) in [
            (1_000_000, 0, 0, vec![]),
            (1_000, 1_000, 10, vec![]),
            (1_001, 0, 10, vec!["guard:max-added"]),
            (0, 1_001, 5_005, vec![]),
            (0, 1_001, 5_004, vec!["guard:max-removed"]),
            (20_000, 20_000, 100_000, vec![]),
            (20_001, 20_001, 100_000, vec!["guard:max-added", "guard:max-removed"]),
        ] {
            let tally = Tally { added, removed, replaced: 1_000_000 };
            let places: Vec<String> = too_much(tally, entries, &options()).into_iter().map(|r| r.place).collect();
            assert_eq!(places, refused, "{added} added to and {removed} removed from {entries}");
        }
    }

    #[test]
    fn protected_names_hold_for_black_lists_only() {
        let options = options();
        assert!(Screen::new(&meta(Colour::Black, &[]), &options).refuses("domain:bank.example\tcat=x").is_some());
        assert!(Screen::new(&meta(Colour::Black, &[]), &options).refuses("domain:tank.example").is_none());
        assert!(Screen::new(&meta(Colour::White, &[]), &options).refuses("domain:bank.example").is_none());
    }

    #[test]
    fn categories_must_be_among_the_lists_where_it_names_any() {
        let (options, meta) = (options(), meta(Colour::Black, &["adult", "dating"]));
        let mut screen = Screen::new(&meta, &options);
        for (line, refused) in [
            ("domain:a.example", false),
            ("domain:a.example\tcat=adult", false),
            ("domain:a.example\tcat=adult,dating\tage=18", false),
            ("domain:a.example\tcat=adult,games", true),
            ("domain:a.example\tage=18", false),
            ("domain:a.example\tcat=games", true),
        ] {
            assert_eq!(screen.refuses(line).is_some(), refused, "{line}");
        }
    }
}
