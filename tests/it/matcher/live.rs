//! Look-ups while a writer applies deltas and folds: every answer is that of one version, between the one before and the one after.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bwld::list::{Change, ChangeSet, Entry};
use bwld::matcher::{Layers, LayersError, Lists, Matcher, Question, Verdict};

use super::made::{about, build, now, state};

const NAMES: u64 = 200;
const VERSIONS: u64 = 400;

/// The version whose change of a name counts in a version, and whether the name is listed then.
fn listed(name: u64, version: u64) -> Option<u64> {
    // Name n is touched by every version that n divides into with the rest of n: added, replaced, removed in turn.
    let step = 3 + name % 11;
    let latest = version.checked_sub((version + step - name % step) % step)?;
    (latest >= 2 && (latest / step) % 3 != 2).then_some(latest)
}

fn line(name: u64, version: u64) -> Entry {
    let text = match name % 3 {
        0 => format!("subtree:n{name}.example\trsn=v{version}"),
        1 => format!("prefix:n{name}.example/p\trsn=v{version}"),
        _ => format!("cidr:10.0.{name}.0/24\trsn=v{version}"),
    };
    text.parse().expect("an entry")
}

fn question(name: u64) -> String {
    match name % 3 {
        0 => format!("www.n{name}.example"),
        1 => format!("https://n{name}.example/p/q"),
        _ => format!("10.0.{name}.7"),
    }
}

fn delta(version: u64) -> ChangeSet {
    let mut changes = ChangeSet::default();
    let tag: Entry = format!("domain:tag.example\trsn=v{version}").parse().expect("an entry");
    changes.push(if version == 2 { Change::Add(tag) } else { Change::Replace(tag) }).expect("one");
    for name in 0..NAMES {
        let change = match (listed(name, version - 1), listed(name, version)) {
            (before, after) if before == after => continue,
            (None, Some(latest)) => Change::Add(line(name, latest)),
            (Some(_), Some(latest)) => Change::Replace(line(name, latest)),
            (_, None) => Change::Remove(line(name, version).rule()),
        };
        changes.push(change).expect("one change a rule");
    }
    changes
}

fn version_of(verdict: &Verdict<'_>) -> Option<u64> {
    let reason = verdict.decided_by()?.attributes().expect("a whole index").reason.expect("every rule has one");
    Some(reason.as_str()[1..].parse().expect("a number"))
}

fn change(matcher: &Matcher, with: impl FnOnce(&Layers) -> Result<Layers, LayersError>) {
    let about = about(1);
    matcher
        .update(|lists| {
            let layers = with(lists.layers(&about.origin, &about.list).expect("it is there"))?;
            Ok::<Lists, LayersError>(lists.with_list(state(layers.about()), Some(layers))?)
        })
        .expect("it changes");
}

fn write(matcher: &Matcher, published: &AtomicU64) {
    for version in 2..=VERSIONS {
        change(matcher, |layers| layers.apply(about(version), &delta(version)));
        published.store(version, Ordering::SeqCst);
        if version % 20 == 0 {
            let mut fold = None;
            change(matcher, |layers| {
                let (with, task) = layers.begin_fold();
                fold = Some(task);
                Ok(with)
            });
            let fold = fold.expect("it began");
            // Beside a delta, as it is in life.
            thread::scope(|scope| {
                let folded = scope.spawn(move || fold.run().expect("it folds"));
                let folded = std::sync::Arc::new(folded.join().expect("it ends"));
                change(matcher, |layers| Ok(layers.finish_fold(folded)));
            });
        }
    }
}

/// One view of the lists must be one version as a whole, and no older than what was published before it was taken.
fn read(matcher: &Matcher, published: &AtomicU64, round: u64) -> u64 {
    let before = published.load(Ordering::SeqCst);
    let lists = matcher.load();
    let version = version_of(&lists.ask("tag.example", now()).expect("a host")).unwrap_or(1);
    assert!(version >= before, "{version} after {before}");
    let texts: Vec<String> = (0..24).map(|n| (round * 31 + n * 7) % NAMES).map(question).collect();
    let questions: Vec<Question<'_>> = texts.iter().map(|text| Question::parse(text).expect(text)).collect();
    let names: Vec<u64> = (0..24).map(|n| (round * 31 + n * 7) % NAMES).collect();
    lists.look_up_batch(&questions, now(), |n, verdict| {
        assert!(matches!(verdict, Verdict::Block(_) | Verdict::Unlisted { .. }));
        assert_eq!(version_of(&verdict), listed(names[n], version), "{} in version {version}", texts[n]);
    });
    assert!(published.load(Ordering::SeqCst) + 1 >= version, "nothing is seen long before it is published");
    version
}

#[test]
fn every_answer_is_of_one_version() {
    let base = Layers::new(build([]).into());
    let matcher = Matcher::new(Lists::new().with_list(state(base.about()), Some(base)).expect("lists"));
    let (published, done) = (AtomicU64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (matcher, published, done) = (&matcher, &published, &done);
                scope.spawn(move || {
                    let (mut latest, mut rounds) = (0, reader);
                    while !done.load(Ordering::SeqCst) || rounds < 100 {
                        let version = read(matcher, published, rounds);
                        assert!(version >= latest, "a reader does not go back");
                        latest = version;
                        rounds += 1;
                    }
                })
            })
            .collect();
        let writer = scope.spawn(|| {
            write(&matcher, &published);
            done.store(true, Ordering::SeqCst);
        });
        writer.join().expect("the writer ends");
        readers.into_iter().for_each(|reader| reader.join().expect("the readers agree"));
    });
    for name in 0..NAMES {
        let lists = matcher.load();
        assert_eq!(version_of(&lists.ask(&question(name), now()).expect("a question")), listed(name, VERSIONS));
    }
}
