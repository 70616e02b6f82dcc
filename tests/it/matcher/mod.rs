//! The matching core against the naive model.

mod allocations;
mod corpus;
mod crowding;
pub mod damage;
mod folds;
mod lies;
mod live;
pub mod made;
pub mod model;
mod policy;
mod questions;

use bwld::list::Entry;
use bwld::matcher::{Buffer, Index, Layers, Lists, Question, Verdict};
use proptest::prelude::*;

use made::{build, line, now, one_a_rule, question, state};
use model::Model;

/// The rule and attributes by which a question is decided; `None` if it is unlisted.
fn decided(lists: &Lists, question: &str) -> Option<String> {
    let question = Question::parse(question).expect(question);
    match lists.look_up(&question, now()) {
        Verdict::Block(by) => Some(by.entry().expect("an entry").line().to_owned()),
        Verdict::Unlisted { stale: false } => None,
        other => panic!("{question}: {other:?}"),
    }
}

fn expected(model: &Model, question: &str) -> Option<String> {
    let question = Question::parse(question).expect(question);
    let rule = model.all(question.name(), question.rest()).into_iter().next()?;
    Some(Entry::new(&rule.parse().expect("a rule"), &model.0[&rule]).expect("an entry").line().to_owned())
}

/// Lists of one index.
fn alone(index: Index) -> Lists {
    Lists::new().with_list(state(index.about()), Some(Layers::new(index.into()))).expect("lists")
}

proptest! {
    #[test]
    fn an_index_answers_as_the_naive_model(
        lines in proptest::collection::vec(line(), 0..60),
        questions in proptest::collection::vec(question(), 1..60),
    ) {
        let lines = one_a_rule(&lines);
        let model = Model::of(lines.values().map(String::as_str));
        let built = build(lines.values().map(String::as_str));
        built.verify().expect("it is as a builder makes it");
        let opened = Index::open(Buffer::from(built.octets())).expect("it opens");
        opened.verify().expect("it is whole");
        for index in [built, opened] {
            let lists = alone(index);
            for question in &questions {
                prop_assert_eq!(decided(&lists, question), expected(&model, question), "{}", question);
            }
        }
    }
}

/// Every text that begins a rule, and what goes on behind it, is asked.
#[test]
fn every_beginning_of_a_rule_and_what_follows_it() {
    let lines = [
        "prefix:a.example/p",
        "prefix:a.example/p/q",
        "prefix:a.example/p?x",
        "prefix:a.example/p?x=1",
        "prefix:a.example/p?x=",
        "prefix:a.example/dir/",
        "url:a.example/p/q",
        "url:a.example/p/q?x=1&y",
        "url:a.example/",
        "prefix:a.example:8080/",
        "url:a.example:8080/p",
        "prefix:10.0.0.1/p",
        "prefix:[2001:db8::1]/p",
        "prefix:[2001:db8::1]:8080/",
        "url:www.a.example/p",
        "domain:a.example",
        "subtree:a.example",
        "subtree:b.a.example",
        "cidr:10.0.0.0/8",
        "cidr:10.0.0.1/32",
        "cidr:2001:db8::/32",
    ];
    let model = Model::of(lines);
    let lists = alone(build(lines));
    let mut asked = 0;
    for line in lines.iter().filter(|line| line.starts_with("url:") || line.starts_with("prefix:")) {
        let target = line.split_once(':').expect("a kind").1;
        let host = target.find('/').expect("a path");
        for end in host + 1..=target.len() {
            for more in ["", "x", "/", "/x", "?", "?x", "&", "&x", "=", "=1", "/../p", "%2f", "~"] {
                let question = format!("{}{more}", &target[..end]);
                assert_eq!(decided(&lists, &question), expected(&model, &question), "{question}");
                asked += 1;
            }
        }
    }
    assert!(asked > 500, "{asked}");
}

/// What is not of the naive model, whose order of kinds and boundaries is written out here once more by hand.
#[test]
fn the_order_of_kinds_by_hand() {
    let lines = [
        "url:www.a.example/p?x",
        "prefix:www.a.example/p",
        "prefix:www.a.example/",
        "domain:www.a.example",
        "subtree:www.a.example",
        "subtree:a.example",
        "prefix:10.0.0.1/p",
        "cidr:10.0.0.1/32",
        "cidr:10.0.0.0/24",
        "cidr:::/16",
    ];
    for (question, rules) in [
        ("www.a.example/p?x", &lines[..6]),
        ("http://10.0.0.1:80/p/q", &lines[6..9]),
        ("[::ffff:10.0.0.1]", &lines[7..9]),
        ("10.0.0.9", &lines[8..9]),
        ("::9", &lines[9..]),
    ] {
        for gone in 0..=rules.len() {
            let lists = alone(build(lines.iter().copied().filter(|line| !rules[..gone].contains(line))));
            assert_eq!(decided(&lists, question).as_deref(), rules.get(gone).copied(), "{question}");
        }
    }
    let lists = alone(build(["prefix:a.example/p", "prefix:a.example/p?q="]));
    for (question, met) in [
        ("a.example/p", Some("prefix:a.example/p")),
        ("a.example/px", None),
        ("a.example/p.", None),
        ("a.example/p/x", Some("prefix:a.example/p")),
        ("a.example/p?x", Some("prefix:a.example/p")),
        ("a.example/p&x", Some("prefix:a.example/p")),
        ("a.example/p=x", Some("prefix:a.example/p")),
        ("a.example/p?q=x", Some("prefix:a.example/p?q=")),
        ("a.example:8080/p", None),
        ("a.example:80/p", Some("prefix:a.example/p")),
        ("a.example:443/p", Some("prefix:a.example/p")),
        ("www.a.example/p", None),
    ] {
        assert_eq!(decided(&lists, question).as_deref(), met, "{question}");
    }
}
