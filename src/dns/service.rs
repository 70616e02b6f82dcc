//! From a request to its answer: what is asked, whether it may be had, and what is said. No sockets here.
//!
//! Outcomes (RFC 1995, 5936, 8945): malformed is FORMERR; a bad signature NOTAUTH with the TSIG error; a zone that is not
//! here NOTAUTH for a transfer and REFUSED for a question; who may not have it REFUSED; a list that cannot be served now
//! SERVFAIL, so that secondaries keep what they have.

use std::net::SocketAddr;
use std::sync::Arc;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::{Message, Rtype, Serial as SoaSerial, ToName};
use domain::rdata::Soa;
use domain::rdata::tsig::Time48;
use tokio::sync::{Semaphore, mpsc};

use crate::feed::Hub;
use crate::store::Clock;

use super::keys::{Keys, Signature};
use super::message::{Answer, FULL, UDP_PAYLOAD, builder, finished, is_transfer};
use super::metrics::{DnsMetrics, Quiet};
use super::options::{DnsOptions, Limits};
use super::zones::{Found, Zones};
use super::{DnsError, transfer};

/// What to send.
#[derive(Debug)]
pub enum Reply {
    /// Nothing: it was no request.
    Nothing,
    /// One message, with two octets of length before it.
    One(Vec<u8>),
    /// Messages as they come; an error means that the connection must be closed, since the transfer is not whole.
    Many(mpsc::Receiver<Result<Vec<u8>, DnsError>>),
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
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) zones: Zones,
    pub(super) keys: Keys,
    pub(super) limits: Limits,
    pub(super) metrics: DnsMetrics,
    pub(super) transfers: Arc<Semaphore>,
    pub(super) diffs: transfer::Diffs,
    quiet: Quiet,
}

/// A request that was understood and whose sender is known.
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) found: Found,
    pub(super) transport: Transport,
}

impl Service {
    /// Sets zones and keys up.
    ///
    /// # Errors
    /// [`DnsError`] names the zone or the key that cannot be.
    pub fn new(options: &DnsOptions, hub: Arc<Hub>, clock: Arc<dyn Clock>) -> Result<Arc<Service>, DnsError> {
        let keys = Keys::new(&options.keys)?;
        let zones = Zones::new(options, &keys, &*clock)?;
        Ok(Arc::new(Service {
            transfers: Arc::new(Semaphore::new(options.limits.transfers.max(1))),
            limits: options.limits.clone(),
            diffs: transfer::Diffs::default(),
            metrics: DnsMetrics::default(),
            quiet: Quiet::default(),
            hub,
            clock,
            zones,
            keys,
        }))
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
        let now = Time48::from_u64(self.clock.now().unix());
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
        let answer = Answer { request, signer, now, limit, edns };
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
            (kind, if known { self.zones.find(&name, self.hub.catalog()) } else { None })
        };
        let Some(found) = found else {
            self.say(source, "a request for a zone that is not here");
            self.metrics.count("unknown-zone");
            return answer.empty(if is_transfer(kind) { Rcode::NOTAUTH } else { Rcode::REFUSED }).map(Reply::One);
        };
        if !found.access().allows(source.ip(), key.as_ref()) {
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
            _ => self.question(asked, kind),
        }
    }

    /// Says something about a source, at most once a minute.
    pub(super) fn say(&self, source: SocketAddr, what: &str) {
        if let Some(held_back) = self.quiet.may_say(source.ip(), self.clock.now().unix()) {
            tracing::warn!(%source, held_back, "dns: {what}");
        }
    }

    /// SOA and NS of a zone; of anything else there is nothing at the top of it.
    fn question(&self, asked: Asked, kind: Rtype) -> Result<Reply, DnsError> {
        let Asked { mut answer, found, .. } = asked;
        let serial = match found.serial(self.hub.catalog()) {
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
        tracing::warn!(zone = %found.name(), reason, "the zone cannot be served");
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
            signer.answer(&mut message, self.now).map_err(wrong)?;
        }
        Ok(finished(message))
    }
}

/// Whether every record can be read, and there is one question.
fn well_formed(request: &Message<Vec<u8>>) -> bool {
    let Ok((question, answer, authority, additional)) = request.sections() else { return false };
    let records = answer.chain(authority).chain(additional);
    question.count() == 1 && request.sole_question().is_ok() && records.into_iter().all(|record| record.is_ok())
}

/// The serial in the authority section of a request for an increment.
fn serial_of(request: &Message<Vec<u8>>) -> Option<SoaSerial> {
    let name = request.sole_question().ok()?;
    let record = request.authority().ok()?.limit_to::<Soa<_>>().next()?.ok()?;
    record.owner().name_eq(name.qname()).then(|| record.data().serial())
}
