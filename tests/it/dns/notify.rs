//! NOTIFY: repeated until it is acknowledged, signed, and for the newest version.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bwld::dns::{Limits, ZoneOptions, bind};
use bwld::list::Colour;
use domain::base::iana::{Opcode, Rcode};
use domain::base::{Message, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, Key, KeyName, ServerTransaction};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::{Record, SECRET, World, options, records, zone};
use crate::signed;
use crate::support::DEADLINE;

/// Receives one notification; acknowledges it if wanted. Its serial.
async fn notified(socket: &UdpSocket, key: Option<&Arc<Key>>, acknowledge: bool) -> u32 {
    let mut buffer = [0; 2_048];
    let (length, from) = tokio::time::timeout(DEADLINE, socket.recv_from(&mut buffer)).await.expect("in time").unwrap();
    let mut message = Message::from_octets(buffer[..length].to_vec()).unwrap();
    assert_eq!(message.header().opcode(), Opcode::NOTIFY);
    let now = Time48::from_u64(signed::now().unix());
    let signer = key.map(|key| ServerTransaction::request(key, &mut message, now).expect("a good signature").expect("a signature"));
    let all = records(std::slice::from_ref(&message));
    let [Record::Soa(serial)] = all[..] else { panic!("{all:?}") };
    if acknowledge {
        let mut answer = MessageBuilder::new_vec().start_answer(&message, Rcode::NOERROR).unwrap().additional();
        if let Some(signer) = signer {
            signer.answer(&mut answer, now).unwrap();
        }
        socket.send_to(&answer.finish(), from).await.unwrap();
    }
    serial
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secondaries_are_told_until_they_acknowledge() {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    world.publish("one", &["domain:a.example"], &none);
    let key = Arc::new(Key::new(Algorithm::Sha256, &SECRET, "isp-a".parse::<KeyName>().unwrap(), None, None).unwrap());
    let (plain, keyed) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let notify = vec![(plain.local_addr().unwrap(), None), (keyed.local_addr().unwrap(), Some("isp-a".into()))];
    let limits = Limits { notify_first: Duration::from_millis(50), ..Limits::default() };
    let options = bwld::dns::DnsOptions { limits, ..options(vec![ZoneOptions { notify, ..zone("z.example", &["one"], &[]) }]) };
    let service = world.service(&options);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bind(&options, None).await.unwrap().serve(
        service,
        async move {
            let _ = stopped.await;
        },
        DEADLINE,
    ));
    // After the start, and again, because nobody acknowledged.
    for acknowledge in [false, false, true] {
        assert_eq!(notified(&plain, None, acknowledge).await, 1);
        assert_eq!(notified(&keyed, Some(&key), acknowledge).await, 1);
    }
    world.publish("one", &["domain:b.example"], &none);
    assert_eq!(notified(&plain, None, false).await, 2);
    assert_eq!(notified(&keyed, Some(&key), true).await, 2);
    // A newer version takes the place of the one that is not acknowledged yet.
    world.publish("one", &["domain:c.example"], &none);
    while notified(&plain, None, true).await != 3 {}
    assert_eq!(notified(&keyed, Some(&key), true).await, 3);
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_secondaries_are_told_side_by_side() {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    world.publish("one", &["domain:a.example"], &none);
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    let notify = sockets.iter().map(|socket| (socket.local_addr().unwrap(), None)).collect();
    let options = options(vec![ZoneOptions { notify, ..zone("z.example", &["one"], &[]) }]);
    let service = world.service(&options);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bind(&options, None).await.unwrap().serve(
        service,
        async move {
            let _ = stopped.await;
        },
        DEADLINE,
    ));
    let mut serials = HashMap::new();
    for (at, serial) in futures_util::future::join_all(sockets.iter().map(|s| notified(s, None, true))).await.into_iter().enumerate() {
        serials.insert(at, serial);
    }
    assert!(serials.len() == 200 && serials.values().all(|serial| *serial == 1));
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}
