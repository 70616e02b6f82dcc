//! NOTIFY (RFC 1996): tells each secondary that a zone has a newer version, until it acknowledges that or a newer one.
//!
//! Each secondary of each zone has a task of its own, so that one that does not answer holds up nobody. A version that was
//! published while an older one is being told replaces it. After a start every secondary is told once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, Name, Rtype, Serial as SoaSerial, ToName as _};
use domain::tsig::ClientTransaction;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::DnsError;
use super::message::{builder, finished, signing_time};
use super::service::Service;
use super::zones::Secondary;

/// Octets of an acknowledgement, at most.
const MAX_ANSWER: usize = 4_096;

/// Notifies until told to stop.
pub(super) async fn run(service: Arc<Service>, sources: Vec<SocketAddr>, mut stopped: watch::Receiver<bool>) {
    let mut tasks = tokio::task::JoinSet::new();
    for (zone, secondaries) in &service.zones.notify {
        for secondary in secondaries {
            tasks.spawn(secondary_of(service.clone(), zone.clone(), secondary.clone(), from(&sources, secondary.0)));
        }
    }
    let _ = stopped.wait_for(|stop| *stop).await;
    tasks.shutdown().await;
}

/// The address to send from: one that we listen on, because secondaries compare it with that of their primary.
fn from(sources: &[SocketAddr], to: SocketAddr) -> SocketAddr {
    let fits = |source: &&SocketAddr| {
        source.is_ipv4() == to.is_ipv4() && !source.ip().is_unspecified() && source.ip().is_loopback() == to.ip().is_loopback()
    };
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(sources.iter().find(fits).map_or(any, SocketAddr::ip), 0)
}

async fn secondary_of(service: Arc<Service>, zone: Name<Bytes>, secondary: Secondary, from: SocketAddr) {
    let mut changes = service.shared.hub.changes();
    let mut told = None;
    loop {
        let newest = serial(&service, &zone).await;
        if newest.is_some() && newest != told {
            told = newest;
            if let Some(newest) = newest {
                let telling = tell(&service, &zone, newest, &secondary, from);
                tokio::select! {
                    () = telling => {}
                    // A newer version is told in place of this one.
                    going = newer(&service, &zone, newest, &mut changes) => if !going { return },
                }
            }
            continue;
        }
        if !changes.next().await {
            return;
        }
    }
}

/// Returns when the zone has another serial; `false` when nothing will come any more.
async fn newer(service: &Service, zone: &Name<Bytes>, than: SoaSerial, changes: &mut crate::feed::Changes) -> bool {
    while changes.next().await {
        if serial(service, zone).await.is_some_and(|serial| serial != than) {
            return true;
        }
    }
    false
}

async fn serial(service: &Service, zone: &Name<Bytes>) -> Option<SoaSerial> {
    service.zones.find(zone, service.shared.hub.catalog())?.serial(&service.shared).await.ok()
}

/// Sends until it is acknowledged, or has been sent so often that it is given up until the next version.
async fn tell(service: &Service, zone: &Name<Bytes>, serial: SoaSerial, secondary: &Secondary, from: SocketAddr) {
    let mut pause = service.limits.notify_first;
    for _ in 0..service.limits.notify_tries {
        service.metrics.notifications.inc();
        match once(service, zone, serial, secondary, from, pause).await {
            Ok(true) => {
                service.metrics.acknowledged.inc();
                return;
            }
            Ok(false) => {}
            Err(error) => {
                service.say(secondary.0, &format!("cannot notify: {error}"));
                tokio::time::sleep(pause).await;
            }
        }
        pause = (2 * pause).min(service.limits.notify_pause);
    }
    service.metrics.given_up.inc();
    // Not among the lines of which a source has one a minute: it comes once a version, after a quarter of an hour.
    tracing::warn!(source = %secondary.0, %zone, tries = service.limits.notify_tries,
        "dns: gave up notifying; the secondary finds the new version by itself when it refreshes");
}

/// One message, and up to `patience` for its acknowledgement.
async fn once(
    service: &Service,
    zone: &Name<Bytes>,
    serial: SoaSerial,
    secondary: &Secondary,
    from: SocketAddr,
    patience: Duration,
) -> Result<bool, DnsError> {
    let (message, signed) = notification(service, zone, serial, secondary)?;
    let id = message.get(2..4).map(<[u8]>::to_vec);
    let socket = UdpSocket::bind(from).await?;
    socket.connect(secondary.0).await?;
    socket.send(&message[2..]).await?;
    let mut buffer = vec![0; MAX_ANSWER];
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let Ok(received) = tokio::time::timeout_at(deadline, socket.recv(&mut buffer)).await else { return Ok(false) };
        // A port nobody listens on is an error at once: wait, so that it is not asked in a tight loop.
        let Ok(length) = received else {
            tokio::time::sleep_until(deadline).await;
            return Ok(false);
        };
        let Ok(mut answer) = Message::from_octets(buffer[..length].to_vec()) else { continue };
        let header = answer.header();
        let ours = header.qr() && header.opcode() == Opcode::NOTIFY && id.as_deref() == Some(&header.id().to_be_bytes()[..]);
        if !ours {
            continue;
        }
        // An acknowledgement that is not signed as ours was is nobody's: the right one may still come.
        let now = signing_time(&*service.shared.clock);
        if let Some(transaction) = &signed
            && transaction.clone().answer(&mut answer, now).is_err()
        {
            service.say(secondary.0, "an acknowledgement whose signature is not good; look at the key there");
            continue;
        }
        if header.rcode() != Rcode::NOERROR {
            service.say(secondary.0, &format!("a notification of {zone} was answered with {}", header.rcode()));
            tokio::time::sleep_until(deadline).await;
            return Ok(false);
        }
        return Ok(true);
    }
}

type Signed = Option<ClientTransaction<Arc<domain::tsig::Key>>>;

fn notification(service: &Service, zone: &Name<Bytes>, serial: SoaSerial, secondary: &Secondary) -> Result<(Vec<u8>, Signed), DnsError> {
    let wrong = |e: domain::base::message_builder::PushError| DnsError::Message(e.to_string());
    let mut message = builder();
    let header = message.header_mut();
    header.set_random_id();
    header.set_opcode(Opcode::NOTIFY);
    header.set_aa(true);
    let mut message = message.question();
    message.push((zone.to_bytes(), Rtype::SOA, Class::IN)).map_err(wrong)?;
    let mut message = message.answer();
    message.push(service.zones.apex(zone).soa(serial)).map_err(wrong)?;
    let mut message = message.additional();
    let now = signing_time(&*service.shared.clock);
    let signed = match &secondary.1 {
        // The one of this name that is in force now.
        Some(name) => {
            let gone = || DnsError::Key { key: name.clone(), reason: "it is not there any more".into() };
            let key = service.keys.get(name).ok_or_else(gone)?;
            Some(ClientTransaction::request(key, &mut message, now).map_err(wrong)?)
        }
        None => None,
    };
    Ok((finished(message), signed))
}
