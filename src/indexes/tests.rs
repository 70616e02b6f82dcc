use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::list::{Change, ChangeSet, Colour, Digest, Entry, ListId, Serial, Timestamp};
use crate::matcher::{About, IndexBuilder, Layers, ListState, Lists, Matcher, Verdict};

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn id(list: &str) -> ListId {
    list.parse().unwrap()
}

fn state(list: &str, serial: Option<u64>) -> ListState {
    ListState {
        origin: "lists.example.org".parse().unwrap(),
        list: id(list),
        colour: Colour::Black,
        serial: serial.and_then(Serial::new),
        expires: Some(now().plus(60)),
        local: false,
    }
}

fn about(list: &str, serial: u64) -> About {
    let ListState { origin, list, colour, .. } = state(list, None);
    About { origin, list, colour, serial: Serial::new(serial).unwrap(), root: Digest::of(serial.to_le_bytes()) }
}

/// A writer and a folder with lists of one rule each, `subtree:LIST.example`.
struct World {
    dir: tempfile::TempDir,
    writer: IndexWriter,
}

impl World {
    fn new(lists: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let wanted: Vec<ListState> = lists.iter().map(|list| state(list, None)).collect();
        let writer = IndexWriter::open(dir.path(), &wanted).unwrap();
        World { dir, writer }
    }

    fn base(&self, list: &str, serial: u64) -> Layers {
        let mut builder = IndexBuilder::new(about(list, serial), self.writer.seed());
        builder.push(&format!("subtree:{list}.example")).unwrap();
        for n in 0..500 {
            builder.push(&format!("domain:n{n}.example.net\tcat=c{}", n % 7)).unwrap();
        }
        Layers::new(builder.finish().unwrap().into())
    }

    fn publish(&self, list: &str, serial: u64) -> (ListFiles, Layers) {
        let mut files = self.writer.list(&id(list));
        let _ = files.reopen();
        let built = self.base(list, serial);
        let layers = Layers::new(files.store(&built.layers()[0]).unwrap());
        files.publish(&state(list, Some(serial)), Some(&layers)).unwrap();
        (files, layers)
    }

    fn folder(&self, list: &str) -> PathBuf {
        self.dir.path().join("index").join(list)
    }

    fn index_files(&self, list: &str) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.folder(list)).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "idx")).collect()
    }
}

fn word(lists: &Lists, question: &str) -> &'static str {
    lists.ask(question, now()).unwrap().word()
}

fn set(changes: impl IntoIterator<Item = Change>) -> ChangeSet {
    let mut set = ChangeSet::default();
    changes.into_iter().for_each(|change| set.push(change).unwrap());
    set
}

fn problems(folder: &IndexFolder) -> Vec<String> {
    folder.problems().map(|(list, problem)| format!("{list}: {problem}")).collect()
}

fn flip(path: &Path, at: usize) {
    let mut octets = fs::read(path).unwrap();
    octets[at] ^= 0x55;
    // As damage comes: a new file, not a write into one that somebody has mapped.
    fs::remove_file(path).unwrap();
    fs::write(path, octets).unwrap();
}

#[test]
fn what_was_written_is_read_and_followed() {
    let world = World::new(&["a", "b"]);
    let mut folder = IndexFolder::open(world.dir.path()).unwrap();
    let matcher = Matcher::new(folder.load().unwrap());
    // Both are wanted and neither has arrived.
    assert_eq!(word(&matcher.load(), "a.example"), "no-data");
    assert!(!folder.refresh(&matcher).unwrap(), "nothing has changed");

    let (mut files, layers) = world.publish("a", 1);
    assert!(folder.refresh(&matcher).unwrap());
    assert_eq!([word(&matcher.load(), "x.a.example"), word(&matcher.load(), "other.example")], ["block", "no-data"]);
    world.publish("b", 7);
    assert!(folder.refresh(&matcher).unwrap());
    assert_eq!([word(&matcher.load(), "b.example"), word(&matcher.load(), "other.example")], ["block", "unlisted"]);

    let changes = set([Change::Remove("subtree:a.example".parse().unwrap())]);
    let newer = layers.apply(about("a", 2), &changes).unwrap();
    files.publish(&state("a", Some(2)), Some(&newer)).unwrap();
    assert!(folder.refresh(&matcher).unwrap());
    assert_eq!([word(&matcher.load(), "a.example"), word(&matcher.load(), "b.example")], ["unlisted", "block"]);
    let serial = matcher.load().states().find(|state| state.list == id("a")).and_then(|state| state.serial);
    assert_eq!(serial, Serial::new(2));

    // A renewed head: nothing but its expiry changes, and no file is written for it.
    let before = world.index_files("a");
    files.publish(&ListState { expires: Some(now()), ..state("a", Some(2)) }, Some(&newer)).unwrap();
    assert!(folder.refresh(&matcher).unwrap());
    assert!(matcher.load().ask("other.example", now()).unwrap().stale());
    assert_eq!(world.index_files("a"), before);
    assert!(!folder.refresh(&matcher).unwrap());
    assert_eq!(problems(&folder), [""; 0]);

    // What another run finds.
    let (again, kept) = world.writer.list(&id("a")).reopen().unwrap().unwrap();
    assert_eq!((again.serial, kept.layers().len()), (Serial::new(2), 2));
}

#[test]
fn files_that_are_no_longer_named_go_after_the_change() {
    let world = World::new(&["a"]);
    let (mut files, _) = world.publish("a", 1);
    let old = world.index_files("a");
    fs::write(world.folder("a").join("unfinished.tmp"), "").unwrap();
    let base = world.base("a", 2);
    files.publish(&state("a", Some(2)), Some(&base)).unwrap();
    let new = world.index_files("a");
    assert!(old.len() == 1 && new.len() == 1 && old != new, "{old:?} {new:?}");
    assert!(!world.folder("a").join("unfinished.tmp").exists());
}

#[test]
fn a_list_that_is_no_longer_followed_is_gone_for_readers() {
    let world = World::new(&["a", "b"]);
    world.publish("a", 1);
    world.publish("b", 1);
    let mut folder = IndexFolder::open(world.dir.path()).unwrap();
    let matcher = Matcher::new(folder.load().unwrap());
    assert_eq!(word(&matcher.load(), "a.example"), "block");
    IndexWriter::open(world.dir.path(), &[state("b", None), state("c", None)]).unwrap();
    assert!(folder.refresh(&matcher).unwrap());
    let lists = matcher.load();
    assert_eq!([word(&lists, "a.example"), word(&lists, "b.example")], ["no-data", "block"]);
    assert_eq!(lists.states().map(|state| state.list.as_str().to_owned()).collect::<Vec<_>>(), ["b", "c"]);
    let mut one = IndexFolder::open(world.dir.path()).unwrap().only([id("b")].into());
    assert_eq!(word(&one.load().unwrap(), "other.example"), "unlisted");
}

#[test]
fn damage_is_named_and_leaves_the_other_lists_alone() {
    let world = World::new(&["a", "b"]);
    world.publish("a", 1);
    world.publish("b", 1);
    let current = world.folder("a").join("current.json");
    let whole = fs::read_to_string(&current).unwrap();
    let index = world.index_files("a").remove(0);
    let read = || {
        let mut folder = IndexFolder::open(world.dir.path()).unwrap();
        let lists = folder.load().unwrap();
        let said = problems(&folder);
        let verdict = match lists.ask("a.example", now()).unwrap() {
            Verdict::NoData(missing) if missing.list.list == id("a") => missing.damaged,
            other => panic!("{other:?}"),
        };
        assert_eq!(word(&lists, "b.example"), "block");
        assert!(said.len() == 1 && said[0].starts_with("a: ") && said[0].contains("restart the follower"), "{said:?}");
        (verdict, said[0].clone())
    };
    let with = |text: &str| {
        fs::write(&current, text).unwrap();
        read()
    };
    for text in ["", "{}", "null", &whole[..whole.len() / 2], &whole.replace("1-1.idx", "../../b/1-1.idx"), &"x".repeat(70_000)] {
        let (damaged, said) = with(text);
        assert!(!damaged && said.contains("current.json"), "{said}");
    }
    let (damaged, said) = with(&whole.replace("1-1.idx", "9-9.idx"));
    assert!(damaged && said.contains("9-9.idx") && said.contains("no such file"), "{said}");
    for text in [whole.replace("sha256:7c", "sha256:7d"), whole.replace("black", "white"), whole.replace(".example.org", ".example.com")] {
        if text != whole {
            let (damaged, said) = with(&text);
            assert!(damaged && said.contains("not the index that current.json names"), "{said}");
        }
    }
    fs::write(&current, &whole).unwrap();
    for at in [0, 9, 13, 100, 700] {
        flip(&index, at);
        let (damaged, said) = read();
        assert!(damaged && said.contains("1-1.idx"), "{said}");
        flip(&index, at);
    }
    let octets = fs::read(&index).unwrap();
    for length in [0, 1, 4_096, octets.len() - 1] {
        fs::write(index.with_extension("cut"), &octets[..length]).unwrap();
        fs::rename(index.with_extension("cut"), &index).unwrap();
        assert!(read().0);
    }
    fs::remove_file(&current).unwrap();
    assert!(!read().0, "a folder without current.json is a list without content");
}

#[test]
fn damage_beyond_the_header_is_found_by_the_question() {
    let world = World::new(&["a", "b"]);
    world.publish("a", 1);
    world.publish("b", 1);
    let index = world.index_files("a").remove(0);
    let mut pages = fs::read(&index).unwrap();
    for page in pages[4_096..].chunks_mut(4_096).take(3) {
        page[17] ^= 1;
    }
    fs::remove_file(&index).unwrap();
    fs::write(&index, pages).unwrap();
    let lists = IndexFolder::open(world.dir.path()).unwrap().load().unwrap();
    let found = lists.ask("a.example", now()).unwrap();
    assert!(matches!(found, Verdict::NoData(missing) if missing.damaged), "{found:?}");
    assert_eq!(word(&lists, "b.example"), "block");
}

#[test]
fn a_reader_keeps_what_it_had_when_the_newer_is_damaged() {
    let world = World::new(&["a"]);
    let (mut files, _) = world.publish("a", 1);
    let mut folder = IndexFolder::open(world.dir.path()).unwrap();
    let matcher = Matcher::new(folder.load().unwrap());
    fs::write(world.folder("a").join("current.json"), "{").unwrap();
    assert!(!folder.refresh(&matcher).unwrap());
    assert_eq!((word(&matcher.load(), "a.example"), problems(&folder).len()), ("block", 1));
    let base = world.base("a", 2);
    files.publish(&state("a", Some(2)), Some(&base)).unwrap();
    assert!(folder.refresh(&matcher).unwrap());
    assert_eq!((word(&matcher.load(), "a.example"), problems(&folder).len()), ("block", 0));
}

#[test]
fn readers_see_one_version_or_the_next_while_a_writer_hurries() {
    let world = World::new(&["a"]);
    let (mut files, mut layers) = world.publish("a", 1);
    let done = AtomicBool::new(false);
    let put = |serial: u64| Change::Add(format!("domain:v{serial}.example.org").parse::<Entry>().unwrap());
    let take = |serial: u64| Change::Remove(format!("domain:v{serial}.example.org").parse().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for serial in 2..60 {
                let changes = match serial {
                    2 => set([put(serial)]),
                    _ => set([put(serial), take(serial - 1)]),
                };
                layers = layers.apply(about("a", serial), &changes).unwrap();
                if serial % 9 == 0 {
                    let (begun, fold) = layers.begin_fold();
                    layers = begun.finish_fold(files.store(&fold.run().unwrap()).unwrap());
                }
                files.publish(&state("a", Some(serial)), Some(&layers)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut folder = IndexFolder::open(world.dir.path()).unwrap();
        let matcher = Matcher::new(folder.load().unwrap());
        let mut last = 1;
        loop {
            let ended = done.load(Ordering::Acquire);
            folder.refresh(&matcher).unwrap();
            assert_eq!(problems(&folder), [""; 0]);
            let lists = matcher.load();
            let serial = lists.states().next().unwrap().serial.unwrap().get();
            assert!(serial >= last);
            last = serial;
            if serial > 1 {
                assert_eq!(word(&lists, &format!("v{serial}.example.org")), "block");
                assert_eq!(word(&lists, &format!("v{}.example.org", serial - 1)), "unlisted");
            }
            if ended {
                break;
            }
        }
        assert_eq!(last, 59);
    });
}

#[test]
fn the_seed_stays_and_is_its_owners() {
    let world = World::new(&["a"]);
    let path = world.dir.path().join("index/seed.bin");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    let again = || IndexWriter::open(world.dir.path(), &[state("a", None)]).unwrap().seed();
    assert_eq!(again(), world.writer.seed());
    fs::write(&path, "short").unwrap();
    let drawn = again();
    assert!(drawn != world.writer.seed() && drawn == again());
    // Layers of two seeds would be asked with the hashes of one: no program makes them, and no reader takes them.
    let (mut files, layers) = world.publish("a", 1);
    let current = world.folder("a").join("current.json");
    let read = || serde_json::from_slice::<serde_json::Value>(&fs::read(&current).unwrap()).unwrap();
    let (older, base) = (read(), world.index_files("a").remove(0));
    let octets = fs::read(&base).unwrap();
    let mut builder = IndexBuilder::new(about("a", 2), drawn);
    builder.push("domain:x.example").unwrap();
    let other: std::sync::Arc<crate::matcher::Index> = builder.finish().unwrap().into();
    assert!(Layers::of(vec![other.clone(), layers.layers()[0].clone()]).is_none());
    files.publish(&state("a", Some(2)), Some(&Layers::new(other))).unwrap();
    fs::write(&base, octets).unwrap();
    let mut mixed = read();
    mixed["files"].as_array_mut().unwrap().push(older["files"][0].clone());
    fs::write(&current, mixed.to_string()).unwrap();
    let mut folder = IndexFolder::open(world.dir.path()).unwrap();
    assert_eq!(word(&folder.load().unwrap(), "a.example"), "no-data");
    assert!(problems(&folder)[0].contains("another seed"), "{:?}", problems(&folder));
}

#[test]
fn a_folder_without_indexes_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = IndexFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&dir.path().display().to_string()) && error.contains("index = true"), "{error}");
}
