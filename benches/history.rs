//! What an update costs on the wire, on real list histories: every revision is published by a real daemon and taken by real
//! followers, one by push and one by `pull`, through a proxy that counts every octet of both directions, HTTP included.
//!
//! The alternative beside it is what lists are distributed with today: the whole list, gzip -6.
//!
//! `cargo bench --bench history` prints a table; `-- --test` runs the first revisions of each history, `-- WORD` only the
//! histories with that word in their names.

#[path = "history/corpus.rs"]
mod corpus;
#[path = "history/world.rs"]
mod world;

use std::collections::BTreeSet;

use corpus::History;
use world::World;

/// What one revision cost.
struct Revision {
    /// Share of the list that changed, by upstream's own lines.
    changed: f64,
    gzip: u64,
    push: u64,
    pull: u64,
}

impl Revision {
    fn ratio(&self, bytes: u64) -> f64 {
        self.gzip as f64 / bytes as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Publishes a history revision by revision and weighs each.
fn weigh(world: &World, history: &History, most: usize) -> (Vec<Revision>, usize) {
    let rules = |lines: &BTreeSet<String>| -> BTreeSet<String> {
        lines.iter().filter_map(|line| corpus::rule_of(line)).map(|rule| rule.as_str().to_owned()).collect()
    };
    let mut lines = history.base.clone();
    let list = world.list(&history.name, &rules(&lines));
    let mut revisions = Vec::new();
    let mut without_change = 0;
    for patch in history.patches.iter().take(most) {
        for (put, line) in patch {
            if *put {
                lines.insert(line.clone());
            } else {
                lines.remove(line);
            }
        }
        match list.publish(&rules(&lines)) {
            None => without_change += 1,
            Some(cost) => revisions.push(Revision {
                changed: patch.len() as f64 / lines.len() as f64,
                gzip: corpus::gzip_size(&lines) as u64,
                push: cost.push,
                pull: cost.pull,
            }),
        }
    }
    (revisions, without_change)
}

fn row(name: &str, revisions: &[&Revision], without_change: usize) {
    let of = |bytes: fn(&Revision) -> u64| {
        let ratios: Vec<f64> = revisions.iter().map(|r| r.ratio(bytes(r))).collect();
        let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        (median(ratios), worst)
    };
    let (push, push_worst) = of(|r| r.push);
    let (pull, pull_worst) = of(|r| r.pull);
    let small = median(revisions.iter().map(|r| r.push as f64).collect());
    println!(
        "{name:32} {:>4} {without_change:>4} {:>8.3} % {small:>8.0} {push:>9.1} {push_worst:>7.2} {pull:>9.1} {pull_worst:>7.2}",
        revisions.len(),
        100.0 * median(revisions.iter().map(|r| r.changed).collect())
    );
}

fn main() {
    let quick = std::env::args().any(|a| a == "--test");
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut histories = match corpus::folder() {
        Some(folder) => corpus::histories(&folder),
        None => {
            println!("the corpus of list histories is not here: a small made-up history stands in for it");
            vec![corpus::made_up()]
        }
    };
    histories.retain(|history| words.is_empty() || words.iter().any(|word| history.name.contains(word)));
    let world = World::start();
    println!("gzip -6 of the whole list / octets of the update, both directions, head and HTTP included; {} cores", world::cores());
    println!(
        "{:32} {:>4} {:>4} {:>10} {:>8} {:>9} {:>7} {:>9} {:>7}",
        "history", "revs", "none", "changed", "octets", "push", "worst", "pull", "worst"
    );
    let mut small_changes: Vec<Revision> = Vec::new();
    for history in &histories {
        let (revisions, without_change) = weigh(&world, history, if quick { 3 } else { usize::MAX });
        row(&history.name, &revisions.iter().collect::<Vec<_>>(), without_change);
        for (way, bytes) in [("push", (|r| r.push) as fn(&Revision) -> u64), ("pull", |r| r.pull)] {
            for (at, r) in revisions.iter().enumerate().filter(|(_, r)| r.ratio(bytes(r)) < 1.0) {
                println!("{:32} by {way} revision {at} costs {} octets, the whole list {}", "", bytes(r), r.gzip);
            }
        }
        if median(revisions.iter().map(|r| r.changed).collect()) < 0.01 {
            small_changes.extend(revisions);
        }
    }
    row("lists that change by under 1 %", &small_changes.iter().collect::<Vec<_>>(), 0);
}
