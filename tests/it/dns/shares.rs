//! Work that few requests could make much of: what increments cost, whose turn it is, and who has to wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bwld::dns::{DnsOptions, Limits, Reply, Service, Transport, bind};
use bwld::list::Colour;
use domain::base::iana::Rcode;
use domain::base::{Message, Rtype};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Got, Secondary, World, ask, counted, options, question, records, zone};
use crate::support::DEADLINE;

const NONE: [&str; 0] = [];

fn service(world: &World, limits: Limits) -> (Arc<Service>, DnsOptions) {
    let options = DnsOptions { limits, ..options(vec![zone("z.example", &["one"], &[])]) };
    (world.service(&options), options)
}

/// Versions 1 and 2 with 9,000 names each, 3 with 6,000, 4 with one.
fn world() -> World {
    let world = World::new(&[("one", Colour::Black)]);
    let lines: Vec<String> = (0..24_000).map(|i| format!("subtree:name{i}.example")).collect();
    for of_version in [&lines[..9_000], &lines[9_000..18_000], &lines[18_000..]] {
        world.publish("one", of_version, &NONE);
    }
    world.publish("one", &["subtree:a.example"], &NONE);
    world
}

fn ixfr(serial: u32) -> Vec<u8> {
    question("z.example", Rtype::IXFR, Some(serial))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_have_nothing_made_that_costs_much() {
    let world = world();
    let (service, _) = service(&world, Limits::default());
    let made = || world.hub.metrics().composed.get();
    for _ in 0..3 {
        let answer = ask(&service, &ixfr(2), Transport::Datagram).await;
        assert_eq!(records(&answer), [super::Record::Soa(4)], "ask over TCP");
    }
    assert_eq!(made(), 0);
    let answer = ask(&service, &ixfr(3), Transport::Datagram).await;
    assert_eq!(records(&answer).len(), 6, "two names, and SOA four times");
    // Over a connection it is made.
    let before = made();
    let answer = ask(&service, &ixfr(2), Transport::Stream).await;
    assert_eq!(records(&answer).len(), 12_006);
    assert!(made() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_costs_much_is_made_in_a_turn_and_what_is_small_needs_none() {
    let world = world();
    let (service, _) = service(&world, Limits { transfers: 1, idle: Duration::from_millis(20), ..Limits::default() });
    let Reply::Many(held) = service.answer(&question("z.example", Rtype::AXFR, None), super::here(), Transport::Stream).await else {
        panic!("a transfer")
    };
    let answer = ask(&service, &ixfr(2), Transport::Stream).await;
    assert_eq!(answer[0].header().rcode(), Rcode::SERVFAIL);
    assert_eq!((world.hub.metrics().composed.get(), counted(&service, "too-many-transfers")), (0, 1));
    let answer = ask(&service, &ixfr(3), Transport::Stream).await;
    assert_eq!(records(&answer).len(), 6);
    drop(held);
}

#[tokio::test]
async fn who_would_wait_long_for_an_increment_gets_the_whole_zone() {
    let world = world();
    let names: Vec<String> = (0..8).map(|n| format!("z{n}.example")).collect();
    let service = world.service(&options(names.iter().map(|name| zone(name, &["one"], &[])).collect()));
    // They are ready, so that all come to the increments at the same time.
    for name in &names {
        ask(&service, &question(name, Rtype::SOA, None), Transport::Stream).await;
    }
    let questions: Vec<Vec<u8>> = names.iter().map(|name| question(name, Rtype::IXFR, Some(2))).collect();
    let asked = questions.iter().map(|question| ask(&service, question, Transport::Stream));
    let answers = futures_util::future::join_all(asked).await;
    let steps = answers.iter().filter(|answer| records(answer).len() == 12_006).count();
    let wholes = answers.iter().filter(|answer| records(answer).len() == 48_002 + 3).count();
    assert!(steps >= 5 && wholes >= 1 && steps + wholes == 8, "{steps} steps, {wholes} wholes");
    assert_eq!(counted(&service, "too-many-increments"), wholes as u64);
}

/// A connection from this address of loopback.
async fn from(source: [u8; 4], to: SocketAddr, buffer: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(buffer).unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

async fn send(stream: &mut TcpStream, request: &[u8]) {
    stream.write_u16(u16::try_from(request.len()).unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
}

/// The answer of a secondary that asks once.
async fn transfer(secondary: &mut Secondary, to: SocketAddr, request: &[u8]) -> Got {
    let mut stream = from([127, 0, 0, 9], to, 1 << 20).await;
    send(&mut stream, request).await;
    let (mut messages, mut soas) = (Vec::new(), 0);
    loop {
        let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut bytes).await.unwrap();
        let message = Message::from_octets(bytes).unwrap();
        assert_eq!(message.header().rcode(), Rcode::NOERROR);
        messages.push(message);
        let all = records(&messages[messages.len() - 1..]);
        soas += all.iter().filter(|record| matches!(record, super::Record::Soa(_))).count();
        let step = matches!(records(&messages[..1]).get(1), Some(super::Record::Soa(_)));
        if soas == if step { 4 } else { 2 } {
            return secondary.take(&messages);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_many_addresses_give_way_to_who_waits() {
    let world = world();
    let limits = Limits { transfers: 4, slow_after: Duration::from_millis(100), stall: DEADLINE, ..Limits::default() };
    let (service, options) = service(&world, limits);
    let bound = bind(&options, None).await.unwrap();
    let to = bound.addresses()[0];
    let serving = tokio::spawn(bound.serve(service.clone(), std::future::pending(), DEADLINE));
    let all = async {
        let axfr = question("z.example", Rtype::AXFR, None);
        let mut slow = Vec::new();
        for n in 1..=4 {
            let mut stream = from([127, 0, 2, n], to, 4_096).await;
            send(&mut stream, &axfr).await;
            // It has its turn.
            stream.read_u16().await.unwrap();
            slow.push(stream);
        }
        let mut secondary = Secondary::default();
        assert_eq!(transfer(&mut secondary, to, &axfr).await, Got::Whole);
        assert_eq!(secondary.zone.len(), 48_002);
        let ended = counted(&service, "too-slow");
        assert!((1..=4).contains(&ended), "{ended} had to make room");
        // No more than had to: the others are where they were.
        assert_eq!(counted(&service, "too-many-transfers"), 0);
        drop(slow);
    };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_not_taken_in_by_the_megabyte() {
    let world = world();
    let (service, options) = service(&world, Limits { stall: Duration::from_millis(400), ..Limits::default() });
    let bound = bind(&options, None).await.unwrap();
    let to = bound.addresses()[0];
    let serving = tokio::spawn(bound.serve(service.clone(), std::future::pending(), DEADLINE));
    let all = async {
        let axfr = question("z.example", Rtype::AXFR, None);
        // It takes much at first, so that the system would give it a large buffer; then nothing.
        let mut stream = from([127, 0, 2, 1], to, 1 << 20).await;
        for _ in 0..20 {
            send(&mut stream, &axfr).await;
        }
        let (mut read, mut some) = (0, vec![0; 65_536]);
        while read < 8 << 20 {
            read += stream.read(&mut some).await.unwrap();
        }
        while counted(&service, "cut-off") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut left = 0;
        while let Ok(more @ 1..) = stream.read(&mut some).await {
            left += more;
        }
        let made = service.metrics().octets.get();
        assert!(made < (read + left) as u64 + (768 << 10), "{made} octets were made, {} had", read + left);
    };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    serving.abort();
}

/// One zone of nothing that the list has, and a second one of all of it.
fn of_little(limits: Limits) -> DnsOptions {
    DnsOptions { limits, ..options(vec![zone("z.example", &["one"], &["nothing"]), zone("all.example", &["one"], &[])]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_all_at_once_is_not_ended_for_what_takes_long_to_make() {
    let world = world();
    // So short that each walk over the list lasts for many looks; and a peer that took anything is not too slow.
    let limits = Limits { transfers: 1, slow_after: Duration::from_millis(2), slow_rate: 1, ..Limits::default() };
    let options = of_little(limits);
    let service = world.service(&options);
    let bound = bind(&options, None).await.unwrap();
    let to = bound.addresses()[0];
    let serving = tokio::spawn(bound.serve(service.clone(), std::future::pending(), DEADLINE));
    let axfr = question("z.example", Rtype::AXFR, None);
    let one = async || {
        let mut secondary = Secondary::default();
        assert_eq!(transfer(&mut secondary, to, &axfr).await, Got::Whole);
    };
    let all = async { futures_util::future::join_all((0..4).map(|_| one())).await };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    assert_eq!(counted(&service, "too-slow"), 0);
    serving.abort();
}

#[test]
fn a_transfer_that_nobody_takes_any_more_gives_its_turn_back_before_its_walk_ends() {
    let world = world();
    // One thread for all that blocks: what is made waits for what is before it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let service = world.service(&of_little(Limits { transfers: 1, ..Limits::default() }));
        for name in ["z.example", "all.example"] {
            ask(&service, &question(name, Rtype::SOA, None), Transport::Stream).await;
        }
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let before = tokio::task::spawn_blocking(move || gone.recv());
        let reply = service.answer(&question("z.example", Rtype::AXFR, None), super::here(), Transport::Stream).await;
        let Reply::Many(messages) = reply else { panic!("a transfer") };
        drop(messages);
        drop(go);
        let answer = ask(&service, &question("all.example", Rtype::AXFR, None), Transport::Stream).await;
        assert_eq!(records(&answer).len(), 48_005);
        let had: usize = answer.iter().map(|message| message.as_slice().len() + 2).sum();
        assert_eq!(service.metrics().octets.get(), had as u64, "of the one that was dropped nothing was made");
        assert!(before.await.unwrap().is_err(), "it waited for that");
    });
}
