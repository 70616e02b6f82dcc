//! Holds every file of `lists/` to what the publisher and the reader rely on: header, canonical rules, order, size,
//! licence, and that no black list hits a protected or an allowed name.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::PathBuf,
    str::FromStr,
};

use bwld::formats;
use bwld::list::{Code, Colour, Entry, Kind, ListId, canonical_domain};
use bwld::publisher::Protected;

/// The keys of a header block, in this order, each exactly once.
const KEYS: [&str; 8] = ["id", "colour", "title", "categories", "owner", "licence", "source", "review"];
/// What a list that ships may be under: licences that let everybody pass it on without conditions.
const LICENCES: [&str; 3] = ["CC0-1.0", "Unlicense", "CC0-1.0 AND Unlicense"];
/// All files of the folder together, in octets: they are part of the program.
const MOST_OCTETS: u64 = 3_000_000;

/// One list of the folder.
struct Shipped {
    file: String,
    header: BTreeMap<String, String>,
    lines: Vec<String>,
}

impl Shipped {
    fn colour(&self) -> Colour {
        self.header["colour"].parse().expect("a colour")
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lists")
}

fn read(file: &str) -> String {
    let text = fs::read_to_string(folder().join(file)).unwrap_or_else(|e| panic!("lists/{file}: {e}"));
    assert!(text.is_ascii(), "lists/{file}: not ASCII");
    assert!(!text.contains('\r'), "lists/{file}: CR");
    assert!(text.ends_with('\n'), "lists/{file}: no LF at the end");
    text
}

fn shipped() -> Vec<Shipped> {
    let mut files: Vec<String> = fs::read_dir(folder())
        .expect("lists/")
        .map(|entry| entry.expect("an entry of lists/").file_name().into_string().expect("a name in UTF-8"))
        .filter(|name| name.ends_with(".txt") && name != "protected.txt")
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = read(&file);
            let (head, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
            assert!(text.lines().take(head.len()).eq(head.iter().copied()), "lists/{file}: a comment below the header");
            let pairs: Vec<(&str, &str)> = head
                .iter()
                .map(|line| line.strip_prefix("# ").and_then(|l| l.split_once(": ")).unwrap_or_else(|| panic!("lists/{file}: {line}")))
                .collect();
            let keys: Vec<&str> = pairs.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys, KEYS, "lists/{file}: the keys of the header");
            assert!(pairs.iter().all(|(_, value)| !value.trim().is_empty() && value.trim() == *value), "lists/{file}: an empty value");
            let header = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            Shipped { lines: lines.into_iter().map(str::to_owned).collect(), header, file }
        })
        .collect()
}

fn protected() -> Vec<String> {
    read("protected.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

/// The name and all names above it.
fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |rest| rest.split_once('.').map(|(_, parent)| parent))
}

#[test]
fn headers_are_complete_and_true() {
    let lists = shipped();
    assert!(lists.len() >= 5, "a white list, black lists and the canary");
    let mut ids = HashSet::new();
    for list in &lists {
        let id = ListId::from_str(&list.header["id"]).unwrap_or_else(|e| panic!("{}: {e}", list.file));
        assert_eq!(list.file, format!("{id}.txt"), "a file is named after its list");
        assert!(ids.insert(id.to_string()));
        let categories: Vec<Code> = list.header["categories"].split(',').map(|c| c.parse().expect("a category code")).collect();
        assert!(categories.is_sorted_by(|a, b| a < b), "{}: categories ascend", list.file);
        let used: BTreeSet<Code> =
            list.lines.iter().flat_map(|line| line.parse::<Entry>().expect("an entry").attributes().categories).collect();
        assert_eq!(categories, used.into_iter().collect::<Vec<_>>(), "{}: the header names the categories in use", list.file);
        assert!(LICENCES.contains(&list.header["licence"].as_str()), "{}: licence {}", list.file, list.header["licence"]);
    }
    assert!(ids.contains("canary") && ids.contains("education"));
    assert_eq!(lists.iter().filter(|l| l.colour() == Colour::White).count(), 1, "education is the white list");
}

#[test]
fn entries_are_canonical_sorted_and_unique() {
    for list in shipped() {
        assert!(!list.lines.is_empty(), "{}: no entry", list.file);
        let wrong: Vec<String> = list
            .lines
            .iter()
            .filter_map(|line| match line.parse::<Entry>() {
                Ok(entry) if entry.attributes().categories.is_empty() => Some(format!("{line}: no category")),
                Ok(_) => None,
                Err(error) => Some(format!("{line}: {error}")),
            })
            .collect();
        assert!(wrong.is_empty(), "{}: {} entries are refused:\n{}", list.file, wrong.len(), wrong.join("\n"));
        let rule = |line: &str| line.split('\t').next().expect("a first field").to_owned();
        let rules: Vec<String> = list.lines.iter().map(|line| rule(line)).collect();
        assert!(rules.is_sorted_by(|a, b| a < b), "{}: not in ascending order of octets", list.file);
    }
}

#[test]
fn the_reader_takes_every_file_without_an_issue() {
    for list in shipped() {
        let text = read(&list.file);
        let header = formats::header(text.as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", list.file));
        assert_eq!(header.id().expect("an id").as_str(), list.header["id"]);
        assert_eq!(header.colour().expect("a colour"), list.colour());
        let mut taken = Vec::new();
        let summary = formats::read::<formats::ReadError>(text.as_bytes(), &formats::ReadOptions::default(), |item| {
            taken.push(format!("{item:?}"));
            Ok(())
        });
        let summary = summary.unwrap_or_else(|e| panic!("{}: {e}", list.file));
        assert_eq!((summary.format, &summary.issues[..]), (Some(formats::Format::Bwld), &[][..]), "{}", list.file);
        let written: Vec<String> = list.lines.iter().map(|line| format!("{:?}", formats::Item::Put(line))).collect();
        assert_eq!(taken, written, "{}: read as it is written", list.file);
    }
}

#[test]
fn protected_names_are_canonical_and_sorted_within_their_sections() {
    let text = read("protected.txt");
    let set = Protected::parse(&text).expect("the publisher reads it");
    let names = protected();
    assert_eq!(set.len(), names.len(), "a name stands there twice");
    for name in &names {
        assert_eq!(canonical_domain(name).as_deref(), Ok(name.as_str()));
    }
    for section in text.split("\n\n") {
        let names: Vec<&str> = section.lines().filter(|l| !l.starts_with('#')).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "not sorted:\n{section}");
    }
    for name in ["bwld.online", "google.com", "wikipedia.org", "root-servers.net", "childline.org.uk"] {
        assert!(set.forbids(&format!("subtree:{name}")), "{name} is protected");
    }
}

#[test]
fn no_black_list_hits_a_protected_or_an_allowed_name() {
    let lists = shipped();
    let names = protected();
    let set = Protected::parse(&read("protected.txt")).expect("the publisher reads it");
    // Stricter than the publisher's guard: here the parents of a protected name are left alone by every scope.
    let parents: HashSet<&str> = names.iter().flat_map(|name| above(name)).collect();
    let allowed: HashSet<&str> = lists
        .iter()
        .filter(|l| l.colour() == Colour::White)
        .flat_map(|l| &l.lines)
        .filter_map(|line| line.split('\t').next()?.strip_prefix("subtree:"))
        .collect();
    assert!(allowed.len() > 1000);
    let mut wrong = Vec::new();
    for list in lists.iter().filter(|l| l.colour() == Colour::Black) {
        for line in &list.lines {
            let entry: Entry = line.parse().expect("an entry");
            let rule = entry.rule();
            let host = match rule.kind() {
                Kind::Domain | Kind::Subtree => rule.target(),
                _ => "",
            };
            if set.forbids(entry.rule_str()) || parents.contains(host) {
                wrong.push(format!("{}: {rule} hits a protected name", list.file));
            }
            if above(host).any(|name| allowed.contains(name)) {
                wrong.push(format!("{}: {rule} is on the white list", list.file));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_subtree_does_not_lie_in_another() {
    for list in shipped() {
        let subtrees: HashSet<&str> = list.lines.iter().filter_map(|line| line.split('\t').next()?.strip_prefix("subtree:")).collect();
        for host in &subtrees {
            let mut parents = above(host).skip(1);
            assert!(!parents.any(|parent| subtrees.contains(parent)), "{}: subtree:{host} says nothing", list.file);
        }
    }
}

#[test]
fn the_canary_shows_every_kind_on_reserved_names() {
    let lists = shipped();
    let canary = lists.iter().find(|l| l.header["id"] == "canary").expect("a canary list");
    let entries: Vec<Entry> = canary.lines.iter().map(|line| line.parse().expect("an entry")).collect();
    for kind in Kind::ALL {
        assert!(entries.iter().any(|e| e.rule().kind() == kind), "no {}: rule", kind.word());
    }
    let reserved = ["example.com", "example.net", "example.org", "test", "example", "invalid", "localhost"];
    for entry in &entries {
        let rule = entry.rule();
        let target = rule.target();
        let host = target.split(['/', '?']).next().expect("a first part");
        let documentation = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"].iter().any(|net| host.starts_with(net));
        assert!(documentation || above(host).any(|name| reserved.contains(&name)), "{entry} is not reserved");
    }
}

#[test]
fn the_notice_names_every_file_and_source_and_the_size_is_bounded() {
    let notice = fs::read_to_string(folder().join("NOTICE.md")).expect("lists/NOTICE.md");
    for list in shipped() {
        let row = notice.lines().find(|l| l.starts_with(&format!("| `{}` |", list.file)));
        let row = row.unwrap_or_else(|| panic!("NOTICE.md has no row for {}", list.file));
        assert!(row.ends_with(&format!("| {} |", list.header["licence"])), "NOTICE.md, {}: another licence", list.file);
        if list.header["licence"] == "CC0-1.0" {
            continue;
        }
        assert!(row.contains(&list.header["source"]), "NOTICE.md, {}: another source", list.file);
        for source in list.header["source"].split("; ") {
            let name = source.split([',', ' ']).next().expect("a first word");
            assert!(notice.contains(&format!("| {name}, <https://")), "NOTICE.md does not say where {name} is");
        }
    }
    let size: u64 = fs::read_dir(folder()).expect("lists/").map(|e| e.expect("an entry").metadata().expect("its size").len()).sum();
    assert!(size <= MOST_OCTETS, "lists/ holds {size} octets, more than {MOST_OCTETS}");
}
