//! NOTIFY: repeated until it is acknowledged, signed, and for the newest version.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bwld::dns::{DnsMetrics, Limits, Service, ZoneOptions, bind};
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
    notified_of(socket, key, acknowledge).await.1
}

/// The same with the zone's name.
async fn notified_of(socket: &UdpSocket, key: Option<&Arc<Key>>, acknowledge: bool) -> (String, u32) {
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
    (message.sole_question().unwrap().qname().to_string(), serial)
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
    // One of before may still be on its way: an acknowledgement that comes late is none.
    world.publish("one", &["domain:b.example"], &none);
    while notified(&plain, None, false).await != 2 {}
    while notified(&keyed, Some(&key), true).await != 2 {}
    // A newer version takes the place of the one that is not acknowledged yet.
    world.publish("one", &["domain:c.example"], &none);
    while notified(&plain, None, true).await != 3 {}
    while notified(&keyed, Some(&key), true).await != 3 {}
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_name_is_told_of_its_part_alone() {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    let name = |n: usize| format!("n{n}.example");
    world.publish("one", &(0..64).map(|n| format!("subtree:{}", name(n))).collect::<Vec<_>>(), &none);
    let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let notify = vec![(secondary.local_addr().unwrap(), None)];
    // So long a pause that a second one for the same version would be a second reason.
    let limits = Limits { notify_first: DEADLINE, ..Limits::default() };
    let zones = vec![ZoneOptions { notify, parts: 8, ..zone("z.example", &["one"], &[]) }];
    let options = bwld::dns::DnsOptions { limits, ..options(zones) };
    let service = world.service(&options);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bind(&options, None).await.unwrap().serve(
        service,
        async move {
            let _ = stopped.await;
        },
        DEADLINE,
    ));
    let mut first = Vec::new();
    for _ in 0..8 {
        first.push(notified_of(&secondary, None, true).await);
    }
    first.sort();
    assert_eq!(first, (0..8).map(|part| (format!("{part}.z.example"), 1)).collect::<Vec<_>>());
    // One that was told needlessly would come in the place of the next.
    for n in 0..16 {
        world.publish("one", &none, &[format!("subtree:{}", name(n))]);
        let part = bwld::dns::part_of(&name(n), 8);
        assert_eq!(notified_of(&secondary, None, true).await, (format!("{part}.z.example"), 2 + u32::try_from(n).unwrap()));
    }
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}

/// A zone that is served, and its one secondary, which is notified with a key.
struct Told {
    _world: World,
    key: Arc<Key>,
    secondary: UdpSocket,
    service: Arc<Service>,
    serving: tokio::task::JoinHandle<()>,
}

impl Told {
    async fn with(limits: Limits) -> Told {
        let world = World::new(&[("one", Colour::Black)]);
        let none: [&str; 0] = [];
        world.publish("one", &["domain:a.example"], &none);
        let key = Arc::new(Key::new(Algorithm::Sha256, &SECRET, "isp-a".parse::<KeyName>().unwrap(), None, None).unwrap());
        let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let notify = vec![(secondary.local_addr().unwrap(), Some("isp-a".into()))];
        let options = bwld::dns::DnsOptions { limits, ..options(vec![ZoneOptions { notify, ..zone("z.example", &["one"], &[]) }]) };
        let service = world.service(&options);
        let serving = tokio::spawn(bind(&options, None).await.unwrap().serve(service.clone(), std::future::pending(), DEADLINE));
        Told { _world: world, key, secondary, service, serving }
    }

    async fn until(&self, what: &str, holds: impl Fn(&DnsMetrics) -> bool) {
        let waiting = async {
            while !holds(self.service.metrics()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect(what);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A notification, answered without a signature; who sent it, and the answer that would have been right.
async fn answered_badly(socket: &UdpSocket, key: &Arc<Key>) -> (u32, std::net::SocketAddr, Vec<u8>) {
    let mut buffer = [0; 2_048];
    let (length, from) = tokio::time::timeout(DEADLINE, socket.recv_from(&mut buffer)).await.expect("in time").unwrap();
    let mut message = Message::from_octets(buffer[..length].to_vec()).unwrap();
    let now = Time48::from_u64(signed::now().unix());
    let signer = ServerTransaction::request(key, &mut message, now).expect("a good signature").expect("a signature");
    let answer = || MessageBuilder::new_vec().start_answer(&message, Rcode::NOERROR).unwrap().additional();
    let mut good = answer();
    signer.answer(&mut good, now).unwrap();
    socket.send_to(&answer().finish(), from).await.unwrap();
    let [Record::Soa(serial)] = records(std::slice::from_ref(&message))[..] else { panic!("one SOA") };
    (serial, from, good.finish())
}

#[tokio::test]
async fn an_acknowledgement_that_is_not_signed_is_none() {
    // So long a pause that none is sent again because nobody answered.
    let limits = Limits { notify_first: DEADLINE, ..Limits::default() };
    let told = Told::with(limits).await;
    let (serial, from, good) = answered_badly(&told.secondary, &told.key).await;
    assert_eq!(serial, 1);
    // The right one still counts, and there was no second message.
    told.secondary.send_to(&good, from).await.unwrap();
    told.until("it is acknowledged", |metrics| metrics.acknowledged.get() > 0).await;
    assert_eq!(told.service.metrics().notifications.get(), 1);
}

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn that_it_is_given_up_is_said_whatever_was_said_before() {
    let log = Log::default();
    let kept = log.clone();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || kept.clone()).finish());
    let limits = Limits { notify_first: Duration::from_millis(50), notify_tries: 2, ..Limits::default() };
    let told = Told::with(limits).await;
    for _ in 0..2 {
        answered_badly(&told.secondary, &told.key).await;
    }
    told.until("it is given up", |metrics| metrics.given_up.get() > 0).await;
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("whose signature is not good") && said.contains("gave up notifying"), "{said}");
}
