//! Deltas over a base, and folds of them.

use std::sync::Arc;

use bwld::list::{Change, ChangeSet, Colour, Entry};
use bwld::matcher::{Fold, Index, Layers, Lists};
use proptest::prelude::*;

use super::made::{about, about_of, build, build_as, line, one_a_rule, question, state};
use super::model::Model;
use super::{alone, decided, expected};

fn changes(lines: &[(&str, bool)]) -> ChangeSet {
    let mut set = ChangeSet::default();
    for (line, add) in lines {
        let entry: Entry = line.parse().expect("an entry");
        set.push(if *add { Change::Add(entry) } else { Change::Remove(entry.rule()) }).expect("one change a rule");
    }
    set
}

fn answer(layers: &Layers, question: &str) -> Option<String> {
    let lists = Lists::new().with_list(state(layers.about()), Some(layers.clone())).expect("lists");
    decided(&lists, question)
}

proptest! {
    #[test]
    fn the_order_of_entries_does_not_matter(
        lines in proptest::collection::vec(line(), 0..80).prop_map(|lines| one_a_rule(&lines).into_values().collect::<Vec<_>>()),
        shuffled in any::<u64>(),
    ) {
        let mut other = lines.clone();
        other.sort_by_key(|line| line.bytes().fold(shuffled, |hash, c| (hash ^ u64::from(c)).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let (one, two) = (build(lines.iter().map(String::as_str)), build(other.iter().map(String::as_str)));
        prop_assert!(one.octets() == two.octets());
    }

    #[test]
    fn overlays_and_folds_answer_as_the_naive_model(
        first in proptest::collection::vec(line(), 0..40),
        deltas in proptest::collection::vec((proptest::collection::vec((line(), any::<bool>()), 0..12), any::<bool>()), 1..6),
        questions in proptest::collection::vec(question(), 1..40),
    ) {
        let lines = one_a_rule(&first);
        let mut model = Model::of(lines.values().map(String::as_str));
        let mut layers = Layers::new(build(lines.values().map(String::as_str)).into());
        let mut folding: Option<Fold> = None;
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
                (Some(task), true) => layers = layers.finish_fold(task.run().expect("it folds").into()),
                (open, false) => folding = open,
            }
            let lists = Lists::new().with_list(state(layers.about()), Some(layers.clone())).expect("lists");
            for question in &questions {
                prop_assert_eq!(decided(&lists, question), expected(&model, question), "{}", question);
            }
        }
        // A fold of all is what would be built of the entries that are left, octet for octet.
        let folded = layers.begin_fold().1.run().expect("it folds");
        let lines = model.lines();
        let fresh = build_as(layers.about().clone(), super::made::SEED, lines.iter().map(String::as_str));
        prop_assert!(folded.octets() == fresh.octets());
        folded.verify().expect("it is whole");
    }
}

/// The overlays go into each other and into the base at 4,096 rules: over all of that, the model's answers.
#[test]
fn overlays_that_outgrow_their_bounds() {
    let first: Vec<String> = (0..3_000).map(|n| format!("subtree:n{n}.example\tcat=base")).collect();
    let mut model = Model::of(first.iter().map(String::as_str));
    let mut layers = Layers::new(build(first.iter().map(String::as_str)).into());
    let mut deepest = 0;
    for serial in 2..9_u64 {
        let mut set = ChangeSet::default();
        for n in 0..1_900_u64 {
            let k = (n * 7 + serial * 911) % 12_000;
            let entry: Entry = format!("subtree:n{k}.example\trsn=v{serial}").parse().expect("an entry");
            let change = match (model.0.contains_key(entry.rule_str()), k % 3) {
                (true, 0) => Change::Remove(entry.rule()),
                (true, _) => Change::Replace(entry),
                (false, _) => Change::Add(entry),
            };
            if set.get(&entry_rule(&change)).is_none() {
                set.push(change).expect("one change a rule");
            }
        }
        model.apply(&set);
        layers = layers.apply(about(serial), &set).expect("it applies");
        deepest = deepest.max(layers.layers().len());
        let lists = Lists::new().with_list(state(layers.about()), Some(layers.clone())).expect("lists");
        for n in 0..12_000 {
            let question = format!("www.n{n}.example");
            assert_eq!(decided(&lists, &question), expected(&model, &question), "{question} of {serial}");
        }
    }
    assert_eq!(deepest, 3, "a base and two overlays");
    let kept = Layers::of(layers.layers().to_vec()).expect("they belong together");
    assert_eq!(kept.about(), layers.about());
    let folded = layers.begin_fold().1.run().expect("it folds");
    let fresh = build_as(layers.about().clone(), super::made::SEED, model.lines().iter().map(String::as_str));
    assert!(folded.octets() == fresh.octets());
}

fn entry_rule(change: &Change) -> bwld::list::Rule {
    change.rule()
}

/// A fold that was overtaken by a whole new list, by another fold, or given up must not bring back what is gone.
#[test]
fn a_fold_that_comes_too_late_changes_nothing() {
    let old = Layers::new(build(["domain:gone.example", "domain:kept.example"]).into());
    let (_, fold) = old.begin_fold();
    let late: Arc<Index> = fold.run().expect("it folds").into();

    let anew = Layers::new(build_as(about(9), super::made::SEED, ["domain:kept.example"]).into());
    for layers in [anew.finish_fold(late.clone()), anew.begin_fold().0.finish_fold(late.clone())] {
        assert_eq!(answer(&layers, "gone.example"), None);
        assert_eq!(answer(&layers, "kept.example").as_deref(), Some("domain:kept.example"));
        assert_eq!(layers.about().serial.get(), 9);
    }

    let (first, _) = old.begin_fold();
    let removed = first.apply(about(2), &changes(&[("domain:gone.example", false)])).expect("it applies");
    // The second fold begins before the first ended; then the first one's base comes.
    let (second, task) = removed.begin_fold();
    let after = second.finish_fold(late.clone());
    assert_eq!(answer(&after, "gone.example"), None);
    let after = after.finish_fold(task.run().expect("it folds").into());
    assert_eq!((answer(&after, "gone.example"), after.layers().len()), (None, 1));

    let given_up = removed.abandon_fold().finish_fold(late);
    assert_eq!(answer(&given_up, "gone.example"), None);
}

#[test]
fn layers_that_do_not_belong_together_are_refused() {
    let base = || Arc::new(build(["domain:a.example"]));
    let other = |about, seed| Arc::new(build_as(about, seed, ["domain:b.example"]));
    let same = super::made::SEED;
    assert!(Layers::of(vec![]).is_none());
    assert!(Layers::of(vec![other(about(2), same), base()]).is_some());
    assert!(Layers::of(vec![other(about(2), *b"quite other seed"), base()]).is_none(), "hashed with one seed, asked with another");
    assert!(Layers::of(vec![base(), other(about(2), same)]).is_none(), "the older over the newer");
    assert!(Layers::of(vec![other(about_of("other", Colour::Black, 2), same), base()]).is_none());
    assert!(Layers::of(vec![other(about_of("test", Colour::White, 2), same), base()]).is_none());
}

/// Lists whose last section ends where a page does: the empty text of "no attributes" stands behind the last page then.
#[test]
fn an_index_of_any_size_can_be_read_whole() {
    let lines: Vec<String> = (0..400).map(|n| format!("subtree:{}{n}.example", "x".repeat(n % 50))).collect();
    for n in 0..=lines.len() {
        let built = build(lines[..n].iter().map(String::as_str));
        let opened = Index::open(bwld::matcher::Buffer::from(built.octets())).expect("it opens");
        opened.verify().unwrap_or_else(|error| panic!("{n} rules: {error}"));
        let lists = alone(opened);
        if n > 0 {
            assert_eq!(decided(&lists, &lines[n - 1]["subtree:".len()..]).as_ref(), Some(&lines[n - 1]), "{n} rules");
        }
    }
}

/// Each kind against the next, in a base and an overlay either way about, and in two lists: what is more specific does not
/// depend on where it stands.
#[test]
fn the_more_specific_rule_wins_wherever_it_stands() {
    let question = "http://www.a.example/p/q";
    let rules = [
        "url:www.a.example/p/q",
        "prefix:www.a.example/p/q",
        "prefix:www.a.example/p",
        "prefix:www.a.example/",
        "domain:www.a.example",
        "subtree:www.a.example",
        "subtree:a.example",
    ];
    let addresses = ["url:10.0.0.1/p", "prefix:10.0.0.1/p", "cidr:10.0.0.1/32", "cidr:10.0.0.0/31", "cidr:10.0.0.0/8"];
    for (rules, question) in [(&rules[..], question), (&addresses[..], "10.0.0.1/p")] {
        for (n, more) in rules.iter().enumerate() {
            for less in &rules[n + 1..] {
                // Of two, the one that is not taken away is left, though their texts may be the same.
                for (gone, left) in [(more, less), (less, more)] {
                    let both = Layers::new(build([*more, *less]).into());
                    let layers = both.apply(about(2), &changes(&[(gone, false)])).expect("it applies");
                    assert_eq!(answer(&layers, question).as_deref(), Some(*left), "without {gone}");
                }
                for (below, above) in [(more, less), (less, more)] {
                    let layers = Layers::new(build([*below]).into()).apply(about(2), &changes(&[(above, true)])).expect("it applies");
                    assert_eq!(answer(&layers, question).as_deref(), Some(*more), "{above} over {below}");
                    let one = about_of("one", Colour::Black, 1);
                    let two = about_of("two", Colour::Black, 1);
                    let of =
                        |about: &bwld::matcher::About, line: &str| Layers::new(build_as(about.clone(), super::made::SEED, [line]).into());
                    let lists = Lists::new().with_list(state(&one), Some(of(&one, below))).expect("lists");
                    let lists = lists.with_list(state(&two), Some(of(&two, above))).expect("lists");
                    assert_eq!(decided(&lists, question).as_deref(), Some(*more), "{below} and {above}");
                }
            }
        }
    }
}
