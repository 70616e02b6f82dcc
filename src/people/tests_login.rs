//! Log-ins, sessions and second factors, against a store.

use super::tests::{Place, account};
use super::*;

const PASSWORD: &str = "correct horse battery";
const ANOTHER: &str = "another long password";
const CHEAP: HashCost = HashCost { memory: 32, passes: 1, lanes: 1 };

fn options() -> PeopleOptions {
    PeopleOptions {
        hash: CHEAP,
        log_ins_per_minute: std::num::NonZeroU32::MAX,
        factor_key: Some(zeroize::Zeroizing::new([7; 32])),
        ..PeopleOptions::default()
    }
}

fn people(place: &Place) -> People {
    let people = People::open(place.store.clone(), place.clock.clone(), options()).expect("people");
    account(&people, "anna", Grants::everywhere(Role::Editor));
    let invitation = people.invite("anna", "operator").expect("invited");
    assert_eq!(people.set_up(&invitation.secret, PASSWORD, None).expect("set"), "anna");
    people
}

fn log_in(people: &People, account: &str, password: &str, code: Option<&str>) -> Result<SessionMade, Refused> {
    people.log_in(&LogIn { account: account.into(), password: password.into(), code: code.map(Into::into) }, None)
}

fn code(uri: &str, at: u64) -> String {
    totp_rs::Totp::from_url(uri).expect("a factor").generate(at).to_string()
}

#[test]
fn a_set_up_token_sets_the_password_once() {
    let place = Place::new();
    let people = people(&place);
    let (first, second) = (people.invite("anna", "operator").expect("invited"), people.invite("anna", "operator").expect("invited"));
    let refused = |token: &str| matches!(people.set_up(token, PASSWORD, None), Err(Refused::NotAccepted));
    assert!(refused(&first.secret), "the second one voids the first");
    assert!(matches!(people.set_up(&second.secret, "short", None), Err(Refused::Failed(PeopleError::Refused(_)))));
    people.set_up(&second.secret, "another long password", None).expect("set");
    assert!(refused(&second.secret) && log_in(&people, "anna", PASSWORD, None).is_err());
    let third = people.invite("anna", "operator").expect("invited");
    place.clock.advance(86_400);
    assert!(refused(&third.secret));
    assert!(people.invite("nobody", "operator").is_err());
}

#[test]
fn whether_there_is_such_an_account_shows_neither_in_the_answer_nor_in_the_work() {
    let place = Place::new();
    let people = people(&place);
    account(&people, "no-password", Grants::default());
    account(&people, "disabled", Grants::default());
    let invitation = people.invite("disabled", "operator").expect("invited");
    people.set_up(&invitation.secret, PASSWORD, None).expect("set");
    people.set_disabled("disabled", true, "operator").expect("set");
    let mut seen = std::collections::BTreeSet::new();
    for (account, password) in
        [("anna", "wrong password here"), ("nobody", PASSWORD), ("no-password", PASSWORD), ("disabled", PASSWORD), ("", ""), ("\u{0}", "x")]
    {
        let before = people.hashed();
        let refused = log_in(&people, account, password, Some("000000")).map(|_| ()).expect_err("refused");
        seen.insert((format!("{refused:?} {refused}"), people.hashed() - before));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen.first().map(|(_, work)| *work), Some(32), "one hash each");
}

#[test]
fn log_ins_are_locked_out_by_source_whether_the_account_exists_or_not() {
    let place = Place::new();
    let people = people(&place);
    let from = |address: &str| Some(address.parse().expect("an address"));
    for name in ["anna", "nobody"] {
        let offered = |password: &str| LogIn { account: name.into(), password: password.into(), code: None };
        let answers: Vec<String> =
            (0..8).map(|_| people.log_in(&offered("wrong"), from("192.0.2.1")).map(|_| ()).expect_err("refused").to_string()).collect();
        assert!(answers[..6].iter().all(|answer| answer.contains("not accepted")) && answers[6].contains("1 seconds"), "{answers:?}");
        let before = people.hashed();
        assert!(matches!(people.log_in(&offered(PASSWORD), from("192.0.2.1")), Err(Refused::TooMany { .. })), "not even the right one");
        assert_eq!(people.hashed(), before);
        assert_eq!(people.log_in(&offered(PASSWORD), from("192.0.2.2")).is_ok(), name == "anna", "elsewhere it goes on");
    }
}

#[test]
fn a_session_ends_when_idle_when_old_and_when_the_account_is_disabled() {
    let place = Place::new();
    let people = people(&place);
    let made = log_in(&people, "anna", PASSWORD, None).expect("let in");
    assert_eq!((made.id.len(), made.who.via.clone()), (43, Via::Session));
    assert!(people.csrf_fits(&made.id, &made.csrf) && !people.csrf_fits(&made.id, "") && !people.csrf_fits("x", &made.csrf));
    assert!(people.who_by_session("").is_err() && people.who_by_session(&made.id.to_uppercase()).is_err());
    // In use it goes on, for twelve hours; also over restarts.
    for _ in 0..25 {
        place.clock.advance(1_700);
        assert_eq!(people.who_by_session(&made.id).expect("in use").account, "anna");
        people.upkeep().expect("written");
    }
    let again = People::open(place.store.clone(), place.clock.clone(), options()).expect("people");
    assert!(again.who_by_session(&made.id).is_ok());
    place.clock.advance(700);
    assert!(people.who_by_session(&made.id).is_err(), "twelve hours");

    let idle = log_in(&people, "anna", PASSWORD, None).expect("let in");
    place.clock.advance(1_800);
    assert!(people.who_by_session(&idle.id).is_err());
    people.upkeep().expect("written");
    assert!(place.store.documents("session", "", 10).expect("readable").is_empty(), "what has ended is removed");

    let disabled = log_in(&people, "anna", PASSWORD, None).expect("let in");
    people.set_disabled("anna", true, "operator").expect("set");
    people.set_disabled("anna", false, "operator").expect("set");
    assert!(people.who_by_session(&disabled.id).is_err());
    let left = log_in(&people, "anna", PASSWORD, None).expect("let in");
    people.log_out(&left.id, "anna").expect("ended");
    assert!(people.who_by_session(&left.id).is_err());
    let changed = log_in(&people, "anna", PASSWORD, None).expect("let in");
    assert!(people.change_password("anna", "not the password", "another long one", None).is_err());
    people.change_password("anna", PASSWORD, "another long one", None).expect("changed");
    assert!(people.who_by_session(&changed.id).is_err() && log_in(&people, "anna", PASSWORD, None).is_err());
}

/// What `late` gives, which checks the old password, while another one is set between its hash and what it does with it.
fn while_another_is_set<T: Send>(people: &People, late: impl FnOnce() -> T + Send) -> T {
    let password = Some(people.hasher.keep(ANOTHER).expect("kept"));
    let alone = people.writing();
    let hashed = people.hashed();
    std::thread::scope(|scope| {
        let late = scope.spawn(late);
        // What it compares with is read before it is hashed; then it waits for what is held here.
        while people.hashed() == hashed && !late.is_finished() {
            std::thread::yield_now();
        }
        let credential = state::Credential { password, ..people.credential("anna").expect("there") };
        people.put_credential("anna", credential, "password.set", &"anna".into(), true).expect("set");
        drop(alone);
        late.join().expect("no panic")
    })
}

#[test]
fn a_password_is_of_no_use_from_the_moment_in_which_another_is_set() {
    let place = Place::new();
    let people = people(&place);
    let late = while_another_is_set(&people, || log_in(&people, "anna", PASSWORD, None));
    assert!(matches!(late, Err(Refused::NotAccepted)), "{late:?}");
    assert!(place.store.documents("session", "", 10).expect("readable").is_empty());
    log_in(&people, "anna", ANOTHER, None).expect("let in");
}

#[test]
fn a_password_that_was_just_set_is_not_overwritten_by_one_who_knew_the_old_one() {
    let place = Place::new();
    let people = people(&place);
    let late = while_another_is_set(&people, || people.change_password("anna", PASSWORD, "of somebody else", None));
    assert!(matches!(late, Err(Refused::NotAccepted)), "{late:?}");
    assert!(log_in(&people, "anna", "of somebody else", None).is_err());
    log_in(&people, "anna", ANOTHER, None).expect("let in");
}

#[test]
fn a_second_factor_is_not_offered_to_one_who_knew_the_old_password() {
    let place = Place::new();
    let people = people(&place);
    let late = while_another_is_set(&people, || people.offer_factor("anna", PASSWORD, None));
    assert!(matches!(late, Err(Refused::NotAccepted)), "{late:?}");
    // Nor does an offer outlive the sessions of its time.
    let offer = people.offer_factor("anna", ANOTHER, None).expect("offered");
    people.change_password("anna", ANOTHER, PASSWORD, None).expect("changed");
    assert!(people.confirm_factor("anna", &code(&offer.uri, 1_800_000_000), None).is_err());
    log_in(&people, "anna", PASSWORD, None).expect("let in, without a factor");
}

#[test]
fn the_sessions_of_an_account_are_bounded() {
    let place = Place::new();
    let people = people(&place);
    let made: Vec<_> = (0..25)
        .map(|_| {
            place.clock.advance(1);
            log_in(&people, "anna", PASSWORD, None).expect("let in")
        })
        .collect();
    let alive = |made: &SessionMade| people.who_by_session(&made.id).is_ok();
    assert!(!made[..5].iter().any(alive) && made[5..].iter().all(alive));
}

#[test]
fn with_a_second_factor_the_password_is_not_enough_and_a_code_is_taken_once() {
    let place = Place::new();
    let people = people(&place);
    assert!(people.offer_factor("anna", "wrong password here", None).is_err());
    let offer = people.offer_factor("anna", PASSWORD, None).expect("offered");
    assert!(log_in(&people, "anna", PASSWORD, None).is_ok(), "not yet in force");
    let codes = people.confirm_factor("anna", &code(&offer.uri, 1_800_000_000), None).expect("confirmed");
    assert!(matches!(log_in(&people, "anna", PASSWORD, None), Err(Refused::CodeNeeded)));
    assert!(matches!(log_in(&people, "anna", "wrong password here", None), Err(Refused::NotAccepted)), "nothing of codes");
    place.clock.advance(60);
    let now = code(&offer.uri, 1_800_000_060);
    assert!(log_in(&people, "anna", PASSWORD, Some("000000")).is_err());
    log_in(&people, "anna", PASSWORD, Some(&now)).expect("let in");
    assert!(log_in(&people, "anna", PASSWORD, Some(&now)).is_err(), "taken");
    log_in(&people, "anna", PASSWORD, Some(&codes[0])).expect("let in");
    let again = People::open(place.store.clone(), place.clock.clone(), options()).expect("people");
    assert!(log_in(&again, "anna", PASSWORD, Some(&now)).is_err() && log_in(&again, "anna", PASSWORD, Some(&codes[0])).is_err());
    let view = again.account("anna").expect("there");
    assert_eq!((view.password, view.second_factor, view.recovery_codes), (true, true, 9));
    again.drop_factor("anna", "operator").expect("dropped");
    log_in(&again, "anna", PASSWORD, None).expect("let in");
}

#[test]
fn an_identity_belongs_to_one_account() {
    let place = Place::new();
    let people = people(&place);
    account(&people, "boris", Grants::default());
    let identity = Identity { issuer: "https://id.example".into(), subject: "7".into() };
    assert!(people.log_in_by_identity("https://id.example", "7", None).is_err());
    let to = |identity: &Identity| AccountChange { identity: Some(Some(identity.clone())), ..AccountChange::default() };
    people.change_account("anna", to(&identity), "operator").expect("linked");
    assert!(people.change_account("boris", to(&identity), "operator").is_err());
    assert_eq!(people.log_in_by_identity("https://id.example", "7", None).expect("let in").who.account, "anna");
    assert!(people.log_in_by_identity("https://evil.example", "7", None).is_err());
    people.set_disabled("anna", true, "operator").expect("set");
    assert!(people.log_in_by_identity("https://id.example", "7", None).is_err());
}

#[test]
fn what_people_know_is_neither_in_the_journal_nor_in_the_audit_chain() {
    let place = Place::new();
    let people = people(&place);
    let offer = people.offer_factor("anna", PASSWORD, None).expect("offered");
    let codes = people.confirm_factor("anna", &code(&offer.uri, 1_800_000_000), None).expect("confirmed");
    place.clock.advance(60);
    let made = log_in(&people, "anna", PASSWORD, Some(&code(&offer.uri, 1_800_000_060))).expect("let in");
    let invitation = people.invite("anna", "operator").expect("invited");
    place.store.checkpoint().expect("written");
    let secrets = [PASSWORD, &codes[1].replace('-', ""), &codes[1], &made.id, &made.csrf, &invitation.secret, &offer.secret];
    let folder = place.dir.path().join("store/journal");
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_file()).collect();
    assert!(!files.is_empty());
    for file in files {
        let octets = std::fs::read(file.path()).expect("readable");
        for secret in secrets {
            assert!(!octets.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
    let acts = place.acts();
    let own: Vec<_> = acts.iter().filter(|act| act.starts_with("anna")).map(String::as_str).collect();
    assert_eq!(own, ["anna password.set account:anna", "anna factor.set account:anna", "anna session.begin account:anna"]);
}
