//! What keeps a mistake from being published: how much may change at once, which names may never be blocked, which
//! categories a list knows. Each looks at changes only, so its cost follows the change.

use crate::list::{Colour, ListId};
use crate::store::ListMeta;

use super::error::cut;
use super::policy::Demands;
use super::{ListPolicy, Protected, PublishError, PublisherOptions, Refusal};

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
pub(super) const FORCEABLE: [&str; 4] = ["max-added", "max-removed", "max-changed", "approvals"];

/// Longest reason of a publication or another act, in octets.
const MAX_REASON: usize = 1_000;

/// Refuses a reason that is no line for the log, and names that are none of a guard that can be forced.
///
/// # Errors
/// [`PublishError::Refused`] with each place.
pub fn check_asked(reason: &str, force: &[String]) -> Result<(), PublishError> {
    let mut refusals = Vec::new();
    let mut refuse = |place: String, text: &str, reason: &str, hint: String| {
        refusals.push(Refusal { place, text: cut(text), reason: reason.into(), hint });
    };
    if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        refuse("reason".into(), reason, "longer than 1,000 octets, or more than one line", "write one line".into());
    }
    if force.len() > FORCEABLE.len() {
        refuse("force".into(), &force.len().to_string(), "more names than there are guards", "name each once".into());
    } else {
        for (at, name) in force.iter().enumerate().filter(|(_, name)| !FORCEABLE.contains(&name.as_str())) {
            let hint = format!("name {}", FORCEABLE.join(" or "));
            refuse(format!("force[{at}]"), name, "there is no such guard that can be forced", hint);
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(PublishError::Refused(refusals)) }
}

/// The guards against too much at once: refused is what is more than the share *and* more than the number.
pub(super) fn too_much(tally: Tally, entries: u64, options: &PublisherOptions, policy: &ListPolicy) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let most = policy.max_entries.unwrap_or(options.guard_entries);
    let percent = policy.max_percent.unwrap_or(options.guard_percent);
    let share = u128::from(entries) * u128::from(percent) / 100;
    let exceeded = |count: u64| count > most && u128::from(count) > share;
    let mut refuse = |name: &str, count: u64, word: &str| {
        refusals.push(Refusal {
            place: format!("guard:{name}"),
            text: count.to_string(),
            reason: format!(
                "{count} entries would be {word}, of a list of {entries}; more than {most} and more than {percent} % at once is refused"
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
    if exceeded(tally.replaced) {
        refuse("max-changed", tally.replaced, "replaced");
    }
    refusals
}

/// The guard of a frozen list; it cannot be forced.
pub(super) fn frozen(policy: &ListPolicy) -> Option<Refusal> {
    (!policy.frozen.is_empty()).then(|| Refusal {
        place: "guard:frozen".into(),
        text: cut(&policy.frozen),
        reason: "the list is frozen: nothing is published until an owner thaws it".into(),
        hint: "`bwld freeze LIST --thaw` ends it".into(),
    })
}

/// Looks at single changes: protected names and the list's categories.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    list: &'a ListId,
    protected: [Option<&'a Protected>; 2],
    policy: &'a ListPolicy,
    meta: &'a ListMeta,
    /// The last `cat=` value that was found good: in bulk they are nearly all the same.
    good: String,
}

impl<'a> Screen<'a> {
    pub(super) fn new(meta: &'a ListMeta, options: &'a PublisherOptions, demands: &'a Demands) -> Screen<'a> {
        let protected =
            [&options.protected, &demands.protected].map(|set| (meta.colour == Colour::Black && !set.is_empty()).then_some(set));
        Screen { list: &meta.id, protected, policy: &demands.policy, meta, good: String::new() }
    }

    /// Why this entry line may not be put on the list; `None` if it may.
    pub(super) fn refuses(&mut self, line: &str) -> Option<Refusal> {
        let (rule, attributes) = match memchr::memchr(b'\t', line.as_bytes()) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, ""),
        };
        if self.protected.iter().flatten().any(|protected| protected.forbids(rule)) {
            return Some(Refusal {
                place: "guard:protected".into(),
                text: cut(rule),
                reason: "the rule would block a protected name".into(),
                hint: "leave it out; it cannot be forced. Who means it takes the name out of the protected set first".into(),
            });
        }
        if let Some(range) = rule.strip_prefix("cidr:")
            && let Some(shortest) = self.too_wide(range)
        {
            return Some(Refusal {
                place: "guard:too-wide".into(),
                text: cut(rule),
                reason: format!("the range is wider than /{shortest}, the widest that this list takes"),
                hint: "list the ranges that are meant, one by one; it cannot be forced".into(),
            });
        }
        self.refuses_category(attributes).map(|code| Refusal {
            place: "categories".into(),
            text: cut(line),
            reason: format!("list \"{}\" has no category \"{code}\"", self.list),
            hint: "correct it, or add the category to the list with `bwld list set`".into(),
        })
    }

    /// The shortest length that this range may have, if it has a shorter one.
    fn too_wide(&self, range: &str) -> Option<u8> {
        let shortest = if range.contains(':') { self.policy.widest_v6 } else { self.policy.widest_v4 };
        let length: u8 = range.rsplit_once('/')?.1.parse().ok()?;
        (length < shortest).then_some(shortest)
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
            let tally = Tally { added, removed, replaced: 1_000 };
            let places: Vec<String> = too_much(tally, entries, &options(), &ListPolicy::default()).into_iter().map(|r| r.place).collect();
            assert_eq!(places, refused, "{added} added to and {removed} removed from {entries}");
        }
    }

    #[test]
    fn a_list_may_set_its_own_limits_also_for_what_is_replaced() {
        let tally = Tally { added: 0, removed: 0, replaced: 11 };
        let policy = ListPolicy { max_entries: Some(10), max_percent: Some(10), ..ListPolicy::default() };
        let places = |entries| too_much(tally, entries, &options(), &policy).into_iter().map(|r| r.place).collect::<Vec<_>>();
        assert_eq!(places(109), ["guard:max-changed"]);
        assert!(places(110).is_empty());
    }

    #[test]
    fn wide_ranges_are_refused_by_what_the_list_says() {
        let (options, meta) = (options(), meta(Colour::White, &[]));
        let narrow = Demands::of(ListPolicy { widest_v4: 24, widest_v6: 48, ..ListPolicy::default() }).unwrap();
        for (demands, line, refused) in [
            (&Demands::default(), "cidr:10.0.0.0/15", true),
            (&Demands::default(), "cidr:10.0.0.0/16\tcat=x", false),
            (&Demands::default(), "cidr:2001:db8::/31", true),
            (&Demands::default(), "cidr:2001:db8::/32", false),
            (&narrow, "cidr:10.0.0.0/16", true),
            (&narrow, "cidr:2001:db8::/48", false),
        ] {
            let refusal = Screen::new(&meta, &options, demands).refuses(line);
            assert_eq!(refusal.map(|r| r.place), refused.then(|| "guard:too-wide".to_owned()), "{line}");
        }
    }

    #[test]
    fn protected_names_hold_for_black_lists_only() {
        let options = options();
        assert!(Screen::new(&meta(Colour::Black, &[]), &options, &Demands::default()).refuses("domain:bank.example\tcat=x").is_some());
        assert!(Screen::new(&meta(Colour::Black, &[]), &options, &Demands::default()).refuses("domain:tank.example").is_none());
        assert!(Screen::new(&meta(Colour::White, &[]), &options, &Demands::default()).refuses("domain:bank.example").is_none());
    }

    #[test]
    fn categories_must_be_among_the_lists_where_it_names_any() {
        let (options, meta, demands) = (options(), meta(Colour::Black, &["adult", "dating"]), Demands::default());
        let mut screen = Screen::new(&meta, &options, &demands);
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
