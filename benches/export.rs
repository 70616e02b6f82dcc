//! Exports of 1,000,000 entries in every format, beside a plain copy of the lines; and of 5,000,000: time to the first octet, and
//! memory.
//!
//! Bars: at most 1 s for every format; the first octet within 100 ms; memory that does not grow with the list, but for the table
//! and the bits of what is folded (40 MB). All three are asserted. Lines come from memory, or are made as they are asked
//! for: reading the published version costs the same whatever the format.

#[path = "matcher/allocator.rs"]
mod allocator;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bwld::formats::write::{ExportFormat, ExportHeader, ExportOptions, Lines, export};
use bwld::list::{Colour, Serial};

const TIMES: usize = 3;

/// Where an export goes: counts octets, and knows when the first came.
struct Sink {
    begun: Instant,
    first: Option<Duration>,
    octets: u64,
}

impl Sink {
    fn new() -> Sink {
        Sink { begun: Instant::now(), first: None, octets: 0 }
    }
}

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.first.get_or_insert_with(|| self.begun.elapsed());
        self.octets += octets.len() as u64;
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of entry `n` of `count`: four tenths hosts, four subtrees, one URLs, one addresses, in canonical order.
fn push_line(n: u64, count: u64, line: &mut String) {
    use std::fmt::Write as _;
    line.clear();
    let tenth = (count / 10).max(1);
    let name = n % (4 * tenth);
    let written = match n / tenth {
        0 => {
            let address = 0x0b00_0000 + (n as u32) * 4;
            write!(line, "cidr:{}/30", std::net::Ipv4Addr::from(address))
        }
        1..=4 => write!(line, "domain:w{name:07}.ads-{}.example-{}.com\tcat=ads", n % 97, n % 1000),
        5 => write!(line, "prefix:p{name:07}.example/path-{}/", n % 97),
        _ => write!(line, "subtree:s{name:07}.ads-{}.example-{}.com", n % 97, n % 1000),
    };
    written.expect("written to memory");
}

/// Lines that are made as they are asked for.
struct Made(u64);

impl Lines for Made {
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut line = String::new();
        for n in 0..self.0 {
            push_line(n, self.0, &mut line);
            take(&line)?;
        }
        Ok(())
    }
}

fn header(entries: u64) -> ExportHeader {
    ExportHeader {
        origin: Some("lists.example.org".parse().expect("an origin")),
        list: "bench".parse().expect("a list name"),
        colour: Colour::Black,
        title: "Bench".into(),
        owner: String::new(),
        licence: String::new(),
        source: String::new(),
        serial: Serial::FIRST,
        updated: "2026-11-24T12:00:00Z".parse().expect("a time"),
        entries,
    }
}

/// With a limit where the format has a most, so that nothing is refused.
fn options(format: ExportFormat) -> ExportOptions {
    ExportOptions { limit: format.most(), any_spelling: true, ..ExportOptions::default() }
}

fn every_format(count: u64, bar: Option<Duration>) {
    let lines: Vec<String> = (0..count)
        .map(|n| {
            let mut line = String::new();
            push_line(n, count, &mut line);
            line
        })
        .collect();
    println!("{count} entries, in memory; the best of {TIMES}");
    let copy = (0..TIMES)
        .map(|_| {
            let begun = Instant::now();
            let mut out = io::BufWriter::with_capacity(64 << 10, Sink::new());
            for line in &lines {
                out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).expect("a sink");
            }
            begun.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{:24} {:7.1} ms", "plain copy of the lines", copy.as_secs_f64() * 1e3);
    for &format in ExportFormat::ALL {
        let mut best = Duration::MAX;
        let mut written = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            let report = export(format, &options(format), &header(count), &mut &lines[..], &mut Sink::new());
            written = report.expect("exported").written;
            best = best.min(begun.elapsed());
        }
        println!("{:24} {:7.1} ms, {written} written", format.name(), best.as_secs_f64() * 1e3);
        assert!(bar.is_none_or(|bar| best <= bar), "{format}: over the bar");
    }
}

fn large(count: u64, strict: bool) {
    println!("{count} entries, made as they are asked for");
    for format in [ExportFormat::Hosts, ExportFormat::Ndjson, ExportFormat::SquidDomains, ExportFormat::Rpz, ExportFormat::Nftables] {
        let mut sink = Sink::new();
        let (report, asked) =
            allocator::counted(|| export(format, &options(format), &header(count), &mut Made(count), &mut sink).expect("exported"));
        let first = sink.first.unwrap_or_default();
        println!(
            "{:24} first octet {:.3} ms, all {:.0} ms, peak {:.1} MB, kept {} octets of {} allocations, {} folded",
            format.name(),
            first.as_secs_f64() * 1e3,
            sink.begun.elapsed().as_secs_f64() * 1e3,
            asked.peak as f64 / 1e6,
            asked.kept,
            asked.allocations,
            report.folded
        );
        let most = if format.folds() { 40_000_000 } else { 1_000_000 };
        assert!(!strict || (first <= Duration::from_millis(100) && asked.peak <= most), "{format}: over the bar");
    }
}

fn main() {
    // `cargo bench -- --test` and `cargo test --benches` only look whether it works.
    if std::env::args().any(|argument| argument == "--test") {
        every_format(1_000, None);
        large(5_000, false);
        return;
    }
    every_format(1_000_000, Some(Duration::from_secs(1)));
    large(5_000_000, true);
}
