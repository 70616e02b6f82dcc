//! One subscriber's stream: pulled, never pushed. It holds a position and a receiver; what it is to be sent is found when
//! the connection can take more, so one that reads slowly is sent the newest version and costs no more memory.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;

use crate::list::{ListId, Serial};
use crate::store::PublishedList;

use super::event::{bye, comment, opening};
use super::hub::{Ready, Signal};
use super::{Hub, Position, Slot, jittered};

/// What the subscriber has of one list.
#[derive(Debug)]
struct Stand {
    list: ListId,
    serial: Option<Serial>,
    /// The note it was sent last, to see that it was signed again; none: it has not been looked at yet.
    note: Option<Arc<str>>,
}

/// A stream of events.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    signal: watch::Receiver<Signal>,
    stands: Box<[Stand]>,
    /// Where to look first, so that a busy list does not starve the others.
    first: usize,
    /// What comes next whatever happens: the second half of an event, at first the comment.
    rest: Option<Bytes>,
    ended: bool,
    _slot: Slot,
}

impl Subscription {
    pub(super) fn new(hub: Arc<Hub>, signal: watch::Receiver<Signal>, position: Position, slot: Slot) -> Self {
        let stands = position.lists().iter().map(|(list, serial)| Stand { list: list.clone(), serial: *serial, note: None }).collect();
        // Something at once, so that the client and every proxy in between see that the stream is open.
        Subscription { hub, signal, stands, first: 0, rest: Some(comment()), ended: false, _slot: slot }
    }

    /// The next piece of the stream; waits for one. `None` after the `bye`.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.rest.take() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            // Seen first, compared then: what comes after this line makes `changed` return at once.
            if self.signal.borrow_and_update().closing {
                self.ended = true;
                let options = &self.hub.options;
                return Some(bye(jittered(options.come_back, options.come_back_spread)));
            }
            if let Some((stand, list)) = self.newer() {
                return Some(self.send(stand, list).await);
            }
            let changed = tokio::time::timeout(self.hub.options.idle_comment, self.signal.changed());
            match changed.await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.ended = true,
                Err(_) => {
                    self.hub.metrics.comments.inc();
                    return Some(comment());
                }
            }
        }
    }

    /// The next list of which the subscriber does not have the newest head.
    fn newer(&mut self) -> Option<(usize, Arc<PublishedList>)> {
        let count = self.stands.len();
        for i in (0..count).map(|i| (self.first + i) % count) {
            let stand = &mut self.stands[i];
            let Some(list) = self.hub.catalog().get(&stand.list) else { continue };
            let newest = list.head.serial;
            match (&stand.note, stand.serial) {
                (Some(sent), _) if Arc::ptr_eq(sent, &list.note) => continue,
                // At the start only a higher serial counts; the head the subscriber came with is taken for this one.
                (None, Some(serial)) if newest <= serial => stand.note = Some(list.note.clone()),
                // Never back.
                (Some(_), Some(serial)) if newest < serial => continue,
                _ => {
                    self.first = (i + 1) % count;
                    return Some((i, list));
                }
            }
        }
        None
    }

    async fn send(&mut self, stand: usize, list: Arc<PublishedList>) -> Bytes {
        let ready: Arc<Ready> = self.hub.ready(&list);
        let data = self.hub.data(&ready, self.stands[stand].serial).await;
        let stand = &mut self.stands[stand];
        stand.serial = Some(list.head.serial);
        // The first event of a stream may be of a version that is hours old: that is no propagation.
        if stand.note.replace(list.note.clone()).is_some() {
            self.hub.metrics.propagation.observe(Instant::now().saturating_duration_since(ready.since).as_secs_f64());
        }
        self.hub.metrics.events.inc();
        self.rest = Some(data);
        opening(&self.position())
    }

    /// Where the subscriber stands now.
    fn position(&self) -> Position {
        Position::of(self.stands.iter().map(|stand| (stand.list.clone(), stand.serial)).collect())
    }
}
