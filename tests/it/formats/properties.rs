//! No input makes a rule wider than its text, and how the bytes arrive does not matter.

use bwld::{
    formats::{Format, ReadOptions},
    list::{Attributes, Entry, Kind, Rule},
};
use proptest::prelude::*;

use super::{plain, read, read_by};

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9._*-]{0,20}",
        2 => "(0\\.0\\.0\\.0|127\\.0\\.0\\.1|::1|1\\.2\\.3\\.4)[ \t][a-z.* -]{0,20}( #.*)?",
        2 => "[+~-]?(domain|url|cidr):[a-z0-9./:-]{0,20}(\t(cat|ref|age)=[a-z0-9]{0,9})?",
        2 => "[a-z.,\"*/:-]{0,20}",
        1 => "(domain|url|rule|scope|cat|note)(,(domain|url|rule|scope|cat|note))?",
        1 => any::<String>(),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    (
        prop::collection::vec(line(), 0..12),
        prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]),
        prop::bool::weighted(0.1),
        prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    )
        .prop_map(|(lines, end, bom, flip)| {
            let mut bytes = if bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            bytes.extend(lines.join(end).into_bytes());
            if let Some((at, byte)) = flip
                && !bytes.is_empty()
            {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A wide rule only comes of a text that asks for one by name.
    #[test]
    fn nothing_becomes_wider(bytes in file(), format in prop::sample::select(vec![None, Some(Format::Domains), Some(Format::Hosts), Some(Format::Csv), Some(Format::Bwld)])) {
        let options = ReadOptions { format, max_line: 256, ..plain() };
        let Ok((lines, _)) = read(&bytes, &options) else { return Ok(()) };
        let text = String::from_utf8_lossy(&bytes);
        for line in lines {
            let rule = line[1..].split('\t').next().unwrap_or_default();
            let (kind, target) = Kind::split(rule).expect("a rule");
            prop_assert!(match kind {
                Kind::Domain | Kind::Url => true,
                Kind::Subtree | Kind::Prefix => text.contains(kind.word()),
                // A range is as long as it was written.
                Kind::Cidr => target.ends_with("/32") || target.ends_with("/128") || text.contains(&target[target.find('/').unwrap_or(0)..]),
            }, "{} of {:?}", rule, text);
        }
    }

    /// How the bytes arrive does not matter.
    #[test]
    fn buffers_of_any_size_give_the_same(bytes in file(), capacity in 1_usize..40) {
        let options = ReadOptions { max_line: 64, ..plain() };
        let whole = read(&bytes, &options).map_err(|e| e.to_string());
        let parts = read_by(&bytes, &options, capacity).map_err(|e| e.to_string());
        prop_assert_eq!(whole, parts);
    }

    /// What is written as own text is read as the same entries.
    #[test]
    fn own_text_reads_as_it_prints(targets in prop::collection::vec(("[a-z0-9]{1,8}", 0_u8..5, prop::option::of(1_u8..=21)), 1..20)) {
        let entries: Vec<Entry> = targets.iter().map(|(name, kind, age)| {
            let target = if *kind == 4 { format!("192.0.2.{}", name.len()) } else { format!("{name}.example") };
            let rule = Rule::new(Kind::ALL[usize::from(*kind)], &target).expect("a rule");
            Entry::new(&rule, &Attributes { age: *age, ..Attributes::default() }).expect("in range")
        }).collect();
        let text: String = entries.iter().map(|e| format!("{e}\n")).collect();
        let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
        prop_assert_eq!(summary.issues_total, 0);
        prop_assert_eq!(lines, entries.iter().map(|e| format!("+{e}")).collect::<Vec<_>>());
    }
}
