//! The matching core against the naive model.

mod model;

use bwld::list::{Change, ChangeSet, Colour, Digest, Entry, Serial, Timestamp};
use bwld::matcher::{About, Buffer, Index, IndexBuilder, Layers, ListState, Lists, Question, Seed, Verdict};
use proptest::prelude::*;

use model::Model;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn about(serial: u64) -> About {
    About {
        origin: "lists.example.org".parse().expect("an origin"),
        list: "test".parse().expect("a list"),
        colour: Colour::Black,
        serial: Serial::new(serial).expect("a serial"),
        root: Digest::of("root"),
    }
}

fn state(about: &About) -> ListState {
    ListState {
        origin: about.origin.clone(),
        list: about.list.clone(),
        colour: about.colour,
        serial: Some(about.serial),
        expires: None,
        local: false,
    }
}

fn build<'a>(lines: impl IntoIterator<Item = &'a str>) -> Index {
    let mut builder = IndexBuilder::new(about(1), Seed::new(*b"fixed for a test"));
    for line in lines {
        builder.push(line).expect(line);
    }
    builder.finish().expect("an index")
}

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

/// Names from few labels, so that rules and questions meet.
fn name() -> impl Strategy<Value = String> {
    (
        proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("www"), Just("longer-label")], 0..4),
        prop_oneof![Just("example.com"), Just("example.org"), Just("a.example"), Just("xn--bcher-kva.example")],
    )
        .prop_map(|(labels, end)| labels.into_iter().chain([end]).collect::<Vec<_>>().join("."))
}

fn path() -> impl Strategy<Value = String> {
    (
        prop_oneof![4 => Just(""), 1 => Just(":8080")],
        proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab")], 0..4),
        prop_oneof![
            3 => Just(""), 1 => Just("?x=1"), 1 => Just("?x=1&y"), 1 => Just("/")
        ],
    )
        .prop_map(|(port, parts, end)| format!("{port}/{}{end}", parts.join("/")))
}

fn v4() -> impl Strategy<Value = u32> {
    (0_u32..4, 0_u32..4, 0_u32..3).prop_map(|(b, c, d)| 10 << 24 | b << 16 | c << 8 | d)
}

fn rule() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => name().prop_map(|n| format!("domain:{n}")),
        4 => name().prop_map(|n| format!("subtree:{n}")),
        3 => (name(), path()).prop_map(|(n, p)| format!("url:{n}{p}")),
        4 => (name(), path()).prop_map(|(n, p)| format!("prefix:{n}{p}")),
        1 => (v4(), path()).prop_map(|(a, p)| format!("prefix:{}{p}", std::net::Ipv4Addr::from(a))),
        2 => (v4(), 8_u32..=32).prop_map(|(a, n)| format!("cidr:{}/{n}", std::net::Ipv4Addr::from(a & (u32::MAX << (32 - n))))),
        1 => (v4(), 16_u32..=128).prop_map(|(a, n)| {
            let address = (u128::from(a) << 96) & (u128::MAX << (128 - n));
            format!("cidr:{}/{n}", std::net::Ipv6Addr::from(address))
        }),
    ]
}

fn line() -> impl Strategy<Value = String> {
    (rule(), prop_oneof![
        3 => Just(""), 1 => Just("\tcat=adult"), 1 => Just("\tcat=ads,adult\tage=18"), 1 => Just("\tref=Abcdefgh1"), 1 => Just("\tcat=ads\tref=Zyxwvuts\trsn=x")
    ])
        .prop_map(|(rule, attributes)| format!("{rule}{attributes}"))
}

fn question() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => name(),
        3 => (name(), path()).prop_map(|(n, p)| format!("{n}{p}")),
        1 => v4().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
        1 => (v4(), path()).prop_map(|(a, p)| format!("http://{}{p}", std::net::Ipv4Addr::from(a))),
        1 => v4().prop_map(|a| std::net::Ipv6Addr::from(u128::from(a) << 96).to_string()),
    ]
}

proptest! {
    #[test]
    fn an_index_answers_as_the_naive_model(
        lines in proptest::collection::btree_map(rule(), line(), 0..60),
        questions in proptest::collection::vec(question(), 1..60),
    ) {
        // One entry a rule.
        let lines: std::collections::BTreeMap<String, String> =
            lines.into_values().map(|line| (line.split('\t').next().expect("a rule").to_owned(), line)).collect();
        let model = Model::of(lines.values().map(String::as_str));
        let built = build(lines.values().map(String::as_str));
        let opened = Index::open(Buffer::from(built.octets())).expect("it opens");
        opened.verify().expect("it is whole");
        for index in [built, opened] {
            let lists = Lists::new().with_list(state(index.about()), Some(Layers::new(index.into()))).expect("lists");
            for question in &questions {
                prop_assert_eq!(decided(&lists, question), expected(&model, question), "{}", question);
            }
        }
    }

    #[test]
    fn overlays_and_folds_answer_as_the_naive_model(
        first in proptest::collection::vec(line(), 0..40),
        deltas in proptest::collection::vec((proptest::collection::vec((line(), any::<bool>()), 0..12), any::<bool>()), 1..6),
        questions in proptest::collection::vec(question(), 1..40),
    ) {
        let mut model = Model::of(first.iter().map(String::as_str));
        let lines: std::collections::BTreeMap<String, &str> =
            first.iter().map(|line| (line.split('\t').next().expect("a rule").to_owned(), line.as_str())).collect();
        let mut layers = Layers::new(build(lines.values().copied()).into());
        let mut folding = None;
        for (n, (delta, fold)) in deltas.iter().enumerate() {
            let mut changes = ChangeSet::default();
            for (line, remove) in delta {
                let entry: Entry = line.parse().expect("an entry");
                let there = model.0.contains_key(entry.rule_str());
                if changes.get(&entry.rule()).is_none() {
                    let change = match (there, remove) {
                        (true, true) => Change::Remove(entry.rule()),
                        (true, false) => Change::Replace(entry),
                        (false, _) => Change::Add(entry),
                    };
                    changes.push(change).expect("one change a rule");
                }
            }
            model.apply(&changes);
            layers = layers.apply(about(n as u64 + 2), &changes).expect("it applies");
            match (folding.take(), fold) {
                (None, true) => {
                    let (with, task) = layers.begin_fold();
                    layers = with;
                    folding = Some(task);
                }
                (Some(task), true) => {
                    let task: bwld::matcher::Fold = task;
                    layers = layers.finish_fold(task.run().expect("it folds").into());
                }
                (open, false) => folding = open,
            }
            let lists = Lists::new().with_list(state(layers.about()), Some(layers.clone())).expect("lists");
            for question in &questions {
                prop_assert_eq!(decided(&lists, question), expected(&model, question), "{}", question);
            }
        }
    }
}
