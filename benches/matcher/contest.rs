//! Puts questions to structures and reads to the memory in turns, so that what the neighbours do to the machine strikes
//! both, and prints how many reads a question costs.

use std::time::{Duration, Instant};

use super::corpus::Texts;
use super::reads::Reads;

/// Questions, and reads, that are asked in one go.
const TURN: usize = 1_000;

/// Answers texts, and says how many of them were found.
pub type Ask<'a> = Box<dyn FnMut(&[&'static str]) -> usize + 'a>;

/// Something that answers.
pub struct Contender<'a> {
    pub name: String,
    pub texts: &'a Texts,
    /// How many of the texts it has to find.
    pub expected: usize,
    pub ask: Ask<'a>,
}

impl<'a> Contender<'a> {
    /// One question after the other.
    pub fn new(name: &str, texts: &'a Texts, expected: usize, mut listed: impl FnMut(&'static str) -> bool + 'a) -> Contender<'a> {
        let ask = move |some: &[&'static str]| some.iter().filter(|text| listed(text)).count();
        Contender { name: name.to_owned(), texts, expected, ask: Box::new(ask) }
    }
}

/// What was measured of a contender.
pub struct Row {
    pub name: String,
    /// Nanoseconds a question.
    pub question: f64,
    /// Nanoseconds a read, in the turns between.
    pub read: f64,
    /// Questions by reads, round by round.
    pub ratio: f64,
}

/// How long it is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub turns: usize,
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures all, in rounds; medians of these. Fails if one of them answers wrongly.
pub fn contest(contenders: &mut [Contender<'_>], effort: Effort, reads: &mut Reads, read: impl Fn(&mut Reads, usize)) -> Vec<Row> {
    for one in &mut *contenders {
        let found = (one.ask)(one.texts);
        assert_eq!(found, one.expected, "{}: found of {}", one.name, one.texts.len());
    }
    let mut rounds: Vec<Vec<(f64, f64)>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..effort.rounds {
        for (one, measured) in contenders.iter_mut().zip(&mut rounds) {
            let turns = one.texts.chunks_exact(TURN.min(one.texts.len())).cycle().skip(round * effort.turns);
            let (mut question_time, mut read_time) = (Duration::ZERO, Duration::ZERO);
            for (n, some) in turns.take(effort.turns + 2).enumerate() {
                let start = Instant::now();
                std::hint::black_box((one.ask)(some));
                let between = Instant::now();
                read(reads, some.len());
                // The first turns only bring back into the caches what belongs there.
                if n >= 2 {
                    question_time += between - start;
                    read_time += between.elapsed();
                }
            }
            let asked = (effort.turns * TURN.min(one.texts.len())) as f64;
            measured.push((question_time.as_nanos() as f64 / asked, read_time.as_nanos() as f64 / asked));
        }
    }
    let of = |measured: &[(f64, f64)], what: fn(&(f64, f64)) -> f64| median(&mut measured.iter().map(what).collect::<Vec<_>>());
    let rows = contenders.iter().zip(&rounds).map(|(one, measured)| Row {
        name: one.name.clone(),
        question: of(measured, |m| m.0),
        read: of(measured, |m| m.1),
        ratio: of(measured, |m| m.0 / m.1),
    });
    rows.collect()
}

pub fn print(title: &str, read: &str, rows: &[Row]) {
    println!("\n{title}\n\n| what | question, ns | {read}, ns | × |\n|---|---:|---:|---:|");
    for row in rows {
        println!("| {} | {:.0} | {:.1} | {:.2} |", row.name, row.question, row.read, row.ratio);
    }
}
