//! Several at once: each gets what it waits for, whatever the order.

use std::sync::mpsc;
use std::time::Duration;

use crate::support::until_it_waits;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// One publishes, one puts a key set in force, one removes the list: each needs a lock that another has, or two.
#[test]
fn a_publication_a_new_key_set_and_a_removal_do_not_wait_for_each_other_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.create("other", Colour::Black, &[]);
    house.stage(&["a.example"], &[]);
    let digest = house.publisher.staged_digest(&test()).unwrap().unwrap();
    house.publisher.approve_staged(&test(), digest, "bob").unwrap();
    // Asked by the publication when it has the list's lock and has not looked at the key set yet.
    let (held, holds) = mpsc::channel();
    let (go_on, going_on) = mpsc::channel::<()>();
    let going_on = Mutex::new(going_on);
    house.publisher.count_approvals_by(Box::new(move |_, _| {
        let _ = held.send(());
        let _ = going_on.lock().unwrap().recv();
        true
    }));
    let House { publisher, catalog, store, .. } = house;
    let publisher = Arc::new(publisher);
    let with = || publisher.clone();

    let one = with();
    let published = until_it_waits(move || one.publish(&test(), &PublishRequest::default(), "anna"));
    holds.recv_timeout(LONG).unwrap();
    let one = with();
    let removed = until_it_waits(move || one.remove_list(&test(), "anna"));
    let one = with();
    let note = signed::note(&signed::keyset_2().to_text(), &["root-a", "root-b"]);
    let activated = until_it_waits(move || one.activate_keyset(&note, "anna"));
    // Meanwhile all that needs no lock of this list goes on.
    let one = with();
    let seen = until_it_waits(move || one.view(&"other".parse().unwrap()));
    assert_eq!(seen.recv_timeout(LONG).expect("it waits for nobody").unwrap().entries, 0);
    drop(go_on);

    assert!(published.recv_timeout(LONG).expect("it comes to its end").unwrap().version.is_some());
    assert_eq!(activated.recv_timeout(LONG).expect("it comes to its end").unwrap(), 2);
    removed.recv_timeout(LONG).expect("it comes to its end").unwrap();
    // Neither of those who came after the removal has brought the list back.
    publisher.heartbeat().unwrap();
    assert!(catalog.get(&test()).is_none() && store.list(&test()).unwrap().unwrap().removed);
    assert!(matches!(publisher.remove_list(&test(), "anna"), Err(PublishError::NoList(_))));
}
