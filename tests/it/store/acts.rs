//! Documents and the audit chain: in one frame with what they belong to, sealed when they are old, kept through everything.

use bwld::list::Timestamp;
use bwld::store::{ACTS_PER_SEAL, Record, Store};
use bwld::wire::{Act, AuditChain, AuditTip};
use serde_json::json;

use super::made::*;

fn act(what: &str) -> Record {
    let act = Act {
        at: Timestamp::from_unix(1),
        who: "anna".into(),
        from: "192.0.2.1".into(),
        what: what.into(),
        object: "list:a".into(),
        before: None,
        after: None,
        reason: String::new(),
    };
    Record::Act { act }
}

fn document(key: &str, value: Option<serde_json::Value>) -> Record {
    Record::Document { table: "t".into(), key: key.into(), value }
}

fn chain(store: &Store) -> Option<AuditTip> {
    let mut chain = AuditChain::default();
    store
        .each_act(1, &mut |line| {
            chain.take(line).expect("it follows");
            Ok(())
        })
        .unwrap();
    chain.tip()
}

#[test]
fn what_belongs_together_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), MEMORY);
    store.commit(&Record::All { records: vec![list("a"), document("k", Some(json!({"n": 1}))), act("list.create")] }).unwrap();
    assert_eq!(store.document("t", "k").unwrap(), Some(json!({"n": 1})));
    // The second part does not fit: nor is the first there.
    let frames = store.last_frame();
    for wrong in
        [document("", Some(json!(1))), document("a\0b", Some(json!(1))), Record::ListRemoved { list: id("b"), at: at(1), by: "x".into() }]
    {
        let all = Record::All { records: vec![document("k", None), act("never"), wrong] };
        assert!(store.commit(&all).is_err());
    }
    assert_eq!((store.last_frame(), store.act_tip().unwrap().unwrap().number), (frames, 1));
    assert_eq!(store.document("t", "k").unwrap(), Some(json!({"n": 1})));
    store.commit(&Record::All { records: vec![document("k", None), document("l", Some(json!("x"))), act("b"), act("c")] }).unwrap();
    assert_eq!(store.documents("t", "", 9).unwrap(), [("l".to_owned(), json!("x"))]);
    assert_eq!(store.documents("t", "l", 9).unwrap(), []);
    assert_eq!(store.documents("u", "", 9).unwrap(), []);
    let whats: Vec<String> = store.acts(None, 9).unwrap().into_iter().map(|line| line.act.what).collect();
    assert_eq!(whats, ["c", "b", "list.create"]);
    assert_eq!(store.acts(Some(3), 1).unwrap()[0].act.what, "b");
    assert_eq!(chain(&store), store.act_tip().unwrap());
}

#[test]
fn old_lines_are_sealed_and_the_chain_goes_on_over_checkpoints_and_lost_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), MEMORY);
    let many = |n: usize| Record::All { records: (0..n).map(|i| act(&format!("act.{i}"))).collect() };
    for _ in 0..3 {
        store.commit(&many(ACTS_PER_SEAL)).unwrap();
    }
    let tip = store.act_tip().unwrap().unwrap();
    assert_eq!(tip.number, 3 * ACTS_PER_SEAL as u64);
    assert_eq!(store.seal_acts().unwrap(), 2 * ACTS_PER_SEAL as u64);
    assert_eq!(store.seal_acts().unwrap(), 0);
    assert_eq!((store.act_tip().unwrap(), chain(&store)), (Some(tip), Some(tip)));
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    // Pages go over the border between what is sealed and what is not.
    let border = 2 * ACTS_PER_SEAL as u64;
    let page: Vec<u64> = store.acts(Some(border + 3), 5).unwrap().into_iter().map(|line| line.number).collect();
    assert_eq!(page, [border + 2, border + 1, border, border - 1, border - 2]);
    let page: Vec<u64> = store.acts(Some(3), 5).unwrap().into_iter().map(|line| line.number).collect();
    assert_eq!(page, [2, 1]);
    let mut from = 0;
    store
        .each_act(border - 1, &mut |_| {
            from += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(from, tip.number - border + 2);

    store.checkpoint().unwrap();
    drop(store);
    let (store, _) = open(dir.path(), MEMORY);
    assert_eq!((store.act_tip().unwrap(), chain(&store)), (Some(tip), Some(tip)));
    store.commit(&act("after")).unwrap();
    assert_eq!(chain(&store).unwrap().number, tip.number + 1);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    // A sealed part that is damaged is named.
    let sealed =
        std::fs::read_dir(dir.path().join("artefacts")).unwrap().flatten().flat_map(|d| std::fs::read_dir(d.path()).unwrap().flatten());
    let sealed = sealed.map(|f| f.path()).find(|p| p.to_string_lossy().ends_with(".audit.zst")).unwrap();
    std::fs::write(&sealed, b"not it").unwrap();
    let problems = store.check().unwrap().problems;
    assert!(problems.iter().any(|p| p.contains("audit chain")), "{problems:?}");
}
