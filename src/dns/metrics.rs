//! What the DNS server counts, and its log lines: one a source and minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::owner::{Counts, LeftOut};

/// Label of requests.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Label of what is told of a zone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfZone {
    zone: String,
}

/// Labels of entries left out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LeftOutOf {
    zone: String,
    reason: &'static str,
}

/// Counters of one server. Clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct DnsMetrics {
    outcomes: Family<Outcome, Counter>,
    left_out: Family<LeftOutOf, Gauge>,
    records: Family<OfZone, Gauge>,
    /// Octets of transfers handed to connections.
    pub octets: Counter,
    /// Connections open now.
    pub connections: Gauge,
    /// Notifications sent, repeated ones too.
    pub notifications: Counter,
    /// Notifications that were acknowledged.
    pub acknowledged: Counter,
    /// Notifications given up: the secondary did not acknowledge any of many.
    pub given_up: Counter,
}

impl DnsMetrics {
    /// One request with this outcome: `soa`, `ixfr`, `axfr`, `current`, `refused` and so on.
    pub fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&Outcome { outcome }).inc();
    }

    /// What a zone holds, after it was walked whole.
    pub fn walked(&self, zone: &str, records: u64, counts: &Counts) {
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.records.get_or_create(&OfZone { zone: zone.to_owned() }).set(gauge(records));
        for reason in LeftOut::ALL {
            let label = LeftOutOf { zone: zone.to_owned(), reason: reason.word() };
            self.left_out.get_or_create(&label).set(gauge(counts.0[reason as usize]));
        }
    }

    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("requests", "DNS requests by what became of them", self.outcomes.clone());
        registry.register(
            "left_out",
            "Entries that a zone cannot say, as counted last: after publications every five minutes, and by each whole transfer",
            self.left_out.clone(),
        );
        registry.register("records", "Records of a zone but for SOA and NS, as counted last", self.records.clone());
        registry.register_with_unit("transferred", "Octets of transfers handed to connections", Unit::Bytes, self.octets.clone());
        registry.register("connections", "TCP and TLS connections that are open", self.connections.clone());
        registry.register("notifications", "NOTIFY messages sent", self.notifications.clone());
        registry.register("notifications_acknowledged", "NOTIFY messages acknowledged", self.acknowledged.clone());
        registry.register("notifications_given_up", "Versions of which a secondary could not be notified", self.given_up.clone());
    }
}

/// Sources that are remembered for a minute.
const SOURCES: usize = 4_096;

/// Lets one line a source and minute pass.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Minute of the last line, and how many were held back since.
    last: Mutex<HashMap<IpAddr, (u64, u64)>>,
}

impl Quiet {
    /// Whether to say something about this source now, and how many lines were held back since the last one. `now` in seconds.
    pub fn may_say(&self, source: IpAddr, now: u64) -> Option<u64> {
        let (minute, source) = (now / 60, crate::people::source(source));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= SOURCES && !last.contains_key(&source) {
            last.retain(|_, (at, _)| *at == minute);
            if last.len() >= SOURCES {
                return None;
            }
        }
        match last.get_mut(&source) {
            Some((at, held_back)) if *at == minute => {
                *held_back += 1;
                None
            }
            known => {
                let held_back = known.map_or(0, |(_, held_back)| *held_back);
                last.insert(source, (minute, 0));
                Some(held_back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_source_and_minute() {
        let quiet = Quiet::default();
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!(quiet.may_say(source(1), 60), Some(0));
        assert_eq!(quiet.may_say(source(1), 61), None);
        assert_eq!(quiet.may_say(source(1), 119), None);
        assert_eq!(quiet.may_say(source(2), 119), Some(0));
        assert_eq!(quiet.may_say(source(1), 120), Some(2));
        for n in 0..10_000 {
            quiet.may_say(source(n), 300);
        }
        assert!(quiet.last.lock().expect("unpoisoned").len() <= SOURCES);
        assert_eq!(quiet.may_say(source(20_000), 360), Some(0), "the next minute has room again");
    }
}
