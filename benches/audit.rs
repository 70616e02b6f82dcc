//! What verifying an audit chain costs: 1,000,000 lines, each read, checked for its form and hashed.

use std::{hint::black_box, time::Duration};

use bwld::{
    list::{Digest, Timestamp},
    wire::{Act, AuditChain, AuditLine, AuditTip},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LINES: u64 = 1_000_000;

fn chain() -> (Vec<u8>, Option<AuditTip>) {
    let (mut text, mut tip, mut before) = (Vec::new(), None, None);
    for i in 0..LINES {
        let after = Some(Digest::of(i.to_string()));
        let act = Act {
            at: Timestamp::from_unix(1_795_500_000 + i),
            who: "anna".into(),
            from: "192.0.2.1".into(),
            what: "list.publish".into(),
            object: format!("list:adult serial:{i}"),
            before,
            after,
            reason: format!("court order {i}"),
        };
        let line = AuditLine::after(tip, act);
        let encoded = line.encode();
        tip = Some(AuditTip { number: line.number, digest: Digest::of(&encoded) });
        before = after;
        text.extend_from_slice(encoded.as_bytes());
        text.push(b'\n');
    }
    (text, tip)
}

fn audit(c: &mut Criterion) {
    let (text, tip) = chain();
    let mut group = c.benchmark_group("audit chain of 1,000,000 lines");
    group.sample_size(10).measurement_time(Duration::from_secs(20)).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("verify", |b| {
        b.iter(|| {
            let mut chain = AuditChain::default();
            chain.read(black_box(&text[..]), |_| ()).expect("a whole chain");
            assert_eq!(chain.tip(), tip);
        });
    });
    group.finish();
}

criterion_group!(benches, audit);
criterion_main!(benches);
