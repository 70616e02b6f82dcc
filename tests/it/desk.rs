//! The desk on a store of its own: approvals, publication in one frame, time, undoing, search.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bwld::desk::{Action, CaseEdit, CaseState, Desk, DeskError, Hats, NewCase, NewSchedule, PublishCases, Search, Words};
use bwld::list::{Attributes, Colour, ListId};
use bwld::publisher::{Beside, By, ListPolicy, PublishError};
use bwld::store::{FakeClock, Store};

use crate::publisher::{House, request};

pub struct Office {
    pub desk: Desk,
    pub store: Arc<Store>,
    pub clock: Arc<FakeClock>,
}

pub const EDITOR: Hats = Hats { owner: false, editor: true, reviewer: false, clock: false, author: false, approved: false };
pub const REVIEWER: Hats = Hats { owner: false, editor: false, reviewer: true, clock: false, author: false, approved: false };

pub fn list() -> ListId {
    "test".parse().unwrap()
}

pub fn by(who: &str) -> By {
    By::new(who, "test")
}

impl Office {
    pub fn open(dir: &Path) -> Office {
        let House { publisher, catalog, store, clock, .. } = House::open(dir);
        let desk = Desk::open(Arc::new(publisher), store.clone(), catalog, clock.clone()).unwrap();
        Office { desk, store, clock }
    }

    pub fn with_list(dir: &Path, approvals: u8) -> Office {
        House::open(dir).create("test", Colour::Black, &[]);
        let office = Office::open(dir);
        office.desk.publisher().set_policy(&list(), ListPolicy { approvals, ..ListPolicy::default() }, "list.policy", "test").unwrap();
        office
    }

    pub fn propose(&self, rule: &str, expires: Option<&str>) -> String {
        let attributes = Attributes { expires: expires.map(|day| day.parse().unwrap()), ..Attributes::default() };
        let words = Words { rule: rule.into(), attributes, ..Words::default() };
        let new = NewCase { words, ..NewCase::default() };
        self.desk.propose(&list(), new, EDITOR, &by("ed")).unwrap().reference.clone()
    }

    pub fn act(&self, reference: &str, action: Action, who: Hats, name: &str) -> Result<CaseState, DeskError> {
        self.desk.act(reference, action, CaseEdit::default(), who, &by(name)).map(|case| case.state)
    }

    pub fn publish(&self) -> Result<bwld::publisher::PublishReport, DeskError> {
        self.desk.publish(&list(), &PublishCases::default(), EDITOR, &by("ed"))
    }

    pub fn lines(&self) -> String {
        let mut out = Vec::new();
        self.desk.publisher().export(&list(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    pub fn state(&self, reference: &str) -> CaseState {
        self.desk.case(reference).unwrap().state
    }
}

#[test]
fn an_entry_needs_others_and_stays_what_it_became_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 2);
    let one = office.propose("bad.example", None);
    assert!(matches!(office.act(&one, Action::Approve, Hats { reviewer: true, ..EDITOR }, "ed"), Err(DeskError::NotDone(_))));
    assert_eq!(office.act(&one, Action::Approve, REVIEWER, "ann").unwrap(), CaseState::Proposed);
    assert!(matches!(office.act(&one, Action::Approve, REVIEWER, "ann"), Err(DeskError::NotDone(_))));
    // Other words are another proposal.
    let words = Words { rule: "bad.example".into(), review_by: Some("2027-01-01".parse().unwrap()), ..Words::default() };
    let edit = CaseEdit { words: Some(words), ..CaseEdit::default() };
    assert!(office.desk.act(&one, Action::Edit, edit, EDITOR, &by("ed")).unwrap().approvals.is_empty());
    for (who, state) in [("ann", CaseState::Proposed), ("bob", CaseState::Approved)] {
        assert_eq!(office.act(&one, Action::Approve, REVIEWER, who).unwrap(), state);
    }
    let refused = office.desk.propose(
        &list(),
        NewCase { words: Words { rule: "bad.example".into(), ..Words::default() }, ..NewCase::default() },
        EDITOR,
        &by("x"),
    );
    assert!(matches!(refused, Err(DeskError::Refused(_))), "one rule has one case");
    let before = office.store.act_tip().unwrap().unwrap().number;
    assert_eq!(office.publish().unwrap().version.unwrap().serial.get(), 1);
    assert_eq!(office.store.act_tip().unwrap().unwrap().number, before + 2, "of the case and of the list");
    assert!(office.lines().contains(&one));
    drop(office);
    let office = Office::open(dir.path());
    assert_eq!(office.state(&one), CaseState::Published);
    assert_eq!(office.desk.public(&list(), &one).unwrap().rule, "domain:bad.example");
    office.desk.change(&one, Action::Suspend, "appeal", REVIEWER, &by("ann")).unwrap();
    assert_eq!((office.state(&one), office.lines().as_str()), (CaseState::Suspended, ""));
    office.desk.change(&one, Action::Resume, "", REVIEWER, &by("ann")).unwrap();
    assert!(office.lines().contains(&one));
}

#[test]
fn staged_changes_need_approval_of_exactly_what_is_staged_and_survive_what_goes_out_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 1);
    let publisher = office.desk.publisher();
    publisher.stage(&list(), &request(&["a.example", "bad.example"], &[]), "ed").unwrap();
    let guards = |error| match error {
        PublishError::Refused(refusals) => refusals.into_iter().map(|r| r.place).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    assert_eq!(guards(publisher.publish(&list(), &Default::default(), "ed").unwrap_err()), ["guard:approvals"]);
    let digest = publisher.staged_review(&list()).unwrap().digest.unwrap();
    assert!(publisher.approve_staged(&list(), digest, "ed").is_err());
    publisher.approve_staged(&list(), digest, "ann").unwrap();
    // A case of a rule that is staged as well goes out beside it.
    let one = office.propose("bad.example", None);
    office.act(&one, Action::Approve, REVIEWER, "ann").unwrap();
    office.publish().unwrap();
    let staged = publisher.staged(&list(), 10).unwrap();
    assert_eq!((staged.added, staged.replaced), (1, 1), "{staged:?}");
    // It is not what was approved any more.
    assert_eq!(guards(publisher.publish(&list(), &Default::default(), "ed").unwrap_err()), ["guard:approvals"]);
    let digest = publisher.staged_review(&list()).unwrap().digest.unwrap();
    assert!(publisher.approve_staged(&list(), digest, "ed").is_err(), "who staged it is still known");
    publisher.approve_staged(&list(), digest, "ann").unwrap();
    publisher.publish(&list(), &Default::default(), "ed").unwrap();
    assert_eq!(office.lines().lines().count(), 2);
    // The entry in the list is another one now: the case is closed.
    office.desk.tick().unwrap();
    assert_eq!(office.state(&one), CaseState::Removed);
}

#[test]
fn time_takes_entries_off_and_publishes_what_was_scheduled() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let tomorrow = office.clock_day(1);
    let one = office.propose("bad.example", Some(&tomorrow));
    let publisher = office.desk.publisher();
    office.publish().unwrap();
    assert_eq!(office.desk.tick().unwrap().expired, []);
    publisher.stage(&list(), &request(&["later.example"], &[]), "ed").unwrap();
    let at = bwld::store::Clock::now(&*office.clock).plus(3_600);
    let new = NewSchedule { at, cases: false, reason: "on the hour".into(), force: Vec::new() };
    office.desk.schedule(&list(), new, &by("ed")).unwrap();
    assert_eq!(office.desk.tick().unwrap().published, []);
    office.clock.advance(3_601);
    assert_eq!(office.desk.tick().unwrap().published.len(), 1);
    assert_eq!(office.lines().lines().count(), 2);
    office.clock.advance(2 * 86_400);
    let ticked = office.desk.tick().unwrap();
    assert_eq!(ticked.expired.len(), 1, "{ticked:?}");
    assert_eq!((office.state(&one), office.lines().lines().count()), (CaseState::Expired, 1));
    assert_eq!(office.desk.tick().unwrap(), bwld::desk::Ticked::default());
}

impl Office {
    fn clock_day(&self, later: u64) -> String {
        bwld::store::Clock::now(&*self.clock).plus(later * 86_400).date().to_string()
    }
}

#[test]
fn any_kept_version_is_undone_and_what_changed_since_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let publisher = office.desk.publisher();
    let go = |put: &[&str], remove: &[&str]| {
        publisher.stage(&list(), &request(put, remove), "ed").unwrap();
        publisher.publish(&list(), &Default::default(), "ed").unwrap();
    };
    go(&["a.example\tcat=x", "b.example\tcat=x", "c.example"], &[]);
    let before = office.lines();
    go(&["a.example\tcat=y", "d.example"], &["b.example"]);
    let serial = bwld::list::Serial::new(2).unwrap();
    office.desk.undo(&list(), serial, false, &Beside::default(), &by("ann")).unwrap();
    assert_eq!(office.lines(), before);
    // Undone already: nothing is left to do.
    assert!(office.desk.undo(&list(), serial, false, &Beside::default(), &by("ann")).unwrap().version.is_none());
    go(&["a.example\tcat=z"], &["c.example"]);
    go(&["a.example\tcat=w"], &[]);
    let fourth = bwld::list::Serial::new(4).unwrap();
    assert!(office.desk.undo(&list(), fourth, false, &Beside::default(), &by("ann")).is_err());
    let undone = office.desk.undo(&list(), fourth, true, &Beside::default(), &by("ann")).unwrap();
    assert_eq!((undone.conflicts_total, undone.changes.added), (1, 1));
}

#[test]
fn a_search_gives_everything_once_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let publisher = office.desk.publisher();
    let names: Vec<String> = (0..300).map(|n| format!("name-{n}.example\tcat={}", if n % 3 == 0 { "x" } else { "y" })).collect();
    publisher.stage(&list(), &request(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]), "ed").unwrap();
    publisher.publish(&list(), &Default::default(), "ed").unwrap();
    for n in 0..20 {
        office.propose(&format!("name-of-case-{n}.example"), None);
    }
    office.publish().unwrap();
    for limit in [1, 7, 20, 1_000] {
        for (search, expected) in [
            (Search { text: "Name".into(), ..Search::default() }, 320),
            (Search { category: Some("x".parse().unwrap()), ..Search::default() }, 100),
            (Search { rule: "name-7.example".into(), ..Search::default() }, 1),
            (Search { proposer: "ed".into(), ..Search::default() }, 20),
            (Search { text: "nowhere".into(), ..Search::default() }, 0),
        ] {
            let (mut rules, mut cursor, mut count) = (BTreeSet::new(), String::new(), 0);
            loop {
                let page = office.desk.search(&Search { cursor, limit, ..search.clone() }).unwrap();
                assert!(page.found.len() <= limit);
                count += page.found.len();
                rules.extend(page.found.into_iter().map(|found| found.rule));
                match page.next {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            assert_eq!((count, rules.len()), (expected, expected), "{search:?} by {limit}");
        }
    }
}

/// Begun within one second: only the order in which they were begun tells them apart.
#[test]
fn a_cursor_goes_on_where_it_was_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 1);
    let begun: Vec<String> = (1..=9).map(|n| office.propose(&format!("p{n}.example"), None)).collect();
    let page = |office: &Office, cursor: &str| {
        let search = Search { cursor: cursor.into(), limit: 4, ..Search::default() };
        let page = office.desk.search(&search).unwrap();
        (page.found.into_iter().map(|found| found.case.unwrap().reference).collect::<Vec<_>>(), page.next.unwrap_or_default())
    };
    let (mut found, mut cursor) = page(&office, "");
    let mut office = office;
    for _ in 0..2 {
        drop(office);
        office = Office::open(dir.path());
        let (more, next) = page(&office, &cursor);
        found.extend(more);
        cursor = next;
    }
    assert_eq!((found, cursor.as_str()), (begun.clone(), ""));
    // What is begun after it stands behind it.
    let last = office.propose("p10.example", None);
    assert_eq!(office.desk.case(&last).unwrap().number, 10);
    // One that was kept before they were numbered is read, and comes first.
    let mut old = serde_json::to_value(&*office.desk.case(&begun[0]).unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("number");
    assert_eq!(serde_json::from_value::<bwld::desk::Case>(old).unwrap().number, 0);
}

#[test]
fn a_search_finds_categories_of_schemes_and_digests_of_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 1);
    let digest = bwld::list::Digest::of("a screenshot");
    let schemes = [("threats".to_owned(), vec!["phishing".parse().unwrap()])].into();
    let words = Words { rule: "bad.example".into(), schemes, evidence: Some(digest), ..Words::default() };
    let new = NewCase { words, ..NewCase::default() };
    office.desk.propose(&list(), new, EDITOR, &by("ed")).unwrap();
    office.propose("other.example", None);
    for search in [
        Search { text: "phishing".into(), ..Search::default() },
        Search { category: Some("phishing".parse().unwrap()), ..Search::default() },
        Search { text: digest.to_string(), ..Search::default() },
    ] {
        let found = office.desk.search(&Search { limit: 10, ..search.clone() }).unwrap().found;
        assert_eq!(found.iter().map(|found| found.rule.as_str()).collect::<Vec<_>>(), ["domain:bad.example"], "{search:?}");
    }
}
