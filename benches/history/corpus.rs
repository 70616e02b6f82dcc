//! Reads the list histories of the shared test corpus: a base and patches, as published by their maintainers.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bwld::list::{Kind, Rule};

/// One history: how the list stood at first, and what each revision changed, in upstream's own lines.
pub struct History {
    pub name: String,
    pub base: BTreeSet<String>,
    pub patches: Vec<Vec<(bool, String)>>,
}

/// Where the corpus lies beside a checkout; `None` when it is not there.
pub fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/history");
    path.is_dir().then_some(path)
}

fn unpack(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("a file of the corpus");
    let bytes = zstd::decode_all(file).expect("zstd");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All histories, in order of their names.
pub fn histories(folder: &Path) -> Vec<History> {
    let mut names: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().map(|e| e.path()).collect();
    names.sort();
    names.iter().map(|p| read(p)).collect()
}

fn read(folder: &Path) -> History {
    let base = unpack(&folder.join("base.txt.zst")).lines().map(str::to_owned).collect();
    let mut files: Vec<_> = std::fs::read_dir(folder.join("patches")).expect("patches").flatten().map(|e| e.path()).collect();
    files.sort();
    let patches = files
        .iter()
        .map(|file| unpack(file).lines().skip(1).filter_map(|line| Some((line.starts_with('+'), line.get(1..)?.to_owned()))).collect())
        .collect();
    History { name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), base, patches }
}

/// The rule a line of upstream means, in whatever of its forms it was written that day; `None`: no rule of ours.
/// One history flips twice between a plain and an Adblock form of the same 27,600 lines, which is no change at all.
pub fn rule_of(line: &str) -> Option<Rule> {
    let line = line.trim();
    let line = line.strip_prefix("||").unwrap_or(line);
    let line = line.split_once('$').map_or(line, |(before, _)| before);
    let line = line.strip_suffix('^').unwrap_or(line);
    let host = line.split(['/', '?']).next()?;
    if host.len() < line.len() {
        return Rule::new(Kind::Url, line).ok();
    }
    let name = host.split(':').next()?;
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Rule::new(Kind::Cidr, name).ok();
    }
    Rule::new(Kind::Domain, name).ok()
}

/// Size of the whole list as a plain download would be: its own lines, gzip -6.
pub fn gzip_size(lines: &BTreeSet<String>) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    for line in lines {
        encoder.write_all(line.as_bytes()).and_then(|()| encoder.write_all(b"\n")).expect("memory");
    }
    encoder.finish().expect("memory").len()
}

/// A history of its own making, for where the corpus is not.
pub fn made_up() -> History {
    let name = |n: u32| format!("h{}.made-up-{}.example", n.wrapping_mul(2_654_435_761) % 100_000, n % 97);
    let base = (0..20_000).map(name).collect();
    let patches = (0..5).map(|r| (0..3).map(|i| (true, name(100_000 + r * 3 + i))).collect()).collect();
    History { name: "made-up".into(), base, patches }
}
