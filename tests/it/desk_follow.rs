//! Cases follow what staging, imports and undoing do to their entries, in the same frame; and how far back undoing reaches.

use bwld::desk::{Action, CaseState, DeskError};
use bwld::list::Serial;
use bwld::publisher::{Beside, ImportMode, ImportOptions, PublishError, Publisher};

use super::desk::{EDITOR, Office, by, list};
use super::publisher::request;

fn serial(number: u64) -> Serial {
    Serial::new(number).expect("not 0")
}

impl Office {
    pub fn stage_and_publish(&self, put: &[&str], remove: &[&str]) {
        self.desk.publisher().stage(&list(), &request(put, remove), "ed").expect("staged");
        self.desk.publish_staged(&list(), &Default::default(), &by("ed")).expect("published");
    }

    fn undo(&self, number: u64) -> Result<bwld::publisher::Undone, DeskError> {
        self.desk.undo(&list(), serial(number), false, &Beside { force: all(), ..Beside::default() }, &by("ann"))
    }
}

fn all() -> Vec<String> {
    ["max-added", "max-removed", "max-changed"].map(String::from).into()
}

fn replace(publisher: &Publisher, lines: &str) {
    let options = ImportOptions { read: Default::default(), mode: ImportMode::Replace, strict: true, dry_run: false };
    publisher.import(&list(), &mut lines.as_bytes(), &options, "ed").expect("staged");
}

#[test]
fn a_case_closes_opens_and_changes_with_the_version_that_changes_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let one = office.propose("bad.example", None);
    office.publish().unwrap();
    // Taken off by hand: no tick is needed, and a restart does not bring it back.
    office.stage_and_publish(&[], &["bad.example"]);
    assert_eq!(office.state(&one), CaseState::Removed);
    drop(office);
    let office = Office::open(dir.path());
    assert_eq!(office.state(&one), CaseState::Removed);
    // Undone: the entry is back under its reference, and so is its case.
    office.undo(2).unwrap();
    assert_eq!(office.state(&one), CaseState::Published);
    assert!(office.lines().contains(&one));
    // Other attributes are other words.
    office.stage_and_publish(&["bad.example\tcat=fraud"], &[]);
    let case = office.desk.case(&one).unwrap();
    assert_eq!((case.state, case.words.attributes.categories.len()), (CaseState::Published, 1));
    assert_eq!(office.desk.public(&list(), &one).unwrap().categories[0].as_str(), "fraud");
    // A replacing import without it.
    replace(office.desk.publisher(), "domain:other.example\n");
    office.desk.publish_staged(&list(), &Default::default(), &by("ed")).unwrap();
    assert_eq!(office.state(&one), CaseState::Removed);
    office.undo(5).unwrap();
    assert_eq!(office.state(&one), CaseState::Published);
    // Suspended, and that undone.
    office.desk.change(&one, Action::Suspend, "", EDITOR, &by("ed")).unwrap();
    office.undo(7).unwrap();
    assert_eq!(office.state(&one), CaseState::Published);
    // The publication that brought it is undone: off the list, case closed, in one frame.
    let two = office.propose("worse.example", None);
    office.publish().unwrap();
    office.undo(9).unwrap();
    assert_eq!((office.state(&two), office.lines().contains(&two)), (CaseState::Removed, false));
    assert_eq!(office.desk.tick().unwrap(), bwld::desk::Ticked::default());
}

#[test]
fn versions_of_any_size_are_undone_and_the_first_one_too() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let publisher = office.desk.publisher();
    let lines = |cat: &str, count: usize| (0..count).map(|n| format!("domain:n{n:06}.example\tcat={cat}\n")).collect::<String>();
    let publish = |text: &str| {
        replace(publisher, text);
        let request = bwld::publisher::PublishRequest { force: all(), ..Default::default() };
        office.desk.publish_staged(&list(), &request, &by("ed")).unwrap();
        office.lines()
    };
    let first = publish(&lines("x", 60_000));
    let second = publish(&lines("y", 60_000));
    let third = publish("domain:only.example\n");
    for (number, expected) in [(3, &second), (2, &first)] {
        office.undo(number).unwrap();
        assert!(office.lines() == **expected, "version {number}");
    }
    // What goes out beside so many changes would not fit to it.
    publisher.stage(&list(), &request(&["staged.example"], &[]), "ed").unwrap();
    let refused = office.undo(5).unwrap_err().to_string();
    assert!(refused.contains("discard what is staged"), "{refused}");
    publisher.discard(&list(), "ed").unwrap();
    office.undo(5).unwrap();
    assert!(office.lines() == second);
    office.undo(6).unwrap();
    office.undo(1).unwrap();
    assert_eq!(office.lines(), "");
    drop(third);
}

#[test]
fn what_entries_were_before_is_kept_as_long_as_the_deltas_and_then_undoing_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let (publisher, kept) = (office.desk.publisher(), || office.store.documents("before", "", 1_000).unwrap().len());
    let names: Vec<String> = (0..300).map(|n| format!("name-{n}.example")).collect();
    office.stage_and_publish(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    for n in 0..5 {
        office.stage_and_publish(&[&format!("name-{n}.example\tcat=x")], &[]);
    }
    assert_eq!(kept(), 5);
    publisher.maintain().unwrap();
    assert_eq!(kept(), 5);
    office.clock.advance(40 * 86_400);
    publisher.heartbeat().unwrap();
    // Deltas that lead on from the base are kept, whatever their age: a replacing import makes a new base.
    let text: String = (0..20_001).map(|n| format!("domain:m{n:06}.example\n")).collect();
    replace(publisher, &text);
    let request = bwld::publisher::PublishRequest { force: all(), ..Default::default() };
    office.desk.publish_staged(&list(), &request, &by("ed")).unwrap();
    publisher.maintain().unwrap();
    assert_eq!(kept(), 0);
    let refused = office.undo(3).unwrap_err();
    assert!(matches!(&refused, DeskError::Publish(PublishError::Refused(refusals)) if refusals[0].place == "serial"), "{refused}");
    office.undo(7).unwrap();
    assert_eq!(office.lines().lines().count(), 300);
}
