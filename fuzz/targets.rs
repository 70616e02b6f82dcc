//! What is fuzzed: one function per parser or decoder, each holding it to what it promises for any bytes at all.
//!
//! `fuzz_targets/` runs them under libFuzzer (nightly), `tests/it/fuzz_standin.rs` with proptest (stable). A new target is
//! a function here, a line in [`TARGETS`], and a file of three lines in `fuzz_targets/`, named in `Cargo.toml`.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderValue, header};
use bwld::{
    cmd::config::{Loaded, in_force},
    feed::{MAX_LISTS, Position},
    follower::{BaseMeta, LogFrame, MAX_EVENT, SseFrame, SseParser, Status, decode_head_event},
    formats::{self, Exceptions, Format, Item, ReadError, ReadOptions, Wildcards, XmlNames},
    http::{OperatorToken, Part, negotiate, none_match, part},
    list::{
        Change, ChangeSet, Digest, Entry, Kind, ListId, Origin, Rule, Serial, Timestamp, canonical_cidr, canonical_domain, canonical_url,
    },
    publisher::Protected,
    store::{
        Base, Content, Disk, Journal, JournalOptions, OwnSnapshot, Record, RestoreOptions, decode_frame, encode_frame, faults::HastyDisk,
        restore,
    },
    trust::{SecretKey, Trusted},
    wire::{Delta, Head, KeySet, ListSelection, MAX_BITS, MAX_KEYSET, Note, RootKey, SigningKeyLine, SnapshotReader, Tree, decompress},
};

#[path = "matching.rs"]
pub mod matching;
#[path = "zones.rs"]
pub mod zones;

/// A target: any bytes, no panic.
pub type Target = fn(&[u8]);

/// All targets, by the names of the files in `fuzz_targets/`.
pub const TARGETS: [(&str, Target); 29] = [
    ("canonical", canonical),
    ("entry", entry),
    ("names", names),
    ("read", read),
    ("read_foreign", read_foreign),
    ("header", header),
    ("note", note),
    ("delta", delta),
    ("snapshot", snapshot),
    ("tree", tree),
    ("decompress", decompression),
    ("compose", compose),
    ("trust", trust),
    ("journal", journal),
    ("stream", stream),
    ("status", status),
    ("position", position),
    ("fields", fields),
    ("config", config),
    ("protected", protected),
    ("log", log),
    ("segment", segment),
    ("buckets", buckets),
    ("backup", backup),
    ("question", matching::question),
    ("index_open", matching::index_open),
    ("look_up", matching::look_up),
    ("dns_request", zones::dns_request),
    ("dns_names", zones::dns_names),
];

/// Canonical form is reached in one step, is ASCII, and a rule that exists reads back.
pub fn canonical(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for canonical in [canonical_domain, canonical_url, canonical_cidr] {
        if let Ok(once) = canonical(text) {
            assert_eq!(canonical(&once).as_ref(), Ok(&once), "{text:?}");
            assert!(once.bytes().all(|c| c.is_ascii_graphic()), "{once:?}");
        }
    }
    for kind in Kind::ALL {
        match Rule::new(kind, text) {
            Ok(rule) => assert_eq!(rule.as_str().parse(), Ok(rule.clone())),
            Err(error) => assert!(error.to_string().len() < 4_000, "a message is bounded"),
        }
    }
    if let Ok(rule) = Rule::interpret(text) {
        assert_eq!(Rule::interpret(rule.as_str()), Ok(rule));
    }
}

/// What reads as an entry, a rule or a change prints the same.
pub fn entry(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(rule) = text.parse::<Rule>() {
        assert_eq!(rule.as_str(), text);
        assert_eq!(format!("{}:{}", rule.kind().word(), rule.target()), text);
    }
    let mut set = ChangeSet::default();
    for line in text.lines() {
        let Ok(entry) = line.parse::<Entry>() else { continue };
        assert_eq!(entry.line(), line);
        let again = Entry::new(&entry.rule(), &entry.attributes());
        assert_eq!(again.as_ref(), Ok(&entry));
        // Whatever comes, the set stays a set: a refused change leaves it as it was.
        let before = set.clone();
        if set.push(Change::Add(entry)).is_err() {
            assert_eq!(set, before);
        }
    }
}

/// Names, numbers, digests and times have one spelling.
pub fn names(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    fn one_spelling<T: std::str::FromStr + std::fmt::Display>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            assert_eq!(value.to_string(), text);
        }
    }
    one_spelling::<ListId>(text);
    one_spelling::<Origin>(text);
    one_spelling::<bwld::list::Code>(text);
    one_spelling::<Serial>(text);
    one_spelling::<Digest>(text);
    one_spelling::<Timestamp>(text);
    one_spelling::<bwld::list::Date>(text);
}

/// Foreign formats: whatever the bytes and the options, what is handed on is canonical and the counts are true. The
/// first octet chooses the options.
pub fn read(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let formats = [None, Some(Format::Domains), Some(Format::Hosts), Some(Format::Csv), Some(Format::Bwld)];
    let options = ReadOptions {
        format: formats[usize::from(choice % 5)],
        subtree: choice & 0x20 != 0,
        wildcards: if choice & 0x40 != 0 { Wildcards::Subtree } else { Wildcards::Refuse },
        max_line: if choice & 0x80 != 0 { 64 } else { 8 * 1024 },
        ..ReadOptions::default()
    };
    let (mut puts, mut removals) = (0, 0);
    let capacity = if choice & 0x10 != 0 { 3 } else { 8 * 1024 };
    let summary = formats::read::<ReadError>(BufReader::with_capacity(capacity, bytes), &options, |handed| {
        match handed {
            Item::Put(line) => {
                puts += 1;
                let entry: Entry = line.parse().expect("what is handed on is canonical");
                entry.rule().check_suffix().expect("no suffix is handed on");
                // In these formats only who writes `prefix` gets one; what else is found by itself has its own target.
                let own = options.format.is_some();
                assert!(
                    !own || !matches!(entry.rule().kind(), Kind::Prefix) || bytes.windows(6).any(|w| w.eq_ignore_ascii_case(b"prefix"))
                );
            }
            Item::Remove(rule) => {
                removals += 1;
                rule.parse::<Rule>().expect("what is handed on is canonical");
            }
        }
        Ok(())
    });
    if let Ok(summary) = summary {
        assert_eq!((summary.entries, summary.removals), (puts, removals));
        assert!(summary.issues.len() as u64 <= summary.issues_total && summary.issues.len() <= formats::ISSUES_KEPT);
    }
}

/// Foreign formats: the first octet chooses the format, the second how it is read. Rules are canonical, counts are true, and
/// it does not matter in what pieces the octets come.
pub fn read_foreign(bytes: &[u8]) {
    let [format, choice, bytes @ ..] = bytes else { return };
    let options = ReadOptions {
        format: Some(Format::ALL[usize::from(*format) % Format::ALL.len()]),
        subtree: choice & 1 != 0,
        wildcards: if choice & 2 != 0 { Wildcards::Subtree } else { Wildcards::Refuse },
        exceptions: if choice & 4 != 0 { Exceptions::Only } else { Exceptions::LeaveOut },
        max_line: if choice & 8 != 0 { 64 } else { 8 * 1024 },
        ..ReadOptions::default()
    };
    let read = |capacity: usize| {
        let mut lines = Vec::new();
        let summary = formats::read::<ReadError>(BufReader::with_capacity(capacity, bytes), &options, |handed| {
            if let Item::Put(line) = handed {
                let entry: Entry = line.parse().expect("what is handed on is canonical");
                entry.rule().check_suffix().expect("no suffix is handed on");
                lines.push(line.to_owned());
            }
            Ok(())
        });
        (lines, summary.map_err(|e| e.to_string()))
    };
    let (lines, summary) = read(8 * 1024);
    if let Ok(summary) = &summary {
        assert_eq!(summary.entries, lines.len() as u64);
        assert!(summary.issues.len() as u64 <= summary.issues_total && summary.left_out.len() < 64);
        assert_eq!(summary.left_out_total() > 0, !summary.left_out.is_empty());
    }
    assert!((lines, summary) == read(3), "pieces of another size give something else");
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = text.parse::<XmlNames>();
        let _ = text.parse::<Format>();
    }
}

/// Header blocks of `lists/`.
pub fn header(bytes: &[u8]) {
    if let Ok(header) = formats::header(bytes) {
        for (name, present) in [("id", header.id().is_ok()), ("colour", header.colour().is_ok())] {
            assert_eq!(header.get(name).is_some(), present);
        }
        assert!(header.categories().is_ok());
    }
}

/// Signed notes, heads and key sets print as they were read.
pub fn note(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        if let Ok(head) = Head::parse(text) {
            assert_eq!(head.to_text(), text);
            head.version_digest();
        }
        if let Ok(keyset) = KeySet::parse(text) {
            assert_eq!(keyset.to_text(), text);
        }
    }
    if let Ok(note) = Note::parse(bytes, MAX_KEYSET) {
        assert_eq!(note.encode().as_bytes(), bytes);
        let _ = (Head::parse(&note.text), KeySet::parse(&note.text));
    }
}

/// Deltas print as they were read.
pub fn delta(bytes: &[u8]) {
    if let Ok(delta) = Delta::parse(bytes) {
        assert_eq!(delta.encode(), bytes);
    }
}

/// Snapshots: every line that is given is in order and within its bound.
pub fn snapshot(bytes: &[u8]) {
    for canonical in [false, true] {
        let Ok(reader) = SnapshotReader::new(bytes, 1 << 20) else { return };
        let mut reader = if canonical { reader.canonical() } else { reader };
        let mut before = String::new();
        let mut entries = 0;
        while let Ok(Some(line)) = reader.next_line() {
            assert!(line > before.as_str() && line.len() <= bwld::list::MAX_LINE);
            if canonical {
                line.parse::<Entry>().expect("canonical was asked for");
            }
            before = line.to_owned();
            entries += 1;
        }
        assert!(entries <= reader.header().entries);
    }
}

/// Bucket digests as they travel. The first octet is k.
pub fn tree(bytes: &[u8]) {
    let Some((bits, bytes)) = bytes.split_first() else { return };
    if let Ok(tree) = Tree::from_leaves(bytes, bits % (MAX_BITS + 2)) {
        assert_eq!(tree.leaves(), bytes);
        tree.root(1 << MAX_BITS);
    }
}

/// Decompression stays within its bound.
pub fn decompression(bytes: &[u8]) {
    const LIMIT: u64 = 64 * 1024;
    if let Ok(plain) = decompress("fuzzed bytes", bytes, LIMIT) {
        assert!(plain.len() as u64 <= LIMIT);
    }
}

/// Two deltas with a zero octet between them: what they join to is a delta, and leads from the first's begin to the second's end.
pub fn compose(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|c| *c == 0) else { return };
    let (Ok(first), Ok(later)) = (Delta::parse(&bytes[..at]), Delta::parse(&bytes[at + 1..])) else { return };
    let ends = (first.header.from, later.header.to);
    if let Ok(joined) = first.then(later) {
        assert_eq!((joined.header.from, joined.header.to), ends);
        assert_eq!(Delta::parse(&joined.encode()).ok(), Some(joined));
    }
}

/// Nothing that its keys have not signed is trusted, and a secret key prints as it was read.
pub fn trust(bytes: &[u8]) {
    let key = SecretKey::from_seed("fuzz", &[200; 32]).expect("a name");
    let at: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let line = SigningKeyLine { name: "fuzz".into(), key: key.public(), from: at, until: at.plus(1), lists: ListSelection::All };
    let root = SecretKey::from_seed("fuzz-root", &[201; 32]).expect("a name");
    let keyset = KeySet {
        origin: "lists.example.org".parse().expect("an origin"),
        number: 1,
        previous: None,
        threshold: 1,
        roots: vec![RootKey { name: "fuzz-root".into(), key: root.public() }],
        signing: vec![line],
        issued: at,
    };
    let note = root.sign_note(keyset.to_text()).encode();
    let trusted = Trusted::pin(note.as_bytes(), &keyset.fingerprint()).expect("signed by its own root key");
    let list: ListId = "adult".parse().expect("a list name");
    assert!(trusted.verify_head(bytes, &list, None, None, at).is_err());
    assert!(!matches!(trusted.accepted(bytes), Ok(Some(_))));
    assert!(trusted.advance(bytes).is_err());
    if let Ok(first) = Trusted::self_signed_for_tofu(bytes) {
        assert_eq!(first.note().as_bytes(), bytes);
        assert_eq!(first.keyset().fingerprint(), first.fingerprint());
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(key) = SecretKey::from_text(text)
    {
        assert_eq!(key.to_text().trim_end(), text.trim_end());
    }
}

/// A frame that decodes is the one that was encoded, and a record that reads prints the same.
pub fn journal(bytes: &[u8]) {
    if let Ok(frame) = decode_frame(bytes) {
        let (again, hash) = encode_frame(&frame.before, frame.content);
        assert_eq!((again.as_slice(), hash), (&bytes[..frame.size], frame.hash));
    }
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(&record));
        record.artefacts();
    }
}

/// An event stream gives the same frames wherever it is cut, holds no more than it may, and an event is a head or an error.
pub fn stream(bytes: &[u8]) {
    let read = |chunks: &[&[u8]]| {
        let (mut parser, mut frames) = (SseParser::default(), Vec::new());
        let ended = chunks.iter().try_for_each(|chunk| parser.push(chunk, |frame| frames.push(frame)));
        ended.map(|()| frames)
    };
    let whole = read(&[bytes]);
    let (one, two) = bytes.split_at(bytes.len() / 3);
    assert_eq!(read(&[one, two]), whole);
    for frame in whole.into_iter().flatten() {
        if let SseFrame::Event(event) = frame {
            assert!(event.data.len() + event.event.len() <= MAX_EVENT);
            let _ = decode_head_event(&event.data);
        }
    }
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = decode_head_event(text);
    }
}

/// A status that reads prints what reads the same.
pub fn status(bytes: &[u8]) {
    if let Ok(status) = serde_json::from_slice::<Status>(bytes) {
        let again = serde_json::to_vec(&status).expect("a status can be written");
        assert_eq!(serde_json::from_slice::<Status>(&again).expect("and read"), status);
    }
}

/// A position in an event stream prints what reads the same.
pub fn position(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(position) = Position::parse(text) {
        assert!(position.lists().len() <= MAX_LISTS);
        assert_eq!(Position::parse(&position.to_string()).as_ref(), Ok(&position));
    }
}

/// Fields of a request, a line each: a part lies within its body, and only the token itself is the token.
pub fn fields(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = [header::ACCEPT_ENCODING, header::RANGE, header::IF_NONE_MATCH, header::AUTHORIZATION, header::IF_RANGE];
    for (name, value) in names.iter().cycle().zip(bytes.split(|c| *c == b'\n').take(20)) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let _ = negotiate(&headers);
    let tag = HeaderValue::from_static("\"tag\"");
    let _ = none_match(&headers, &tag);
    headers.remove(header::IF_RANGE);
    for length in [0, 1, 1_000, u64::MAX] {
        if let Part::Octets { first, last } = part(&headers, &tag, length) {
            assert!(first <= last && last < length);
        }
    }
    let token = "bwld-a-token-that-is-not-guessed";
    assert!(!OperatorToken::new(token).is_in(&headers) || bytes.windows(token.len()).any(|w| w == token.as_bytes()));
}

/// A configuration that reads prints what reads the same; a refusal is a short message.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let path = Path::new("fuzzed.toml");
    match Loaded::from_text(text, path) {
        Ok(loaded) => {
            let values = |loaded: &Loaded| loaded.values().iter().map(|(value, _)| value.to_string()).collect::<Vec<_>>();
            let again = Loaded::from_text(&in_force(&loaded), path).expect("what is in force can be read");
            assert_eq!(values(&again), values(&loaded));
        }
        Err(error) => assert!(error.to_string().len() < 8_000 + 2 * text.len()),
    }
}

/// Protected names: any text is a set or an error with its line.
pub fn protected(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Err(error) = Protected::parse(text) {
        assert!((1..=text.lines().count()).contains(&error.line));
    }
}

/// Frames of a follower's log print as they were read, and so does what a base is.
pub fn log(bytes: &[u8]) {
    if let Ok((frame, delta)) = LogFrame::decode(bytes) {
        let again = frame.encode(delta);
        assert_eq!(LogFrame::decode(&again), Ok((frame, delta)));
    }
    if let Ok(meta) = serde_json::from_slice::<BaseMeta>(bytes) {
        let again = serde_json::to_vec(&meta).expect("a base can be described");
        assert_eq!(serde_json::from_slice::<BaseMeta>(&again).ok(), Some(meta));
    }
}

/// A folder of this thread, empty.
fn folder() -> PathBuf {
    let name = format!("bwld-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name.replace(['(', ')'], ""));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

/// A segment of a journal: what opening it gives, a second opening gives, and then nothing is torn.
pub fn segment(bytes: &[u8]) {
    let folder = folder();
    fs::write(folder.join("00000001.seg"), bytes).expect("a file can be written");
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let open = || {
        let mut frames = Vec::new();
        let opened = Journal::open(&folder, disk.clone(), JournalOptions::new(*b"fuzz"), &mut |frame| {
            frames.push((frame.id, frame.hash));
            Ok(())
        });
        opened.ok().map(|(journal, found)| (journal.last_frame(), found.torn.is_some(), frames))
    };
    if let Some((last, _, frames)) = open() {
        assert_eq!(open(), Some((last, false, frames)));
    }
    let _ = fs::remove_dir_all(&folder);
}

/// A bucket file: what it gives is of the digests in its table, or an error. And a snapshot that should have another digest.
pub fn buckets(bytes: &[u8]) {
    let folder = folder();
    let path = folder.join("fuzzed.buckets");
    fs::write(&path, bytes).expect("a file can be written");
    if let Ok(base) = Base::open(&path) {
        for b in 0..base.tree().buckets().min(64) {
            if let Ok(lines) = base.bucket(b) {
                assert_eq!(bwld::wire::bucket_digest(lines.as_bytes()), base.tree().leaf(b));
            }
        }
        if let Ok(content) = Content::open(&path) {
            let _ = content.recompute();
        }
    }
    let _ = fs::remove_dir_all(&folder);
    if let Ok(mut own) = OwnSnapshot::new(bytes, Digest([7; 32]), bytes.len() as u64) {
        while let Ok(line) = own.next_line() {
            assert!(line.is_some(), "the end is reached only by octets of the right digest");
        }
    }
}

/// The manifest of a backup that holds nothing else: refused, and nothing is written.
pub fn backup(bytes: &[u8]) {
    let folder = folder();
    let into = folder.join("into");
    let from = folder.join("from");
    fs::create_dir(&from).and_then(|()| fs::write(from.join("manifest.json"), bytes)).expect("a file can be written");
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let now = Timestamp::from_unix(1_800_000_000);
    assert!(restore(&from, &into, &RestoreOptions::default(), now, &disk, &mut |_| {}).is_err());
    assert!(!into.exists());
    let _ = fs::remove_dir_all(&folder);
}
