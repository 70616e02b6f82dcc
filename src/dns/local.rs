//! Datagram sockets for "all addresses of this machine": one for each address.
//!
//! Guarantees: a datagram is answered from the address that it was sent to. One socket for all of them cannot do that: the
//! system sends its answers from whichever address it likes, and who asked takes them for somebody else's. Addresses that
//! the machine gets later are found within half a minute. Where they cannot be read (other systems than Linux) it is
//! refused to listen on all of them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two looks at the machine's addresses.
const LOOK: Duration = Duration::from_secs(30);

/// The sockets for an address: one, or one for each address of the machine that is not there already.
///
/// # Errors
/// Of the system; that the machine's addresses cannot be read.
pub async fn sockets(listen: SocketAddr, there: &[SocketAddr]) -> io::Result<Vec<Arc<UdpSocket>>> {
    if !listen.ip().is_unspecified() {
        return Ok(vec![Arc::new(UdpSocket::bind(listen).await?)]);
    }
    let (sockets, mut refused) = bound(addresses(listen)?, there).await;
    match refused.pop() {
        Some((_, error)) => Err(error),
        None => Ok(sockets),
    }
}

/// Addresses whose sockets could not be had, and why.
type Refused = Vec<(SocketAddr, io::Error)>;

/// The sockets for those of these addresses that are not there already.
async fn bound(addresses: Vec<SocketAddr>, there: &[SocketAddr]) -> (Vec<Arc<UdpSocket>>, Refused) {
    let (mut sockets, mut refused) = (Vec::new(), Vec::new());
    for address in addresses.into_iter().filter(|address| !there.contains(address)) {
        match UdpSocket::bind(address).await {
            Ok(socket) => sockets.push(Arc::new(socket)),
            // Just gone, or not to be used yet.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => refused.push((address, error)),
        }
    }
    (sockets, refused)
}

/// Those that were not refused before; the others are, from now on. One that can be had in between is told of again.
fn newly(refused: Refused, before: &mut HashSet<SocketAddr>) -> Refused {
    let now = refused.iter().map(|(address, _)| *address).collect();
    let before = std::mem::replace(before, now);
    refused.into_iter().filter(|(address, _)| !before.contains(address)).collect()
}

/// Serves the addresses that the machine gets, until told to stop.
pub async fn follow<Task: Future<Output = ()> + Send + 'static>(
    listen: Vec<SocketAddr>,
    mut there: Vec<SocketAddr>,
    serve: impl Fn(Arc<UdpSocket>) -> Task,
    mut stopped: watch::Receiver<bool>,
) {
    let mut serving = JoinSet::new();
    let mut refused = HashMap::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        for listen in &listen {
            match addresses(*listen) {
                Ok(all) => {
                    // What can be had is served, whatever is wrong with another.
                    let (new, wrong) = bound(all, &there).await;
                    for (address, error) in newly(wrong, refused.entry(*listen).or_default()) {
                        tracing::warn!(%address, %error, "dns: no datagrams can be taken at a new address of this machine; trying on");
                    }
                    for socket in new {
                        let Ok(address) = socket.local_addr() else { continue };
                        tracing::info!(%address, "dns: datagrams are taken at a new address of this machine");
                        there.push(address);
                        serving.spawn(serve(socket));
                    }
                }
                Err(error) => tracing::debug!(%listen, %error, "dns: looking for new addresses"),
            }
        }
    }
    while serving.join_next().await.is_some() {}
}

/// The machine's addresses, with the port; those of IPv4 too where IPv6 is listened on, as the system does it.
fn addresses(listen: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").map(|text| v4_of(&text));
    found.extend(v4.unwrap_or_default().into_iter().map(|address| SocketAddr::from((address, listen.port()))));
    if listen.is_ipv6() {
        let v6 = std::fs::read_to_string("/proc/net/if_inet6").map(|text| v6_of(&text));
        let with_port = |(address, scope)| SocketAddr::from(SocketAddrV6::new(address, listen.port(), 0, scope));
        found.extend(v6.unwrap_or_default().into_iter().map(with_port));
    }
    match found.is_empty() {
        true => Err(io::Error::other("the addresses of this machine cannot be read; name those to listen on")),
        false => Ok(found),
    }
}

/// The host's own addresses in `/proc/net/fib_trie`: each is followed by what it is.
fn v4_of(text: &str) -> Vec<Ipv4Addr> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The addresses in `/proc/net/if_inet6`; of those that count on one link only with the number of the link.
fn v6_of(text: &str) -> Vec<(Ipv6Addr, u32)> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let address = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
        let link = u32::from_str_radix(words.next()?, 16).ok()?;
        Some((address, if address.is_unicast_link_local() { link } else { 0 }))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_hides_no_other_and_is_told_once() {
        let taken = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let taken_at = taken.local_addr().expect("bound");
        let free = SocketAddr::from(([127, 0, 0, 2], taken_at.port()));
        let mut before = HashSet::new();
        let (sockets, refused) = bound(vec![taken_at, free], &[]).await;
        assert_eq!(sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect::<Vec<_>>(), [free]);
        let addresses = |refused: Refused| refused.into_iter().map(|(address, _)| address).collect::<Vec<_>>();
        assert_eq!(addresses(newly(refused, &mut before)), [taken_at]);
        let (none, refused) = bound(vec![taken_at, free], &[free]).await;
        assert!(none.is_empty() && newly(refused, &mut before).is_empty(), "it was told of");
        assert!(newly(Vec::new(), &mut before).is_empty());
        let (_, refused) = bound(vec![taken_at], &[]).await;
        assert_eq!(addresses(newly(refused, &mut before)), [taken_at], "it could be had in between");
    }

    #[test]
    fn the_addresses_are_those_of_the_host() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
                    \n           |-- 127.0.0.0\n              /8 host LOCAL\n           |-- 127.0.0.1\n              /32 host LOCAL\n\
                    \n        |-- 127.255.255.255\n           /32 link BROADCAST\n        |-- 192.0.2.2\n           /32 host LOCAL\n\
                    Local:\n           |-- 127.0.0.1\n              /32 host LOCAL\n";
        assert_eq!(v4_of(trie), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 2)]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\nfe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
                     20010db8000000000000000000000002 04 40 00 82     eth0\nno line\n";
        let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
        assert_eq!(v6_of(inet6), [(Ipv6Addr::LOCALHOST, 0), (address("fe80::fc:ff:fe00:1"), 4), (address("2001:db8::2"), 0)]);
    }
}
