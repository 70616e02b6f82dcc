//! What the queue shows, and what is written down of what is done: acts with digests, reasons within bounds.

use bwld::desk::{Action, Case, CaseEdit, DeskError, PublishCases, Scheme};
use bwld::list::{ListId, Serial, Timestamp};
use bwld::publisher::{Beside, ListPolicy, PublishRequest, Unreviewed};
use bwld::store::{Record, digest_of};
use serde_json::json;

use super::desk::{EDITOR, Office, REVIEWER, by, list};
use super::publisher::request;

fn unreviewed(list: &str, serial: u64, at: u64) -> Record {
    let at = Timestamp::from_unix(1_700_000_000 + at);
    let value = json!({"list": list, "serial": serial, "at": at, "by": "own", "reason": ""});
    Record::Document { table: "unreviewed".into(), key: format!("{list}/{serial:020}"), value: Some(value) }
}

#[test]
fn the_queue_gives_what_is_due_most_and_says_how_much_there_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = Office::with_list(dir.path(), 0);
    let one = office.propose("bad.example", None);
    office.publish().expect("published");
    // Nothing that is proposed would wait for approvals otherwise.
    let policy = ListPolicy { approvals: 1, ..ListPolicy::default() };
    office.desk.publisher().set_policy(&list(), policy, "list.policy", "test").expect("a policy");
    let model = serde_json::to_value(&*office.desk.case(&one).expect("a case")).expect("JSON");
    let case = |list: &str, n: usize, state: &str, day: &str| {
        let (mut value, key) = (model.clone(), format!("{list}-{n:019}"));
        (value["reference"], value["list"], value["state"]) = (json!(key), json!(list), json!(state));
        value["words"]["rule"] = json!(format!("domain:n{n}.example"));
        value["words"]["review_by"] = json!(day);
        value["proposed"] = json!(format!("{day}T00:00:00Z"));
        Record::Document { table: "case".into(), key, value: Some(value) }
    };
    let mut records: Vec<Record> = (0..1_100).map(|n| case("alpha", n, "published", "2020-05-05")).collect();
    records.extend((2_000..3_100).map(|n| case("alpha", n, "proposed", "2020-05-05")));
    records.extend([case("test", 5_000, "published", "2020-01-01"), case("test", 5_001, "proposed", "2020-01-01")]);
    records.extend((1..=1_100).map(|n| unreviewed("alpha", n, 1_000 + n)));
    records.push(unreviewed("test", 1, 5));
    office.store.commit(&Record::All { records }).expect("written");
    drop(office);
    let office = Office::open(dir.path());
    let queue = office.desk.queue(&|_| true).expect("a queue");
    let first = |cases: &[Case]| (cases.len(), cases[0].list.to_string());
    assert_eq!((first(&queue.due), queue.counts.due), ((1_000, "test".into()), 1_101));
    assert_eq!((first(&queue.proposed), queue.counts.proposed), ((1_000, "test".into()), 1_101));
    assert_eq!((queue.unreviewed.len(), queue.unreviewed[0].list.as_str(), queue.counts.unreviewed), (1_000, "test", 1_101));
    let mine = office.desk.queue(&|id: &ListId| *id == list()).expect("a queue");
    assert_eq!((mine.unreviewed.len(), mine.counts.unreviewed, mine.due.len()), (1, 1, 1), "of others' lists none is counted");
}

#[test]
fn expired_entries_that_a_frozen_list_keeps_are_in_the_queue_whichever_way_they_came() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = Office::with_list(dir.path(), 0);
    let publisher = office.desk.publisher();
    let lines = "domain:kept.example\ndomain:bulk.example\texp=2020-02-02\n";
    let read = bwld::formats::ReadOptions { format: Some("bwld".parse().expect("a format")), ..Default::default() };
    let options = bwld::publisher::ImportOptions { read, mode: bwld::publisher::ImportMode::Merge, strict: true, dry_run: false };
    publisher.import(&list(), &mut lines.as_bytes(), &options, "ed").expect("staged");
    office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).expect("published");
    publisher.freeze(&list(), "a wrong file", "own").expect("frozen");
    assert!(office.desk.tick().expect("a tick").failed[0].contains("frozen"));
    let queue = office.desk.queue(&|_| true).expect("a queue");
    let [expired] = &queue.expired[..] else { panic!("{queue:?}") };
    assert_eq!((expired.list.as_str(), expired.since.to_string().as_str(), queue.counts.expired), ("test", "2020-02-02", 1));
    assert!(expired.reason.contains("frozen"), "{expired:?}");
    assert!(office.desk.queue(&|_| false).expect("a queue").expired.is_empty());
    publisher.freeze(&list(), "", "own").expect("thawed");
    office.desk.tick().expect("a tick");
    assert!(office.desk.queue(&|_| true).expect("a queue").expired.is_empty());
    assert_eq!(office.lines(), "domain:kept.example\n");
}

#[test]
fn neither_who_staged_nor_who_published_an_emergency_reviews_it_afterwards() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = Office::with_list(dir.path(), 1);
    let publisher = office.desk.publisher();
    publisher.stage(&list(), &request(&["a.example"], &[]), "ed").expect("staged");
    publisher.stage(&list(), &request(&["b.example"], &[]), "eve").expect("staged");
    let emergency = PublishRequest { force: vec!["approvals".into()], ..PublishRequest::default() };
    office.desk.publish_staged(&list(), &emergency, &by("own")).expect("published");
    for (who, why) in [("ed", "who staged or wrote a part of it"), ("eve", "who staged or wrote a part of it"), ("own", "who published it")]
    {
        let refused = publisher.reviewed(&list(), Serial::FIRST, who).expect_err("own work");
        assert!(refused.refusals()[0].reason.contains(why), "{who}: {refused}");
    }
    publisher.reviewed(&list(), Serial::FIRST, "ann").expect("reviewed");
    assert_eq!(publisher.unreviewed(&|_| true).expect("none"), Vec::<Unreviewed>::new());
    // As it was kept before it was known who staged it.
    office.store.commit(&unreviewed("test", 7, 0)).expect("written");
    publisher.reviewed(&list(), Serial::new(7).expect("not 0"), "ed").expect("reviewed");
}

#[test]
fn an_act_at_the_desk_says_what_was_there_before_and_after_and_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = Office::with_list(dir.path(), 1);
    let of = |reference: &str| Some(digest_of(&*office.desk.case(reference).expect("a case")));
    let one = office.propose("bad.example", None);
    let [proposed] = office.newest_acts();
    assert_eq!((proposed.what.as_str(), proposed.before, proposed.after), ("case.propose", None, of(&one)));
    let mut before = of(&one);
    let mut next = |what: &str, reason: &str, acts: &[bwld::wire::Act]| {
        let act = acts.iter().find(|act| act.what == what).unwrap_or_else(|| panic!("{what}: {acts:?}"));
        assert_eq!((act.before, act.after, act.reason.as_str()), (before, of(&one), reason), "{what}");
        assert_ne!(act.before, act.after, "{what}");
        before = act.after;
    };
    let edit = CaseEdit { reason: "order 17".into(), ..CaseEdit::default() };
    office.desk.act(&one, Action::Approve, edit, REVIEWER, &by("ann")).expect("approved");
    next("case.approve", "order 17", &office.newest_acts::<1>());
    office.desk.note(&one, "a note", None, &by("ed")).expect("noted");
    next("case.note", "", &office.newest_acts::<1>());
    let request = PublishCases { reason: "in force".into(), ..PublishCases::default() };
    office.desk.publish(&list(), &request, EDITOR, &by("ed")).expect("published");
    next("case.publish", "in force", &office.newest_acts::<2>());
    for (action, reason) in [(Action::Suspend, "appeal 17"), (Action::Resume, "it was rejected"), (Action::Remove, "not this one")] {
        office.desk.change(&one, action, reason, REVIEWER, &by("ann")).expect("done");
        next(&format!("case.{}", action.word()), reason, &office.newest_acts::<2>());
    }
    let scheme =
        |name: &str| -> Scheme { serde_json::from_value(json!({"id": "ours", "names": {"en": name}, "codes": []})).expect("a scheme") };
    office.desk.put_scheme(&scheme("One"), &by("own")).expect("put");
    office.desk.put_scheme(&scheme("Two"), &by("own")).expect("put");
    let [first, second] = office.newest_acts();
    assert_eq!((first.before, first.after), (None, Some(digest_of(&scheme("One")))));
    assert_eq!((second.before, second.after), (first.after, Some(digest_of(&scheme("Two")))));
}

#[test]
fn a_reason_is_one_line_within_bounds_whatever_it_is_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let office = Office::with_list(dir.path(), 0);
    let (desk, publisher) = (&office.desk, office.desk.publisher());
    let one = office.propose("bad.example", None);
    office.publish().expect("published");
    publisher.stage(&list(), &request(&["a.example"], &[]), "ed").expect("staged");
    let digest = publisher.staged_review(&list()).expect("a review").digest.expect("a digest");
    office.store.commit(&unreviewed("test", 7, 0)).expect("written");
    let tip = office.store.act_tip().expect("a chain");
    let fine = "x".repeat(1_000);
    for reason in ["x".repeat(1_001), "two\nlines".into()] {
        let why = || by("ann").because(reason.clone());
        let request = PublishRequest { reason: reason.clone(), ..PublishRequest::default() };
        let beside = Beside { reason: reason.clone(), ..Beside::default() };
        let edit = CaseEdit { reason: reason.clone(), ..CaseEdit::default() };
        let cases = PublishCases { reason: reason.clone(), references: vec![one.clone()], ..PublishCases::default() };
        let other = office.desk.case(&one).expect("a case").reference.clone();
        let refused: [(&str, Option<DeskError>); 6] = [
            ("publish", desk.publish_staged(&list(), &request, &by("ed")).err()),
            ("undo", desk.undo(&list(), Serial::FIRST, false, &beside, &by("ed")).err()),
            ("suspend", desk.change(&one, Action::Suspend, &reason, REVIEWER, &by("ann")).err()),
            ("edit", desk.act(&other, Action::Edit, edit, EDITOR, &by("ed")).err()),
            ("approve", publisher.approve_staged(&list(), digest, why()).err().map(DeskError::from)),
            ("reviewed", publisher.reviewed(&list(), Serial::new(7).expect("not 0"), why()).err().map(DeskError::from)),
        ];
        for (what, error) in refused {
            let Some(DeskError::Publish(error)) = error else { panic!("{what}: {error:?}") };
            assert_eq!(error.refusals()[0].place, "reason", "{what}: {error}");
        }
        assert!(desk.publish(&list(), &cases, EDITOR, &by("ed")).is_err());
        assert_eq!(office.store.act_tip().expect("a chain"), tip, "nothing was done");
    }
    let request = PublishRequest { reason: fine, force: ["approvals"; 4].map(String::from).into(), dry_run: true };
    desk.publish_staged(&list(), &request, &by("ed")).expect("a thousand octets are a reason");
    let many = PublishRequest { force: ["approvals"; 5].map(String::from).into(), ..PublishRequest::default() };
    let Err(DeskError::Publish(error)) = desk.publish_staged(&list(), &many, &by("ed")) else { panic!("five names of four guards") };
    assert_eq!(error.refusals()[0].place, "force");
}
