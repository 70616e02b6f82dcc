//! The kinds of question, and what the obvious way would do about each.

use bwld::desk::{Case, CaseState, Desk, Search};
use bwld::list::{Attributes, Date, Entry};

pub struct Question {
    pub name: &'static str,
    pub search: Search,
}

/// What a search goes over.
pub trait Searched {
    fn is_meant(&self, search: &Search) -> bool;
}

fn within(day: Option<Date>, (from, to): (Option<Date>, Option<Date>)) -> bool {
    (from.is_none() && to.is_none()) || day.is_some_and(|day| from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to))
}

fn meets(attributes: &Attributes, search: &Search) -> bool {
    search.category.as_ref().is_none_or(|code| attributes.categories.contains(code))
        && (search.reason.is_none() || search.reason == attributes.reason)
        && within(attributes.expires, search.expires)
}

impl Searched for String {
    fn is_meant(&self, search: &Search) -> bool {
        let entry: Entry = self.parse().expect("an entry");
        let attributes = entry.attributes();
        self.contains(&search.text)
            && search.proposer.is_empty()
            && (search.rule.is_empty() || entry.rule_str().split_once(':').is_some_and(|(_, target)| target == search.rule))
            && (search.reference.is_empty() || attributes.reference.as_ref() == Some(&search.reference))
            && meets(&attributes, search)
    }
}

impl Searched for Case {
    fn is_meant(&self, search: &Search) -> bool {
        let words = &self.words;
        let text = || {
            let basis = words.basis.iter().flat_map(|b| [&b.jurisdiction, &b.instrument, &b.authority, &b.number]);
            let mut all = [&words.rule, &self.reference, &self.proposer].into_iter().chain(basis).chain(words.reasons.values());
            all.any(|text| text.to_lowercase().contains(&search.text))
        };
        (search.states.is_empty() || search.states.contains(&self.state))
            && (search.rule.is_empty() || words.rule.split_once(':').is_some_and(|(_, target)| target == search.rule))
            && (search.reference.is_empty() || self.reference == search.reference)
            && (search.proposer.is_empty() || self.proposer == search.proposer)
            && within(Some(self.created.date()), search.created)
            && meets(&words.attributes, search)
            && (search.text.is_empty() || text())
    }
}

fn question(name: &'static str, search: Search) -> Question {
    Question { name, search: Search { limit: 50, ..search } }
}

fn text(text: &str) -> Search {
    Search { text: text.into(), ..Search::default() }
}

fn code<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The cursor behind this many pages of 1,000.
fn after(desk: &Desk, search: &Search, pages: usize) -> String {
    let mut cursor = String::new();
    for _ in 0..pages {
        match desk.search(&Search { cursor: cursor.clone(), limit: 1_000, ..search.clone() }).expect("a page").next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    cursor
}

/// Questions of either kind of entry.
fn of_both() -> Vec<Question> {
    let expires = |from: &str, to: &str| Search { expires: (code(from), code(to)), ..Search::default() };
    vec![
        question("text in the rule, many hits", text("shop")),
        question("text in the rule, no hit", text("no-such-name-anywhere")),
        question("text of three letters, no hit", text("qx~")),
        question("category, many hits", Search { category: code("adult"), ..Search::default() }),
        question("category, few hits", Search { category: code("seldom"), ..Search::default() }),
        question("category, no hit", Search { category: code("never"), ..Search::default() }),
        question("reason, many hits", Search { reason: code("court"), ..Search::default() }),
        question("reason, few hits", Search { reason: code("one-off"), ..Search::default() }),
        question("reference, no hit", Search { reference: "AAAAAAAAAAAAAAAAAAAAAA".into(), ..Search::default() }),
        question("days of expiry, many hits", expires("2027-01-01", "2027-12-31")),
        question("days of expiry, no hit", expires("2031-01-01", "2031-12-31")),
        question("text that all have and a category that few have", Search { category: code("seldom"), ..text(".") }),
        question(
            "text that all have, category and reason, no hit",
            Search { category: code("seldom"), reason: code("one-off"), ..text(".") },
        ),
        question("a host, no hit", Search { rule: "no-such-name.example".into(), ..Search::default() }),
        question("a category and days of expiry, no hit", Search { category: code("adult"), ..expires("2031-01-01", "2031-12-31") }),
    ]
}

pub fn of_entries(desk: &Desk) -> Vec<Question> {
    let many = Search { category: code("adult"), ..Search::default() };
    let cursor = after(desk, &many, 40);
    let mut all = of_both();
    all.push(question("category, many hits, page 801", Search { cursor, ..many }));
    all.push(question("who proposed it: nobody", Search { proposer: "nobody".into(), ..Search::default() }));
    all
}

pub fn of_cases(desk: &Desk, cases: &[Case]) -> Vec<Question> {
    let state = |state| Search { states: vec![state], ..Search::default() };
    let proposer = |who: &str| Search { proposer: who.into(), ..Search::default() };
    let created = |from: &str, to: &str| Search { created: (code(from), code(to)), ..Search::default() };
    let mut all = of_both();
    let cursor = after(desk, &state(CaseState::Published), 40);
    all.extend([
        question("text in the reason, few hits", text("complaint 4711.")),
        question("text in the reason, in Ukrainian, no hit", text("не продає")),
        question("text that all have and a proposer that few have", Search { proposer: "zoe".into(), ..text("decree") }),
        question("reference, one hit", Search { reference: cases[cases.len() / 2].reference.clone(), ..Search::default() }),
        question("state, many hits", state(CaseState::Published)),
        question("state, few hits", state(CaseState::Suspended)),
        question("state, no hit", state(CaseState::Rejected)),
        question("proposer, many hits", proposer("anna")),
        question("proposer, few hits", proposer("zoe")),
        question("proposer, no hit", proposer("nobody")),
        question("days of beginning, many hits", created("2024-01-01", "2024-02-01")),
        question("days of beginning, no hit", created("2011-01-01", "2011-12-31")),
        question(
            "proposer, state and days, no hit",
            Search { proposer: "anna".into(), states: vec![CaseState::Rejected], ..created("2024-01-01", "2024-02-01") },
        ),
        question("state, many hits, page 801", Search { cursor, ..state(CaseState::Published) }),
    ]);
    all
}
