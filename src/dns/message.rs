//! Answers of one or many messages, assembled, signed and cut by the `domain` crate's builders.
//!
//! A message of a transfer is filled to 16 KiB, not to 64: a compressed name can only point into the first 16 KiB of its
//! message, and a wildcard behind its name is 2 octets of name with a pointer, all of it without. The larger message would
//! make the transfer a quarter larger. (BIND's default, 20 KiB, has the same reason.)

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, HashCompressor, PushError, StreamTarget};
use domain::base::name::RelativeName;
use domain::base::record::ComposeRecord;
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial as SoaSerial, Ttl};
use domain::rdata::tsig::Time48;
use domain::rdata::{Cname, Ns, Soa};
use domain::tsig::{Key, ServerSequence};

use crate::store::Clock;

use super::DnsError;
use super::content::Owner;

/// What messages are written into; two octets of length before each, as streams want it.
pub type Target = HashCompressor<StreamTarget<Vec<u8>>>;

/// Octets of a message of a transfer, at most.
pub const FULL: usize = 16_384;

/// TTL of every record, in seconds.
const TTL: Ttl = Ttl::from_secs(60);

/// Octets of our OPT record.
const OPT: usize = 11;

/// UDP payload that we say we take, in octets.
pub const UDP_PAYLOAD: u16 = 1_232;

/// An empty builder.
pub fn builder() -> MessageBuilder<Target> {
    let target = HashCompressor::new(StreamTarget::new_vec());
    MessageBuilder::from_target(target).expect("a vector takes a header")
}

/// The finished message with its length before it.
pub fn finished(message: AdditionalBuilder<Target>) -> Vec<u8> {
    message.finish().into_target().into_target()
}

/// What all messages of one answer have in common.
#[derive(Debug)]
pub struct Answer {
    /// The request, without its signature.
    pub request: Message<Vec<u8>>,
    /// Signs, if the request was signed.
    pub signer: Option<ServerSequence<Arc<Key>>>,
    /// When a message is signed is in its signature: a transfer may take longer than signatures are good for.
    pub clock: Arc<dyn Clock>,
    /// Octets of a message, at most.
    pub limit: usize,
    /// Whether the request had an OPT record; then each answer has one.
    pub edns: bool,
    /// Who asked.
    pub source: SocketAddr,
}

impl Answer {
    /// Octets that OPT and signature take.
    fn reserved(&self) -> usize {
        let signature = self.signer.as_ref().map_or(0, |signer| usize::from(signer.key().compose_len()));
        signature + if self.edns { OPT } else { 0 }
    }

    /// Begins a message; the question is in the first one only (RFC 5936 section 2.2.1).
    fn begin(&self, first: bool, rcode: Rcode) -> AnswerBuilder<Target> {
        let mut message = if first {
            builder().start_error(&self.request, rcode)
        } else {
            let mut next = builder();
            let asked = self.request.header();
            let header = next.header_mut();
            header.set_id(asked.id());
            header.set_qr(true);
            header.set_rd(asked.rd());
            header.set_opcode(Opcode::QUERY);
            next.answer()
        };
        message.header_mut().set_aa(rcode == Rcode::NOERROR && self.request.header().opcode() == Opcode::QUERY);
        message.set_push_limit(self.limit.saturating_sub(self.reserved()));
        message
    }

    /// Ends a message: OPT and signature.
    fn end(&mut self, message: AnswerBuilder<Target>) -> Result<Vec<u8>, DnsError> {
        let mut message = message.additional();
        message.clear_push_limit();
        if self.edns {
            message
                .opt(|opt| {
                    opt.set_udp_payload_size(UDP_PAYLOAD);
                    Ok(())
                })
                .map_err(wrong)?;
        }
        if let Some(signer) = &mut self.signer {
            signer.answer(&mut message, signing_time(&*self.clock)).map_err(wrong)?;
        }
        Ok(finished(message))
    }

    /// An answer without records.
    ///
    /// # Errors
    /// If the signature does not fit.
    pub fn empty(mut self, rcode: Rcode) -> Result<Vec<u8>, DnsError> {
        let message = self.begin(true, rcode);
        self.end(message)
    }

    /// An answer that says: ask over TCP.
    ///
    /// # Errors
    /// If the signature does not fit.
    pub fn truncated(mut self) -> Result<Vec<u8>, DnsError> {
        let mut message = self.begin(true, Rcode::NOERROR);
        message.header_mut().set_tc(true);
        self.end(message)
    }

    /// One message with what `fill` puts into it; `None` if it does not fit.
    ///
    /// # Errors
    /// If the signature does not fit.
    pub fn one(&mut self, fill: impl FnOnce(&mut AnswerBuilder<Target>) -> Result<(), PushError>) -> Result<Option<Vec<u8>>, DnsError> {
        let mut message = self.begin(true, Rcode::NOERROR);
        match fill(&mut message) {
            Ok(()) => self.end(message).map(Some),
            Err(_) => Ok(None),
        }
    }
}

fn wrong(e: PushError) -> DnsError {
    DnsError::Message(e.to_string())
}

/// Puts records into messages and hands each full one on.
pub struct Packer<Out> {
    answer: Answer,
    message: Option<AnswerBuilder<Target>>,
    out: Out,
    /// Octets handed on, lengths included.
    pub octets: u64,
}

impl<Out: FnMut(Vec<u8>) -> Result<(), DnsError>> Packer<Out> {
    /// Begins the first message.
    pub fn new(answer: Answer, out: Out) -> Self {
        let message = Some(answer.begin(true, Rcode::NOERROR));
        Packer { answer, message, out, octets: 0 }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`DnsError::Message`] if it alone exceeds a message; of handing on.
    pub fn push(&mut self, record: &impl ComposeRecord) -> Result<(), DnsError> {
        let message = self.message.get_or_insert_with(|| self.answer.begin(false, Rcode::NOERROR));
        if message.push_ref(record).is_ok() {
            return Ok(());
        }
        self.flush()?;
        let message = self.message.get_or_insert_with(|| self.answer.begin(false, Rcode::NOERROR));
        message.push_ref(record).map_err(wrong)
    }

    /// Hands on what is there.
    ///
    /// # Errors
    /// Of handing on.
    pub fn flush(&mut self) -> Result<(), DnsError> {
        let Some(message) = self.message.take() else { return Ok(()) };
        let bytes = self.answer.end(message)?;
        self.octets += bytes.len() as u64;
        (self.out)(bytes)
    }
}

/// Names and times of an SOA.
#[derive(Clone, Debug)]
pub struct Apex {
    /// The zone.
    pub zone: Name<Bytes>,
    /// Name of the primary: the publisher's.
    pub primary: Name<Bytes>,
    /// Refresh and retry, in seconds.
    pub refresh: u32,
}

/// Now, as signatures have it (RFC 8945 section 4.2).
pub fn signing_time(clock: &dyn Clock) -> Time48 {
    Time48::from_u64(clock.now().unix())
}

/// Seconds after which a secondary that reaches nobody gives a zone up: thirty days, because an old list is better than none.
const EXPIRE: Ttl = Ttl::from_secs(30 * 86_400);

impl Apex {
    /// The SOA of this serial.
    pub fn soa(&self, serial: SoaSerial) -> impl ComposeRecord {
        let refresh = Ttl::from_secs(self.refresh);
        // The mailbox is the primary's name itself: a name more would cost every increment twenty octets.
        let soa = Soa::new(self.primary.clone(), self.primary.clone(), serial, refresh, refresh, EXPIRE, TTL);
        (self.zone.clone(), Class::IN, TTL, soa)
    }

    /// The NS record; nobody asks it for names, so it need not resolve.
    pub fn ns(&self) -> impl ComposeRecord {
        (self.zone.clone(), Class::IN, TTL, Ns::new(self.primary.clone()))
    }

    /// The CNAME of an owner name.
    ///
    /// # Errors
    /// [`DnsError::Message`] if the name is too long; [`super::content::owners`] gives none that is.
    pub fn cname<'a>(&'a self, owner: Owner<'a>, target: &'a Name<Bytes>) -> Result<impl ComposeRecord + use<'a>, DnsError> {
        let (star, wire): (&[u8], &[u8]) = match owner {
            Owner::Name(wire) => (b"", wire),
            Owner::Wildcard(wire) => (b"\x01*", wire),
        };
        let relative = |wire: &'a [u8]| RelativeName::from_octets(wire).map_err(|e| DnsError::Message(e.to_string()));
        let name = relative(wire)?.chain(&self.zone).map_err(|e| DnsError::Message(e.to_string()))?;
        let name = relative(star)?.chain(name).map_err(|e| DnsError::Message(e.to_string()))?;
        Ok((name, Class::IN, TTL, Cname::new(target)))
    }
}

/// The type of a question that asks for a transfer.
pub fn is_transfer(kind: Rtype) -> bool {
    matches!(kind, Rtype::AXFR | Rtype::IXFR)
}
