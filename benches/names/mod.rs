//! Host names to measure with.

use std::{fs::File, io::Read as _, path::Path};

/// `count` names, every `step`th of a real list where there is one, else made up in its likeness.
pub fn names(count: usize, step: usize) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/big/domains-1120k.txt.zst");
    let mut text = String::new();
    let read = File::open(path).and_then(zstd::stream::Decoder::new).and_then(|mut d| d.read_to_string(&mut text));
    let all: Vec<&str> = text.lines().filter(|l| !l.contains('*')).collect();
    if read.is_ok() && all.len() > 1_000_000 {
        return all.iter().step_by(step).take(count).map(|l| (*l).to_owned()).collect();
    }
    (0..count as u64).map(|n| format!("w{}.ads-{:x}.example-{}.com", n % 7, n.wrapping_mul(0x9e37_79b9), n % 1000)).collect()
}
