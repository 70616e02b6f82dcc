//! Any history of lists, any selection: what a secondary gets is what a naive model says, by the whole zone and by steps.

use std::collections::{BTreeMap, BTreeSet};

use bwld::dns::Transport;
use bwld::list::Colour;
use domain::base::Rtype;
use proptest::prelude::*;

use super::{Got, Record, Secondary, World, ask, options, question, records, zone};

/// Rule to line, of one list.
pub type Lines = BTreeMap<String, String>;

const TARGETS: [&str; 6] = ["a.example", "b.a.example", "c.example", "d.rpz-ip", "xn--bcher-kva.example", "e.co.uk"];
pub const RANGES: [(&str, &str); 4] = [
    ("192.0.2.0/24", "24.0.2.0.192.rpz-ip"),
    ("192.0.2.1/32", "32.1.2.0.192.rpz-ip"),
    ("2001:db8::/32", "32.zz.db8.2001.rpz-ip"),
    ("2001:db8::1/128", "128.1.zz.db8.2001.rpz-ip"),
];
pub const ATTRIBUTES: [&str; 6] = ["", "\tcat=x", "\tcat=y", "\tcat=x,y", "\tcat=x\tact=warn", "\tact=block"];

/// A rule by number, 0 to 19.
pub fn rule(n: usize) -> String {
    match n {
        0..6 => format!("domain:{}", TARGETS[n]),
        6..12 => format!("subtree:{}", TARGETS[n - 6]),
        12..16 => format!("cidr:{}", RANGES[n - 12].0),
        16..18 => format!("url:{}/p", TARGETS[n - 16]),
        _ => format!("prefix:{}/p", TARGETS[n - 18]),
    }
}

/// The zone by the words of the documentation.
pub fn expected(lists: &[&Lines], categories: &[&str]) -> BTreeSet<(String, String)> {
    let mut owners = BTreeSet::new();
    for line in lists.iter().flat_map(|list| list.values()) {
        let mut parts = line.split('\t');
        let (kind, target) = parts.next().unwrap().split_once(':').unwrap();
        let attributes: Vec<&str> = parts.collect();
        let of = attributes.iter().find_map(|a| a.strip_prefix("cat=")).unwrap_or("");
        let selected = categories.is_empty() || of.split(',').any(|c| categories.contains(&c));
        if !selected || attributes.contains(&"act=warn") || target.ends_with(".rpz-ip") {
            continue;
        }
        match kind {
            "domain" => drop(owners.insert(target.to_owned())),
            "subtree" => owners.extend([target.to_owned(), format!("*.{target}")]),
            "cidr" => drop(owners.insert(RANGES.iter().find(|(range, _)| *range == target).unwrap().1.to_owned())),
            _ => {}
        }
    }
    owners.into_iter().map(|owner| (format!("{owner}.z.example."), ".".to_owned())).collect()
}

/// One version: which list, and what of each rule: none: it leaves; else its attributes.
pub type Step = (bool, Vec<(usize, Option<usize>)>);

pub fn step() -> impl Strategy<Value = Step> {
    (any::<bool>(), proptest::collection::vec((0usize..20, proptest::option::weighted(0.7, 0usize..6)), 1..8))
}

/// Publishes these changes of a list, and says so to the model.
pub fn publish(world: &World, name: &str, list: &mut Lines, changes: Vec<(usize, Option<usize>)>) {
    let (mut put, mut remove) = (BTreeMap::new(), BTreeSet::new());
    for (n, attributes) in changes {
        let rule = rule(n);
        put.remove(&rule);
        remove.remove(&rule);
        match attributes {
            Some(a) => drop(put.insert(rule.clone(), format!("{rule}{}", ATTRIBUTES[a]))),
            None if list.contains_key(&rule) => drop(remove.insert(rule)),
            None => {}
        }
    }
    world.publish(name, &put.values().collect::<Vec<_>>(), &remove.iter().collect::<Vec<_>>());
    list.retain(|rule, _| !remove.contains(rule));
    list.extend(put);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_secondary_has_what_the_lists_say(steps in proptest::collection::vec(step(), 1..7), both in any::<bool>(), narrow in 0usize..3) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World::new(&[("one", Colour::Black), ("two", Colour::Black)]);
        let categories = [&[][..], &["x"], &["x", "y"]][narrow];
        let names: &[&str] = if both { &["one", "two"] } else { &["one"] };
        let service = world.service(&options(vec![zone("z.example", names, categories)]));
        let mut lists = [Lines::new(), Lines::new()];
        let none: [&str; 0] = [];
        world.publish("one", &none, &none);
        world.publish("two", &none, &none);
        let mut secondaries: Vec<Secondary> = Vec::new();
        for (second, changes) in steps {
            let at = usize::from(second && both);
            publish(&world, names[at], &mut lists[at], changes);

            let wanted = expected(&[&lists[0], &lists[1]][..names.len()], categories);
            let mut fresh = Secondary::default();
            let whole = runtime.block_on(ask(&service, &question("z.example", Rtype::AXFR, None), Transport::Stream));
            prop_assert_eq!(fresh.take(&whole), Got::Whole);
            prop_assert_eq!(&fresh.zone, &wanted);
            // Whoever has any earlier version, and over a datagram too if that is enough.
            for secondary in &secondaries {
                for transport in [Transport::Stream, Transport::Datagram] {
                    let mut secondary = secondary.clone();
                    let ixfr = question("z.example", Rtype::IXFR, Some(secondary.serial));
                    let got = secondary.take(&runtime.block_on(ask(&service, &ixfr, transport)));
                    let same = secondary.serial == fresh.serial;
                    prop_assert!(got != Got::Whole && (got == Got::Step || same || transport == Transport::Datagram));
                    if got == Got::Step || same {
                        prop_assert_eq!(&secondary, &fresh);
                    }
                }
            }
            secondaries.push(fresh);
        }
    }
}

#[tokio::test]
async fn a_version_whose_base_is_gone_is_answered_with_the_whole_zone() {
    let world = World::new(&[("one", Colour::Black)]);
    let service = world.service(&options(vec![zone("z.example", &["one"], &["x"])]));
    let none: [&str; 0] = [];
    let many = |n: usize| (0..1_500).map(|i| format!("domain:n{n}-{i}.example\tcat=x")).collect::<Vec<_>>();
    let begin = [many(0), many(9), vec!["domain:a.example\tcat=x".into()]].concat();
    world.publish("one", &begin, &none);
    let mut first = Secondary::default();
    first.take(&ask(&service, &question("z.example", Rtype::AXFR, None), Transport::Stream).await);
    // So many at once that each version gets a base of its own; the one before stays for a while, the one before that does not.
    world.publish("one", &many(1), &["domain:a.example"]);
    let mut second = first.clone();
    let ixfr = |serial| question("z.example", Rtype::IXFR, Some(serial));
    let answer = ask(&service, &ixfr(1), Transport::Stream).await;
    assert!(answer.len() > 1, "several messages: {}", answer.len());
    assert_eq!(second.take(&answer), Got::Step);
    assert_eq!((second.zone.len(), second.serial), (4_500, 2));
    world.publish("one", &many(2), &none);
    world.publish("one", &many(3), &["domain:n1-7.example"]);
    for mut secondary in [first, second] {
        secondary.take(&ask(&service, &ixfr(secondary.serial), Transport::Stream).await);
        assert_eq!((secondary.zone.len(), secondary.serial), (7_499, 4));
    }
}

#[tokio::test]
async fn many_messages_repeat_nothing_and_white_lists_pass() {
    let world = World::new(&[("white", Colour::White)]);
    let none: [&str; 0] = [];
    world.publish("white", &(0..5_000).map(|i| format!("subtree:n{i}.example")).collect::<Vec<_>>(), &none);
    // Without configured zones each list is one.
    let service = world.service(&options(vec![]));
    let name = format!("white.rpz.{}", bwld_origin());
    let answer = ask(&service, &question(&name, Rtype::AXFR, None), Transport::Stream).await;
    assert!(answer.len() > 5 && answer.iter().all(|message| message.as_slice().len() <= 16_384));
    let all = records(&answer);
    assert_eq!(all.len(), 10_003);
    assert!(all.contains(&Record::Says(format!("*.n77.example.{name}."), "rpz-passthru.".into())));
}

fn bwld_origin() -> String {
    crate::signed::origin().to_string()
}
