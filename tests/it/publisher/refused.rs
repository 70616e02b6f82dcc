//! Nothing is left on the disk of what was refused.

use std::collections::BTreeSet;
use std::io::Cursor;

use bwld::formats::ReadOptions;
use bwld::list::Serial;
use bwld::publisher::{Beside, EachChange, ImportMode, ImportOptions, Wish};
use bwld::store::Record;

use super::*;

fn nothing(_: Serial, _: EachChange<'_>) -> Result<Vec<Record>, PublishError> {
    Ok(Vec::new())
}

fn fails(_: Serial, _: EachChange<'_>) -> Result<Vec<Record>, PublishError> {
    Err(PublishError::System("the test refuses".into()))
}

impl House {
    /// The files that are left when all that no record names and nobody is about to name has been removed.
    fn kept(&self, dir: &Path) -> BTreeSet<String> {
        self.store.sweep().unwrap();
        let folders = std::fs::read_dir(dir.join("artefacts")).unwrap().flatten();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
        files.map(|file| file.file_name().into_string().unwrap()).collect()
    }

    fn import_of(&self, lines: &str, strict: bool) {
        let options = ImportOptions { read: ReadOptions::default(), mode: ImportMode::Merge, strict, dry_run: false };
        self.publisher.import(&test(), &mut Cursor::new(lines.as_bytes()), &options, "test").unwrap();
    }

    fn undo(&self, serial: u64) -> Result<bwld::publisher::Undone, PublishError> {
        let how = Beside { force: vec!["max-removed".into()], ..Beside::default() };
        self.publisher.undo(&test(), Serial::new(serial).unwrap(), false, &how, &nothing, "test")
    }
}

#[test]
fn of_a_version_that_was_not_undone_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    // So many that they are not held in memory.
    let lines: String = (0..20_100).map(|i| format!("domain:n{i}.example\n")).collect();
    house.import_of(&lines, false);
    house.publish();
    house.stage(&["late.example"], &[]);
    let before = house.kept(dir.path());
    let error = house.undo(1).unwrap_err();
    assert_eq!(error.refusals()[0].place, "staged", "{error}");
    assert_eq!(house.kept(dir.path()), before, "what is staged is in the way");

    house.stage(&["n1.example\tcat=x"], &["late.example"]);
    house.publish();
    let before = house.kept(dir.path());
    let error = house.undo(1).unwrap_err();
    assert_eq!(error.refusals()[0].place, "conflict", "{error}");
    assert_eq!(house.kept(dir.path()), before, "one of the entries is another by now");
    house.assert_sound();
}

#[test]
fn of_a_publication_beside_that_was_refused_nothing_is_left_and_what_is_staged_stays() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example"], &[]);
    house.publish();
    house.stage(&["b.example"], &[]);
    house.publisher.freeze(&test(), "holidays", "test").unwrap();
    let before = house.kept(dir.path());
    // What is staged would be fitted to it.
    let wish = Wish::Put("domain:b.example\tcat=x".parse().unwrap());
    let error = house.publisher.publish_beside(&test(), &[wish], &Beside::default(), &nothing, "test").unwrap_err();
    assert_eq!(error.refusals()[0].place, "guard:frozen", "{error}");
    assert_eq!(house.kept(dir.path()), before);
    // A wish that is fulfilled already.
    let wish = Wish::Remove("domain:nowhere.example".parse::<bwld::list::Entry>().unwrap().rule());
    let report = house.publisher.publish_beside(&test(), &[wish], &Beside::default(), &nothing, "test").unwrap();
    assert!(report.version.is_none());
    assert_eq!(house.kept(dir.path()), before);
    house.publisher.freeze(&test(), "", "test").unwrap();
    house.publish();
    house.assert_sound();
}

#[test]
fn of_a_version_that_was_made_and_not_committed_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let fail = || {
        let before = house.kept(dir.path());
        let request = PublishRequest { force: vec!["max-added".into()], ..PublishRequest::default() };
        let error = house.publisher.publish_with(&test(), &request, &fails, "test").unwrap_err();
        assert_eq!(error.to_string(), "the test refuses");
        assert_eq!(house.kept(dir.path()), before);
    };
    // By a base, by a delta, and by a base with a delta and what its entries were before.
    house.stage(&["a.example", "b.example"], &[]);
    fail();
    house.publish();
    house.stage(&["c.example"], &["a.example"]);
    fail();
    house.publish();
    let lines: String = (0..3_000).map(|i| format!("domain:n{i}.example\n")).collect();
    house.import_of(&(lines + "domain:c.example\tcat=x\n"), false);
    fail();
    house.try_publish(&["max-added"]).unwrap();
    house.assert_sound();
    drop(house);
    House::open(dir.path()).assert_sound();
}

#[test]
fn of_a_strict_import_that_was_refused_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let before = house.kept(dir.path());
    house.import_of("domain:a.example\ndomain:protected.example\n", true);
    assert_eq!(house.publisher.staged(&test(), 0).unwrap().added, 0);
    assert_eq!(house.kept(dir.path()), before);
}
