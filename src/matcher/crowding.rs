//! Tests of the host table from within: names made to meet, and how many lines a question reads at most.

use super::build::{BuildError, IndexBuilder};
use super::hash::{Seed, hash_text};
use super::index::{AT_OVERFLOW, Index, Place, SUBTREE, overflows};
use super::layout::{About, EXTRA_LINES};
use super::question::Question;
use crate::list::{Colour, Digest, Serial};

fn builder(seed: Seed) -> IndexBuilder {
    let about = About {
        origin: "lists.example.org".parse().expect("an origin"),
        list: "test".parse().expect("a list"),
        colour: Colour::Black,
        serial: Serial::FIRST,
        root: Digest::of(""),
    };
    IndexBuilder::new(about, seed)
}

/// How many lines are read for a name.
fn lines_read(index: &Index, name: &str) -> usize {
    let place = Place::of(hash_text(name, index.seed()), (index.lines() - EXTRA_LINES) as u32);
    let overflows = |line: &usize| overflows(index.line(*line).expect("a whole index"), place.class);
    1 + (place.line..place.line + EXTRA_LINES).take_while(overflows).count()
}

/// Names that somebody who knows the seed made to lie in one line of a table of about this size.
fn made_to_meet(seed: Seed, lines: u64, how_many: usize) -> Vec<String> {
    let met = |name: &String| ((hash_text(name, &seed) >> 32) * lines) >> 32 == lines / 2;
    (0_u64..).map(|n| format!("n{n}.evil.example")).filter(met).take(how_many).collect()
}

fn build(seed: Seed, crafted: &[String]) -> Result<Index, BuildError> {
    let mut builder = builder(seed);
    for n in 0..6_000 {
        builder.push(&format!("subtree:host{n}.example"))?;
    }
    for name in crafted {
        builder.push(&format!("subtree:{name}"))?;
    }
    builder.finish()
}

#[test]
fn names_made_to_meet_under_one_seed_lie_apart_under_another() {
    let (known, other) = (Seed::new(*b"a seed they know"), Seed::new(*b"and one they don"));
    let lines = (6_000.0 + 100.0) / super::build::NAMES_PER_LINE;
    let crafted = made_to_meet(known, lines.ceil() as u64, 100);
    let crowded = build(known, &crafted).expect("an index");
    let spread = build(other, &crafted).expect("an index");
    let longest = |index: &Index| crafted.iter().map(|name| lines_read(index, name)).max().unwrap_or_default();
    assert!(longest(&crowded) > 5, "they met: {}", longest(&crowded));
    assert!(longest(&spread) <= 6, "they do not meet any more: {}", longest(&spread));
    let mean = crafted.iter().map(|name| lines_read(&spread, name)).sum::<usize>() as f64 / crafted.len() as f64;
    assert!(mean < 1.5, "{mean} lines a question");
    // Crowded or not, the answers are right.
    for index in [crowded, spread] {
        index.verify().expect("as a builder makes it");
        for name in &crafted {
            let found = index.find(hash_text(name, index.seed()), name.as_bytes(), SUBTREE).expect("a whole index");
            assert!(found.is_some(), "{name}");
        }
    }
}

#[test]
fn too_many_names_in_one_line_are_refused_and_another_seed_takes_them() {
    let known = Seed::new(*b"a seed they know");
    let crafted = made_to_meet(known, 500, 1_500);
    assert!(matches!(build(known, &crafted), Err(BuildError::Crowded)));
    assert!(build(Seed::new(*b"not known to any"), &crafted).is_ok());
}

/// The bound of all work on the host table: 126 names above a name, and no more lines for each than a name lies from its home.
#[test]
fn no_question_reads_more_lines_than_its_names_have() {
    let seed = Seed::new(*b"fixed for a test");
    let index = build(seed, &made_to_meet(seed, 500, 150)).expect("an index");
    let deep = "a.".repeat(126) + "b";
    let question = Question::parse(&deep).expect("the deepest name there is");
    assert_eq!(question.suffixes(), 126);
    let read: usize = (0..126).map(|n| lines_read(&index, std::str::from_utf8(question.suffix(n)).expect("ASCII"))).sum();
    assert!(read < 4 * 126, "{read} lines for 126 names");
    // Even where every line says that it overflows, a search ends.
    let mut octets = index.octets().to_vec();
    let home = index.lines();
    let start = super::pages::PAGE;
    (0..home).for_each(|line| octets[start + line * super::layout::LINE + AT_OVERFLOW..][..2].fill(0xff));
    let header = super::layout::Header::read(index.octets()).expect("a whole index");
    let lying = Index::built(super::buffer::Buffer::from(&octets[..]), header);
    assert_eq!(lines_read(&lying, &deep), 1 + EXTRA_LINES);
    assert_eq!(lying.find(hash_text(&deep, &seed), deep.as_bytes(), SUBTREE).expect("it ends"), None);
    assert!(lying.verify().is_err());
}
