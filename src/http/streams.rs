//! One HTTP/2 stream: broken off when the peer leaves what is sent on it untaken for too long, the others of its connection
//! left alone.
//!
//! In HTTP/1 that shows at the socket. In HTTP/2 a peer that grants no window leaves the socket free, and may be reading other
//! streams; what shows is that a piece of the body has been handed out and the next is not asked for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

tokio::task_local! {
    static STREAM: Taking;
}

/// Octets of a body handed out at a time in HTTP/2: what a peer must take within the patience it is given.
pub(super) const PIECE: usize = 16 << 10;

/// Since when the peer of a stream has not taken the piece that was handed out.
#[derive(Clone, Debug, Default)]
pub(super) struct Taking(Arc<Mutex<Option<Instant>>>);

impl Taking {
    /// That of the HTTP/2 stream that is being worked on; none: it is HTTP/1.
    pub(super) fn of_this_stream() -> Option<Taking> {
        STREAM.try_with(Clone::clone).ok()
    }

    /// A piece has been handed out.
    pub(super) fn handed_out(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The next piece is asked for, so the one before has been taken.
    pub(super) fn asked_for(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the streams of HTTP/2 connections.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    /// How long a piece may be left untaken.
    pub(super) stall: Duration,
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let stall = self.stall;
        let taking = Taking::default();
        tokio::spawn(STREAM.scope(taking.clone(), async move {
            let mut stream = pin!(stream);
            let mut timer = pin!(sleep(Duration::ZERO));
            poll_fn(|context| {
                if stream.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let Some(since) = taking.since() else { return Poll::Pending };
                if timer.deadline() != since + stall {
                    timer.as_mut().reset(since + stall);
                }
                // Ready: the stream is dropped, which resets it.
                timer.as_mut().poll(context)
            })
            .await;
        }));
    }
}
