//! Index files that contradict themselves under checksums that hold: written by a faulty program, not damaged on a disk.
//!
//! Whatever the numbers are, nothing panics and every walk ends. What passes `verify` answers as a builder's index of the
//! same entries would.

use bwld::list::ChangeSet;
use bwld::matcher::{Buffer, Categories, Index, Layers, Lists, Policy, Question};

use super::damage::{ASKED, all_sections};
use super::made::{build, now, said, state};

const PAGE: usize = 4_096;
/// Places in the header, as docs/MATCHING.md gives them.
const SUM: usize = 12;
const SUMS_SUM: usize = 88;
const SECTIONS: usize = 132;
const HEADER_END: usize = SECTIONS + 12 * 16;

fn number(octets: &[u8], at: usize) -> usize {
    u64::from_le_bytes(octets[at..at + 8].try_into().expect("eight octets")) as usize
}

/// Start and length of a section.
fn section(octets: &[u8], n: usize) -> (usize, usize) {
    (number(octets, SECTIONS + 16 * n), number(octets, SECTIONS + 16 * n + 8))
}

/// Makes all checksums hold again.
fn seal(octets: &mut [u8]) {
    let (sums, length) = section(octets, 11);
    if sums % PAGE == 0 && sums.checked_add(length).is_some_and(|end| end <= octets.len()) {
        for page in 1..length / 4 {
            let mut sum = crc32fast::Hasher::new_with_initial(page as u32);
            sum.update(&octets[(page * PAGE).min(sums)..((page + 1) * PAGE).min(sums)]);
            octets[sums + 4 * page..sums + 4 * page + 4].copy_from_slice(&sum.finalize().to_le_bytes());
        }
        let sum = crc32fast::hash(&octets[sums..sums + length]);
        octets[SUMS_SUM..SUMS_SUM + 4].copy_from_slice(&sum.to_le_bytes());
    }
    octets[SUM..SUM + 4].fill(0);
    let sum = crc32fast::hash(&octets[..PAGE]);
    octets[SUM..SUM + 4].copy_from_slice(&sum.to_le_bytes());
}

fn ask(index: Index) -> Vec<String> {
    let lists = Lists::new().with_list(state(index.about()), Some(Layers::new(index.into()))).expect("no policy reads attributes");
    let _ = lists.with_policy(Policy { categories: Categories::Only([].into()), ..Policy::default() });
    let answer = |text: &&str| {
        let question = Question::parse(text).expect(text);
        let _ = lists.explain(&question, now()).map(|explained| explained.considered.len());
        said_or_damaged(&lists, &question)
    };
    ASKED.iter().map(answer).collect()
}

fn said_or_damaged(lists: &Lists, question: &Question<'_>) -> String {
    let verdict = lists.look_up(question, now());
    // A rule that cannot be read is an error of its own.
    if verdict.decided_by().is_some_and(|by| by.rule().is_err()) { "unreadable".to_owned() } else { said(&verdict) }
}

/// What an index came to.
#[derive(Default, Debug)]
struct Ends {
    not_opened: usize,
    refused: usize,
    passed: usize,
}

impl Ends {
    fn put(&mut self, octets: &[u8], what: &str) {
        let open = || Index::open(Buffer::from(octets));
        let Ok(index) = open() else {
            self.not_opened += 1;
            return;
        };
        let _ = (index.len(), index.hot_size(), format!("{index:?}"));
        if index.verify().is_err() {
            self.refused += 1;
            // Asked all the same: no panic, and an end.
            ask(index);
            let layers = Layers::new(open().expect("it opened").into());
            let _ = layers.apply(layers.about().clone(), &ChangeSet::default());
            let _ = layers.begin_fold().1.run();
            return;
        }
        self.passed += 1;
        let index = std::sync::Arc::new(index);
        let fold = Layers::new(index.clone()).begin_fold().1.run().unwrap_or_else(|error| panic!("{what}: {error}"));
        // A rule made one that is taken away is left out, as it is in the answers.
        assert!(fold.len() == index.len() || fold.len() == index.len() - 1, "{what}");
        assert_eq!(ask(open().expect("it opened")), ask(fold), "{what}");
    }
}

fn small() -> Vec<u8> {
    let lines = all_sections();
    build(lines.iter().map(String::as_str)).octets().to_vec()
}

#[test]
fn the_places_of_the_header_are_those_of_this_test() {
    let octets = small();
    let mut sealed = octets.clone();
    seal(&mut sealed);
    assert!(sealed == octets);
    assert!((0..11).all(|n| section(&octets, n).1 > 0), "every section is filled");
}

#[test]
fn any_octet_of_any_section_wrong_under_whole_checksums() {
    let octets = small();
    let long = std::env::var_os("BWLD_LONG").is_some();
    let mut ends = Ends::default();
    let end = section(&octets, 11).0;
    for at in PAGE..end {
        for (n, change) in [0x01, 0x80, 0xff].into_iter().enumerate() {
            if long || n == at % 3 {
                let mut wrong = octets.clone();
                wrong[at] ^= change;
                seal(&mut wrong);
                ends.put(&wrong, &format!("octet {at} ^ {change:#x}"));
            }
        }
    }
    println!("{ends:?}");
    assert!(ends.refused > 2_000 && ends.not_opened == 0, "{ends:?}");
}

#[test]
fn any_number_of_the_header_wrong_under_whole_checksums() {
    let octets = small();
    let mut ends = Ends::default();
    for at in 8..HEADER_END + 40 {
        for change in [0x01, 0x02, 0x40, 0x80, 0xff] {
            let mut wrong = octets.clone();
            wrong[at] ^= change;
            seal(&mut wrong);
            ends.put(&wrong, &format!("octet {at} ^ {change:#x}"));
        }
    }
    println!("{ends:?}");
    assert!(ends.not_opened > 100 && ends.refused > 100, "{ends:?}");
}

/// Numbers where a walk could go round or out: 32 bits at every place, with the values that hurt most.
#[test]
fn numbers_that_hurt() {
    let octets = small();
    let mut ends = Ends::default();
    // Lines are many and alike: names, groups, URL rules, ranges, attributes and references.
    for n in [2, 3, 5, 6, 7, 9] {
        let (start, length) = section(&octets, n);
        for at in (start..start + length - 3).step_by(4) {
            let old = u32::from_le_bytes(octets[at..at + 4].try_into().expect("four octets"));
            for new in [0, 1, old.wrapping_add(1), old.wrapping_sub(1), (at - start) as u32 / 16, 1 << 31, u32::MAX - 1, u32::MAX] {
                let mut wrong = octets.clone();
                wrong[at..at + 4].copy_from_slice(&new.to_le_bytes());
                if wrong != octets {
                    seal(&mut wrong);
                    ends.put(&wrong, &format!("section {n}, octet {}: {old} made {new}", at - start));
                }
            }
        }
    }
    // Every line says that it overflows.
    let mut wrong = octets.clone();
    let (lines, length) = section(&octets, 0);
    (lines..lines + length).step_by(64).for_each(|line| wrong[line + 4..line + 6].fill(0xff));
    seal(&mut wrong);
    ends.put(&wrong, "all lines overflow");
    println!("{ends:?}");
    assert!(ends.refused > 500, "{ends:?}");
}
