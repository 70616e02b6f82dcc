//! What is fuzzed of zones: any request, and the owner names of any entry.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bwld::dns::{DnsOptions, KeyOptions, Limits, Owners, Reply, Said, Service, Transport, ZoneOptions, owners};
use bwld::feed::{Hub, HubOptions};
use bwld::list::{Entry, Kind, Timestamp};
use bwld::store::{Catalog, FakeClock, IndexKind, Store, StoreOptions, faults::HastyDisk};

/// A server with one zone, whose list is not published, and one key.
fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("bwld-fuzz-zones-{}", std::process::id()));
        let kept = StoreOptions { index: IndexKind::Memory, ..StoreOptions::default() };
        let (store, _) = Store::open(&folder, kept, Arc::new(HastyDisk), &mut |_| {}).expect("a folder for temporary files");
        let hub = Hub::new(Arc::new(Catalog::default()), store.artefacts().clone(), HubOptions::default());
        let zone = ZoneOptions { name: "z.example".into(), lists: vec!["a".parse().expect("a name")], ..ZoneOptions::default() };
        let keyed = ZoneOptions { name: "k.example".into(), keys: vec!["k".into()], ..zone.clone() };
        let options = DnsOptions {
            listen: vec![],
            tls_listen: vec![],
            origin: "lists.example.org".parse().expect("an origin"),
            zones: vec![zone, keyed],
            keys: vec![KeyOptions { name: "k".into(), algorithm: "hmac-sha256".into(), secret: vec![7; 32].into() }],
            catalog: None,
            refresh: 60,
            limits: Limits::default(),
        };
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        Service::new(&options, hub, Arc::new(store), clock).expect("these options are right")
    })
}

/// A request: no answer, or one message with its length, the request's ID and the mark of an answer. Nothing here waits.
pub fn dns_request(bytes: &[u8]) {
    for transport in [Transport::Stream, Transport::Datagram] {
        let source = ([127, 0, 0, 1], 4_000).into();
        let mut answering = std::pin::pin!(service().answer(bytes, source, transport));
        match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Reply::Nothing) => {}
            Poll::Ready(Reply::One(message)) => {
                assert_eq!(usize::from(u16::from_be_bytes([message[0], message[1]])), message.len() - 2);
                assert_eq!(message[2..4], bytes[..2]);
                assert!(message[4] & 0x80 != 0);
            }
            other => panic!("{other:?} without a list"),
        }
    }
}

/// Owner names of an entry's target: labels of 1 to 63 octets, 255 in all with the zone's name, the wildcard never alone.
pub fn dns_names(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(Ok(entry)) = std::str::from_utf8(rest).map(str::parse::<Entry>) else { return };
    let Some((kind, target)) = Kind::split(entry.rule_str()) else { return };
    if matches!(kind, Kind::Url | Kind::Prefix) {
        return;
    }
    let (zone, mut wire) = (usize::from(*first), Vec::new());
    let said = Said { named: kind != Kind::Subtree, subtree: kind == Kind::Subtree };
    let (given, left_out) = owners(zone, target, said, kind == Kind::Cidr, &mut wire);
    assert_eq!(left_out.is_some(), given == Owners::default());
    assert!(given.name || !given.wildcard);
    if given.name {
        assert!(wire.len() + zone + if given.wildcard { 2 } else { 0 } <= 255);
        let mut rest = &wire[..];
        while let [length, tail @ ..] = rest {
            assert!((1..=63).contains(length));
            rest = &tail[usize::from(*length)..];
        }
    }
}
