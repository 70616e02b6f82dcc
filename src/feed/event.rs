//! The bytes of server-sent events (docs/PROTOCOL.md section 12). The costly part, the `data` line, is the same for all.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;

use crate::list::{ListId, Serial};

use super::Position;

/// Largest compressed delta that travels inside an event, in octets. As base64 it is a third larger, which is then as much as
/// a request of its own costs (some 600 octets); what is larger is cheaper to fetch.
pub const MAX_INLINE: usize = 2 << 10;

#[derive(Serialize)]
struct HeadEvent<'a> {
    list: &'a ListId,
    head: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<InlineDelta>,
}

#[derive(Serialize)]
struct InlineDelta {
    from: Serial,
    to: Serial,
    zstd: String,
}

/// The `data` line of a head event and the empty line that ends it; with the delta, if one is given as (from, to, zstd).
pub(super) fn data_line(list: &ListId, head: &str, delta: Option<(Serial, Serial, &[u8])>) -> Bytes {
    let delta = delta.map(|(from, to, zstd)| InlineDelta { from, to, zstd: BASE64_STANDARD.encode(zstd) });
    let mut line = b"data: ".to_vec();
    serde_json::to_writer(&mut line, &HeadEvent { list, head, delta }).expect("text and numbers are always written to memory");
    line.extend_from_slice(b"\n\n");
    line.into()
}

/// What stands before the `data` line of a head event: its name, and the subscriber's position after it.
pub(super) fn opening(after: &Position) -> Bytes {
    format!("event: head\nid: {after}\n").into()
}

/// The comment that keeps an idle stream open.
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The last event before a shutdown.
pub(super) fn bye(come_back_after: Duration) -> Bytes {
    format!("event: bye\nretry: {}\ndata: {{}}\n\n", come_back_after.as_millis()).into()
}

#[cfg(test)]
mod tests {
    use super::super::position::MAX_LISTS;
    use super::*;
    use crate::wire::MAX_HEAD;

    #[test]
    fn an_event_is_one_line_of_json_and_ends_with_an_empty_line() {
        let list: ListId = "a".parse().expect("a name");
        let (from, to) = (Serial::FIRST, Serial::new(2).expect("a serial"));
        assert_eq!(
            data_line(&list, "bwld head v1\n\"\n", None),
            "data: {\"list\":\"a\",\"head\":\"bwld head v1\\n\\\"\\n\"}\n\n".as_bytes()
        );
        assert_eq!(
            data_line(&list, "h", Some((from, to, b"\xff\xfe"))),
            "data: {\"list\":\"a\",\"head\":\"h\",\"delta\":{\"from\":1,\"to\":2,\"zstd\":\"//4=\"}}\n\n".as_bytes()
        );
        assert_eq!(opening(&Position::parse("a:2,b").expect("a position")), "event: head\nid: a:2,b\n".as_bytes());
        assert_eq!(bye(Duration::from_millis(2500)), "event: bye\nretry: 2500\ndata: {}\n\n".as_bytes());
    }

    /// docs/PROTOCOL.md section 12 promises 65,536 octets; a follower breaks off at more.
    #[test]
    fn the_largest_event_is_within_what_the_protocol_promises() {
        let name = |n: usize| format!("{n:02}{}", "x".repeat(61));
        let last = Serial::new(i64::MAX as u64).expect("the last serial");
        let position = (0..MAX_LISTS).map(|n| format!("{}:{last}", name(n))).collect::<Vec<_>>().join(",");
        let position = Position::parse(&position).expect("the longest position");
        let list = &position.lists()[0].0;
        assert_eq!(list.as_str().len(), 63);
        // No note is worse to escape: a line feed takes two octets, and the parts of a note have no quotes or controls.
        let head = "a\n".repeat(MAX_HEAD / 2);
        let delta = vec![0xff; MAX_INLINE];
        let data = data_line(list, &head, Some((last, last, &delta)));
        let event = opening(&position).len() + data.len();
        assert!(event <= 65_536, "{event} octets");
    }
}
