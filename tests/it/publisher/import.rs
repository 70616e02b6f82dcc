//! Imports against a map: merge and replace, any order, duplicates, on top of what is published and staged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use bwld::publisher::{ImportMode, ImportOptions, ImportReport, PublishError};
use proptest::prelude::*;

use super::*;

fn import(house: &House, text: &str, mode: ImportMode, strict: bool, dry_run: bool) -> Result<ImportReport, PublishError> {
    let options = ImportOptions { read: Default::default(), mode, strict, dry_run };
    house.publisher.import(&test(), &mut Cursor::new(text.to_owned()), &options, "test")
}

#[test]
fn bad_lines_are_left_out_and_reported_or_refuse_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let text = "b.example\nnot a line at all\nprotected.example\na.example\nb.example\n";
    let dry = import(&house, text, ImportMode::Merge, false, true).unwrap();
    assert_eq!((dry.done, dry.staged.added, dry.duplicates, dry.summary.issues_total, dry.staged.refused_total), (false, 2, 1, 1, 1));
    assert_eq!(dry.staged.lines, ["+domain:a.example", "+domain:b.example"]);
    let strict = import(&house, text, ImportMode::Merge, true, false).unwrap();
    assert_eq!((strict.done, strict.staged.added), (false, 2));
    assert_eq!(house.publisher.staged(&test(), 9).unwrap().added, 0);
    let strict = import(&house, "protected.example\na.example\n", ImportMode::Merge, true, false).unwrap();
    assert!(!strict.done);
    assert_eq!(house.publisher.staged(&test(), 9).unwrap().added, 0);

    let done = import(&house, text, ImportMode::Merge, false, false).unwrap();
    assert_eq!((done.done, done.duplicates, done.staged.added, done.staged.refused_total), (true, 1, 2, 1));
    house.publish();
    // Entries that come in bulk have no reference.
    assert_eq!(house.lines(), ["domain:a.example", "domain:b.example"]);
    assert!(import(&house, "<html>", ImportMode::Merge, false, false).is_err());
    let same = import(&house, text, ImportMode::Merge, false, false).unwrap();
    assert_eq!((same.staged.added, same.staged.unchanged), (0, 2));
    house.assert_sound();
}

#[test]
fn what_is_in_order_is_taken_as_it_comes_and_the_rest_sorted_on_top() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let text =
        "b.example\nb.example\nd.example\nprotected.example\nf.example\na.example\nd.example\nprotected.example\na.example\nz.example\n";
    let report = import(&house, text, ImportMode::Replace, false, false).unwrap();
    assert_eq!((report.done, report.staged.added, report.duplicates, report.staged.refused_total), (true, 5, 3, 2));
    house.publish();
    assert_eq!(house.lines(), ["domain:a.example", "domain:b.example", "domain:d.example", "domain:f.example", "domain:z.example"]);
    house.assert_sound();
    // What was read ahead and not used is swept.
    assert!(house.publisher.maintain().unwrap().files_removed > 0);
    let left: usize =
        std::fs::read_dir(dir.path().join("artefacts")).unwrap().map(|f| std::fs::read_dir(f.unwrap().path()).unwrap().count()).sum();
    assert_eq!(left, 3, "snapshot, buckets, and the changes, to undo them");
}

#[test]
fn a_rule_that_comes_again_counts_once_wherever_the_file_is_cut() {
    // 1,024 of these lines are 64 KiB, which is where a file is cut for the threads that read it.
    let line = |n: u32| format!("host{n:051}.example\n");
    let again = |n: u32| format!("domain:host{n:034}.example\tcat=later\n");
    assert_eq!((line(0).len(), again(0).len()), (64, 64));
    let short = |n: u32| format!("host{n:034}.example\n");
    let in_order = (0..1_024).map(line).chain([line(1_023)]).chain((1_024..5_000).map(line)).collect::<String>();
    let with_attributes: String = (0..2_048).map(|n| again(n / 2)).chain((0..9_000).map(short)).collect();
    let out_of_order: String = (0..3_000).map(line).chain((2_000..6_000).rev().map(line)).chain((0..10).map(line)).collect();
    for (text, entries, duplicates) in [(in_order, 5_000, 1), (with_attributes, 9_000, 2_048), (out_of_order, 6_000, 1_010)] {
        let dir = tempfile::tempdir().unwrap();
        let house = House::with_list(dir.path());
        let options = ImportOptions {
            read: bwld::formats::ReadOptions { format: Some(bwld::formats::Format::Domains), ..Default::default() },
            mode: ImportMode::Merge,
            strict: false,
            dry_run: false,
        };
        let text = text + "protected.example\nnot a name\n";
        let report = house.publisher.import(&test(), &mut text.as_bytes(), &options, "test").unwrap();
        assert_eq!((report.staged.added, report.duplicates, report.staged.refused_total), (entries, duplicates, 1));
        assert_eq!(report.summary.issues[0].line, text.lines().count() as u64);
        house.publish();
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with(['p', 'n'])) {
            let line = if line.starts_with("domain:") { line.to_owned() } else { format!("domain:{line}") };
            model.insert(line.split('\t').next().unwrap().to_owned(), line);
        }
        assert!(house.lines() == model.into_values().collect::<Vec<_>>());
        house.assert_sound();
    }
}

#[test]
fn single_changes_go_on_top_of_a_large_import() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..30_000).map(|n| format!("host{n:05}.example\n")).collect();
    {
        let house = House::with_list(dir.path());
        import(&house, &text, ImportMode::Merge, true, false).unwrap();
    }
    let house = House::open(dir.path());
    let view = house.stage(&["aaa.example", "host00007.example\tcat=new", "zzz.example"], &["host00008.example"]);
    assert_eq!((view.added, view.removed, view.replaced), (30_001, 0, 0));
    let refused = house.try_stage(&[], &["host00008.example"]).unwrap_err();
    assert_eq!(refused.refusals()[0].place, "remove[0]");
    house.publish();
    let lines = house.lines();
    assert_eq!(lines.len(), 30_001);
    assert_eq!(plain(&lines[0]), "domain:aaa.example");
    assert_eq!(plain(&lines[8]), "domain:host00007.example\tcat=new");
    assert_eq!(lines[9], "domain:host00009.example");
    house.assert_sound();

    // A large change on top becomes a delta as long as it is smaller than the list.
    let other: String = (0..30_000).filter(|n| n % 4 != 0).map(|n| format!("host{n:05}.example\n")).collect();
    import(&house, &other, ImportMode::Replace, true, false).unwrap();
    let version = house.try_publish(&["max-removed"]).unwrap().version.unwrap();
    assert_eq!(version.entries, 22_500);
    assert!(version.delta.is_some());
    let published = house.published();
    assert_eq!((published.head.snapshot.serial.get(), published.deltas.len(), published.content.overlay_len()), (2, 1, 0));
    house.assert_sound();
    drop(house);
    House::open(dir.path()).assert_sound();
}

/// A step of the property test: lines as numbers, with `None` for a line that is removed.
type Step = (Vec<(u8, u8)>, bool, bool, bool);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn imports_as_a_map_would(steps in proptest::collection::vec((proptest::collection::vec((0u8..40, 0u8..3), 0..60), any::<bool>(), any::<bool>(), any::<bool>()), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        // A sorter of nearly no memory.
        let mut small = options();
        small.sort_memory = 1;
        let house = House::open_on(dir.path(), Arc::new(RealDisk), small, signed::now()).unwrap();
        house.create("test", Colour::Black, &[]);
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        let mut step = |(lines, replace, publish, strict): Step| {
            let (mut text, mut wish, mut seen) = (String::from("# bwld\n"), BTreeMap::new(), BTreeSet::new());
            if replace {
                model.clear();
            }
            for (number, category) in &lines {
                let rule = format!("domain:n{number:02}.example");
                let line = if *category == 0 { rule.clone() } else { format!("{rule}\tcat=c{category}") };
                text.push_str(&format!("{line}\n"));
                seen.insert(rule.clone());
                wish.insert(rule, line);
            }
            model.extend(wish);
            let mode = if replace { ImportMode::Replace } else { ImportMode::Merge };
            let options = ImportOptions {
                read: bwld::formats::ReadOptions { format: Some(bwld::formats::Format::Bwld), ..Default::default() },
                mode,
                // Strict imports sort everything, others take what is in order as it comes.
                strict,
                dry_run: false,
            };
            let report = house.publisher.import(&test(), &mut Cursor::new(text), &options, "test").unwrap();
            assert!(report.done, "{:?}", report.summary);
            assert_eq!(report.duplicates, (lines.len() - seen.len()) as u64);
            if publish {
                house.try_publish(&["max-added", "max-removed"]).unwrap();
                assert_eq!(house.lines(), model.values().cloned().collect::<Vec<_>>());
                house.assert_sound();
            }
        };
        for one in steps {
            step(one);
        }
        step((vec![(1, 1)], false, true, false));
    }
}
