//! All name servers of the world in one thread: any name has the address 198.18.0.1, but `elsewhere.example` has
//! 198.18.0.9, and `ns.world`, its own name, has its own, so that it may also be a resolver's root.
//!
//! Names under `signed.example` come with a signature for whoever asks for it (the DO bit, RFC 4035 section 3.2.1); nobody
//! here checks it.
//!
//! A resolver in a test forwards everything here, so that no question ever leaves the machine.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::base::iana::{Rcode, SecurityAlgorithm};
use domain::base::message_builder::OptBuilder;
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial, Ttl};
use domain::rdata::dnssec::{Rrsig, Timestamp};
use domain::rdata::{A, Ns, Soa};

use super::program::free_port;

/// The address of every name.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The one name that has another address, and that.
pub const OTHER: (&str, Ipv4Addr) = ("elsewhere.example.", Ipv4Addr::new(198, 18, 0, 9));

/// The running name server. Ends when dropped.
pub struct World {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl World {
    /// On a free port of 127.0.0.1.
    pub fn start() -> World {
        World::at(SocketAddr::from(([127, 0, 0, 1], free_port())))
    }

    /// At an address of loopback.
    pub fn at(address: SocketAddr) -> World {
        let over = Arc::new(AtomicBool::new(false));
        let udp = UdpSocket::bind(address).expect("a free port");
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
        let tcp = TcpListener::bind(address).expect("a free port");
        let done = over.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !done.load(Ordering::Relaxed) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                if let Some(answer) = answer(&buffer[..length], address) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let done = over.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten().take_while(|_| !done.load(Ordering::Relaxed)) {
                std::thread::spawn(move || serve(stream, address));
            }
        });
        World { address, over }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers on one connection until it ends.
fn serve(mut stream: TcpStream, address: SocketAddr) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).ok()?;
        let answer = answer(&question, address)?;
        let length = u16::try_from(answer.len()).ok()?;
        stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).ok()?;
    }
}

/// A for every name, NS and SOA for the root, and for anything else that the name has no such record. Names have letters
/// of any case: `==` on them does not mind.
fn answer(question: &[u8], address: SocketAddr) -> Option<Vec<u8>> {
    let message = Message::from_octets(question).ok()?;
    let asked = message.sole_question().ok()?;
    let host: Name<Vec<u8>> = "ns.world.".parse().expect("a name");
    let other: Name<Vec<u8>> = OTHER.0.parse().expect("a name");
    let soa = Soa::new(host.clone(), host.clone(), Serial(1), Ttl::HOUR, Ttl::HOUR, Ttl::HOUR, Ttl::ZERO);
    let mut builder = MessageBuilder::new_vec().start_answer(&message, Rcode::NOERROR).ok()?;
    builder.header_mut().set_aa(true);
    let root = asked.qname().iter().count() == 1;
    // Never kept in a cache: a resolver whose policy changed is to ask again.
    match asked.qtype() {
        Rtype::A => {
            let own = match address.ip() {
                IpAddr::V4(own) if *asked.qname() == host => own,
                _ if *asked.qname() == other => OTHER.1,
                _ => ADDRESS,
            };
            builder.push((asked.qname(), Ttl::ZERO, A::new(own))).ok()?;
            let zone: Name<Vec<u8>> = "signed.example.".parse().expect("a name");
            let wanted = message.opt().is_some_and(|opt| opt.dnssec_ok());
            if wanted && asked.qname().ends_with(&zone) {
                let (algorithm, labels) = (SecurityAlgorithm::ECDSAP256SHA256, u8::try_from(asked.qname().iter().count() - 1).ok()?);
                let (from, until) = (Timestamp::from(0), Timestamp::from(u32::MAX / 2));
                let signature = Rrsig::new(Rtype::A, algorithm, labels, Ttl::ZERO, until, from, 1, zone, vec![7; 64]).ok()?;
                builder.push((asked.qname(), Ttl::ZERO, signature)).ok()?;
                let mut builder = builder.additional();
                let signed = |opt: &mut OptBuilder<'_, Vec<u8>>| {
                    opt.set_dnssec_ok(true);
                    Ok(())
                };
                builder.opt(signed).ok()?;
                return Some(builder.finish());
            }
        }
        Rtype::NS if root => builder.push((asked.qname(), Ttl::HOUR, Ns::new(host))).ok()?,
        Rtype::SOA if root => builder.push((asked.qname(), Ttl::HOUR, soa)).ok()?,
        _ => {
            let mut builder = builder.authority();
            builder.push((Name::<Vec<u8>>::root(), Ttl::ZERO, soa)).ok()?;
            return Some(builder.finish());
        }
    }
    Some(builder.finish())
}
