//! Many names, and rules made to make a look-up long.

use bwld::list::{Change, ChangeSet};
use bwld::matcher::{Layers, Lists, Question};

use super::made::{about, build, now, state};
use super::model::Model;
use super::{alone, decided, expected};

#[test]
fn lines_that_overflow_lose_no_name() {
    let mut lines: Vec<String> = (0..30_000).map(|n| format!("subtree:n{n}.example")).collect();
    lines.extend((0..6_000).map(|n| format!("domain:n{}.example", n * 5)));
    lines.extend((0..3_000).map(|n| format!("prefix:n{}.example/p{n}/", n * 7)));
    let model = Model::of(lines.iter().map(String::as_str));
    let lists = alone(build(lines.iter().map(String::as_str)));
    for n in 0..33_000 {
        for question in [format!("n{n}.example"), format!("a.b.n{n}.example"), format!("n{n}.example/p{}/x", n / 7)] {
            assert_eq!(decided(&lists, &question), expected(&model, &question), "{question}");
        }
    }
}

/// 2,000 prefixes around each other, the most that fit a rule; and all but the outermost taken away again.
#[test]
fn prefixes_around_each_other() {
    let mut path = String::from("/");
    let mut lines = vec!["prefix:a.example/".to_owned()];
    while lines.len() < 2_000 {
        path.push('/');
        lines.push(format!("prefix:a.example{path}"));
    }
    let base = Layers::new(build(lines.iter().map(String::as_str)).into());
    let question = format!("a.example{path}/and/more");
    assert_eq!(decided(&alone(build(lines.iter().map(String::as_str))), &question).as_ref(), lines.last());
    let mut changes = ChangeSet::default();
    for line in &lines[1..] {
        changes.push(Change::Remove(line.parse().expect("a rule"))).expect("one change a rule");
    }
    let layers = base.apply(about(2), &changes).expect("it applies");
    let lists = Lists::new().with_list(state(layers.about()), Some(layers)).expect("lists");
    assert_eq!(decided(&lists, &question).as_ref(), lines.first());
    let considered = lists.explain(&Question::parse(&question).expect("a URL"), now()).expect("a whole index").considered.len();
    assert_eq!(considered, 1);
}

/// As many ranges around each other as there can be, and as many names above a name.
#[test]
fn ranges_and_names_around_each_other() {
    let v6 = (16..=128_u32).map(|n| format!("cidr:{}/{n}", std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) & (u128::MAX << (128 - n)))));
    let v4 = (8..=32_u32).map(|n| format!("cidr:{}/{n}", std::net::Ipv4Addr::from(0x0a00_0000_u32 & (u32::MAX << (32 - n)))));
    let deep = "a.".repeat(126) + "a";
    let names = (0..126).map(|n| format!("subtree:{}", &deep[2 * n..])).filter(|rule| rule.contains('.'));
    let lines: Vec<String> = v6.chain(v4).chain(names).collect();
    for gone in (0..lines.len()).step_by(9) {
        let left = lines.iter().enumerate().filter(|(n, _)| *n < gone || n % 3 == 0).map(|(_, line)| line.as_str());
        let model = Model::of(left.clone());
        let lists = alone(build(left));
        for question in ["2001:db8::", "2001:db8::1", "2001:db8:8000::", "10.0.0.0", "10.0.0.1", "10.128.0.0", &deep, &deep[100..], "b.a.a"]
        {
            assert_eq!(decided(&lists, question), expected(&model, question), "{question}");
        }
    }
}

/// The number before each name takes one octet more from the 256th set of attributes, or host of URL rules, on.
#[test]
fn numbers_before_names_are_wide_enough() {
    for sets in 253..=258 {
        let attributes = (0..sets).map(|n| format!("domain:n{n}.example\tcat=c{n}"));
        let hosts = (0..sets).map(|n| format!("prefix:n{n}.example/p\tcat=c0"));
        for lines in [attributes.clone().collect::<Vec<_>>(), hosts.clone().collect(), attributes.chain(hosts).collect()] {
            let model = Model::of(lines.iter().map(String::as_str));
            let index = build(lines.iter().map(String::as_str));
            index.verify().expect("as a builder makes it");
            let lists = alone(index);
            for question in (0..sets).flat_map(|n| [format!("n{n}.example"), format!("n{n}.example/p")]) {
                assert_eq!(decided(&lists, &question), expected(&model, &question), "{question} of {sets}");
            }
        }
    }
}
