//! What does it cost to read a list of other people's making, from bytes to canonical lines?
//!
//! Beside it the obvious alternative: `BufRead::lines`, the IDNA crate and the suffix list for every name, without issues, places or hints.

mod names;

use std::{fmt::Write as _, hint::black_box, io::BufRead as _, time::Duration};

use bwld::formats::{self, Format, Item, ReadError, ReadOptions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn entries(text: &str, format: Format) -> u64 {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    let read = formats::read::<ReadError>(text.as_bytes(), &options, |handed| {
        black_box(matches!(handed, Item::Put(line) if line.is_empty()));
        Ok(())
    });
    read.map_or(0, |summary| summary.entries)
}

fn read(c: &mut Criterion) {
    let names = names::names(200_000, 5);
    let mut forms = [
        (Format::Domains, String::new()),
        (Format::Hosts, String::new()),
        (Format::Csv, "domain,category\n".to_owned()),
        (Format::Bwld, String::new()),
        (Format::Subtrees, String::new()),
        (Format::Adblock, String::new()),
        (Format::Dnsmasq, String::new()),
        (Format::Unbound, String::new()),
        (Format::Bind, String::new()),
        (Format::Dstdomain, String::new()),
        (Format::Ndjson, String::new()),
        (Format::Nginx, String::new()),
        (Format::Haproxy, String::new()),
        (Format::Firewall, String::new()),
        (Format::Xml, "<register>\n".to_owned()),
        (Format::Rpz, "$ORIGIN rpz.example.\n@ SOA . . 1 1 1 1 1\n".to_owned()),
    ];
    for name in &names {
        for (format, text) in &mut forms {
            let _ = match format {
                Format::Domains | Format::Subtrees => writeln!(text, "{name}"),
                Format::Adblock => writeln!(text, "||{name}^"),
                Format::Dnsmasq => writeln!(text, "address=/{name}/0.0.0.0"),
                Format::Unbound => writeln!(text, "local-zone: \"{name}\" always_nxdomain"),
                Format::Bind => writeln!(text, "zone \"{name}\" {{ type master; file \"null.zone\"; }};"),
                Format::Rpz => writeln!(text, "{name} CNAME .\n*.{name} CNAME ."),
                Format::Hosts => writeln!(text, "0.0.0.0 {name}"),
                Format::Csv => writeln!(text, "{name},ads"),
                Format::Bwld => writeln!(text, "domain:{name}\tcat=ads"),
                Format::Dstdomain => writeln!(text, "{name}"),
                Format::Ndjson => writeln!(text, "{{\"rule\":\"domain:{name}\",\"cat\":[\"ads\"]}}"),
                Format::Nginx => writeln!(text, "\"{name}\" 1;"),
                Format::Haproxy => writeln!(text, "{name} 1"),
                Format::Firewall => writeln!(text, "{name}"),
                Format::Xml => writeln!(text, "<content><domain><![CDATA[{name}]]></domain></content>"),
                other => unreachable!("{other} is not measured"),
            };
        }
    }
    forms.iter_mut().filter(|(format, _)| *format == Format::Xml).for_each(|(_, text)| text.push_str("</register>\n"));
    let mut group = c.benchmark_group("read");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(names.len() as u64));
    let expected = entries(&forms[0].1, Format::Domains);
    assert!(expected * 100 > names.len() as u64 * 99, "{expected} of {}", names.len());
    for (format, text) in &forms {
        assert_eq!(entries(text, *format), expected, "{format} says the same");
        group.bench_function(format.name(), |b| b.iter(|| entries(text, *format)));
    }
    group.bench_function("alternative: lines, idna, psl", |b| {
        b.iter(|| {
            let mut octets = 0;
            for line in forms[0].1.as_bytes().lines().map_while(Result::ok) {
                let Ok(name) = idna::domain_to_ascii(line.trim()) else { continue };
                if psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.as_bytes().len() < name.len()) {
                    octets += black_box(format!("domain:{name}")).len();
                }
            }
            octets
        });
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
