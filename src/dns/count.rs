//! What zones hold and what is left out of them, counted beside the work, so that it is known without a transfer.
//!
//! A zone is walked once when it can be served first, then after publications, each zone at most once in
//! `Limits::count_pause`, one zone at a time, and with pauses that keep it below a tenth of a core. Nobody waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::base::Name;
use tokio::sync::watch;
use tokio::time::Instant;

use super::DnsError;
use super::content::walk;
use super::owner::Counts;
use super::part::Part;
use super::service::Service;
use super::zone::{Stand, Zone};
use super::zones::Found;

/// After a walk it rests so many times as long.
const REST: u32 = 9;

/// Counts until told to stop.
pub(super) async fn run(service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
    let mut changes = service.shared.hub.changes();
    // Which number of a zone was counted, and when.
    let mut counted: HashMap<Name<Bytes>, (u64, Instant)> = HashMap::new();
    loop {
        let mut again = None;
        for name in service.zones.names(service.shared.hub.catalog()) {
            let Some(Found::Zone(zone, part)) = service.zones.find(&name, service.shared.hub.catalog()) else { continue };
            let Ok(stand) = zone.stand(&service.shared, part).await else { continue };
            let before = counted.get(&name).filter(|(number, _)| *number != stand.number).map(|(_, at)| *at + service.limits.count_pause);
            match before {
                None if counted.contains_key(&name) => continue,
                Some(due) if due > Instant::now() => {
                    again = Some(again.map_or(due, |again: Instant| again.min(due)));
                    continue;
                }
                _ => {}
            }
            let (began, number) = (Instant::now(), stand.number);
            let counting = (service.clone(), stopped.clone());
            let _ = tokio::task::spawn_blocking(move || count(&counting.0, (&zone, part), &stand, &counting.1)).await;
            counted.insert(name, (number, Instant::now()));
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(REST * began.elapsed()) => {}
            }
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            going = changes.next() => if !going { return },
            () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
        }
    }
}

fn count(service: &Service, (zone, part): (&Zone, Part), stand: &Stand, stopped: &watch::Receiver<bool>) {
    let mut records = 0;
    let counts = walk(service.shared.hub.deltas().artefacts(), zone, part, &stand.newest, &|| *stopped.borrow(), |_| {
        records += 1;
        Ok(())
    });
    match counts {
        Ok(counts) => service.walked(zone, part, records, counts),
        Err(DnsError::Gone) => {}
        Err(error) => tracing::error!(zone = %zone.name_of(part), %error, "what the zone holds could not be counted"),
    }
}

impl Service {
    /// Notes what a walk over the whole zone has found.
    pub(super) fn walked(&self, zone: &Zone, part: Part, records: u64, counts: Counts) {
        let name = format!("{}", zone.name_of(part).fmt_with_dot());
        self.metrics.walked(&name, records, &counts);
        if zone.walked(part, records, counts) {
            tracing::warn!(zone = name, left_out = %counts, "entries that a policy zone cannot say are left out");
        }
    }
}
