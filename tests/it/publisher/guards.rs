//! What is refused, what can be forced, and what cannot.

use std::fmt::Write as _;
use std::io::Cursor;

use bwld::publisher::{ImportMode, ImportOptions, ListPatch};

use super::*;

/// Imports this many made-up domains, from number `from`.
fn import(house: &House, from: u32, count: u32, mode: ImportMode) {
    let mut text = String::new();
    for n in from..from + count {
        writeln!(text, "host{n:06}.example").unwrap();
    }
    let options = ImportOptions { read: Default::default(), mode, strict: true, dry_run: false };
    assert!(house.publisher.import(&test(), &mut Cursor::new(text), &options, "test").unwrap().done);
}

fn places(error: &PublishError) -> Vec<&str> {
    error.refusals().iter().map(|r| r.place.as_str()).collect()
}

#[test]
fn too_much_at_once_must_be_forced_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    // Filling an empty list is free.
    import(&house, 0, 2_000, ImportMode::Merge);
    house.publish();

    import(&house, 2_000, 1_500, ImportMode::Merge);
    assert_eq!(places(&house.try_publish(&[]).unwrap_err()), ["guard:max-added"]);
    assert_eq!(places(&house.try_publish(&["max-removed"]).unwrap_err()), ["guard:max-added"]);
    assert_eq!(places(&house.try_publish(&["protected"]).unwrap_err()), ["force[0]"]);
    assert_eq!(house.published().head.serial.get(), 1);
    assert_eq!(house.publisher.staged(&test(), 0).unwrap().added, 1_500);
    let version = house.try_publish(&["max-added"]).unwrap().version.unwrap();
    assert_eq!((version.entries, version.forced), (3_500, vec!["max-added".to_owned()]));

    import(&house, 0, 2_000, ImportMode::Replace);
    let dry = PublishRequest { dry_run: true, ..PublishRequest::default() };
    let report = house.publisher.publish(&test(), &dry, "test").unwrap();
    assert!(report.version.is_none());
    assert_eq!((report.changes.removed, report.changes.guards.len()), (1_500, 1));
    assert_eq!(places(&house.try_publish(&[]).unwrap_err()), ["guard:max-removed"]);
    // Forcing what need not be forced is not written down as forced.
    let version = house.try_publish(&["max-added", "max-removed"]).unwrap().version.unwrap();
    assert_eq!((version.entries, version.forced), (2_000, vec!["max-removed".to_owned()]));
    house.assert_sound();
}

#[test]
fn a_name_that_comes_under_protection_is_not_published_any_more() {
    let dir = tempfile::tempdir().unwrap();
    {
        let house = House::with_list(dir.path());
        house.stage(&["late.example", "other.example"], &[]);
    }
    let mut stricter = options();
    stricter.protected = Protected::parse("late.example\n").unwrap();
    let house = House::open_on(dir.path(), Arc::new(RealDisk), stricter, signed::now()).unwrap();
    assert_eq!(places(&house.try_publish(&["max-added", "max-removed"]).unwrap_err()), ["guard:protected"]);
    assert!(house.catalog.get(&test()).is_none());
    // Taking it out of what is staged mends it.
    house.stage(&[], &["late.example"]);
    house.publish();
    assert_eq!(plains(&house.lines()), ["domain:other.example"]);
}

#[test]
fn white_lists_may_hold_protected_names_and_categories_bind() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    house.create("test", Colour::White, &["bank"]);
    house.stage(&["protected.example\tcat=bank"], &[]);
    let error = house.try_stage(&["a.example\tcat=shop"], &[]).unwrap_err();
    assert_eq!(places(&error), ["put[0].rule"]);
    // A category that leaves the list's description is found at the publication.
    let patch = ListPatch { categories: Some(vec!["shop".parse().unwrap()]), ..ListPatch::default() };
    house.publisher.set_list(&test(), patch, "test").unwrap();
    assert_eq!(places(&house.try_publish(&[]).unwrap_err()), ["categories"]);
    let patch = ListPatch { categories: Some(vec![]), ..ListPatch::default() };
    house.publisher.set_list(&test(), patch, "test").unwrap();
    house.publish();
    house.assert_sound();
}
