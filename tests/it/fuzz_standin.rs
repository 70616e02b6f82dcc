//! The fuzz targets of `fuzz/targets.rs` on the stable toolchain: any bytes, and valid inputs with damage in them.
//!
//! It stands in for libFuzzer where that cannot run; it has no coverage feedback, so it is short and starts from valid
//! inputs. `BWLD_FUZZ_CASES` makes it longer.

use std::{env, fs, path::Path, sync::Arc};

use bwld::{
    list::Digest,
    store::{BaseWriter, Disk, Journal, JournalOptions, faults::HastyDisk},
};
use domain::base::Rtype;
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Small valid inputs of every kind; those of the protocol's vectors come with them.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "example.com",
        "https://user@example.com:8080/a/%2e./b?q=%zz#f",
        "bücher.example",
        "[2001:db8::1]",
        "192.0.2.0/24",
        "subtree:a.example",
        "domain:a.example\tcat=a,b\tref=abcd1234\tage=18\tact=warn\trsn=x\texp=2030-01-31",
        "\0a.example\nb.example # c\n*.c.example\n",
        "\x02\u{feff}127.0.0.1 localhost\r\n0.0.0.0 a.example b.example\r\n",
        "\x03domain,scope,cat,note\na.example,subtree,\"x, y\",\"two\nlines\"\n",
        "\x04+domain:a.example\tcat=x\n-url:b.example/\n~cidr:192.0.2.0/24\n",
        "\x00bwld snapshot v1\norigin a\nlist b\ncolour black\nserial 1\nentries 1\n\ndomain:a.example\n",
        "# id: a\n# colour: black\n# title: t\n# categories: a, b\n\n",
        "2026-11-24T01:00:00Z",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ]
    .iter()
    .map(|seed| seed.as_bytes().to_vec())
    .collect();
    seeds.push([&[0][..], &[7; 32]].concat());
    // Requests for the zones of `fuzz/zones.rs`: an SOA, a transfer, an increment; and entries behind the length of a zone's name.
    for (zone, kind, serial) in [("z.example", Rtype::SOA, None), ("k.example", Rtype::AXFR, None), ("z.example", Rtype::IXFR, Some(1))] {
        seeds.push(crate::dns::question(zone, kind, serial));
    }
    seeds.extend(["\x10subtree:a.example", "\x10cidr:2001:db8::/32", "\x10domain:a.rpz-ip"].map(|seed| seed.as_bytes().to_vec()));
    seeds.extend(foreign());
    seeds.push(
        "+domain:a.example\n+subtree:a.example\tcat=x\n+prefix:a.example/p\n+cidr:10.0.0.0/8\n+prefix:10.0.0.1/p\n.\n\
        a.example\nwww.a.example\na.example/p/q\n10.0.0.1\nhttp://10.0.0.1/p\n-domain:a.example\n+url:a.example/p/q\n.\n\
        a.example\na.example/p/q\n!\na.example\n+subtree:www.a.example\tref=abcd1234\n.\nx.www.a.example\n"
            .into(),
    );
    let lines = crate::matcher::damage::all_sections();
    seeds.push(crate::matcher::made::build(lines.iter().take(25).map(String::as_str)).octets().to_vec());
    let delta = |from, to, change| {
        format!("bwld delta v1\norigin a\nlist b\ncolour black\nfrom {from}\nto {to}\nchanges 1\n\n{change}domain:a.example\n")
    };
    seeds.push([delta(1, 2, "+"), "\0".into(), delta(2, 3, "~")].concat().into_bytes());
    seeds.push(b"bwld-secret-key-v1 a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".to_vec());
    seeds.push(bwld::wire::compress(b"domain:a.example\n", 3));
    for record in [
        r#"{"record":"key-set","number":1,"note":"n","at":"2026-11-24T01:00:00Z"}"#,
        r#"{"record":"list","meta":{"id":"a","colour":"black","title":"t","created":"2026-11-24T01:00:00Z"},"at":"2026-11-24T01:00:00Z","by":"b"}"#,
        r#"{"record":"serial-floor","list":"a","serial":7,"at":"2026-11-24T01:00:00Z"}"#,
    ] {
        seeds.push(record.into());
        seeds.push(bwld::store::encode_frame(&bwld::list::Digest([7; 32]), record.as_bytes()).0);
    }
    seeds.push(b"event: head\nid: a:2\ndata: {\"list\":\"a\",\"head\":\"h\",\"delta\":{\"from\":1,\"to\":2,\"zstd\":\"AAEC\"}}\n\n: x\r\n\r\nretry: 5\n\n".to_vec());
    seeds.push(
        br#"{"origin":"a","keyset":1,"keys_checked":null,"written":"2026-11-24T01:00:00Z","received":1,"reloaded":null,"reload_error":null,"lists":[]}"#
            .to_vec(),
    );
    seeds.push(b"a:1041,b".to_vec());
    seeds.push(b"zstd;q=0.5, gzip, *;q=0\nbytes=10-99\nW/\"a\", \"tag\"\nBearer t\n\"tag\"".to_vec());
    seeds.push(bwld::cmd::config::example().into_bytes());
    seeds.push(b"[serve]\nlisten = \"127.0.0.1:8080\"\n[publisher]\norigin = \"lists.example.org\"\n".to_vec());
    seeds.push(b"{\"frame\":\"delta\",\"note\":\"n\"}\n\x28\xb5\x2f\xfd".to_vec());
    seeds.extend(files_of_a_store());
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/protocol")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path)
                && bytes.len() <= 16 * 1024
            {
                seeds.push(bytes);
            }
        }
    }
    seeds.sort();
    seeds
}

/// A small file of each foreign format, with the octets before it that choose the format.
fn foreign() -> impl Iterator<Item = Vec<u8>> {
    use bwld::formats::Format;
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [("ads/domains", "a.example\n192.0.2.1\n"), ("ads/urls", "b.example/x/\n"), ("x/README", "x")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes()).expect("memory");
    }
    let tar = tar.into_inner().expect("memory");
    Format::ALL.iter().enumerate().flat_map(move |(at, format)| {
        let text: &str = match format {
            Format::Domains | Format::Subtrees => "a.example\n*.b.example\n192.0.2.1\n",
            Format::Hosts => "0.0.0.0 a.example b.example # c\n",
            Format::Csv => "url,category_code,notes\nhttps://a.example/,ANON,\"x, y\"\n",
            Format::Bwld => "+domain:a.example\tcat=x\n",
            Format::Ndjson => "{\"list\":\"x\"}\n{\"rule\":\"domain:a.example\",\"cat\":[\"x\"],\"age\":16}\n\"b.example/x\"\n",
            Format::Json => "{\"x\":[1],\"URLBlocklist\":[\"a.example\",\".b.example/x\"],\"policies\":{\"WebsiteFilter\":{\"Block\":[\"*://*.c.example/*\"]}}}",
            Format::Adblock => "[Adblock]\n!#if x\n!#endif\n||a.example^$all\n@@||b.example/x|\n|http://c.example^\n|https://c.example^\n/^https?:\\/\\/d\\.example\\/x([\\/?&=]|$)/\na.example##.x\n",
            Format::Rpz => "$ORIGIN rpz.x.\n@ SOA . . (1 1 ; c\n 1 1 1)\na.example CNAME .\n*.a.example CNAME .\n24.0.2.0.192.rpz-ip IN 60 CNAME rpz-drop.\nb\\.c A 0.0.0.0\nt TXT \"x;y\"\n",
            Format::Dnsmasq => "address=/a.example/b.example/0.0.0.0\nserver=/c.example/#\nlocal=/d.example/\n",
            Format::Unbound => "server:\nlocal-zone: \"a.example.\" redirect\nlocal-data: \"a.example. A 0.0.0.0\"\nlocal-zone: b.example static # c\n",
            Format::Bind => "zone \"a.example\" { type master; file \"x\"; };\n",
            Format::Xml => "<?xml version=\"1.0\" encoding=\"UTF-8\"?><r><content blockType=\"ip\"><url><![CDATA[http://a.example/x&y]]></url><domain>a.example</domain><ip>192.0.2.1</ip></content></r>",
            Format::Urls => "http://a.example/x\n^https?://b\\.example/x$\n",
            Format::Prefixes => "a.example/x/\nhttp://b.example\n",
            Format::Dstdomain => ".a.example\nb.example\n192.0.2.1\n",
            Format::Nginx => "map $host $x {\nhostnames;\n\".a.example\" 1; # c\n\"~^https?://b\\.example/x$\" 0;\n}\n",
            Format::HaproxyUrls | Format::HaproxyPrefixes => "a.example/x/ black\nb.example/ white\n",
            Format::PaloaltoUrls => "a.example/\n*.a.example/\nb.example/x\n",
            Format::Checkpoint => "# UNIQ-NAME,VALUE,TYPE\nx-1,a.example,Domain,high,high,AB,\nx-2,192.0.2.0-192.0.2.9,IP Range\n",
            Format::Mikrotik => "/ip dns static add name=\"a.example\" type=NXDOMAIN match-subdomain=yes\n/ip firewall address-list\nadd list=x address=192.0.2.1\n",
            Format::Pac => "var listed = {\n\"a.example\":1,\n\"b.example\":2,\n\".\":0};\nvar yes = \"PROXY 127.0.0.1:9\", no = \"DIRECT\";\n",
            Format::Haproxy => "a.example 1\n192.0.2.0/24 0\n",
            Format::Nft => "table inet t {\nset s { elements = { 192.0.2.1, 192.0.2.4-192.0.2.9 comment \"x, y\" } }\n}\ndelete element inet t s { 192.0.2.1 }\n",
            Format::Ipset => "create x hash:net\nadd x 192.0.2.0/24 timeout 1 nomatch\nadd x 2001:db8::-2001:db8::5\n",
            Format::Firewall => "192.0.2.1-192.0.2.9\na.example/x\nadd list=x address=192.0.2.1\n",
            _ => "",
        };
        let content = if text.is_empty() { tar.clone() } else { text.as_bytes().to_vec() };
        [0_u8, 4].map(|choice| [&[at as u8, choice][..], &content].concat())
    })
}

/// A segment of a journal, a bucket file, and the manifest of a backup.
fn files_of_a_store() -> [Vec<u8>; 3] {
    let dir = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let (mut journal, _) =
        Journal::open(dir.path(), disk.clone(), JournalOptions::new(*b"fuzz"), &mut |_| Ok(())).expect("an empty folder");
    for frame in ["one", "two"] {
        journal.append(frame.as_bytes()).expect("a frame");
    }
    let segment = fs::read(dir.path().join("00000001.seg")).expect("the segment");
    let mut writer = BaseWriter::new(1, dir.path());
    for line in ["domain:a.example", "domain:b.example\tcat=x"] {
        writer.push(line).expect("a line in order");
    }
    let (buckets, _) = writer.finish(Vec::new()).expect("a bucket file");
    let listed = format!(r#"{{"path":"journal/00000001.seg","size":{},"digest":"{}"}}"#, segment.len(), Digest::of(&segment));
    let zeros = Digest([0; 32]);
    let head = format!(r#"{{"format":"bwld backup v1","made":"2026-11-24T01:00:00Z","frame":2,"hash":"{zeros}","secrets":false"#);
    [segment, buckets, format!("{head},\"files\":[{listed}]}}").into_bytes()]
}

/// One damage; places are taken modulo the length.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    Repeat(Index, usize, usize),
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let special = prop::sample::select(b"\0\t\n\r #,.:;/\"%*+-~=0xX\x7f\x80\xc3\xff".to_vec());
    prop_oneof![
        (any::<Index>(), prop_oneof![special, any::<u8>()]).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1_usize..16).prop_map(|(at, n)| Damage::Delete(at, n)),
        (any::<Index>(), 1_usize..40, 1_usize..40).prop_map(|(at, n, times)| Damage::Repeat(at, n, times)),
        any::<(Index, Index, Index)>().prop_map(|(seed, from, to)| Damage::Splice(seed, from, to)),
    ]
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Damage::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new);
            }
            Damage::Delete(at, n) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Damage::Repeat(at, n, times) => {
                let at = at.index(bytes.len());
                let part = bytes[at..(at + n).min(bytes.len())].repeat(times);
                bytes.splice(at..at, part);
            }
            Damage::Splice(seed, from, to) => {
                let other = &seeds[seed.index(seeds.len())];
                let to = to.index(bytes.len());
                bytes.truncate(to);
                bytes.extend_from_slice(&other[from.index(other.len().max(1)).min(other.len())..]);
            }
        }
    }
}

#[test]
fn no_input_breaks_a_parser() {
    let cases = env::var("BWLD_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let seeds = seeds();
    for seed in &seeds {
        for (_, target) in targets::TARGETS {
            target(seed);
        }
    }
    let input = prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        1 => any::<String>().prop_map(String::into_bytes),
        6 => (any::<Index>(), vec(damage(), 1..5)).prop_map(|(seed, damages)| {
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            damages.into_iter().for_each(|damage| damage.apply(&mut bytes, &seeds));
            bytes
        }),
    ];
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let done = TestRunner::new(config).run(&input, |bytes| {
        targets::TARGETS.iter().for_each(|(_, target)| target(&bytes));
        Ok(())
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}

#[test]
fn every_target_has_its_file() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the fuzz crate");
    for (name, _) in targets::TARGETS {
        assert!(fuzz.join("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name} has no file");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in Cargo.toml");
    }
}
