//! What the publisher's daemon does beside serving: heads signed again in time, upkeep, the service manager, signals.
//!
//! Guarantees: a fatal error of the publisher ends the daemon, because only a start repairs it, and one of the store ends
//! it at once, whoever met it; anything else is said and tried again. While heads cannot be signed again the daemon is
//! not ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::desk::{Desk, DeskError};
use crate::http::{Readiness, Tls};
use crate::list::Timestamp;
use crate::people::People;
use crate::publisher::{Class, Maintenance, PublishError, Publisher};
use crate::store::Clock;

/// Never sleeps longer: the system's clock may be set meanwhile.
const LONGEST: u64 = 600;
/// After an error, in seconds.
const AGAIN: u64 = 30;
/// How often it is looked whether files such as certificates have changed.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks at whether something is to be kept up, in seconds.
const UPKEEP: u64 = 60;

/// Why the daemon is to stop; `None` while it is not.
pub type Stop = watch::Sender<Option<Why>>;

/// Why the daemon stops.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// A signal asked for it.
    Asked,
    /// The publisher's state is unknown; the next start repairs it.
    Fatal(String),
}

/// Stops the daemon as soon as the store can take no commits any more.
pub async fn store(mut failure: watch::Receiver<Option<String>>, stop: Arc<Stop>) {
    if let Ok(reason) = failure.wait_for(Option::is_some).await
        && let Some(reason) = reason.clone()
    {
        tracing::error!(reason, "the store takes nothing any more; stopping");
        stop.send_replace(Some(Why::Fatal(reason)));
    }
}

/// Signs heads again when they are due, until the daemon stops.
pub async fn heartbeat(publisher: Arc<Publisher>, clock: Arc<dyn Clock>, readiness: Readiness, stop: Arc<Stop>) {
    let mut stopping = stop.subscribe();
    let mut unready = None;
    loop {
        let wait = beat(&publisher, &*clock, &readiness, &mut unready, &stop).await;
        tokio::select! {
            _ = stopping.wait_for(Option::is_some) => return,
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
        }
    }
}

/// Signs heads again once. `unready` is the reason given to `readiness`, while there is one. Seconds until the next time.
async fn beat(publisher: &Arc<Publisher>, clock: &dyn Clock, readiness: &Readiness, unready: &mut Option<String>, stop: &Stop) -> u64 {
    let working = publisher.clone();
    let (wait, reason) = match tokio::task::spawn_blocking(move || working.heartbeat()).await {
        Ok(Ok(next)) => (pause(clock.now(), next), None),
        Ok(Err(error)) => (failed("heads could not be signed again", &error, stop), Some(error.to_string())),
        Err(_) => (AGAIN, Some("it broke off, the log says where".to_owned())),
    };
    let reason = reason.map(|reason| format!("heads cannot be signed again, and will expire: {reason}"));
    if reason != *unready {
        reason.iter().for_each(|reason| readiness.wait_for(reason));
        unready.iter().for_each(|reason| readiness.clear(reason));
        *unready = reason;
    }
    wait
}

/// Does the publisher's upkeep every minute, until the daemon stops.
pub async fn upkeep(publisher: Arc<Publisher>, people: Arc<People>, stop: Arc<Stop>) {
    let mut stopping = stop.subscribe();
    loop {
        tokio::select! {
            _ = stopping.wait_for(Option::is_some) => return,
            () = tokio::time::sleep(Duration::from_secs(UPKEEP)) => {}
        }
        let working = publisher.clone();
        match tokio::task::spawn_blocking(move || working.maintain()).await {
            Ok(Ok(report)) => said(&report),
            Ok(Err(error)) => drop(failed("upkeep failed", &error, &stop)),
            Err(_) => tracing::error!("upkeep broke off"),
        }
        let working = people.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || working.upkeep()).await {
            tracing::warn!(%error, "it could not be written down when tokens were last used");
        }
    }
}

/// Lets time act on the desk every so often, until the daemon stops: expiries, scheduled publications.
pub async fn desk(desk: Arc<Desk>, every: Duration, stop: Arc<Stop>) {
    let mut stopping = stop.subscribe();
    loop {
        let working = desk.clone();
        match tokio::task::spawn_blocking(move || working.tick()).await {
            Ok(Ok(ticked)) => {
                for (list, serial, entries) in ticked.expired {
                    tracing::info!(%list, %serial, entries, "expired entries have left");
                }
                for (list, serial) in ticked.published {
                    tracing::info!(%list, %serial, "a scheduled publication went out");
                }
                for reason in ticked.failed {
                    tracing::warn!(reason, "what was due was not done; `bwld queue` shows it");
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "what time does by itself was not done");
                if let DeskError::Publish(error) = &error {
                    let _ = failed("what time does by itself failed", error, &stop);
                }
            }
            Err(_) => tracing::error!("what time does by itself broke off"),
        }
        tokio::select! {
            _ = stopping.wait_for(Option::is_some) => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Looks every so often whether certificate or key have changed, and reads them again; at SIGHUP it does so anyway.
///
/// # Errors
/// If the signal cannot be had.
pub fn certificates(tls: Arc<Tls>, stop: Arc<Stop>) -> anyhow::Result<()> {
    read_again("certificate and key", move |anyway| Ok(tls.reload(anyway)?), stop)
}

/// Has files read again every so often, and at SIGHUP, until the daemon stops. `read` is told whether to read them anyway, as at
/// SIGHUP, or only if they have changed or could not be used the last time; it says whether what they say is in force now. An
/// error: that what was before stays.
///
/// # Errors
/// If the signal cannot be had.
pub fn read_again(
    what: &'static str,
    read: impl FnMut(bool) -> anyhow::Result<bool> + Send + 'static,
    stop: Arc<Stop>,
) -> anyhow::Result<()> {
    let hangup = signal(SignalKind::hangup())?;
    tokio::spawn(keep_reading(what, read, stop, hangup));
    Ok(())
}

async fn keep_reading(
    what: &'static str,
    mut read: impl FnMut(bool) -> anyhow::Result<bool> + Send + 'static,
    stop: Arc<Stop>,
    mut hangup: tokio::signal::unix::Signal,
) {
    let (mut stopping, mut told) = (stop.subscribe(), None);
    loop {
        let asked = tokio::select! {
            _ = stopping.wait_for(Option::is_some) => return,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(READ_AGAIN) => false,
        };
        let reading = tokio::task::spawn_blocking(move || {
            let said = read(asked);
            (read, said)
        });
        let Ok((again, said)) = reading.await else { return tracing::error!("reading {what} again broke off; start bwld again") };
        read = again;
        match said {
            Ok(true) => tracing::info!("{what} have been read again and are in force"),
            Ok(false) => {}
            Err(error) if is_news(&error, asked, &told) => {
                tracing::error!("{what} have changed and are not used, those before stay in force: {error:#}");
                told = Some(format!("{error:#}"));
                continue;
            }
            Err(_) => continue,
        }
        told = None;
    }
}

/// Whether an error is to be told: it is another one than was `told` last, or somebody has `asked`.
fn is_news(error: &anyhow::Error, asked: bool, told: &Option<String>) -> bool {
    asked || told.as_ref() != Some(&format!("{error:#}"))
}

fn said(report: &Maintenance) {
    if *report != Maintenance::default() {
        tracing::info!(
            folded = report.folded.len(),
            deltas_dropped = report.deltas_dropped,
            segments_archived = report.segments_archived,
            files_removed = report.files_removed,
            "upkeep"
        );
    }
    for file in &report.files_missing {
        tracing::error!(file, "a file that the journal names is missing; run bwld check");
    }
}

fn pause(now: Timestamp, next: Timestamp) -> u64 {
    next.since(now).clamp(1, LONGEST)
}

/// Says what went wrong; stops the daemon when only a start can mend it. Seconds until another try.
fn failed(what: &str, error: &PublishError, stop: &Stop) -> u64 {
    tracing::error!(%error, "{what}");
    if error.class() == Class::Fatal {
        stop.send_replace(Some(Why::Fatal(error.to_string())));
    }
    AGAIN
}

/// Tells the service manager's watchdog that the runtime still turns, until the daemon stops.
pub async fn watchdog(stop: Arc<Stop>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut stopping = stop.subscribe();
    loop {
        tell(&[sd_notify::NotifyState::Watchdog]);
        tokio::select! {
            _ = stopping.wait_for(Option::is_some) => return,
            () = tokio::time::sleep(limit / 3) => {}
        }
    }
}

/// Tells the service manager something; without one this does nothing.
pub fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// The first SIGTERM or SIGINT asks the daemon to stop, the second ends it at once.
///
/// # Errors
/// That signals cannot be handled.
pub fn signals(stop: Arc<Stop>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for first in [true, false] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if first {
                tracing::info!(signal = name, "stopping; a second signal ends it at once");
                stop.send_if_modified(|why| why.is_none().then(|| *why = Some(Why::Asked)).is_some());
            } else {
                std::process::exit(1);
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::list::{Colour, Origin};
    use crate::publisher::{NewList, PublishRequest, PublisherOptions, Signed};
    use crate::store::failing::{Condition, FailingDisk};
    use crate::store::{Catalog, FakeClock, IndexKind, Store, StoreOptions};

    use super::super::home;
    use super::*;

    #[test]
    fn the_same_error_is_told_once_and_to_whoever_asks() {
        let error = anyhow::anyhow!("server.key: permission denied");
        let told = Some(error.to_string());
        assert!(is_news(&error, false, &None) && is_news(&error, false, &Some("another".into())));
        assert!(!is_news(&error, false, &told) && is_news(&error, true, &told));
    }

    #[test]
    fn pauses_are_bounded() {
        let at = Timestamp::from_unix;
        assert_eq!(pause(at(100), at(90)), 1);
        assert_eq!(pause(at(100), at(130)), 30);
        assert_eq!(pause(at(100), at(1_000_000)), LONGEST);
    }

    #[tokio::test]
    async fn while_heads_cannot_be_signed_again_the_daemon_is_not_ready() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(FailingDisk::default());
        let options = StoreOptions { index: IndexKind::Memory, ..StoreOptions::default() };
        let (store, _) = Store::open(&dir.path().join("store"), options, disk.clone(), &mut |_| {}).expect("a store");
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        let origin: Origin = "a.example".parse().expect("an origin");
        let signer = home::signing_key(dir.path(), &origin, true).expect("a key");
        let note = home::first_keyset(dir.path(), &origin, &signer, clock.now()).expect("a key set");
        let options = PublisherOptions::new(origin);
        let later = options.renew_after + 1;
        let publisher = Publisher::open(Arc::new(store), Arc::new(Catalog::default()), options, signer, clock.clone(), Box::new(|_| ()));
        let publisher = Arc::new(publisher.expect("a publisher"));
        publisher.activate_keyset(&note, "bwld").expect("a key set");
        let id: crate::list::ListId = "t".parse().expect("a name");
        let (title, none) = ("T".to_owned(), String::new);
        let new = NewList {
            id: id.clone(),
            colour: Colour::Black,
            title,
            categories: vec![],
            owner: none(),
            licence: none(),
            source: none(),
            review: none(),
        };
        publisher.create_list(new, "test").expect("a list");
        publisher.publish(&id, &PublishRequest::default(), "test").expect("a version");

        let (readiness, stop, mut unready) = (Readiness::default(), Stop::new(None), None);
        clock.advance(later);
        disk.set(Condition::Full);
        assert_eq!(beat(&publisher, &*clock, &readiness, &mut unready, &stop).await, AGAIN);
        assert!(readiness.reasons()[0].contains("make room on the disk"), "{:?}", readiness.reasons());
        assert_eq!(beat(&publisher, &*clock, &readiness, &mut unready, &stop).await, AGAIN);
        assert_eq!(readiness.reasons().len(), 1);
        assert!(stop.borrow().is_none(), "a full disk is no reason to stop");
        disk.set(Condition::Sound);
        beat(&publisher, &*clock, &readiness, &mut unready, &stop).await;
        assert!(readiness.reasons().is_empty());
        assert_eq!(publisher.metrics().publications(&id, Signed::Heartbeat), 1);
    }
}
