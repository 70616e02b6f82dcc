//! The search against a naive one: random cases and entries, random questions, pages of random length.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use bwld::desk::{Action, Case, CaseEdit, CaseState, Desk, Hats, NewCase, PublishCases, Search, Words};
use bwld::list::{Attributes, Code, Date, Entry, ListId};
use bwld::publisher::By;
use bwld::store::{Catalog, FakeClock};

use crate::publisher::{House, request};

const ALL: Hats = Hats { owner: true, editor: true, reviewer: true, clock: false, author: false, approved: false };
const NAMES: [&str; 6] = ["shop", "shop-two", "casino", "www.casino", "xn--e1afmkfd", "a"];
const CODES: [&str; 4] = ["x", "y", "xy", "seldom"];
const DAYS: [&str; 4] = ["2027-01-01", "2027-01-31", "2027-12-31", "2031-06-01"];
const WHO: [&str; 3] = ["anna", "borys", "anna-maria"];
const TEXTS: [&str; 19] = [
    "",
    ".",
    "shop",
    "SHOP-TWO",
    "casino.exa",
    "Скарга",
    "скарга 1",
    "anna",
    "xy",
    "\u{1d9c}",
    "ref=",
    "cat",
    "example9",
    "domain:a",
    "PokerRoom",
    "pokerroom",
    "1/POKER",
    "%c3%bC",
    "9/",
];

/// One entry to be: number of its name, codes, reason, day, who, what becomes of it.
type Drawn = (usize, Vec<usize>, Option<usize>, Option<usize>, usize, u8);

fn drawn() -> impl Strategy<Value = Drawn> {
    let codes = proptest::collection::vec(0..CODES.len(), 0..3);
    (0..60usize, codes, proptest::option::of(0..CODES.len()), proptest::option::of(0..DAYS.len()), 0..WHO.len(), 0..6u8)
}

fn asked() -> impl Strategy<Value = Search> {
    let code = || proptest::option::weighted(0.3, (0..CODES.len()).prop_map(|at| CODES[at].parse::<Code>().unwrap()));
    let day = || proptest::option::weighted(0.2, (0..DAYS.len()).prop_map(|at| DAYS[at].parse::<Date>().unwrap()));
    let begun = || proptest::option::weighted(0.1, prop_oneof![Just("2026-11-26"), Just("2026-12-05"), Just("2026-12-30")]);
    let begun = || begun().prop_map(|day| day.map(|day| day.parse::<Date>().unwrap()));
    let text = prop_oneof![3 => Just(""), 2 => (0..TEXTS.len()).prop_map(|at| TEXTS[at])];
    let rule = prop_oneof![6 => Just(String::new()), 1 => (0..60usize).prop_map(name)];
    let who = prop_oneof![4 => Just(""), 1 => (0..WHO.len()).prop_map(|at| WHO[at]), 1 => Just("nobody")];
    let states = prop_oneof![3 => Just(Vec::new()), 2 => proptest::sample::subsequence(CaseState::ALL.to_vec(), 1..3)];
    (text, rule, code(), code(), who, states, (begun(), begun()), (day(), day()), 1..9usize).prop_map(
        |(text, rule, category, reason, proposer, states, created, expires, limit)| Search {
            text: text.into(),
            rule,
            category,
            reason,
            proposer: proposer.into(),
            states,
            created,
            expires,
            limit,
            ..Search::default()
        },
    )
}

fn name(number: usize) -> String {
    format!("{}.example{}", NAMES[number % NAMES.len()], number / NAMES.len())
}

fn attributes((_, codes, reason, day, ..): &Drawn) -> Attributes {
    let code = |at: usize| CODES[at].parse::<Code>().unwrap();
    Attributes {
        categories: codes.iter().map(|at| code(*at)).collect::<BTreeSet<_>>().into_iter().collect(),
        reason: reason.map(code),
        expires: day.map(|at| DAYS[at].parse().unwrap()),
        ..Attributes::default()
    }
}

struct Office {
    desk: Desk,
    catalog: Arc<Catalog>,
    clock: Arc<FakeClock>,
    references: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Office {
    /// Cases that have come to different states, and entries put onto the list without one.
    fn with(cases: &[Drawn], plain: &[Drawn], later: &[Drawn]) -> Office {
        let dir = tempfile::tempdir().unwrap();
        let house = House::with_list(dir.path());
        let (catalog, clock) = (house.catalog.clone(), house.clock.clone());
        let desk = Desk::open(Arc::new(house.publisher), house.store.clone(), catalog.clone(), clock.clone()).unwrap();
        let mut office = Office { desk, catalog, clock, references: Vec::new(), _dir: dir };
        office.put(plain);
        cases.iter().for_each(|drawn| office.propose(drawn));
        // On top of the first version: these stand in patches.
        office.put(later);
        office
    }

    fn list() -> ListId {
        "test".parse().unwrap()
    }

    fn put(&self, plain: &[Drawn]) {
        // Hosts are in small letters; paths, and the references that entries get, are not.
        let hosts = plain.iter().map(|drawn| line(&format!("domain:{}", name(drawn.0)), &attributes(drawn)));
        let pages = plain.iter().filter(|drawn| drawn.0 % 2 == 1);
        let pages = pages.map(|drawn| line(&format!("url:{}/PokerRoom/%C3%BC", name(drawn.0)), &attributes(drawn)));
        let lines: BTreeSet<String> = hosts.chain(pages).collect();
        let publisher = self.desk.publisher();
        for line in &lines {
            // What a case holds already, or a line that was put twice, is refused or replaced: all the same here.
            let _ = publisher.stage(&Self::list(), &request(&[line.as_str()], &[]), "ed");
        }
        let _ = publisher.publish(&Self::list(), &Default::default(), "ed");
    }

    fn propose(&mut self, drawn: &Drawn) {
        let (list, by) = (Self::list(), By::new(WHO[drawn.4], "test"));
        let reasons = [("uk".to_owned(), format!("Скарга {}", drawn.0))].into();
        let words = Words { rule: name(drawn.0), attributes: attributes(drawn), reasons, ..Words::default() };
        let Ok(case) = self.desk.propose(&list, NewCase { words, draft: drawn.5 == 0, ..NewCase::default() }, ALL, &by) else { return };
        let reference = case.reference.clone();
        let act = |action| self.desk.act(&reference, action, CaseEdit::default(), ALL, &By::new("rev", "test"));
        match drawn.5 {
            1 => drop(act(Action::Withdraw)),
            2 => drop(self.desk.publish(&list, &PublishCases::default(), ALL, &by)),
            3 => {
                let _ = self.desk.publish(&list, &PublishCases::default(), ALL, &by);
                let words = Words { rule: name(drawn.0), reasons: [("en".to_owned(), "Moved".to_owned())].into(), ..case.words.clone() };
                let _ = self.desk.act(&reference, Action::Edit, CaseEdit { words: Some(words), ..CaseEdit::default() }, ALL, &by);
            }
            _ => {}
        }
        self.clock.advance(86_400);
        self.references.push(reference);
    }

    /// Everything that is meant, by rule and reference, found by looking at everything.
    fn naive(&self, search: &Search) -> BTreeSet<(String, Option<String>)> {
        let mut found = BTreeSet::new();
        for case in self.references.iter().map(|reference| self.desk.case(reference).unwrap()) {
            if meets(search, &case.words.attributes, &case.words.rule) && meets_case(search, &case) {
                found.insert((case.words.rule.clone(), Some(case.reference.clone())));
            }
        }
        let plain = search.proposer.is_empty() && search.created == (None, None);
        if !plain || !(search.states.is_empty() || search.states.contains(&CaseState::Published)) {
            return found;
        }
        let Some(published) = self.catalog.get(&Self::list()) else { return found };
        for bucket in 0..1 << published.content.tree().bits() {
            for line in String::from_utf8(published.content.bucket(bucket).unwrap()).unwrap().lines() {
                let entry: Entry = line.parse().unwrap();
                let attributes = entry.attributes();
                let of_case = attributes.reference.as_ref().is_some_and(|reference| self.references.contains(reference));
                if !of_case && meets(search, &attributes, entry.rule_str()) && line.to_lowercase().contains(&search.text.to_lowercase()) {
                    found.insert((entry.rule_str().to_owned(), attributes.reference));
                }
            }
        }
        found
    }
}

fn line(rule: &str, attributes: &Attributes) -> String {
    Entry::new(&rule.parse().unwrap(), attributes).unwrap().line().to_owned()
}

fn within(day: Option<Date>, (from, to): (Option<Date>, Option<Date>)) -> bool {
    let bound = from.is_some() || to.is_some();
    !bound || day.is_some_and(|day| from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to))
}

fn meets(search: &Search, attributes: &Attributes, rule: &str) -> bool {
    search.category.as_ref().is_none_or(|code| attributes.categories.contains(code))
        && (search.reason.is_none() || search.reason == attributes.reason)
        && within(attributes.expires, search.expires)
        && (search.rule.is_empty() || rule.ends_with(&format!(":{}", search.rule)))
}

fn meets_case(search: &Search, case: &Case) -> bool {
    let words = &case.words;
    let attributes = words.attributes.categories.iter().chain(&words.attributes.reason).map(Code::as_str);
    let texts = [&words.rule, &case.reference, &case.proposer, &case.decision].into_iter().chain(words.reasons.values());
    let mut texts = texts.map(String::as_str).chain(attributes).map(str::to_lowercase);
    (search.states.is_empty() || search.states.contains(&case.state))
        && (search.proposer.is_empty() || search.proposer == case.proposer)
        && within(Some(case.created.date()), search.created)
        && texts.any(|text| text.contains(&search.text.to_lowercase()))
}

/// All pages of a search, each thing once.
fn pages(desk: &Desk, search: &Search) -> BTreeSet<(String, Option<String>)> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = desk.search(&Search { cursor, ..search.clone() }).unwrap();
        assert!(page.found.len() <= search.limit);
        for one in page.found {
            assert!(found.insert((one.rule, one.attributes.reference)), "twice: {search:?}");
        }
        match page.next {
            Some(next) => cursor = next,
            None => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_a_look_at_everything_finds(
        cases in proptest::collection::vec(drawn(), 0..40),
        plain in proptest::collection::vec(drawn(), 0..60),
        later in proptest::collection::vec(drawn(), 0..10),
        questions in proptest::collection::vec(asked(), 60),
    ) {
        let office = Office::with(&cases, &plain, &later);
        for search in &questions {
            prop_assert_eq!(pages(&office.desk, search), office.naive(search), "{:?}", search);
        }
        for reference in &office.references {
            let search = Search { reference: reference.clone(), limit: 3, ..Search::default() };
            prop_assert_eq!(pages(&office.desk, &search).len(), 1);
        }
        // Of each entry the reference as a block page shows it, and as somebody types it.
        for (rule, reference) in office.naive(&Search::default()) {
            let reference = reference.expect("every entry that was staged has one");
            for text in [reference.clone(), reference.to_lowercase(), reference.to_uppercase()] {
                let found = pages(&office.desk, &Search { text, limit: 3, ..Search::default() });
                prop_assert!(found.contains(&(rule.clone(), Some(reference.clone()))), "{} in {:?}", reference, found);
            }
        }
    }
}
