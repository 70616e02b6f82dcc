//! Several lists under every policy: look-up, batch and explanation against an independent decision.

use std::collections::BTreeSet;

use bwld::list::{Attributes, Code, Colour, Timestamp};
use bwld::matcher::{Categories, Ignored, Layers, ListState, Lists, Outcome, Policy, Precedence, Question, Verdict};
use proptest::prelude::*;

use super::made::{about_of, build_as, line, now, one_a_rule, question, said, state};
use super::model::{Model, specificity};

/// A list as it is made for a test.
#[derive(Clone, Debug)]
struct Made {
    colour: Colour,
    local: bool,
    here: bool,
    stale: bool,
    lines: Vec<String>,
}

fn made() -> impl Strategy<Value = Made> {
    let colour = prop_oneof![2 => Just(Colour::Black), 1 => Just(Colour::White)];
    (colour, proptest::bool::weighted(0.3), proptest::bool::weighted(0.9), any::<bool>(), proptest::collection::vec(line(), 0..25))
        .prop_map(|(colour, local, here, stale, lines)| Made {
            colour,
            local,
            here,
            stale,
            lines: one_a_rule(&lines).into_values().collect(),
        })
}

fn policies() -> impl Strategy<Value = Policy> {
    let codes = proptest::collection::btree_set(prop_oneof![Just("adult"), Just("ads"), Just("news")], 0..3)
        .prop_map(|codes| codes.into_iter().map(|code| code.parse().expect("a code")).collect::<BTreeSet<Code>>());
    let categories =
        prop_oneof![2 => Just(Categories::All), 1 => codes.clone().prop_map(Categories::Only), 1 => codes.prop_map(Categories::Except)];
    let precedence = prop_oneof![Just(Precedence::WhiteOverBlack), Just(Precedence::BlackOverWhite), Just(Precedence::MoreSpecific)];
    let age = prop_oneof![Just(None), Just(Some(11)), Just(Some(12)), Just(Some(17)), Just(Some(18)), Just(Some(99))];
    (precedence, categories, age).prop_map(|(precedence, categories, age)| Policy { precedence, categories, age })
}

/// What leaves a rule out, written once more.
fn left_out(policy: &Policy, attributes: &Attributes, made: &Made) -> Option<Ignored> {
    if made.local {
        return None;
    }
    let codes: Vec<&str> = attributes.categories.iter().map(Code::as_str).collect();
    let among = |set: &BTreeSet<Code>, code: &str| set.iter().any(|other| other.as_str() == code);
    let counts = match &policy.categories {
        Categories::All => true,
        Categories::Only(on) => codes.is_empty() || codes.iter().any(|code| among(on, code)),
        Categories::Except(off) => codes.is_empty() || !codes.iter().all(|code| among(off, code)),
    };
    if !counts {
        return Some(Ignored::Category);
    }
    let grown = matches!((policy.age, attributes.age), (Some(age), Some(least)) if age >= least);
    (made.colour == Colour::Black && grown).then_some(Ignored::Age)
}

/// The rules that a question meets: number of the list, rule, and whether it is left out.
fn met(lists: &[(Made, Model)], policy: &Policy, question: &Question<'_>) -> Vec<(usize, String, Option<Ignored>)> {
    let mut all = Vec::new();
    for (n, (made, model)) in lists.iter().enumerate().filter(|(_, (made, _))| made.here) {
        for rule in model.all(question.name(), question.rest()) {
            let out = left_out(policy, &model.0[&rule], made);
            all.push((n, rule, out));
        }
    }
    all
}

/// The list and the rule that decide.
fn winner(lists: &[(Made, Model)], policy: &Policy, met: &[(usize, String, Option<Ignored>)]) -> Option<(usize, String)> {
    let best = |local: bool, colour: Colour| {
        let of =
            |(n, _, out): &&(usize, String, Option<Ignored>)| out.is_none() && (lists[*n].0.local, lists[*n].0.colour) == (local, colour);
        // The first of the most specific: `max_by_key` would give the last.
        met.iter().filter(of).rev().max_by_key(|(_, rule, _)| specificity(rule))
    };
    for local in [true, false] {
        let (white, black) = (best(local, Colour::White), best(local, Colour::Black));
        let found = match (white, black) {
            (Some(white), Some(black)) => {
                let precedence = if local { Precedence::MoreSpecific } else { policy.precedence };
                match precedence {
                    Precedence::WhiteOverBlack => Some(white),
                    Precedence::BlackOverWhite => Some(black),
                    Precedence::MoreSpecific if specificity(&black.1) > specificity(&white.1) => Some(black),
                    Precedence::MoreSpecific => Some(white),
                }
            }
            (one, None) | (None, one) => one,
        };
        if let Some((n, rule, _)) = found {
            return Some((*n, rule.clone()));
        }
    }
    None
}

fn expiry(stale: bool) -> Timestamp {
    if stale { "2026-11-24T12:00:00Z" } else { "2026-11-24T12:00:01Z" }.parse().expect("a time")
}

fn put_together(made: &[Made], policy: &Policy, seeds: bool) -> (Lists, Vec<(Made, Model)>) {
    let mut lists = Lists::new();
    let mut models = Vec::new();
    for (n, made) in made.iter().enumerate() {
        let about = about_of(&format!("list-{n}"), made.colour, n as u64 + 1);
        // One seed for all, or each its own.
        let seed = if seeds { [n as u8; 16] } else { [0; 16] };
        let index = build_as(about.clone(), seed, made.lines.iter().map(String::as_str));
        let serial = made.here.then_some(about.serial);
        let state = ListState { serial, expires: Some(expiry(made.stale)), local: made.local, ..state(&about) };
        lists = lists.with_list(state, made.here.then(|| Layers::new(index.into()))).expect("lists");
        models.push((made.clone(), Model::of(made.lines.iter().map(String::as_str))));
    }
    (lists.with_policy(policy.clone()).expect("a policy"), models)
}

fn expected(models: &[(Made, Model)], policy: &Policy, question: &Question<'_>) -> String {
    let missing = models.iter().position(|(made, _)| !made.here);
    match winner(models, policy, &met(models, policy, question)) {
        Some((n, rule)) => {
            let (made, model) = &models[n];
            let word = if made.colour == Colour::Black { "block" } else { "allow" };
            let entry = bwld::list::Entry::new(&rule.parse().expect("a rule"), &model.0[&rule]).expect("an entry");
            let serial = bwld::list::Serial::new(n as u64 + 1);
            format!("{word} by {} of list-{n} {serial:?} stale={} incomplete={}", entry.line(), made.stale, missing.is_some())
        }
        None => match missing {
            Some(n) => format!("no-data list-{n} damaged=false"),
            None => format!("unlisted stale={}", models.iter().any(|(made, _)| made.stale)),
        },
    }
}

fn check_explanation(lists: &Lists, models: &[(Made, Model)], policy: &Policy, question: &Question<'_>) {
    let explained = lists.explain(question, now()).expect("whole indexes");
    assert_eq!(said(&explained.verdict), said(&lists.look_up(question, now())), "{question}");
    let absent = models.iter().filter(|(made, _)| !made.here).count();
    assert_eq!(explained.missing.len(), absent);
    let all = met(models, policy, question);
    let wins = winner(models, policy, &all);
    let mut expected: Vec<(usize, String, Outcome)> = all
        .into_iter()
        .map(|(n, rule, out)| {
            let outcome = match (&wins, out) {
                (_, Some(ignored)) => Outcome::Ignored(ignored),
                (Some((m, decided)), None) if (*m, decided) == (n, &rule) => Outcome::Decided,
                (Some((m, _)), None) if models[*m].0.local && !models[n].0.local => Outcome::LocalWon,
                (Some((m, _)), None) if models[*m].0.colour == models[n].0.colour => Outcome::LessSpecific,
                _ => Outcome::Overruled,
            };
            (n, rule, outcome)
        })
        .collect();
    let place = |by: &bwld::matcher::Match<'_>| by.list().list.as_str()["list-".len()..].parse::<usize>().expect("a number");
    let mut given: Vec<(usize, String, Outcome)> =
        explained.considered.iter().map(|(by, outcome)| (place(by), by.rule().expect("a rule").to_string(), *outcome)).collect();
    if wins.is_some() {
        assert_eq!(given.first().map(|(_, _, outcome)| *outcome), Some(Outcome::Decided), "{question}");
    }
    let ranks: Vec<_> = given.iter().skip(usize::from(wins.is_some())).map(|(_, rule, _)| specificity(rule)).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "{question}: the more specific first");
    expected.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    given.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    assert_eq!(given, expected, "{question}");
}

proptest! {
    #[test]
    fn lists_and_policies_decide_as_the_model(
        made in proptest::collection::vec(made(), 0..5),
        policy in policies(),
        seeds in any::<bool>(),
        questions in proptest::collection::vec(question(), 1..80),
    ) {
        let (lists, models) = put_together(&made, &policy, seeds);
        let asked: Vec<Question<'_>> = questions.iter().map(|text| Question::parse(text).expect(text)).collect();
        let expected: Vec<String> = asked.iter().map(|question| expected(&models, &policy, question)).collect();
        let mut batch = Vec::new();
        lists.look_up_batch(&asked, now(), |n, verdict| batch.push((n, said(&verdict))));
        prop_assert_eq!(batch.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..asked.len()).collect::<Vec<_>>());
        for (n, question) in asked.iter().enumerate() {
            prop_assert_eq!(&said(&lists.look_up(question, now())), &expected[n], "{}", question);
            prop_assert_eq!(&batch[n].1, &expected[n], "{} in a batch", question);
            check_explanation(&lists, &models, &policy, question);
        }
    }
}

#[test]
fn a_list_that_never_arrived_is_never_unlisted() {
    let about = about_of("absent", Colour::Black, 1);
    let absent = ListState { serial: None, ..state(&about) };
    let lists = Lists::new().with_list(absent, None).expect("lists");
    for question in ["a.example", "a.example/x", "10.0.0.1", "localhost", "http://localhost/x", "com"] {
        let verdict = lists.ask(question, now()).expect(question);
        assert!(matches!(verdict, Verdict::NoData(missing) if !missing.damaged), "{question}: {verdict:?}");
    }
    // It arrives: exchanged, not put beside.
    let index = build_as(about.clone(), [0; 16], ["subtree:a.example"]);
    let lists = lists.with_list(state(&about), Some(Layers::new(index.into()))).expect("lists");
    assert_eq!(lists.states().count(), 1);
    assert_eq!(lists.ask("b.example", now()).expect("a host").word(), "unlisted");
    assert_eq!(lists.ask("www.a.example", now()).expect("a host").word(), "block");
    assert_eq!(lists.without_list(&about.origin, &about.list).states().count(), 0);
}
