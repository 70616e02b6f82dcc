//! One question by DNS, over UDP and again over TCP when the answer says it was cut short.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::message_builder::OptBuilder;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::AllRecordData;

/// How long one try waits. Whoever waits for more asks again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` …
    pub rcode: String,
    /// The records of the answer, type and value: `A 198.18.0.1`.
    pub records: Vec<String>,
    /// Whether it came by TCP because UDP was told to.
    pub truncated: bool,
}

impl Answer {
    /// No error and at least one record.
    pub fn has_records(&self) -> bool {
        self.rcode == "NOERROR" && !self.records.is_empty()
    }

    /// There is no such name.
    pub fn is_nxdomain(&self) -> bool {
        self.rcode == "NXDOMAIN"
    }

    /// The name is there, the type is not.
    pub fn is_nodata(&self) -> bool {
        self.rcode == "NOERROR" && self.records.is_empty()
    }
}

/// Asks `server` for `name` (without the last dot) and type. `None` when nobody answers in time.
pub fn ask(server: SocketAddr, name: &str, rtype: Rtype) -> Option<Answer> {
    ask_with(server, name, rtype, false)
}

/// The same; `signatures` as one who checks them himself asks: with the DO bit (RFC 3225).
pub fn ask_with(server: SocketAddr, name: &str, rtype: Rtype, signatures: bool) -> Option<Answer> {
    let question = question(name, rtype, signatures);
    let socket = UdpSocket::bind((server.ip(), 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.send(question.as_slice()).ok()?;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    buffer.truncate(length);
    let answer = Message::from_octets(buffer).ok().filter(|a| a.header().id() == question.header().id())?;
    if answer.header().tc() { read(&by_tcp(server, &question)?, true) } else { read(&answer, false) }
}

fn question(name: &str, rtype: Rtype, signatures: bool) -> Message<Vec<u8>> {
    let name: Name<Vec<u8>> = format!("{name}.").parse().unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_random_id();
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((name, rtype)).expect("a question has room");
    if !signatures {
        return builder.into_message();
    }
    let mut builder = builder.additional();
    let edns = |opt: &mut OptBuilder<'_, Vec<u8>>| {
        opt.set_udp_payload_size(1_232);
        opt.set_dnssec_ok(true);
        Ok(())
    };
    builder.opt(edns).expect("a question has room");
    builder.into_message()
}

fn by_tcp(server: SocketAddr, question: &Message<Vec<u8>>) -> Option<Message<Vec<u8>>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = u16::try_from(question.as_slice().len()).expect("a question is short");
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Message::from_octets(answer).ok()
}

fn read(message: &Message<Vec<u8>>, truncated: bool) -> Option<Answer> {
    let records = message.answer().ok()?.limit_to::<AllRecordData<_, _>>();
    let records = records.map(|r| r.map(|r| format!("{} {}", r.rtype(), r.data()))).collect::<Result<Vec<_>, _>>().ok()?;
    let rcode = match message.header().rcode() {
        Rcode::NOERROR => "NOERROR".to_owned(),
        rcode => rcode.to_string(),
    };
    Some(Answer { rcode, records, truncated })
}
