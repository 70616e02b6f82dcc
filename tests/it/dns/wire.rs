//! Requests of every kind, good and bad: the answer's code, and that everything else goes on.

use std::sync::Arc;

use bwld::dns::{DnsError, Reply, Service, Transport, ZoneOptions};
use bwld::list::Colour;
use domain::base::iana::{Rcode, TsigRcode};
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{Algorithm, ClientSequence, Key, KeyName};
use proptest::prelude::*;

use super::{Got, SECRET, Secondary, World, ask, options, question, records, zone};
use crate::signed;

pub(super) fn key(name: &str, secret: &[u8]) -> Arc<Key> {
    Arc::new(Key::new(Algorithm::Sha256, secret, name.parse::<KeyName>().unwrap(), None, None).unwrap())
}

fn world() -> (World, Arc<Service>) {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    world.publish("one", &(0..2_000).map(|i| format!("subtree:n{i}.example")).collect::<Vec<_>>(), &none);
    let keyed = ZoneOptions { keys: vec!["isp-a".into()], ..zone("keyed.example", &["one"], &[]) };
    let far = ZoneOptions { allow: vec!["192.0.2.0/24".parse().unwrap()], ..zone("far.example", &["one"], &[]) };
    let lost = zone("lost.example", &["nowhere"], &[]);
    let mut options = options(vec![zone("z.example", &["one"], &[]), keyed, far, lost]);
    options.catalog = Some(zone("catalog.example", &[], &[]));
    let service = world.service(&options);
    (world, service)
}

pub(super) fn sign(zone: &str, kind: Rtype, key: &Arc<Key>, at: u64) -> (Vec<u8>, ClientSequence<Arc<Key>>) {
    sign_as(815, zone, kind, key, at)
}

/// The same with this ID of the message: of two that are the same in all else, neither is a replay of the other.
pub(super) fn sign_as(id: u16, zone: &str, kind: Rtype, key: &Arc<Key>, at: u64) -> (Vec<u8>, ClientSequence<Arc<Key>>) {
    let name: Name<Vec<u8>> = zone.parse().unwrap();
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    let mut message = message.question();
    message.push((&name, kind)).unwrap();
    let mut message = message.additional();
    let sequence = ClientSequence::request(key.clone(), &mut message, Time48::from_u64(at)).unwrap();
    (message.finish(), sequence)
}

pub(super) fn tsig_error(message: &Message<Vec<u8>>) -> Option<TsigRcode> {
    message.get_last_additional::<Tsig<_, _>>().map(|record| record.data().error())
}

#[tokio::test]
async fn codes() {
    let (_world, service) = world();
    let code = async |question: &[u8]| ask(&service, question, Transport::Stream).await.first().map(|m| m.header().rcode());
    for (name, kind, rcode) in [
        ("z.example", Rtype::SOA, Rcode::NOERROR),
        ("z.example", Rtype::A, Rcode::NOERROR),
        ("Z.ExAmPlE", Rtype::AXFR, Rcode::NOERROR),
        ("nowhere.example", Rtype::AXFR, Rcode::NOTAUTH),
        ("nowhere.example", Rtype::SOA, Rcode::REFUSED),
        ("n1.example.z.example", Rtype::CNAME, Rcode::REFUSED),
        ("far.example", Rtype::AXFR, Rcode::REFUSED),
        ("keyed.example", Rtype::AXFR, Rcode::REFUSED),
        ("lost.example", Rtype::SOA, Rcode::SERVFAIL),
        ("lost.example", Rtype::AXFR, Rcode::SERVFAIL),
        ("z.example", Rtype::IXFR, Rcode::FORMERR),
        ("catalog.example", Rtype::AXFR, Rcode::NOERROR),
    ] {
        assert_eq!(code(&question(name, kind, None)).await, Some(rcode), "{name} {kind}");
    }
    let mut update = question("z.example", Rtype::SOA, None);
    update[2] = 5 << 3;
    assert_eq!(code(&update).await, Some(Rcode::NOTIMP));
    let mut two = question("z.example", Rtype::SOA, None);
    two[5] = 2;
    assert_eq!(code(&two).await, Some(Rcode::FORMERR));
    // Other opcodes need no question: STATUS has none.
    let mut status = question("z.example", Rtype::SOA, None)[..12].to_vec();
    (status[2], status[5]) = (2 << 3, 0);
    assert_eq!(code(&status).await, Some(Rcode::NOTIMP));
    for (opts, rcode) in [(1, Rcode::NOERROR), (2, Rcode::FORMERR)] {
        let mut request = question("z.example", Rtype::SOA, None);
        request[11] = opts;
        request.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0].repeat(usize::from(opts)));
        assert_eq!(code(&request).await, Some(rcode), "{opts} OPT records");
    }
    let mut answer = question("z.example", Rtype::SOA, None);
    answer[2] |= 0x80;
    assert_eq!(code(&answer).await, None, "no answer to an answer");
    assert_eq!(code(b"short").await, None);
    // Over a datagram a whole zone is never sent, and the newest serial alone answers whoever has it.
    let datagram = ask(&service, &question("z.example", Rtype::AXFR, None), Transport::Datagram).await;
    assert!(datagram[0].header().tc() && records(&datagram).is_empty());
    let current = ask(&service, &question("z.example", Rtype::IXFR, Some(1)), Transport::Datagram).await;
    assert_eq!(Secondary::default().take(&current), Got::Current);
    let catalog = records(&ask(&service, &question("catalog.example", Rtype::AXFR, None), Transport::Stream).await);
    assert_eq!(catalog.len(), 3 + 1 + 4, "SOA twice, NS, version, four zones: {catalog:?}");
}

#[tokio::test]
async fn signed_transfers() {
    let (_world, service) = world();
    let now = signed::now().unix();
    let good = key("isp-a", &SECRET);
    let (request, mut sequence) = sign("keyed.example", Rtype::AXFR, &good, now);
    let mut answer = ask(&service, &request, Transport::Stream).await;
    assert!(answer.len() > 1);
    for message in &mut answer {
        sequence.answer(message, Time48::from_u64(now)).expect("every message is signed");
    }
    sequence.done().expect("to the last");
    assert_eq!(records(&answer).len(), 4_003);

    // Once more the same: over a connection never, in a datagram only from the same socket.
    let again = ask(&service, &request, Transport::Stream).await;
    assert_eq!((again[0].header().rcode(), tsig_error(&again[0])), (Rcode::NOTAUTH, Some(TsigRcode::BADTIME)));
    assert!(records(&again).is_empty());
    let (request, _) = sign("keyed.example", Rtype::SOA, &good, now);
    for rcode in [Rcode::NOERROR, Rcode::NOERROR] {
        assert_eq!(ask(&service, &request, Transport::Datagram).await[0].header().rcode(), rcode);
    }
    assert_eq!(ask(&service, &request, Transport::Stream).await[0].header().rcode(), Rcode::NOTAUTH);

    for (key, at, error) in [
        (key("isp-a", &[8; 32]), now, TsigRcode::BADSIG),
        (key("isp-b", &SECRET), now, TsigRcode::BADKEY),
        (good.clone(), now - 301, TsigRcode::BADTIME),
        (good.clone(), now + 301, TsigRcode::BADTIME),
    ] {
        let answer = ask(&service, &sign("keyed.example", Rtype::AXFR, &key, at).0, Transport::Stream).await;
        assert_eq!((answer[0].header().rcode(), tsig_error(&answer[0])), (Rcode::NOTAUTH, Some(error)));
    }
    let (mut torn, _) = sign("keyed.example", Rtype::AXFR, &good, now);
    torn.truncate(torn.len() - 3);
    assert_eq!(ask(&service, &torn, Transport::Stream).await[0].header().rcode(), Rcode::FORMERR);
}

#[tokio::test]
async fn a_transfer_is_signed_with_the_times_of_its_messages() {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    world.publish("one", &(0..9_000).map(|i| format!("subtree:n{i}.example")).collect::<Vec<_>>(), &none);
    let keyed = ZoneOptions { keys: vec!["isp-a".into()], ..zone("keyed.example", &["one"], &[]) };
    let service = world.service(&options(vec![keyed]));
    let begun = signed::now().unix();
    let (request, mut sequence) = sign("keyed.example", Rtype::AXFR, &key("isp-a", &SECRET), begun);
    let Reply::Many(mut messages) = service.answer(&request, super::here(), Transport::Stream).await else { panic!("a transfer") };
    let mut times = Vec::new();
    while let Some(bytes) = messages.recv().await {
        let mut message = Message::from_octets(bytes.unwrap()[2..].to_vec()).unwrap();
        let time = message.get_last_additional::<Tsig<_, _>>().expect("a signature").data().time_signed();
        sequence.answer(&mut message, time).expect("every message is signed");
        times.push(time);
        if times.len() == 1 {
            // So slowly is it read that the time of the request is no good any more.
            world.clock.advance(301);
        }
    }
    sequence.done().expect("to the last");
    assert_eq!((times.first(), times.last()), (Some(&Time48::from_u64(begun)), Some(&Time48::from_u64(begun + 301))));
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let world = World::new(&[("one", Colour::Black)]);
    let refused = |zones, keys: bool| {
        let mut options = options(zones);
        if !keys {
            options.keys.clear();
        }
        match Service::new(&options, world.hub.clone(), world.store.clone(), world.clock.clone()) {
            Err(DnsError::Zone { reason, .. } | DnsError::Key { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(vec![zone("z.example", &[], &[])], true).contains("lists"));
    assert!(refused(vec![zone("z.example", &["a"], &[]), zone("Z.example.", &["b"], &[])], true).contains("two zones"));
    assert!(refused(vec![zone("a b", &["a"], &[])], true).contains("not a host name"));
    let keyed = ZoneOptions { keys: vec!["isp-a".into()], ..zone("z.example", &["a"], &[]) };
    assert!(refused(vec![keyed], false).contains("there is no dns.key"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_are_answered_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World::new(&[("one", Colour::Black)]);
        let none: [&str; 0] = [];
        world.publish("one", &["domain:a.example"], &none);
        let keyed = ZoneOptions { keys: vec!["isp-a".into()], ..zone("keyed.example", &["one"], &[]) };
        let service = world.service(&options(vec![keyed]));
        let mut damaged = sign("keyed.example", Rtype::IXFR, &key("isp-a", &SECRET), signed::now().unix()).0;
        let at = at.index(damaged.len());
        damaged[at] = to;
        for transport in [Transport::Stream, Transport::Datagram] {
            for request in [&bytes, &damaged] {
                let answer = runtime.block_on(ask(&service, request, transport));
                if let Some(first) = answer.first() {
                    prop_assert_eq!(first.header().id(), u16::from_be_bytes([request[0], request[1]]));
                    prop_assert!(first.header().qr());
                }
            }
        }
    }
}
