//! Staging one by one, and the first publications.

use bwld::publisher::{Class, ListPatch, PublishError};

use super::*;

#[test]
fn a_change_reaches_the_published_list_only_by_publication() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let view = house.stage(&["b.example\tcat=adult", "subtree:a.example"], &[]);
    assert_eq!((view.added, view.removed, view.replaced, view.unchanged), (2, 0, 0, 0));
    assert!(house.catalog.get(&test()).is_none());

    let version = house.publish().version.unwrap();
    assert_eq!((version.serial.get(), version.entries, version.added), (1, 2, 2));
    assert_eq!((version.by.as_str(), version.reason.as_str()), ("test", "why"));
    assert!(version.delta.is_none());
    assert_eq!(plains(&house.lines()), ["domain:b.example\tcat=adult", "subtree:a.example"]);
    assert_eq!(*house.announced.lock().unwrap(), [test()]);
    house.assert_sound();

    house.stage(&["c.example"], &["b.example"]);
    let version = house.publish().version.unwrap();
    assert_eq!((version.serial.get(), version.entries, version.added, version.removed), (2, 2, 1, 1));
    assert_eq!(house.delta(1).iter().map(|l| plain(l)).collect::<Vec<_>>(), ["-domain:b.example", "+domain:c.example"]);
    let published = house.published();
    assert_eq!(published.head.previous, Some(house.publisher.log(&test(), None, 9).unwrap().versions[1].version));
    house.assert_sound();
}

#[test]
fn new_entries_get_a_reference_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example", "b.example\tref=chosen-by-us"], &[]);
    house.publish();
    let before = house.lines();
    let reference = before[0].split_once("\tref=").unwrap().1.to_owned();
    assert_eq!(reference.len(), 12);
    assert_eq!(before[1], "domain:b.example\tref=chosen-by-us");

    // The same put again is no change; another one keeps the reference.
    let view = house.stage(&["a.example", "b.example"], &[]);
    assert_eq!((view.unchanged, view.added + view.replaced), (2, 0));
    house.stage(&["a.example\tcat=adult"], &[]);
    house.publish();
    assert_eq!(house.lines()[0], format!("domain:a.example\tcat=adult\tref={reference}"));
}

#[test]
fn several_calls_compose_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    {
        let house = House::with_list(dir.path());
        house.stage(&["a.example", "b.example"], &[]);
        house.publish();
        house.stage(&["c.example"], &["a.example"]);
        // Taken back: nothing remains of it.
        house.stage(&[], &["c.example"]);
        house.stage(&["d.example"], &[]);
    }
    let house = House::open(dir.path());
    let view = house.publisher.staged(&test(), 10).unwrap();
    assert_eq!((view.added, view.removed), (1, 1));
    assert_eq!(view.lines.iter().map(|l| plain(l)).collect::<Vec<_>>(), ["-domain:a.example", "+domain:d.example"]);
    house.publish();
    assert_eq!(plains(&house.lines()), ["domain:b.example", "domain:d.example"]);

    house.stage(&["e.example"], &[]);
    assert_eq!(house.publisher.discard(&test(), "test").unwrap().added, 1);
    assert_eq!(house.publisher.staged(&test(), 10).unwrap().added, 0);
    assert!(house.publish().version.is_none());
    assert_eq!(house.publisher.view(&test()).unwrap().serial.unwrap().get(), 2);
}

#[test]
fn refusals_name_their_place_and_nothing_is_staged() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let error = house.try_stage(&["good.example", "co.uk", "not a host", "protected.example"], &["absent.example"]).unwrap_err();
    assert_eq!(error.class(), Class::Reject);
    let mut places: Vec<&str> = error.refusals().iter().map(|r| r.place.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["guard:protected", "put[1].rule", "put[2].rule", "remove[0]"]);
    assert!(error.refusals().iter().all(|r| !r.reason.is_empty() && !r.hint.is_empty()));
    assert_eq!(house.publisher.staged(&test(), 10).unwrap().added, 0);

    let mut dry = request(&["good.example", "co.uk"], &[]);
    dry.dry_run = true;
    let view = house.publisher.stage(&test(), &dry, "test").unwrap();
    assert_eq!((view.added, view.refused_total, view.refused.len()), (1, 1, 1));
    assert_eq!(house.publisher.staged(&test(), 10).unwrap().added, 0);

    let error = house.try_stage(&["a.example"], &["a.example"]).unwrap_err();
    assert_eq!(error.refusals()[0].place, "remove[0]");
}

#[test]
fn the_first_version_may_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let version = house.publish().version.unwrap();
    assert_eq!((version.serial.get(), version.entries), (1, 0));
    house.assert_sound();
    assert!(house.publish().version.is_none());
    house.stage(&["a.example"], &[]);
    assert_eq!(house.publish().version.unwrap().serial.get(), 2);
    house.stage(&[], &["a.example"]);
    assert_eq!(house.publish().version.unwrap().entries, 0);
    house.assert_sound();
}

#[test]
fn lists_are_made_described_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example"], &[]);
    house.publish();
    let patch = ListPatch {
        title: Some(" Another title ".into()),
        categories: Some(vec!["b".parse().unwrap(), "a".parse().unwrap()]),
        ..ListPatch::default()
    };
    let view = house.publisher.set_list(&test(), patch, "test").unwrap();
    assert_eq!(view.meta.title, "Another title");
    assert_eq!(house.published().meta.categories.len(), 2);
    let bad = ListPatch { title: Some("two\nlines".into()), ..ListPatch::default() };
    assert_eq!(house.publisher.set_list(&test(), bad, "test").unwrap_err().refusals()[0].place, "title");

    house.publisher.remove_list(&test(), "test").unwrap();
    assert!(house.catalog.get(&test()).is_none());
    assert!(matches!(house.publisher.view(&test()), Err(PublishError::NoList(_))));
    // Serials go on above what subscribers remember; the colour is for ever.
    house.create("test", Colour::Black, &[]);
    house.stage(&["z.example"], &[]);
    let version = house.publish().version.unwrap();
    assert_eq!((version.serial.get(), version.entries), (2, 1));
    house.assert_sound();
    drop(house);
    House::open(dir.path()).assert_sound();
}
