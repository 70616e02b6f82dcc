//! Scheduled publications at their hour: by whose right they go out, with which of their cases, and what is said of the rest.

use std::path::Path;
use std::sync::Arc;

use bwld::desk::{Action, CaseEdit, CaseState, Desk, DeskError, NewSchedule, PublishCases, Schedule, Ticked, Words};
use bwld::list::{Colour, Timestamp};
use bwld::people::{Grants, HashCost, NewAccount, People, PeopleOptions, Role};
use bwld::publisher::{ListPolicy, PublishRequest};
use bwld::store::{Clock as _, Record, digest_of};
use bwld::wire::Act;

use super::desk::{EDITOR, Office, REVIEWER, by, list};
use super::publisher::{House, request};

impl Office {
    /// With accounts on the list: `own`, `ed`, `ann` and `bob`, by their roles.
    pub fn with_people(dir: &Path, approvals: u8) -> (Office, Arc<People>) {
        House::open(dir).create("test", Colour::Black, &[]);
        let House { publisher, catalog, store, clock, .. } = House::open(dir);
        let cheap = PeopleOptions { hash: HashCost { memory: 64, passes: 1, lanes: 1 }, ..PeopleOptions::default() };
        let people = Arc::new(People::open(store.clone(), clock.clone(), cheap).expect("people"));
        for (name, role) in [("own", Role::Owner), ("ed", Role::Editor), ("ann", Role::Reviewer), ("bob", Role::Reviewer)] {
            people.create_account(NewAccount { name: name.into(), grants: only(role) }, "test").expect("an account");
        }
        publisher.set_policy(&list(), ListPolicy { approvals, ..ListPolicy::default() }, "list.policy", "test").expect("a policy");
        let desk = Desk::open(Arc::new(publisher), store.clone(), catalog, clock.clone()).expect("a desk");
        (Office { desk: desk.with_people(people.clone()), store, clock }, people)
    }

    fn later(&self) -> Timestamp {
        self.clock.now().plus(3_600)
    }

    fn schedule(&self, cases: bool, force: &[&str], who: &str) -> Result<Schedule, DeskError> {
        let force = force.iter().map(|name| (*name).to_owned()).collect();
        self.desk.schedule(&list(), NewSchedule { at: self.later(), cases, reason: "on the hour".into(), force }, &by(who))
    }

    /// An hour later.
    fn an_hour_on(&self) -> Ticked {
        self.clock.advance(3_601);
        self.desk.tick().expect("a tick")
    }

    fn stage(&self, rule: &str, who: &str) {
        self.desk.publisher().stage(&list(), &request(&[rule], &[]), who).expect("staged");
    }

    pub fn newest_acts<const N: usize>(&self) -> [Act; N] {
        let mut acts: Vec<Act> = self.store.acts(None, N).expect("acts").into_iter().map(|line| line.act).collect();
        acts.reverse();
        acts.try_into().expect("so many")
    }

    fn outcomes(&self) -> Vec<String> {
        self.desk.queue(&|_| true).expect("a queue").schedules.into_iter().map(|one| one.outcome).collect()
    }
}

fn only(role: Role) -> Grants {
    Grants::default().on(&list(), role)
}

#[test]
fn a_schedule_goes_out_only_as_long_as_its_author_could_still_ask_for_it() {
    type Change = fn(&People);
    let lost: [(&str, &[&str], Change, &str); 4] = [
        ("own", &["approvals"], |people| drop(people.set_grants("own", only(Role::Auditor), "test")), "own: the account has no role"),
        ("own", &["approvals"], |people| drop(people.set_grants("own", only(Role::Editor), "test")), "own: the account has no role"),
        ("ed", &[], |people| drop(people.set_disabled("ed", true, "test")), "ed: the account is disabled"),
        ("gone", &[], |_| (), "gone: there is no such account"),
    ];
    for (who, force, lose, why) in lost {
        let dir = tempfile::tempdir().expect("a folder");
        let (office, people) = Office::with_people(dir.path(), u8::from(!force.is_empty()));
        office.stage("bad.example", "ed");
        let made = office.schedule(false, force, who).expect("scheduled");
        lose(&people);
        let waiting = office.outcomes();
        assert!(waiting[0].starts_with("would not go out now: ") && waiting[0].contains(why), "{waiting:?}");
        let ticked = office.an_hour_on();
        assert!(ticked.published.is_empty() && ticked.failed[0].contains(why), "{ticked:?}");
        assert!(office.outcomes()[0].starts_with(&format!("not published: by: {why}")), "{:?}", office.outcomes());
        let [act] = office.newest_acts();
        assert_eq!((act.what.as_str(), act.who.as_str(), act.before), ("list.schedule-failed", "bwld", Some(digest_of(&made))));
        assert!(act.reason.contains(why) && act.object == format!("list:test schedule:{} by:{who}", made.id), "{act:?}");
        assert_eq!(act.after, Some(digest_of(&office.desk.scheduled(&list(), &made.id).expect("it is kept"))));
        assert_eq!(office.an_hour_on(), Ticked::default(), "it is over");
    }
    // Who still may: also with another role that allows it.
    let dir = tempfile::tempdir().expect("a folder");
    let (office, people) = Office::with_people(dir.path(), 0);
    office.stage("bad.example", "ed");
    let made = office.schedule(false, &[], "ed").expect("scheduled");
    let [act] = office.newest_acts();
    assert_eq!((act.what.as_str(), act.before, act.after), ("list.schedule", None, Some(digest_of(&made))));
    people.set_grants("ed", Grants::everywhere(Role::Owner), "test").expect("set");
    assert_eq!(office.an_hour_on().published.len(), 1);
    assert!(office.outcomes().is_empty());
}

#[test]
fn an_approval_counts_only_while_its_account_may_still_approve() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, people) = Office::with_people(dir.path(), 1);
    let (one, other) = (office.propose("bad.example", None), office.propose("worse.example", None));
    office.act(&one, Action::Approve, REVIEWER, "ann").expect("approved");
    office.act(&other, Action::Approve, REVIEWER, "bob").expect("approved");
    office.stage("staged.example", "ed");
    let publisher = office.desk.publisher();
    let digest = publisher.staged_review(&list()).expect("a review").digest.expect("a digest");
    publisher.approve_staged(&list(), digest, "ann").expect("approved");
    let waits = || {
        let queue = office.desk.queue(&|_| true).expect("a queue");
        (queue.proposed.len(), queue.approved.len(), queue.staged.len())
    };
    assert_eq!(waits(), (0, 2, 0));
    people.set_disabled("ann", true, "test").expect("disabled");
    assert_eq!(waits(), (1, 1, 1));
    let publish = |references: &[&String]| {
        let references = references.iter().map(|reference| (*reference).clone()).collect();
        office.desk.publish(&list(), &PublishCases { references, ..PublishCases::default() }, EDITOR, &by("ed"))
    };
    let refused = publish(&[&one]).expect_err("too few").to_string();
    assert!(refused.contains("0 of 1 approvals"), "{refused}");
    let refused = office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).expect_err("too few").to_string();
    assert!(refused.contains("0 of 1 approvals"), "{refused}");
    // The other is approved by somebody else, who may.
    assert_eq!(publish(&[&other]).expect("one").changes.added, 1);
    assert_eq!((office.state(&one), office.state(&other)), (CaseState::Approved, CaseState::Published));
    assert_eq!(office.act(&one, Action::Approve, REVIEWER, "bob").expect("approved"), CaseState::Approved);
    assert!(office.act(&one, Action::Approve, REVIEWER, "own").is_err(), "it has enough");
    publish(&[&one]).expect("published");
    let digest = publisher.staged_review(&list()).expect("a review").digest.expect("a digest");
    publisher.approve_staged(&list(), digest, "bob").expect("approved");
    people.set_grants("bob", only(Role::Auditor), "test").expect("set");
    assert!(office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).is_err(), "nor does one without the role count");
    people.set_grants("bob", only(Role::Reviewer), "test").expect("set");
    office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).expect("it counts again");
    // What was on the list was decided then.
    people.set_disabled("bob", true, "test").expect("disabled");
    office.desk.change(&other, Action::Suspend, "appeal", REVIEWER, &by("own")).expect("suspended");
    office.desk.change(&other, Action::Resume, "", REVIEWER, &by("own")).expect("resumed");
}

#[test]
fn an_approval_of_what_is_staged_counts_again_though_somebody_else_approved_meanwhile() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, people) = Office::with_people(dir.path(), 2);
    office.stage("bad.example", "ed");
    let publisher = office.desk.publisher();
    let digest = publisher.staged_review(&list()).expect("a review").digest.expect("a digest");
    let approved_by = || publisher.staged_review(&list()).expect("a review").approved_by;
    publisher.approve_staged(&list(), digest, "ann").expect("approved");
    people.set_disabled("ann", true, "test").expect("disabled");
    assert_eq!(publisher.approve_staged(&list(), digest, "bob").expect("approved").approved_by, ["bob"]);
    assert_eq!(approved_by(), ["bob"]);
    assert!(office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).is_err(), "one of two counts");
    people.set_disabled("ann", false, "test").expect("enabled");
    assert_eq!(approved_by(), ["ann", "bob"]);
    office.desk.publish_staged(&list(), &PublishRequest::default(), &by("ed")).expect("both count");
}

#[test]
fn a_scheduled_emergency_goes_out_though_an_approval_fell_and_no_author_of_it_reviews_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, people) = Office::with_people(dir.path(), 1);
    let one = office.propose("bad.example", None);
    office.act(&one, Action::Approve, REVIEWER, "ann").expect("approved");
    office.schedule(true, &[], "ed").expect("scheduled");
    office.schedule(true, &["approvals"], "own").expect("scheduled");
    people.set_disabled("ann", true, "test").expect("disabled");
    let ticked = office.an_hour_on();
    assert_eq!(ticked.published.len(), 1, "{ticked:?}");
    let publisher = office.desk.publisher();
    let version = &publisher.log(&list(), None, 1).expect("a log").versions[0];
    assert_eq!((version.by.as_str(), version.forced.as_slice()), ("own", ["approvals".to_owned()].as_slice()));
    assert_eq!(publisher.unreviewed(&|_| true).expect("one")[0].staged_by, ["ed"]);
    for who in ["ed", "own"] {
        assert!(publisher.reviewed(&list(), version.serial, who).is_err(), "{who}");
    }
    publisher.reviewed(&list(), version.serial, "bob").expect("reviewed");
}

#[test]
fn of_scheduled_cases_those_go_out_that_are_still_what_they_were() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, _people) = Office::with_people(dir.path(), 0);
    let names = ["kept", "noted", "withdrawn", "edited", "published", "other"];
    let cases = names.map(|name| office.propose(&format!("{name}.example"), None));
    let [kept, noted, withdrawn, edited, published, other] = &cases;
    let made = office.schedule(true, &[], "ed").expect("scheduled");
    let later = office.propose("later.example", None);
    office.desk.note(noted, "nothing new", None, &by("ed")).expect("noted");
    office.act(withdrawn, Action::Withdraw, EDITOR, "ed").expect("withdrawn");
    let edit = |reference: &str, words: Words| {
        let edit = CaseEdit { words: Some(words), ..CaseEdit::default() };
        office.desk.act(reference, Action::Edit, edit, EDITOR, &by("ed")).expect("edited");
    };
    edit(edited, Words { rule: "another.example".into(), ..Words::default() });
    edit(other, Words { rule: "other.example".into(), review_by: Some("2099-01-01".parse().expect("a day")), ..Words::default() });
    let now = PublishCases { references: vec![published.clone()], ..PublishCases::default() };
    office.desk.publish(&list(), &now, EDITOR, &by("ed")).expect("out");

    let ticked = office.an_hour_on();
    assert_eq!(ticked.published.len(), 1, "{ticked:?}");
    for (reference, state) in [
        (kept, CaseState::Published),
        (noted, CaseState::Published),
        (withdrawn, CaseState::Withdrawn),
        (edited, CaseState::Approved),
        (other, CaseState::Approved),
        (&later, CaseState::Approved),
    ] {
        assert_eq!(office.state(reference), state, "{reference}");
    }
    let queue = office.desk.queue(&|_| true).expect("a queue");
    let [shown] = &queue.schedules[..] else { panic!("{queue:?}") };
    assert_eq!((shown.id.as_str(), shown.outcome.as_str(), shown.left_out.len()), (made.id.as_str(), "version 2", 4));
    let why = |reference: &str| shown.left_out.iter().find_map(|line| line.strip_prefix(&format!("{reference}: ")));
    assert_eq!(why(withdrawn), Some("it is withdrawn"));
    assert_eq!((why(edited), why(other)), (Some("it was changed after it was scheduled"), Some("it was changed after it was scheduled")));
    assert_eq!(why(published), Some("it is published"));
    // In the frame of the version: before the act of publishing it, which comes last.
    let [act, last] = office.newest_acts();
    assert_eq!(last.what, "list.publish");
    assert!(act.what == "list.left-out" && act.reason.contains(&format!("{withdrawn}: it is withdrawn")), "{act:?}");
    assert!(ticked.failed[0].contains("it is withdrawn"), "{ticked:?}");
    office.desk.cancel(&list(), &made.id, &by("ed")).expect("taken off");
    assert!(office.outcomes().is_empty());
    let [act] = office.newest_acts();
    assert!(act.what == "list.unschedule" && act.before.is_some() && act.after.is_none(), "{act:?}");

    // None of them: nothing else goes out in their place.
    let last = office.schedule(true, &[], "ed").expect("scheduled");
    for reference in [edited, other, &later] {
        office.act(reference, Action::Withdraw, EDITOR, "ed").expect("withdrawn");
    }
    let fresh = office.propose("fresh.example", None);
    assert!(office.an_hour_on().published.is_empty());
    assert_eq!(office.state(&fresh), CaseState::Approved);
    let last = office.desk.scheduled(&list(), &last.id).expect("it is kept");
    assert!(last.outcome.starts_with("not published: ") && last.left_out.len() == 3, "{last:?}");
}

#[test]
fn a_later_staging_or_a_discard_ends_a_schedule_and_the_queue_says_so_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, _people) = Office::with_people(dir.path(), 0);
    office.stage("bad.example\tref=one-of-us", "ed");
    office.schedule(false, &[], "ed").expect("scheduled");
    assert_eq!(office.outcomes(), [""]);
    let ended = || office.outcomes()[0].contains("something else is staged by now, or nothing");
    office.stage("more.example", "ed");
    assert!(ended(), "{:?}", office.outcomes());
    office.desk.publisher().discard(&list(), "ed").expect("discarded");
    assert!(ended(), "{:?}", office.outcomes());
    office.stage("bad.example\tref=one-of-us", "ed");
    assert_eq!(office.outcomes(), [""], "it is what was scheduled again");
    office.desk.publisher().discard(&list(), "ed").expect("discarded");
    assert!(office.an_hour_on().failed[0].contains("something else is staged by now, or nothing"));
}

#[test]
fn what_is_over_is_forgotten_but_for_the_newest_and_no_new_one_is_lost_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, _people) = Office::with_people(dir.path(), 0);
    // As earlier builds kept them, for ever.
    let document = |n: usize, list: &str, outcome: &str| {
        let at = Timestamp::from_unix(office.clock.now().unix() - 100_000 + n as u64);
        let value = serde_json::json!({"id": format!("0{n:021}"), "list": list, "at": at, "staged": null, "cases": [], "reason": "",
            "force": [], "by": "ed", "outcome": outcome});
        Record::Document { table: "schedule".into(), key: format!("0{n:021}"), value: Some(value) }
    };
    let records = (0..10_200).map(|n| document(n, if n < 50 { "other" } else { "test" }, "version 1")).collect();
    office.store.commit(&Record::All { records }).expect("written");
    office.stage("bad.example", "ed");
    let made = office.schedule(false, &[], "ed").expect("scheduled");
    assert_eq!(office.outcomes().len(), 1);
    assert_eq!(office.an_hour_on().published.len(), 1);
    let kept = office.desk.schedules().expect("schedules");
    assert_eq!(kept.len(), 150, "the newest hundred of this list, and those of the other");
    assert!(kept.iter().any(|one| one.id == made.id));
    // Too many that wait are refused, and it is said.
    let records = (0..1_000).map(|n| document(20_000 + n, "test", "")).collect();
    office.store.commit(&Record::All { records }).expect("written");
    office.stage("worse.example", "ed");
    assert!(office.schedule(false, &[], "ed").expect_err("too many").to_string().contains("1,000 publications wait already"));
}

#[test]
fn what_can_never_be_done_is_refused_when_it_is_scheduled() {
    let dir = tempfile::tempdir().expect("a folder");
    let (office, _people) = Office::with_people(dir.path(), 0);
    office.stage("bad.example", "ed");
    let refused = office.schedule(false, &["max-remove"], "ed").expect_err("no such guard").to_string();
    assert!(refused.contains("force[0]"), "{refused}");
    assert!(office.schedule(false, &["approvals"; 5], "own").expect_err("too many").to_string().contains("force"));
    let new = NewSchedule { at: office.later(), cases: false, reason: "two\nlines".into(), force: Vec::new() };
    let refused = office.desk.schedule(&list(), new, &by("ed")).expect_err("no line").to_string();
    assert!(refused.contains("reason") && refused.contains("1,000 octets"), "{refused}");
}
