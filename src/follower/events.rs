//! The event stream (docs/PROTOCOL.md section 12): opens it, reads it, has every head verified, and says what came.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::sync::mpsc::Sender;

use crate::list::{ListId, Serial};

use super::FollowError;
use super::plan::{Event, Via};
use super::shared::{Heard, Inline, Shared, lock};
use super::sse::{SseEvent, SseFrame, SseParser};

/// An event, and the number of the stream it came from: what an older stream left in the channel is passed over.
pub(super) type Numbered = (u64, Event);

#[derive(Deserialize)]
struct HeadEvent<'a> {
    list: ListId,
    #[serde(borrow)]
    head: std::borrow::Cow<'a, str>,
    delta: Option<DeltaEvent<'a>>,
}

#[derive(Deserialize)]
struct DeltaEvent<'a> {
    from: u64,
    to: u64,
    #[serde(borrow)]
    zstd: std::borrow::Cow<'a, str>,
}

/// What an event says: the list, the note, and the delta with where it leads to. For the fuzzer, too.
///
/// # Errors
/// A sentence, if it is no event of a head.
#[allow(clippy::type_complexity)]
pub fn decode_head_event(data: &str) -> Result<(ListId, String, Option<(u64, u64, Vec<u8>)>), String> {
    let event: HeadEvent<'_> = serde_json::from_str(data).map_err(|e| e.to_string())?;
    let delta = match event.delta {
        Some(delta) => Some((delta.from, delta.to, STANDARD.decode(delta.zstd.as_bytes()).map_err(|e| e.to_string())?)),
        None => None,
    };
    Ok((event.list, event.head.into_owned(), delta))
}

/// Where this follower stands: `a:1041,b`. A list whose content cannot be used is named without a serial.
fn position(shared: &Shared) -> String {
    let words = shared.lists.iter().map(|followed| match lock(&followed.known).serial {
        Some(serial) if !lock(&followed.notes).damaged => format!("{}:{serial}", followed.choice.id),
        _ => followed.choice.id.to_string(),
    });
    words.collect::<Vec<_>>().join(",")
}

/// Opens the stream and reads it to its end.
pub(super) async fn run(shared: Arc<Shared>, mirror: usize, number: u64, to: Sender<Numbered>) {
    let wait = match follow(&shared, mirror, number, &to).await {
        Ok(wait) => wait,
        Err(error) => {
            tracing::info!(mirror = %shared.client.name(mirror), "the event stream ended: {error}");
            match error {
                FollowError::Transport { retry_after, .. } => retry_after.map(Duration::from_secs),
                _ => None,
            }
        }
    };
    let _ = to.send((number, Event::PushLost { wait })).await;
}

async fn follow(shared: &Arc<Shared>, mirror: usize, number: u64, to: &Sender<Numbered>) -> Result<Option<Duration>, FollowError> {
    // Heads older than these are a step back; later ones that another way brought meanwhile are not.
    let mut heard: HashMap<usize, Option<Serial>> = (0..shared.lists.len()).map(|n| (n, shared.accepted_serial(n))).collect();
    let mut response = shared.client.events(mirror, &position(shared)).await?;
    let _ = to.send((number, Event::PushOpened)).await;
    let mut parser = SseParser::default();
    let mut first = true;
    while let Some(chunk) = shared.client.next_chunk(&mut response).await? {
        if std::mem::take(&mut first) {
            let _ = to.send((number, Event::PushHeard)).await;
        }
        let mut events = Vec::new();
        parser.push(&chunk, |frame| {
            if let SseFrame::Event(event) = frame {
                events.push(event);
            }
        })?;
        for event in events {
            match event.event.as_str() {
                "head" => {
                    if let Some(event) = take(shared, mirror, &event, &mut heard)? {
                        let _ = to.send((number, event)).await;
                    }
                }
                "bye" => return Ok(event.retry),
                // Other events may be added by a later version.
                _ => {}
            }
        }
    }
    Ok(None)
}

fn take(
    shared: &Shared,
    mirror: usize,
    event: &SseEvent,
    heard: &mut HashMap<usize, Option<Serial>>,
) -> Result<Option<Event>, FollowError> {
    let decoded = decode_head_event(&event.data);
    let (id, note, delta) =
        decoded.map_err(|e| FollowError::Unexpected(format!("an event that is none of a head ({e}); ask another address")))?;
    let Some(list) = shared.lists.iter().position(|l| l.choice.id == id) else { return Ok(None) };
    let inline = delta.map(|(from, to, zstd)| (to, Inline { from, zstd: zstd.into() }));
    let to = inline.as_ref().map(|(to, _)| *to);
    let asked_at = heard.get(&list).copied().flatten();
    Ok(match shared.hear(list, mirror, note.as_bytes(), inline.map(|(_, i)| i), asked_at) {
        Heard::Verified(mut facts) => {
            heard.insert(list, Serial::new(facts.serial));
            // A delta that leads elsewhere is none of this head.
            facts.inline_from = facts.inline_from.filter(|_| to == Some(facts.serial));
            Some(Event::Head { list, mirror, via: Via::Push, facts })
        }
        Heard::Known => None,
        Heard::Refused(why) => Some(Event::HeadRefused { list, mirror, push: true, why }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_head_is_read() {
        let (list, head, delta) =
            decode_head_event(r#"{"list":"a","head":"bwld head v1\n","delta":{"from":1,"to":2,"zstd":"AAEC"}}"#).unwrap();
        assert_eq!((list.as_str(), head.as_str()), ("a", "bwld head v1\n"));
        assert_eq!(delta, Some((1, 2, vec![0, 1, 2])));
        assert_eq!(decode_head_event(r#"{"list":"a","head":"x"}"#).unwrap().2, None);
        for bad in ["", "{}", r#"{"list":"A","head":""}"#, r#"{"list":"a","head":"","delta":{"from":1,"to":2,"zstd":"*"}}"#] {
            assert!(decode_head_event(bad).is_err(), "{bad}");
        }
    }
}
