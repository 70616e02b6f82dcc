//! From a request to its answer: what is asked, whether it may be had, and what is said. No sockets here.
//!
//! Outcomes (RFC 1995, 5936, 8945): malformed is FORMERR; a bad signature NOTAUTH with the TSIG error; a zone that is not
//! here NOTAUTH for a transfer and REFUSED for a question; who may not have it REFUSED; a list that cannot be served now
//! SERVFAIL, so that secondaries keep what they have.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::{Message, Name, Rtype, Serial as SoaSerial, ToName};
use domain::rdata::Soa;
use tokio::sync::mpsc;

use crate::feed::Hub;
use crate::store::{Clock, Store};

use super::DnsError;
use super::catalog::CatalogZone;
use super::keeper::Keeper;
use super::keys::{Keys, Signature};
use super::message::{Answer, FULL, UDP_PAYLOAD, builder, finished, is_transfer, signing_time};
use super::metrics::{DnsMetrics, Quiet};
use super::options::{DnsOptions, Limits};
use super::shared::Shared;
use super::turns::{Pace, Shares, Turns};
use super::zone::{Access, Zone};
use super::zones::{Found, Zones};

/// What to send.
#[derive(Debug)]
pub enum Reply {
    /// Nothing: it was no request.
    Nothing,
    /// One message, with two octets of length before it.
    One(Vec<u8>),
    /// Messages as they come; an error means that the connection must be closed, since the transfer is not whole.
    Many(Messages),
}

/// Messages of a transfer as they are made.
#[derive(Debug)]
pub struct Messages {
    pub(super) made: mpsc::Receiver<Result<Vec<u8>, DnsError>>,
    /// Of a transfer that has a turn.
    pub(super) pace: Option<Arc<Pace>>,
}

impl Messages {
    /// The next one; none after the last.
    pub async fn recv(&mut self) -> Option<Result<Vec<u8>, DnsError>> {
        self.made.recv().await
    }
}

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// In a datagram: one short answer.
    Datagram,
    /// Over a connection.
    Stream,
}

/// Answers requests.
#[derive(Debug)]
pub struct Service {
    pub(super) shared: Shared,
    pub(super) zones: Zones,
    pub(super) keys: Keys,
    /// Who may have which zone now, by its name; of others as it was at the start.
    access: RwLock<HashMap<Name<Bytes>, Access>>,
    pub(super) limits: Limits,
    pub(super) metrics: DnsMetrics,
    pub(super) turns: Turns,
    pub(super) datagrams: Shares,
    quiet: Quiet,
}

/// A request that was understood and whose sender is known.
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) found: Found,
    pub(super) transport: Transport,
}

impl Service {
    /// Sets zones and keys up. What is kept of their serials is in `store`, the one of the published lists.
    ///
    /// # Errors
    /// [`DnsError`] names the zone or the key that cannot be.
    pub fn new(options: &DnsOptions, hub: Arc<Hub>, store: Arc<Store>, clock: Arc<dyn Clock>) -> Result<Arc<Service>, DnsError> {
        let keys = Keys::new(&options.keys)?;
        let zones = Zones::new(options, &keys)?;
        Ok(Arc::new(Service {
            turns: Turns::new(&options.limits),
            datagrams: Shares::new(options.limits.datagrams),
            limits: options.limits.clone(),
            metrics: DnsMetrics::default(),
            quiet: Quiet::default(),
            shared: Shared::new(hub, clock, Keeper::new(store), options.limits.changes, zones.soa()),
            zones,
            keys,
            access: RwLock::default(),
        }))
    }

    /// Takes other keys, and who may have the zones that are served, in place of those of the start, for the next request.
    /// All else about zones, and whom to notify, stays; so do zones that are not served. Where the options say of a zone
    /// that something else is in it than what is served, who may have it stays too: it may be meant for others.
    ///
    /// # Errors
    /// [`DnsError`] as at the start; then everything stays as it is.
    pub fn exchange(&self, options: &DnsOptions) -> Result<(), DnsError> {
        let keys = Keys::new(&options.keys)?;
        // All that the start would refuse is refused before anything is taken: of two zones of one name the last would
        // otherwise say who may have both.
        Zones::new(options, &keys)?;
        let lists = self.shared.hub.catalog();
        let mut later = Vec::new();
        let mut held = self.access.write().unwrap_or_else(PoisonError::into_inner);
        let mut access = held.clone();
        for zone in &options.zones {
            let new = Zone::new(zone)?;
            match self.zones.configured_as(&new.name, lists).is_some_and(|served| served.is_like(&new)) {
                true => drop(access.insert(new.name.clone(), new.access)),
                false => later.push(new.name),
            }
        }
        if let Some(zone) = &options.catalog {
            let new = CatalogZone::new(zone)?;
            match self.zones.catalog.as_ref().is_some_and(|served| served.name == new.name) {
                true => drop(access.insert(new.name, new.access)),
                false => later.push(new.name),
            }
        }
        *held = access;
        drop(held);
        self.keys.exchange(keys);
        for zone in later {
            tracing::warn!(zone = %zone.fmt_with_dot(), "dns: the settings say that something else is in the zone than what is served; \
                until a restart that stays, and who may have it");
        }
        Ok(())
    }

    /// Whether a request from `source`, signed with `key`, may have the zone.
    fn allows(&self, found: &Found, source: IpAddr, key: Option<&Name<Bytes>>) -> bool {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        access.get(found.configured()).unwrap_or_else(|| found.access()).allows(source, key)
    }

    /// What it counts.
    pub fn metrics(&self) -> &DnsMetrics {
        &self.metrics
    }

    /// The answer to a request, which may be anything.
    pub async fn answer(self: &Arc<Self>, request: &[u8], source: SocketAddr, transport: Transport) -> Reply {
        match self.try_answer(request, source, transport).await {
            Ok(reply) => reply,
            Err(error) => {
                self.say(source, &error.to_string());
                self.metrics.count("failed");
                match Message::from_octets(request.to_vec()) {
                    Ok(request) => Reply::One(finished(builder().start_error(&request, Rcode::SERVFAIL).additional())),
                    Err(_) => Reply::Nothing,
                }
            }
        }
    }

    async fn try_answer(self: &Arc<Self>, octets: &[u8], source: SocketAddr, transport: Transport) -> Result<Reply, DnsError> {
        let Ok(mut request) = Message::from_octets(octets.to_vec()) else { return Ok(Reply::Nothing) };
        if request.header().qr() {
            return Ok(Reply::Nothing);
        }
        let now = signing_time(&*self.shared.clock);
        let datagram = transport == Transport::Datagram;
        if !well_formed(&request) {
            self.say(source, "a malformed request");
            self.metrics.count("malformed");
            return Ok(Reply::One(finished(builder().start_error(&request, Rcode::FORMERR).additional())));
        }
        let (signer, key) = match self.keys.verify(&mut request, now, source, datagram)? {
            Signature::None => (None, None),
            Signature::Good(signer, key) => (Some(*signer), Some(key)),
            Signature::Bad(answer, reason) => {
                self.say(source, &format!("a request whose signature is not good ({reason})"));
                self.metrics.count("bad-signature");
                return Ok(Reply::One(answer));
            }
        };
        let opt = request.opt().map(|opt| (opt.udp_payload_size(), opt.version()));
        let edns = opt.is_some();
        let limit = match (transport, opt) {
            (Transport::Stream, _) => FULL,
            (Transport::Datagram, Some((size, _))) => usize::from(size.clamp(512, UDP_PAYLOAD)),
            (Transport::Datagram, None) => 512,
        };
        let answer = Answer { request, signer, clock: self.shared.clock.clone(), limit, edns, source };
        if opt.is_some_and(|(_, version)| version != 0) {
            return answer.bad_version().map(Reply::One);
        }
        if answer.request.header().opcode() != Opcode::QUERY {
            self.metrics.count("not-implemented");
            return answer.empty(Rcode::NOTIMP).map(Reply::One);
        }
        let (kind, found) = {
            let Ok(question) = answer.request.sole_question() else { return answer.empty(Rcode::FORMERR).map(Reply::One) };
            let kind = question.qtype();
            let known = matches!(question.qclass(), Class::IN | Class::ANY);
            let name = question.qname().to_bytes();
            (kind, if known { self.zones.find(&name, self.shared.hub.catalog()) } else { None })
        };
        let Some(found) = found else {
            self.say(source, "a request for a zone that is not here");
            self.metrics.count("unknown-zone");
            return answer.empty(if is_transfer(kind) { Rcode::NOTAUTH } else { Rcode::REFUSED }).map(Reply::One);
        };
        if !self.allows(&found, source.ip(), key.as_ref()) {
            self.say(source, &format!("a request for {}, which it may not have", found.name()));
            self.metrics.count("refused");
            return answer.empty(Rcode::REFUSED).map(Reply::One);
        }
        let asked = Asked { answer, found, transport };
        match kind {
            Rtype::AXFR if datagram => {
                self.metrics.count("truncated");
                asked.answer.truncated().map(Reply::One)
            }
            Rtype::AXFR => self.whole(asked).await,
            Rtype::IXFR => match serial_of(&asked.answer.request) {
                Some(serial) => self.increment(asked, serial).await,
                None => {
                    self.metrics.count("malformed");
                    asked.answer.empty(Rcode::FORMERR).map(Reply::One)
                }
            },
            _ => self.question(asked, kind).await,
        }
    }

    /// Says something about a source, at most once a minute.
    pub(super) fn say(&self, source: SocketAddr, what: &str) {
        if let Some(held_back) = self.quiet.may_say(source.ip(), self.shared.clock.now().unix()) {
            tracing::warn!(%source, held_back, "dns: {what}");
        }
    }

    /// SOA and NS of a zone; of anything else there is nothing at the top of it.
    async fn question(&self, asked: Asked, kind: Rtype) -> Result<Reply, DnsError> {
        let Asked { mut answer, found, .. } = asked;
        let serial = match found.serial(&self.shared).await {
            Ok(serial) => serial,
            Err(reason) => return self.unavailable(answer, &found, &reason),
        };
        let apex = self.zones.apex(found.name());
        self.metrics.count("soa");
        let message = answer.one(|message| match kind {
            Rtype::SOA => message.push(apex.soa(serial)),
            Rtype::NS => message.push(apex.ns()),
            Rtype::ANY => message.push(apex.soa(serial)).and_then(|()| message.push(apex.ns())),
            _ => Ok(()),
        })?;
        match message {
            Some(message) => Ok(Reply::One(message)),
            None => answer.truncated().map(Reply::One),
        }
    }

    pub(super) fn unavailable(&self, answer: Answer, found: &Found, reason: &str) -> Result<Reply, DnsError> {
        self.say(answer.source, &format!("a request for {}, which cannot be served now: {reason}", found.name()));
        self.metrics.count("unavailable");
        answer.empty(Rcode::SERVFAIL).map(Reply::One)
    }
}

impl Answer {
    /// An EDNS version other than 0.
    fn bad_version(self) -> Result<Vec<u8>, DnsError> {
        let wrong = |e: domain::base::message_builder::PushError| DnsError::Message(e.to_string());
        let mut message = builder().start_error(&self.request, Rcode::NOERROR).additional();
        message
            .opt(|opt| {
                opt.set_rcode(OptRcode::BADVERS);
                Ok(())
            })
            .map_err(wrong)?;
        if let Some(mut signer) = self.signer {
            signer.answer(&mut message, signing_time(&*self.clock)).map_err(wrong)?;
        }
        Ok(finished(message))
    }
}

/// Whether every record can be read, there is one question, which other opcodes than QUERY need not have, and at most one
/// OPT record (RFC 6891 section 6.1.1).
fn well_formed(request: &Message<Vec<u8>>) -> bool {
    let Ok((mut question, answer, authority, additional)) = request.sections() else { return false };
    let asks = match request.header().opcode() {
        Opcode::QUERY => question.count() == 1 && request.sole_question().is_ok(),
        _ => question.all(|question| question.is_ok()),
    };
    let mut opts = 0;
    let readable = answer.chain(authority).chain(additional).all(|record| {
        record.is_ok_and(|record| {
            opts += usize::from(record.rtype() == Rtype::OPT);
            true
        })
    });
    asks && readable && opts <= 1
}

/// The serial in the authority section of a request for an increment.
fn serial_of(request: &Message<Vec<u8>>) -> Option<SoaSerial> {
    let name = request.sole_question().ok()?;
    let record = request.authority().ok()?.limit_to::<Soa<_>>().next()?.ok()?;
    record.owner().name_eq(name.qname()).then(|| record.data().serial())
}
