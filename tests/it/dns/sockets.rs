//! Real sockets on loopback: half-open connections, storms, garbage, and that a transfer works beside all of them.

use std::net::SocketAddr;
use std::time::Duration;

use bwld::dns::{Limits, bind};
use bwld::list::Colour;
use domain::base::{Message, Rtype};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;

use super::{Got, Secondary, World, options, question, zone};
use crate::support::DEADLINE;

async fn serve(world: &World, limits: Limits) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let options = bwld::dns::DnsOptions { limits, ..options(vec![zone("z.example", &["one"], &[])]) };
    let bound = bind(&options, None).await.unwrap();
    let address = bound.addresses()[0];
    let (stop, stopped) = oneshot::channel();
    let service = world.service(&options);
    let serving = tokio::spawn(bound.serve(
        service,
        async move {
            let _ = stopped.await;
        },
        DEADLINE,
    ));
    (address, stop, serving)
}

fn world(names: usize) -> World {
    let world = World::new(&[("one", Colour::Black)]);
    let none: [&str; 0] = [];
    let lines: Vec<String> = (0..names).map(|i| format!("subtree:n{i}.example")).collect();
    lines.chunks(9_000).for_each(|chunk| world.publish("one", chunk, &none));
    world
}

/// The whole zone over a connection.
async fn transfer(stream: &mut TcpStream) -> std::io::Result<Secondary> {
    let request = question("z.example", Rtype::AXFR, None);
    stream.write_u16(u16::try_from(request.len()).unwrap()).await?;
    stream.write_all(&request).await?;
    let mut messages: Vec<Message<Vec<u8>>> = Vec::new();
    let mut ends = 0;
    while ends < 2 {
        let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut bytes).await?;
        let message = Message::from_octets(bytes).unwrap();
        ends += super::records(std::slice::from_ref(&message)).iter().filter(|r| matches!(r, super::Record::Soa(_))).count();
        messages.push(message);
    }
    let mut secondary = Secondary::default();
    assert_eq!(secondary.take(&messages), Got::Whole);
    Ok(secondary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_and_storms_disturb_nobody() {
    let world = world(1_000);
    let limits = Limits { per_source: 20, idle: Duration::from_secs(3), ..Limits::default() };
    let (address, stop, serving) = serve(&world, limits).await;
    let all = async {
        // Half a length, half a request, nothing at all: closed when their time is over.
        let mut half = Vec::new();
        for n in 0..18 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all([&[][..], &[0], &[0, 40, 1, 2, 3]][n % 3]).await;
            half.push(stream);
        }
        // Garbage in datagrams.
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for n in 0..500u16 {
            let _ = socket.send_to(&n.to_be_bytes().repeat(usize::from(n % 40)), address).await;
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..5 {
            assert_eq!(transfer(&mut stream).await.unwrap().zone.len(), 2_000, "many requests over one connection");
        }
        drop(stream);
        for mut stream in half {
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
        }
        // A request that is too large ends its connection.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0xff, 0xff]).await.unwrap();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_has_so_many_connections_and_the_newest_keep_theirs() {
    let world = world(1_000);
    // Whoever waits is never closed for that: what is closed here is closed for a newer one.
    let limits = Limits { per_source: 20, idle: DEADLINE, ..Limits::default() };
    let (address, stop, serving) = serve(&world, limits).await;
    let all = async {
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut newest = TcpStream::connect(address).await.unwrap();
        assert_eq!(transfer(&mut newest).await.unwrap().zone.len(), 2_000);
        for stream in &mut held[..20] {
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
        }
        drop(held);
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(transfer(&mut stream).await.unwrap().zone.len(), 2_000, "there is room");
    };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_wait_for_their_turn_and_who_reads_nothing_is_cut_off() {
    let world = world(20_000);
    let limits = Limits { transfers: 2, stall: Duration::from_millis(1_500), idle: DEADLINE, ..Limits::default() };
    let (address, stop, serving) = serve(&world, limits).await;
    let all = async {
        // Two that ask and do not read hold both places, until they are cut off.
        let mut lazy = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = question("z.example", Rtype::AXFR, None);
            for _ in 0..20 {
                stream.write_u16(u16::try_from(request.len()).unwrap()).await.unwrap();
                stream.write_all(&request).await.unwrap();
            }
            lazy.push(stream);
        }
        let storm = (0..12).map(|_| async {
            // On a busy machine one that reads may be taken for one that does not: then it asks again, as a secondary does.
            loop {
                let mut stream = TcpStream::connect(address).await.unwrap();
                if let Ok(got) = transfer(&mut stream).await {
                    return got.zone.len();
                }
            }
        });
        for records in futures_util::future::join_all(storm).await {
            assert_eq!(records, 40_000);
        }
        drop(lazy);
    };
    tokio::time::timeout(DEADLINE, all).await.expect("in time");
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, serving).await.expect("it stops").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datagram_is_answered_from_where_it_was_sent_to() {
    let world = world(10);
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let mut options = options(vec![zone("z.example", &["one"], &[])]);
        options.listen = vec![listen.parse().unwrap()];
        let bound = bind(&options, None).await.unwrap();
        let port = bound.addresses()[0].port();
        let serving = tokio::spawn(bound.serve(world.service(&options), std::future::pending(), DEADLINE));
        // A socket that is connected gets nothing from another address. That the third is not an address of the machine by
        // its word, though the system takes it for one, is said at once.
        let asked: &[(&str, bool)] = match listen {
            "[::]:0" => &[("::1", true), ("127.0.0.1", true)],
            _ => &[("127.0.0.1", true), ("127.0.0.2", false)],
        };
        for (address, answered) in asked {
            let address: std::net::IpAddr = address.parse().unwrap();
            let socket = UdpSocket::bind(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
            socket.connect((address, port)).await.unwrap();
            socket.send(&question("z.example", Rtype::SOA, None)).await.unwrap();
            let got = tokio::time::timeout(DEADLINE, socket.recv(&mut [0; 512])).await.expect("an answer, or none at once");
            assert_eq!(got.is_ok(), *answered, "{address} of {listen}: {got:?}");
        }
        serving.abort();
    }
}
