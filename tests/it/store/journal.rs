//! The journal: torn tails and damage told apart, rotation, checkpoints, a model.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bwld::store::faults::HastyDisk;
use bwld::store::{FrameId, Journal, JournalOptions, JournalRecovery, StoreError};
use proptest::prelude::*;

const OPTIONS: JournalOptions = JournalOptions { segment_size: 400, ..JournalOptions::new(*b"TEST") };
/// Octets before the first frame of a segment, and before the content of a frame.
const HEADERS: (usize, usize) = (72, 40);

type Frames = Vec<(FrameId, Vec<u8>)>;

fn open_with(dir: &Path, options: JournalOptions) -> Result<(Journal, JournalRecovery, Frames), StoreError> {
    let mut frames = Vec::new();
    let (journal, recovery) = Journal::open(dir, Arc::new(HastyDisk), options, &mut |frame| {
        frames.push((frame.id, frame.content.to_vec()));
        Ok(())
    })?;
    Ok((journal, recovery, frames))
}

fn open(dir: &Path) -> (Journal, JournalRecovery, Frames) {
    open_with(dir, OPTIONS).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    found.sort();
    found
}

/// A journal of `n` frames over several segments.
fn made(dir: &Path, n: u64) -> Frames {
    let (mut journal, _, _) = open(dir);
    (1..=n)
        .map(|i| {
            let content = format!("frame number {i}").into_bytes();
            assert_eq!(journal.append(&content).unwrap(), i);
            (i, content)
        })
        .collect()
}

#[test]
fn frames_come_back_in_order_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(dir.path(), 30);
    let (journal, recovery, frames) = open(dir.path());
    assert_eq!(frames, made);
    assert_eq!((journal.last_frame(), recovery.torn), (30, None));
    assert!(segments(dir.path()).len() > 3);
}

#[test]
fn every_cut_of_the_last_frame_is_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(dir.path(), 9);
    let path = segments(dir.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let size = HEADERS.1 + made[8].1.len();
    for cut in 1..=size {
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let (mut journal, recovery, frames) = open(dir.path());
        assert_eq!(frames, made[..8]);
        let torn = recovery.torn.map(|t| (t.frame, t.octets));
        assert_eq!(torn, (cut < size).then(|| (9, (size - cut) as u64)));
        // It goes on with the same number, and once mended there is nothing to mend.
        assert_eq!(journal.append(b"frame number 9").unwrap(), 9);
        drop(journal);
        let (_, recovery, frames) = open(dir.path());
        assert_eq!((frames, recovery.torn), (made.clone(), None));
    }
}

#[test]
fn a_tail_of_zeros_or_noise_is_torn_too() {
    for tail in [vec![0; 300], (0..250u8).collect::<Vec<u8>>(), vec![0xff; 60]] {
        let dir = tempfile::tempdir().unwrap();
        let made = made(dir.path(), 9);
        let path = segments(dir.path()).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&tail);
        fs::write(&path, bytes).unwrap();
        let (_, recovery, frames) = open(dir.path());
        assert_eq!(frames, made);
        assert_eq!(recovery.torn.unwrap().octets, tail.len() as u64);
    }
}

#[test]
fn any_flip_before_the_last_frame_is_refused_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(dir.path(), 9);
    let all = segments(dir.path());
    let last_frame = HEADERS.1 + made[8].1.len();
    for (i, path) in all.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        let end = if i + 1 == all.len() { bytes.len() - last_frame } else { bytes.len() };
        for at in 0..end {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            fs::write(path, &flipped).unwrap();
            let error = open_with(dir.path(), OPTIONS).expect_err(&format!("{} at {at}", path.display()));
            let text = error.to_string();
            assert!(text.contains(&*path.display().to_string()), "{text}");
            if at >= HEADERS.0 {
                assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
                assert!(text.contains("offset") && text.contains("frame") && text.contains("bwld restore"), "{text}");
            }
            assert_eq!(fs::read(path).unwrap(), flipped, "nothing is changed");
        }
        fs::write(path, &bytes).unwrap();
    }
    assert_eq!(open(dir.path()).2, made);
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 30);
    let all = segments(dir.path());
    for gone in &all[..all.len() - 1] {
        let bytes = fs::read(gone).unwrap();
        fs::remove_file(gone).unwrap();
        assert!(matches!(open_with(dir.path(), OPTIONS), Err(StoreError::Damaged { .. })));
        // Another one in its place is noticed as well.
        fs::copy(all.last().unwrap(), gone).unwrap();
        assert!(matches!(open_with(dir.path(), OPTIONS), Err(StoreError::Damaged { .. })));
        fs::write(gone, bytes).unwrap();
    }
    let other = JournalOptions { kind: *b"ELSE", ..OPTIONS };
    assert!(matches!(open_with(dir.path(), other), Err(StoreError::NotAJournal { .. })));
    // The last one is missed only by someone who knows of it.
    fs::remove_file(all.last().unwrap()).unwrap();
    let known = JournalOptions { known: Some(30), ..OPTIONS };
    assert!(open_with(dir.path(), known).unwrap_err().to_string().contains("frame 30 had been written"));
}

#[test]
fn a_known_frame_is_not_taken_for_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 9);
    let path = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let known = JournalOptions { known: Some(9), ..OPTIONS };
    assert!(matches!(open_with(dir.path(), known), Err(StoreError::Damaged { frame: 9, .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");
}

#[test]
fn a_checkpoint_restates_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 20);
    let (mut journal, _, _) = open(dir.path());
    let before = segments(dir.path()).len() as u64;
    let state = || ["state one", "state two"].into_iter().map(|s| Ok(s.as_bytes().to_vec()));
    assert!(matches!(journal.checkpoint(3, &mut state()), Err(StoreError::Refused { .. })), "not as many as were said");
    assert_eq!(journal.last_frame(), 20);
    assert_eq!(journal.checkpoint(2, &mut state()).unwrap(), before);
    assert_eq!(journal.append(b"frame number 23").unwrap(), 23);
    drop(journal);
    let (_, recovery, frames) = open(dir.path());
    assert_eq!(frames, [(21, b"state one".to_vec()), (22, b"state two".to_vec()), (23, b"frame number 23".to_vec())]);
    assert_eq!(recovery.archived, 0);
    assert_eq!(segments(&dir.path().join("archive")).len() as u64, before, "nothing is dropped");

    // A crash before the old segments were moved: the next start moves them.
    for path in segments(&dir.path().join("archive")) {
        fs::rename(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let (_, recovery, again) = open(dir.path());
    assert_eq!((recovery.archived, again), (before, frames));

    // A checkpoint that is cut off is damage, not a torn tail: what it replaced is in the archive.
    let path = segments(dir.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..HEADERS.0 + HEADERS.1 + 20]).unwrap();
    assert!(matches!(open_with(dir.path(), OPTIONS), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_frame_has_a_largest_size() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = open(dir.path());
    for content in [Vec::new(), vec![7; bwld::store::MAX_FRAME + 1]] {
        assert!(matches!(journal.append(&content), Err(StoreError::TooLarge { .. })));
    }
    assert_eq!(journal.append(&vec![7; bwld::store::MAX_FRAME]).unwrap(), 1);
    drop(journal);
    assert_eq!(open(dir.path()).2[0].1.len(), bwld::store::MAX_FRAME);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Reopen,
    Tear(usize),
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Step::Append),
        2 => Just(Step::Reopen),
        1 => (1..60usize).prop_map(Step::Tear),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_is_a_vector_that_survives(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _, _) = open(dir.path());
        let mut model: Frames = Vec::new();
        for step in steps {
            match step {
                Step::Append(content) => {
                    let id = journal.append(&content).unwrap();
                    prop_assert_eq!(id, model.last().map_or(1, |(id, _)| id + 1));
                    model.push((id, content));
                }
                Step::Reopen => {
                    drop(journal);
                    let (reopened, recovery, frames) = open(dir.path());
                    prop_assert_eq!(recovery.torn, None);
                    prop_assert_eq!(&frames, &model);
                    journal = reopened;
                }
                Step::Tear(octets) => {
                    // A frame that was written in part when the power went away.
                    drop(journal);
                    let path = segments(dir.path()).pop().unwrap();
                    let mut bytes = fs::read(&path).unwrap();
                    let mut torn = 200u32.to_be_bytes().to_vec();
                    torn.resize(octets, 0x5a);
                    bytes.extend_from_slice(&torn);
                    fs::write(&path, bytes).unwrap();
                    let (reopened, recovery, frames) = open(dir.path());
                    prop_assert!(recovery.torn.is_some());
                    prop_assert_eq!(&frames, &model);
                    journal = reopened;
                }
                Step::Checkpoint => {
                    let next = journal.last_frame() + 1;
                    journal.checkpoint(1, &mut std::iter::once(Ok(b"all of it".to_vec()))).unwrap();
                    model = vec![(next, b"all of it".to_vec())];
                }
            }
        }
        let mut read = Vec::new();
        journal.read(&mut |frame| { read.push((frame.id, frame.content.to_vec())); Ok(()) }).unwrap();
        prop_assert_eq!(read, model);
    }
}
