//! Edges of an entry's life: one case of a rule at a time, demands that change in between, dates that have passed.

use bwld::desk::{Action, CaseEdit, CaseState, DeskError, Hats, NewCase, NewSchedule, NotDone, PublishCases, Search, Words};
use bwld::list::{Attributes, Colour, Serial, derived_reference};
use bwld::publisher::{Beside, ListPolicy};

use super::desk::{EDITOR, Office, REVIEWER, by, list};
use super::publisher::{House, request};

impl Office {
    fn demands(&self, approvals: u8) {
        self.desk.publisher().set_policy(&list(), ListPolicy { approvals, ..ListPolicy::default() }, "list.policy", "olga").unwrap();
    }

    /// Cases of the queue that may be published.
    fn ready(&self) -> Vec<String> {
        self.desk.queue(&|_| true).unwrap().approved.into_iter().map(|case| case.reference).collect()
    }
}

fn refused(error: DeskError) -> String {
    match error {
        DeskError::Refused(refusals) => refusals[0].place.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_rule_has_one_case_whichever_way_one_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    // Taken back or refused, and another one begun since: it does not come back beside it.
    for (end, who, back) in [(Action::Withdraw, EDITOR, Action::Propose), (Action::Reject, REVIEWER, Action::Edit)] {
        let first = office.propose("bad.example", None);
        office.act(&first, end, who, "ed").unwrap();
        let second = office.propose("bad.example", None);
        assert_eq!(refused(office.act(&first, back, EDITOR, "ed").unwrap_err()), "words.rule");
        assert_eq!(office.ready(), std::slice::from_ref(&second));
        office.act(&second, Action::Withdraw, EDITOR, "ed").unwrap();
        // With nobody in the way it does.
        office.act(&first, back, EDITOR, "ed").unwrap();
        office.act(&first, Action::Withdraw, EDITOR, "ed").unwrap();
    }
    // Undoing a removal brings an entry back under its reference: the proposal that came since is closed, and says why.
    let first = office.propose("bad.example", None);
    office.publish().unwrap();
    office.stage_and_publish(&[], &["bad.example"]);
    let second = office.propose("bad.example", None);
    office.desk.undo(&list(), Serial::new(2).unwrap(), false, &Beside::default(), &by("ann")).unwrap();
    assert_eq!((office.state(&first), office.state(&second)), (CaseState::Published, CaseState::Rejected));
    assert!(office.desk.case(&second).unwrap().decision.contains("version 3"));
    assert!(office.desk.public(&list(), &second).is_err(), "it was never public");
    // Not only as long as the program runs.
    drop(office);
    let office = Office::open(dir.path());
    assert_eq!((office.state(&first), office.ready()), (CaseState::Published, vec![]));
    office.stage_and_publish(&[], &["bad.example"]);
    assert_eq!((office.state(&first), office.lines().as_str()), (CaseState::Removed, ""));
}

#[test]
fn what_was_approved_before_more_was_demanded_can_be_approved_further() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let suspended = office.propose("bad.example", None);
    office.publish().unwrap();
    office.desk.change(&suspended, Action::Suspend, "appeal", REVIEWER, &by("ann")).unwrap();
    let (one, two) = (office.propose("one.example", None), office.propose("two.example", None));
    office.demands(1);
    let resume = || office.desk.change(&suspended, Action::Resume, "", REVIEWER, &by("ann")).map(drop);
    assert!(matches!(resume(), Err(DeskError::NotDone(NotDone::TooFew(_)))));
    assert!(matches!(office.publish(), Err(DeskError::NotDone(NotDone::TooFew(_)))), "none of them has what it needs");
    assert!(matches!(office.act(&suspended, Action::Approve, REVIEWER, "ed"), Err(DeskError::NotDone(NotDone::Own))));
    assert_eq!(office.act(&suspended, Action::Approve, REVIEWER, "ann").unwrap(), CaseState::Suspended);
    resume().unwrap();
    // One that has them does not wait for the other.
    assert_eq!(office.act(&one, Action::Approve, REVIEWER, "ann").unwrap(), CaseState::Approved);
    office.publish().unwrap();
    assert_eq!((office.state(&one), office.state(&two)), (CaseState::Published, CaseState::Approved));
    // Named, it says what is missing.
    let named = PublishCases { references: vec![two.clone()], ..PublishCases::default() };
    assert!(office.desk.publish(&list(), &named, EDITOR, &by("ed")).is_err());
    // Only an owner publishes it all the same.
    let forced = PublishCases { force: vec!["approvals".into()], ..named };
    assert!(office.desk.publish(&list(), &forced, EDITOR, &by("ed")).is_err());
    let owner = Hats { owner: true, ..Hats::default() };
    let version = office.desk.publish(&list(), &forced, owner, &by("olga")).unwrap().version.unwrap();
    assert_eq!((office.state(&two), &version.forced), (CaseState::Published, &vec!["approvals".to_owned()]));
    // It is reviewed by neither who published nor who wrote it.
    let reviewed = |who: &str| office.desk.publisher().reviewed(&list(), version.serial, who);
    assert!(reviewed("olga").is_err() && reviewed("ed").is_err());
    assert_eq!(office.desk.queue(&|_| true).unwrap().unreviewed.len(), 1);
    reviewed("ann").unwrap();
}

#[test]
fn who_approved_an_entry_before_it_was_taken_back_approves_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 1);
    let one = office.propose("bad.example", None);
    for _ in 0..2 {
        assert_eq!(office.act(&one, Action::Approve, REVIEWER, "ann").unwrap(), CaseState::Approved);
        office.act(&one, Action::Withdraw, EDITOR, "ed").unwrap();
        // It waits for approvals again, and has none.
        assert_eq!(office.act(&one, Action::Propose, EDITOR, "ed").unwrap(), CaseState::Proposed);
        assert!(office.desk.case(&one).unwrap().approvals.is_empty());
        assert!(matches!(office.publish(), Ok(report) if report.version.is_none()));
    }
    office.act(&one, Action::Approve, REVIEWER, "ann").unwrap();
    office.publish().unwrap();
    assert_eq!(office.state(&one), CaseState::Published);
}

#[test]
fn what_was_proposed_before_less_was_demanded_can_be_published() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 2);
    let (one, two) = (office.propose("one.example", None), office.propose("two.example", None));
    assert_eq!(office.act(&two, Action::Approve, REVIEWER, "ann").unwrap(), CaseState::Proposed);
    let named = |reference: &String| PublishCases { references: vec![reference.clone()], ..PublishCases::default() };
    let publish = |reference: &String| office.desk.publish(&list(), &named(reference), EDITOR, &by("ed"));
    assert!(matches!(publish(&two), Err(DeskError::NotDone(NotDone::TooFew(_)))));
    office.demands(1);
    assert_eq!(office.ready(), std::slice::from_ref(&two));
    // Who approved it, and who wrote it, is told that nobody needs to approve it any more.
    for who in ["ann", "ed"] {
        let refused = office.act(&two, Action::Approve, REVIEWER, who).unwrap_err().to_string();
        assert!(refused.contains("publish it"), "{refused}");
    }
    office.publish().unwrap();
    assert_eq!((office.state(&one), office.state(&two)), (CaseState::Proposed, CaseState::Published));
    assert!(publish(&one).is_err());
    office.demands(0);
    assert_eq!(office.ready(), std::slice::from_ref(&one));
    let queue = office.desk.queue(&|_| true).unwrap();
    assert_eq!((queue.counts.proposed, queue.counts.approved), (0, 1));
    // By a schedule as well.
    let at = bwld::store::Clock::now(&*office.clock).plus(60);
    office.desk.schedule(&list(), NewSchedule { at, cases: true, reason: String::new(), force: Vec::new() }, &by("ed")).unwrap();
    office.clock.advance(61);
    assert_eq!(office.desk.tick().unwrap().published.len(), 1);
    assert_eq!(office.state(&one), CaseState::Published);
}

#[test]
fn an_entry_is_looked_at_again_when_it_is_on_the_list_and_not_by_its_author_alone() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 1);
    let one = office.propose("bad.example", None);
    let look = |who: &str| office.desk.note(&one, "", Some(None), &by(who));
    assert!(matches!(look("ann"), Err(DeskError::NotDone(NotDone::NoReview(CaseState::Proposed)))));
    office.act(&one, Action::Approve, REVIEWER, "ann").unwrap();
    assert!(matches!(look("ann"), Err(DeskError::NotDone(NotDone::NoReview(CaseState::Approved)))));
    office.publish().unwrap();
    assert!(matches!(look("ed"), Err(DeskError::NotDone(NotDone::OwnReview))));
    look("ann").unwrap();
    office.demands(0);
    look("ed").unwrap();
}

#[test]
fn what_is_over_before_it_begins_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let words = |day: &str| {
        let attributes = Attributes { expires: Some(day.parse().unwrap()), ..Attributes::default() };
        Words { rule: "bad.example".into(), attributes, ..Words::default() }
    };
    let new = NewCase { words: words("2001-01-01"), ..NewCase::default() };
    assert_eq!(refused(office.desk.propose(&list(), new, EDITOR, &by("ed")).unwrap_err()), "words.attributes.expires");
    let today = bwld::store::Clock::now(&*office.clock).date().to_string();
    let one = office.propose("bad.example", Some(&today));
    let edit = CaseEdit { words: Some(words("2001-01-01")), ..CaseEdit::default() };
    let refusal = office.desk.act(&one, Action::Edit, edit, EDITOR, &by("ed")).unwrap_err();
    assert_eq!(refused(refusal), "words.attributes.expires");
    // Approved in time, and its time is over before somebody publishes it.
    office.clock.advance(2 * 86_400);
    let named = PublishCases { references: vec![one], ..PublishCases::default() };
    assert_eq!(refused(office.desk.publish(&list(), &named, EDITOR, &by("ed")).unwrap_err()), "references");
    let other = office.propose("other.example", None);
    office.publish().unwrap();
    assert_eq!((office.state(&other), office.lines().lines().count()), (CaseState::Published, 1));
}

#[test]
fn an_entry_that_somebody_put_in_the_place_of_a_suspended_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let one = office.propose("bad.example", None);
    office.publish().unwrap();
    office.desk.change(&one, Action::Suspend, "", EDITOR, &by("ed")).unwrap();
    office.stage_and_publish(&["bad.example\tcat=court"], &[]);
    office.desk.change(&one, Action::Remove, "", EDITOR, &by("ed")).unwrap();
    assert_eq!(office.state(&one), CaseState::Removed);
    assert!(office.lines().starts_with("domain:bad.example\tcat=court"), "{}", office.lines());
}

#[test]
fn a_list_that_is_made_again_demands_what_it_demanded() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let one = office.propose("bad.example", None);
    office.publish().unwrap();
    office.demands(2);
    office.desk.publisher().remove_list(&list(), "olga").unwrap();
    assert_eq!(office.desk.public(&list(), &one).unwrap().state, CaseState::Removed, "nobody is offered it any more");
    drop(office);
    let house = House::open(dir.path());
    house.create("test", Colour::Black, &[]);
    assert_eq!(house.publisher.policy(&list()).unwrap().approvals, 2);
    house.publisher.stage(&list(), &request(&["sneak.example"], &[]), "ed").unwrap();
    assert!(house.publisher.publish(&list(), &Default::default(), "ed").is_err(), "at once, not only after a restart");
}

#[test]
fn an_entry_that_bears_the_reference_of_a_case_of_another_rule_is_found_and_told_of_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let office = Office::with_list(dir.path(), 0);
    let public = office.propose("bad.example", None);
    office.publish().unwrap();
    let words = Words { rule: "draft.example".into(), ..Words::default() };
    let draft = office.desk.propose(&list(), NewCase { words, draft: true, ..NewCase::default() }, EDITOR, &by("ed")).unwrap();
    let lines = [
        format!("victim.example\tref={public}"),
        format!("other.example\tref={}", draft.reference),
        // Its rule has a case, which is not on the list: the entry did not come by it.
        format!("draft.example\tref={}", draft.reference),
    ];
    office.stage_and_publish(&lines.each_ref().map(String::as_str), &[]);
    let found = |search: Search| {
        let found = office.desk.search(&Search { limit: 10, ..search }).unwrap().found;
        found.into_iter().map(|found| (found.rule, found.state, found.case.is_some())).collect::<Vec<_>>()
    };
    for (name, cases) in [("victim", vec![]), ("other", vec![]), ("draft", vec![CaseState::Draft]), ("bad", vec![CaseState::Published])] {
        let rule = format!("domain:{name}.example");
        let mut expected: Vec<_> = cases.into_iter().map(|state| (rule.clone(), state, true)).collect();
        expected.extend((name != "bad").then(|| (rule.clone(), CaseState::Published, false)));
        assert_eq!(found(Search { text: format!("{name}.example"), ..Search::default() }), expected);
        assert_eq!(found(Search { rule: format!("{name}.example"), ..Search::default() }), expected);
    }
    let told = |reference: &str| {
        let told = office.desk.public(&list(), reference).unwrap();
        (told.rule, told.reference)
    };
    let victim = derived_reference("domain:victim.example");
    assert_eq!(told(&victim), ("domain:victim.example".into(), victim.clone()));
    assert_eq!(told(&public), ("domain:bad.example".into(), public.clone()));
    assert_eq!(told(&derived_reference("domain:bad.example")), ("domain:bad.example".into(), public.clone()));
    // Nothing of a draft is told, and it hides nothing.
    assert_eq!(told(&derived_reference("domain:other.example")), ("domain:other.example".into(), draft.reference.clone()));
}
