//! What time does, when there is much of it, when a disk fails, and when somebody is quicker: each list for itself, nothing half.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bwld::desk::{Action, CaseState, Desk, DeskError, NewCase, NewSchedule, PublishCases, Schedule, Ticked, Words};
use bwld::list::{Attributes, Colour, ListId};
use bwld::publisher::{Beside, ChangeRequest, ImportMode, ImportOptions, PublishRequest, Publisher, PutEntry};
use bwld::store::failing::{Condition, FailingDisk};
use bwld::store::faults::{Effect, FaultDisk, HastyDisk, Then};
use bwld::store::{ArtefactKind, Clock as _, Disk, FakeClock};

use super::desk::{EDITOR, Office, by, list};
use super::publisher::{House, options};
use super::signed;

/// So many cases of so long texts are more than a frame of the journal holds, and than half of one does.
const WORDY: usize = 140;

/// On this disk; `hears` is called behind the commit of each version.
fn office(dir: &Path, disk: Arc<dyn Disk>, hears: impl Fn(&ListId) + Send + Sync + 'static) -> Office {
    let house = House::open_hearing(dir, disk, options(), signed::now(), hears).expect("a house");
    if house.publisher.lists().iter().all(|view| view.meta.id != list()) {
        house.create("test", Colour::Black, &[]);
    }
    let House { publisher, catalog, store, clock, .. } = house;
    let desk = Desk::open(Arc::new(publisher), store.clone(), catalog, clock.clone()).expect("a desk");
    Office { desk, store, clock }
}

fn propose_wordy(office: &Office, expires: Option<&str>) -> Vec<String> {
    let text = "so ".repeat(1_333);
    let reasons: BTreeMap<String, String> =
        (0..31u8).map(|n| (format!("q{}", char::from(b'A' + n % 26)) + &"-x".repeat((n / 26).into()), text.clone())).collect();
    let propose = |n| {
        let attributes = Attributes { expires: expires.map(|day| day.parse().expect("a day")), ..Attributes::default() };
        let words = Words { rule: format!("wordy-{n:03}.example"), attributes, reasons: reasons.clone(), ..Words::default() };
        office.desk.propose(&list(), NewCase { words, ..NewCase::default() }, EDITOR, &by("ed")).expect("proposed").reference.clone()
    };
    (0..WORDY).map(propose).collect()
}

fn count(office: &Office, references: &[String], state: CaseState) -> usize {
    references.iter().filter(|reference| office.state(reference) == state).count()
}

/// Publishes all that are approved, in as many versions as that takes. How many it took.
fn publish_all(office: &Office, references: &[String]) -> usize {
    let (mut versions, mut out) = (0, 0);
    while out < references.len() {
        let changes = office.publish().expect("published").changes;
        assert!(changes.added > 0);
        (versions, out) = (versions + 1, count(office, references, CaseState::Published));
        assert_eq!(office.lines().lines().count(), out, "each with its entry");
    }
    versions
}

fn day(clock: &FakeClock, later: u64) -> String {
    clock.now().plus(later * 86_400).date().to_string()
}

fn refused(error: &DeskError) -> String {
    let DeskError::Refused(refusals) = error else { panic!("{error}") };
    format!("{}; {}", refusals[0].reason, refusals[0].hint)
}

#[test]
fn what_is_too_much_for_one_frame_goes_out_and_expires_in_several() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = office(dir.path(), Arc::new(HastyDisk), |_| ());
    let references = propose_wordy(&office, Some(&day(&office.clock, 1)));
    let named = PublishCases { references: references.clone(), ..PublishCases::default() };
    let error = office.desk.publish(&list(), &named, EDITOR, &by("ed")).expect_err("too much");
    assert!(refused(&error).contains("too long for one publication; publish them in parts"), "{error}");
    let new = NewSchedule { at: office.clock.now().plus(3_600), cases: true, reason: String::new(), force: Vec::new() };
    let error = office.desk.schedule(&list(), new, &by("ed")).expect_err("too much");
    assert!(refused(&error).contains("too long for one publication; publish some of them now"), "{error}");
    assert_eq!(count(&office, &references, CaseState::Approved), WORDY, "all is as it was");
    let versions = publish_all(&office, &references);
    assert!((2..=4).contains(&versions), "{versions}");

    office.clock.advance(2 * 86_400);
    let (mut ticks, mut left) = (0, 0);
    while left < WORDY as u64 {
        let ticked = office.desk.tick().expect("a tick");
        assert!(ticked.failed.is_empty(), "{ticked:?}");
        left += ticked.expired.iter().map(|(_, _, count)| count).sum::<u64>();
        ticks += 1;
        assert!(ticks <= 4, "{left} of {WORDY} have left after {ticks}");
        assert_eq!(count(&office, &references, CaseState::Expired) as u64, left);
    }
    assert!(ticks > 1 && office.lines().is_empty());
    assert_eq!(office.desk.tick().expect("a tick"), Ticked::default());
}

/// Everything that the list has is another entry now.
fn replace_all(office: &Office) {
    let read = bwld::formats::ReadOptions { format: Some("bwld".parse().expect("a format")), ..Default::default() };
    let options = ImportOptions { read, mode: ImportMode::Replace, strict: true, dry_run: false };
    office.desk.publisher().import(&list(), &mut "domain:other.example\n".as_bytes(), &options, "ed").expect("staged");
    let request = PublishRequest { force: vec!["max-removed".into()], ..PublishRequest::default() };
    office.desk.publish_staged(&list(), &request, &by("ed")).expect("published");
}

fn undo_newest(office: &Office) {
    let newest = office.desk.publisher().log(&list(), None, 1).expect("a log").versions[0].serial;
    let how = Beside { force: vec!["max-added".into()], ..Beside::default() };
    office.desk.undo(&list(), newest, false, &how, &by("ann")).expect("undone");
}

#[test]
fn cases_that_find_no_room_in_the_frame_of_a_version_follow_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (disk, fills) = (Arc::new(FailingDisk::default()), Arc::new(AtomicBool::new(false)));
    let open = || {
        let (full, when) = (disk.clone(), fills.clone());
        office(dir.path(), disk.clone(), move |_| {
            if when.swap(false, Ordering::SeqCst) {
                full.set(Condition::Full);
            }
        })
    };
    let office = open();
    let references = propose_wordy(&office, None);
    publish_all(&office, &references);
    // No room on the disk behind the version: it is out, and a tick of the next start finds who has not followed.
    fills.store(true, Ordering::SeqCst);
    replace_all(&office);
    disk.set(Condition::Sound);
    drop(office);
    let office = open();
    assert_eq!(office.lines(), "domain:other.example\n");
    let removed = count(&office, &references, CaseState::Removed);
    assert!((1..WORDY).contains(&removed), "{removed}");
    office.desk.tick().expect("a tick");
    assert_eq!(count(&office, &references, CaseState::Removed), WORDY);
    // With room, all do so at once.
    undo_newest(&office);
    assert_eq!((count(&office, &references, CaseState::Published), office.lines().lines().count()), (WORDY, WORDY));
    let newest = office.store.act_tip().expect("a tip");
    office.desk.tick().expect("a tick");
    assert_eq!(office.store.act_tip().expect("a tip"), newest, "nothing is left to be done");
}

/// Puts rules with a last day onto a list.
fn put(publisher: &Publisher, id: &ListId, rules: &[&str], expires: &str) {
    let expires = Some(expires.parse().expect("a day"));
    let put = rules.iter().map(|rule| PutEntry { rule: (*rule).into(), attributes: Attributes { expires, ..Attributes::default() } });
    let request = ChangeRequest { put: put.collect(), remove: Vec::new(), dry_run: false };
    publisher.stage(id, &request, "ed").expect("staged");
    publisher.publish(id, &PublishRequest::default(), "ed").expect("published");
}

fn with_two_lists(dir: &Path) -> (Office, ListId) {
    House::open(dir).create("alpha", Colour::Black, &[]);
    let office = office(dir, Arc::new(HastyDisk), |_| ());
    (office, "alpha".parse().expect("a list"))
}

fn lists(ticked: &Ticked) -> Vec<&str> {
    ticked.expired.iter().map(|(list, _, _)| list.as_str()).collect()
}

#[test]
fn a_delta_that_cannot_be_read_is_not_needed_to_see_what_expires() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, alpha) = with_two_lists(dir.path());
    let publisher = office.desk.publisher();
    let tomorrow = day(&office.clock, 1);
    put(publisher, &alpha, &["first.example"], &day(&office.clock, 90));
    office.desk.tick().expect("a tick");
    put(publisher, &alpha, &["old.example"], &tomorrow);
    put(publisher, &list(), &["old.example"], &tomorrow);
    let delta = publisher.log(&alpha, None, 1).expect("a log").versions[0].delta.clone().expect("a delta");
    std::fs::write(office.store.artefacts().path(ArtefactKind::Delta, &delta.digest), "damaged").expect("written");
    office.clock.advance(2 * 86_400);
    let ticked = office.desk.tick().expect("a tick");
    assert_eq!((lists(&ticked), ticked.failed.len()), (vec!["alpha", "test"], 0), "{ticked:?}");
    assert!(office.lines().is_empty());
}

#[test]
fn a_list_that_cannot_be_read_holds_up_neither_others_nor_what_is_scheduled_and_the_queue_names_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, alpha) = with_two_lists(dir.path());
    let publisher = office.desk.publisher();
    let tomorrow = day(&office.clock, 1);
    put(publisher, &alpha, &["old.example"], &tomorrow);
    put(publisher, &list(), &["old.example"], &tomorrow);
    let suspended = office.propose("suspended.example", Some(&tomorrow));
    office.publish().expect("published");
    office.desk.change(&suspended, Action::Suspend, "appeal", EDITOR, &by("ed")).expect("suspended");
    publisher.stage(&list(), &super::publisher::request(&["later.example"], &[]), "ed").expect("staged");
    let at = office.clock.now().plus(86_400);
    let new = NewSchedule { at, cases: false, reason: String::new(), force: Vec::new() };
    office.desk.schedule(&list(), new, &by("ed")).expect("scheduled");
    let newest = office.store.list(&alpha).expect("a list").and_then(|list| list.newest).expect("a version");
    let base = office.store.artefacts().path(ArtefactKind::Buckets, &newest.base.buckets);
    let whole = std::fs::read(&base).expect("a bucket file");
    std::fs::write(&base, "").expect("cut off");
    office.clock.advance(2 * 86_400);
    let ticked = office.desk.tick().expect("a tick");
    assert_eq!((lists(&ticked), ticked.published.len()), (vec!["test"], 1), "{ticked:?}");
    assert!(ticked.failed.len() == 1 && ticked.failed[0].starts_with("alpha: "), "{ticked:?}");
    assert_eq!(office.state(&suspended), CaseState::Expired);
    let queue = office.desk.queue(&|_| true).expect("a queue");
    let [stuck] = &queue.expired[..] else { panic!("{queue:?}") };
    assert_eq!((stuck.list.as_str(), stuck.since.to_string()), ("alpha", day(&office.clock, 0)));
    std::fs::write(&base, whole).expect("written");
    assert_eq!(lists(&office.desk.tick().expect("a tick")), ["alpha"]);
    assert!(office.desk.queue(&|_| true).expect("a queue").expired.is_empty());
}

/// A list that comes before `test`, with another lock of the desk: a publication of one goes on while the other is in hand.
fn another_list() -> ListId {
    let lock = |id: &ListId| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() % 64
    };
    let names = (0..9).map(|n| format!("a{n}").parse::<ListId>().expect("a list"));
    names.into_iter().find(|id| lock(id) != lock(&list())).expect("one of nine")
}

#[test]
fn an_entry_that_is_given_more_time_while_expired_ones_are_taken_off_keeps_its_case() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = another_list();
    House::open(dir.path()).create(first.as_str(), Colour::Black, &[]);
    House::open(dir.path()).create("test", Colour::Black, &[]);
    // When the first list has its new version, the tick has its copy of the second one already.
    let (later, desk, armed) =
        (Arc::new(OnceLock::<String>::new()), Arc::new(OnceLock::<Weak<Desk>>::new()), Arc::new(AtomicBool::new(false)));
    let hears = {
        let (later, desk, armed, first) = (later.clone(), desk.clone(), armed.clone(), first.clone());
        move |id: &ListId| {
            if *id == first && armed.swap(false, Ordering::SeqCst) {
                let desk = desk.get().and_then(Weak::upgrade).expect("a desk");
                let attributes = Attributes { expires: later.get().map(|day| day.parse().expect("a day")), ..Attributes::default() };
                let put = vec![PutEntry { rule: "kept.example".into(), attributes }];
                desk.publisher().stage(&list(), &ChangeRequest { put, remove: Vec::new(), dry_run: false }, "ed").expect("staged");
                desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).expect("published");
            }
        }
    };
    let house = House::open_hearing(dir.path(), Arc::new(HastyDisk), options(), signed::now(), hears).expect("a house");
    let House { publisher, catalog, store, clock, .. } = house;
    let office = Arc::new(Desk::open(Arc::new(publisher), store, catalog, clock.clone()).expect("a desk"));
    desk.set(Arc::downgrade(&office)).expect("once");
    later.set(day(&clock, 30)).expect("once");
    let tomorrow = day(&clock, 1);
    put(office.publisher(), &first, &["old.example"], &tomorrow);
    let propose = |rule: &str| {
        let attributes = Attributes { expires: Some(tomorrow.parse().expect("a day")), ..Attributes::default() };
        let new = NewCase { words: Words { rule: rule.into(), attributes, ..Words::default() }, ..NewCase::default() };
        office.propose(&list(), new, EDITOR, &by("ed")).expect("proposed").reference.clone()
    };
    let (kept, over) = (propose("kept.example"), propose("over.example"));
    office.publish(&list(), &PublishCases::default(), EDITOR, &by("ed")).expect("published");
    office.tick().expect("a tick");
    clock.advance(2 * 86_400);
    armed.store(true, Ordering::SeqCst);
    let ticked = office.tick().expect("a tick");
    assert_eq!(lists(&ticked), [first.as_str(), "test"], "{ticked:?}");
    let state = |reference: &str| office.case(reference).expect("a case").state;
    assert_eq!((state(&kept), state(&over)), (CaseState::Published, CaseState::Expired));
    assert_eq!(office.public(&list(), &kept).expect("it is public").state, CaseState::Published);
    office.tick().expect("a tick");
    assert_eq!(state(&kept), CaseState::Published);
    clock.advance(31 * 86_400);
    office.tick().expect("a tick");
    assert_eq!(state(&kept), CaseState::Expired, "it has its time, no more");
}

/// A list with something to publish on the hour.
fn scheduled(dir: &Path, disk: Arc<dyn Disk>, cases: bool) -> (Office, Schedule) {
    let office = office(dir, disk, |_| ());
    if cases {
        let [_, withdrawn] = ["kept.example", "withdrawn.example"].map(|rule| office.propose(rule, None));
        let schedule = schedule(&office, true);
        office.act(&withdrawn, Action::Withdraw, EDITOR, "ed").expect("withdrawn");
        return (office, schedule);
    }
    office.desk.publisher().stage(&list(), &super::publisher::request(&["kept.example"], &[]), "ed").expect("staged");
    let schedule = schedule(&office, false);
    (office, schedule)
}

fn schedule(office: &Office, cases: bool) -> Schedule {
    let new = NewSchedule { at: office.clock.now().plus(3_600), cases, reason: String::new(), force: Vec::new() };
    let schedule = office.desk.schedule(&list(), new, &by("ed")).expect("scheduled");
    office.clock.advance(3_601);
    schedule
}

/// Wherever the process ends: at the next start it has gone out once, and nobody says that it has not.
#[test]
fn a_scheduled_publication_and_its_outcome_are_there_together_or_not_at_all() {
    for cases in [false, true] {
        let disk = Arc::new(FaultDisk::new(u64::MAX, Effect::Nothing, Then::Works));
        let dir = tempfile::tempdir().expect("a folder");
        let (office, _) = scheduled(dir.path(), disk.clone(), cases);
        disk.fail_at(u64::MAX);
        office.desk.tick().expect("a tick");
        let operations = disk.operations();
        assert!(operations > 2);
        let ways = [(Effect::Nothing, Then::Fails), (Effect::All, Then::Fails)];
        for (nth, (effect, then)) in (0..operations).flat_map(|nth| ways.map(|way| (nth, way))) {
            let what = format!("cases: {cases}, operation {nth} of {operations}, {effect:?}");
            let disk = Arc::new(FaultDisk::new(u64::MAX, effect, then));
            let dir = tempfile::tempdir().expect("a folder");
            let (office, schedule) = scheduled(dir.path(), disk.clone(), cases);
            disk.fail_at(nth);
            drop(office.desk.tick());
            drop(office);
            let office = self::office(dir.path(), Arc::new(HastyDisk), |_| ());
            office.clock.advance(3_601);
            office.desk.tick().expect("a tick");
            let over = office.desk.scheduled(&list(), &schedule.id).expect("it is kept");
            assert_eq!((over.outcome.as_str(), over.left_out.len()), ("version 1", usize::from(cases)), "{what}");
            assert_eq!(office.lines().lines().count(), 1, "{what}");
            let said: Vec<String> = office.store.acts(None, 100).expect("acts").into_iter().map(|line| line.act.what).collect();
            let times = |what: &str| said.iter().filter(|said| *said == what).count();
            let [failed, out, left_out] = ["list.schedule-failed", "list.publish", "list.left-out"].map(times);
            assert_eq!((failed, out, left_out), (0, 1, usize::from(cases)), "{what}: {said:?}");
        }
    }
}
