//! Accounts and tokens, against a store.

use std::sync::Arc;

use crate::list::{ListId, Timestamp};
use crate::store::faults::HastyDisk;
use crate::store::{FakeClock, IndexKind, Store, StoreOptions};

use super::*;

pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<FakeClock>,
}

impl Place {
    pub(super) fn new() -> Place {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Place::store(&dir);
        Place { dir, store, clock: Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000))) }
    }

    fn store(dir: &tempfile::TempDir) -> Arc<Store> {
        let options = StoreOptions { index: IndexKind::Memory, ..StoreOptions::default() };
        Arc::new(Store::open(&dir.path().join("store"), options, Arc::new(HastyDisk), &mut |_| {}).expect("a store").0)
    }

    /// As after a restart.
    fn again(mut self) -> Place {
        drop(self.store);
        self.store = Place::store(&self.dir);
        self
    }

    pub(super) fn people(&self) -> People {
        People::open(self.store.clone(), self.clock.clone(), PeopleOptions::default()).expect("people")
    }

    pub(super) fn acts(&self) -> Vec<String> {
        let lines = self.store.acts(None, 1_000).expect("readable");
        lines.iter().rev().map(|line| format!("{} {} {}", line.act.who, line.act.what, line.act.object)).collect()
    }
}

fn list(name: &str) -> ListId {
    name.parse().expect("a list's name")
}

pub(super) fn account(people: &People, name: &str, grants: Grants) {
    people.create_account(NewAccount { name: name.into(), grants }, "operator").expect("made");
}

fn token(people: &People, account: &str) -> TokenMade {
    people.create_token(NewToken { account: account.into(), ..NewToken::default() }, "operator").expect("made")
}

fn refused(people: &People, text: &str) -> bool {
    matches!(people.who_by_token(text, None), Err(Refused::NotAccepted))
}

#[test]
fn the_first_start_makes_one_owner_who_stays_one() {
    let place = Place::new();
    let people = place.people();
    let operator = people.account("operator").expect("there");
    assert_eq!(operator.grants, Grants::everywhere(Role::Owner));
    assert!(matches!(people.set_disabled("operator", true, "operator"), Err(PeopleError::Refused(_))));
    assert!(matches!(people.set_grants("operator", Grants::default(), "operator"), Err(PeopleError::Refused(_))));
    drop(people);
    let place = place.again();
    assert_eq!(place.people().accounts("", 10).len(), 1);
    assert_eq!(place.acts(), ["bwld account.create account:operator"]);
}

#[test]
fn accounts_are_kept_paged_and_audited() {
    let place = Place::new();
    let people = place.people();
    for name in ["anna", "bohdan", "carla"] {
        account(&people, name, Grants::default().on(&list("adult"), Role::Editor));
    }
    assert!(matches!(
        people.create_account(NewAccount { name: "anna".into(), grants: Grants::default() }, "x"),
        Err(PeopleError::Exists(_))
    ));
    let long = "a".repeat(65);
    for name in ["", "Anna", ".a", "a b", "bwld", "local", "ä", "a/b", &long] {
        let new = NewAccount { name: name.into(), grants: Grants::default() };
        assert!(people.create_account(new, "x").is_err(), "{name}");
    }
    people.set_grants("anna", Grants::everywhere(Role::Auditor), "operator").expect("set");
    people.set_disabled("carla", true, "operator").expect("set");
    people.set_disabled("carla", true, "operator").expect("already so");
    drop(people);
    let place = place.again();
    let people = place.people();
    let names = |after: &str, limit| people.accounts(after, limit).into_iter().map(|a| a.name).collect::<Vec<_>>();
    assert_eq!(names("", 2), ["anna", "bohdan"]);
    assert_eq!(names("bohdan", 9), ["carla", "operator"]);
    assert_eq!(people.account("anna").expect("there").grants, Grants::everywhere(Role::Auditor));
    assert!(people.account("carla").expect("there").disabled);
    let acts = place.acts();
    assert_eq!(acts[4..], ["operator account.grants account:anna", "operator account.disable account:carla"], "{acts:?}");
}

#[test]
fn the_audit_chain_names_each_thing_that_one_change_does() {
    let place = Place::new();
    let people = place.people();
    account(&people, "anna", Grants::default());
    people.set_disabled("anna", true, "operator").expect("set");
    let frame = place.store.last_frame();
    let identity = Some(Some(Identity { issuer: "https://id.example".into(), subject: "7".into() }));
    let all = AccountChange { grants: Some(Grants::everywhere(Role::Owner)), disabled: Some(false), identity };
    people.change_account("anna", all, "operator").expect("changed");
    assert_eq!(place.store.last_frame(), frame + 1);
    let taken = AccountChange { grants: Some(Grants::default()), disabled: None, identity: Some(None) };
    people.change_account("anna", taken.clone(), "operator").expect("changed");
    people.change_account("anna", taken, "operator").expect("already so");
    let acts = place.acts();
    let of = |what: &str| format!("operator account.{what} account:anna");
    assert_eq!(acts[3..], ["enable", "grants", "link", "grants", "link"].map(of), "{acts:?}");
    // Those of one frame name the same before and after, and the next ones go on from there.
    let lines = place.store.acts(None, 5).expect("readable");
    let states: Vec<_> = lines.iter().rev().map(|line| (line.act.before, line.act.after)).collect();
    assert!(states[0] == states[1] && states[1] == states[2] && states[3] == states[4], "{states:?}");
    assert!(states[0].0 != states[0].1 && states[0].1 == states[3].0, "{states:?}");
    drop(people);
    assert_eq!(place.again().people().account("anna").expect("there").grants, Grants::default());
}

#[test]
fn a_token_is_its_account_until_it_is_revoked_expires_or_the_account_is_disabled() {
    let place = Place::new();
    let people = place.people();
    let grants = Grants::default().on(&list("adult"), Role::Editor);
    account(&people, "anna", grants.clone());
    let made = token(&people, "anna");
    assert_eq!((made.secret.len(), made.secret.starts_with(&format!("bwld_{}_", made.view.prefix))), (57, true));
    let who = people.who_by_token(&made.secret, None).expect("let in");
    assert_eq!(who, Who { account: "anna".into(), grants, via: Via::Token(made.view.prefix.clone()) });

    let mut wrong = vec![String::new(), made.secret[..56].to_owned(), format!("{}x", made.secret.as_str()), made.secret.to_uppercase()];
    wrong.push(made.secret.replace("bwld_", "bwle_"));
    wrong.push(format!("bwld_{}_{}", made.view.prefix, "A".repeat(43)));
    wrong.push(format!("bwld_{}{}", "zzzzzzzz", &made.secret[13..]));
    wrong.push("bwld_".into());
    assert!(wrong.iter().all(|text| refused(&people, text)));

    people.set_disabled("anna", true, "operator").expect("set");
    assert!(refused(&people, &made.secret));
    people.set_disabled("anna", false, "operator").expect("set");
    assert!(people.who_by_token(&made.secret, None).is_ok());
    people.set_grants("anna", Grants::default(), "operator").expect("set");
    assert_eq!(people.who_by_token(&made.secret, None).expect("let in").grants, Grants::default());
    people.revoke_token(&made.view.prefix, "operator").expect("revoked");
    assert!(refused(&people, &made.secret));
    assert!(matches!(people.revoke_token(&made.view.prefix, "operator"), Err(PeopleError::NoToken(_))));

    let expires = Some(Timestamp::from_unix(1_800_000_100));
    let short = people.create_token(NewToken { account: "anna".into(), expires, ..NewToken::default() }, "operator").expect("made");
    place.clock.advance(99);
    assert!(people.who_by_token(&short.secret, None).is_ok());
    place.clock.advance(1);
    assert!(refused(&people, &short.secret));
    assert!(people.create_token(NewToken { account: "anna".into(), expires, ..NewToken::default() }, "operator").is_err());
}

#[test]
fn a_token_can_do_less_than_its_account_and_never_more() {
    let place = Place::new();
    let people = place.people();
    account(&people, "anna", Grants::everywhere(Role::Editor));
    let wanted = Grants::default().on(&list("adult"), Role::Owner);
    let new = NewToken { account: "anna".into(), grants: Some(wanted), ..NewToken::default() };
    let made = people.create_token(new, "operator").expect("made");
    let who = people.who_by_token(&made.secret, None).expect("let in");
    assert!(who.is_on(&list("adult"), &[Role::Editor]) && !who.is_on(&list("adult"), &[Role::Owner]));
    assert!(!who.is_on(&list("other"), &[Role::Editor]) && !who.is_everywhere(&[Role::Editor]));
}

#[test]
fn when_a_token_was_used_costs_no_frame_each_time() {
    let place = Place::new();
    let people = place.people();
    account(&people, "anna", Grants::default());
    let made = token(&people, "anna");
    let frame = place.store.last_frame();
    for _ in 0..100 {
        people.who_by_token(&made.secret, None).expect("let in");
        people.upkeep().expect("written");
        place.clock.advance(1);
    }
    assert_eq!(place.store.last_frame(), frame + 1);
    assert_eq!(people.token(&made.view.prefix).expect("there").used, Some(Timestamp::from_unix(1_800_000_099)));
    place.clock.advance(600);
    people.who_by_token(&made.secret, None).expect("let in");
    people.upkeep().expect("written");
    drop(people);
    let place = place.again();
    assert_eq!(place.people().token(&made.view.prefix).expect("there").used, Some(Timestamp::from_unix(1_800_000_700)));
}

#[test]
fn no_secret_is_in_the_store_or_the_audit_chain() {
    let place = Place::new();
    let people = place.people();
    account(&people, "anna", Grants::default());
    let made = token(&people, "anna");
    assert!(!format!("{people:?}").contains("anna"));
    place.store.checkpoint().expect("written");
    let secret = &made.secret.as_bytes()[14..];
    for entry in
        std::fs::read_dir(place.dir.path().join("store/journal")).expect("a folder").flatten().filter(|entry| entry.path().is_file())
    {
        let octets = std::fs::read(entry.path()).expect("readable");
        assert!(!octets.windows(secret.len()).any(|window| window == secret), "{}", entry.path().display());
    }
}
