//! Transfers: the whole zone as a stream of messages from the lists' snapshots, or what changed as one condensed step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::base::iana::Rcode;
use domain::base::{Name, Serial as SoaSerial};
use tokio::sync::{OnceCell, mpsc};

use super::DnsError;
use super::catalog::CatalogZone;
use super::content::{Owner, walk};
use super::diff::{Diff, diff};
use super::message::{Answer, Apex, Packer};
use super::service::{Asked, Reply, Service, Transport};
use super::zone::{Position, Stand, Zone, soa_serial};
use super::zones::Found;

/// Messages made before they are sent, a transfer: what a slow secondary costs in memory is this many times 16 KiB.
const AHEAD: usize = 4;
/// Increments kept, so that two hundred secondaries cost one comparison.
const KEPT: usize = 16;
/// Changed names of an increment that is kept.
const KEPT_NAMES: usize = 50_000;

/// An increment may have this many records more than the whole zone: for so few it is not worth having all replaced.
const LARGER: u64 = 100;

type Key = (Name<Bytes>, u64, u64);
type Made = Arc<OnceCell<Option<Arc<Diff>>>>;

/// Increments that were asked for lately. Each is made once, however many ask.
#[derive(Debug, Default)]
pub struct Diffs(Mutex<VecDeque<(Key, Made)>>);

impl Diffs {
    fn cell(&self, key: &Key) -> Made {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = kept.iter().find(|(known, _)| known == key) {
            return made.clone();
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let made = Made::default();
        kept.push_back((key.clone(), made.clone()));
        made
    }

    fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != key);
    }
}

impl Service {
    /// AXFR.
    pub(super) async fn whole(self: &Arc<Self>, asked: Asked) -> Result<Reply, DnsError> {
        match asked.found.clone() {
            Found::Catalog(catalog) => self.catalog_whole(asked.answer, catalog).await,
            Found::Zone(zone) => match zone.stand(self.hub.catalog()) {
                Ok(stand) => self.zone_whole(asked.answer, zone, stand).await,
                Err(reason) => self.unavailable(asked.answer, &asked.found, &reason),
            },
        }
    }

    /// IXFR from `serial`.
    pub(super) async fn increment(self: &Arc<Self>, mut asked: Asked, serial: SoaSerial) -> Result<Reply, DnsError> {
        let zone = match &asked.found {
            Found::Zone(zone) => zone.clone(),
            Found::Catalog(catalog) => {
                let newest = catalog.serial();
                let behind = newest.into_int().wrapping_sub(serial.into_int());
                return match behind == 0 || behind >= 1 << 31 || asked.transport == Transport::Datagram {
                    true => self.only_soa(asked, newest),
                    false => self.whole(asked).await,
                };
            }
        };
        let stand = match zone.stand(self.hub.catalog()) {
            Ok(stand) => stand,
            Err(reason) => return self.unavailable(asked.answer, &asked.found, &reason),
        };
        let change = match zone.position(&stand, serial) {
            Position::Current => return self.only_soa(asked, stand.serial()),
            Position::Unknown => None,
            Position::At(sum, versions) => self.diff(&zone, &stand, sum, &versions).await?.map(|diff| (sum, diff)),
        };
        match (change, asked.transport) {
            (Some((from, diff)), Transport::Stream) => self.steps(asked.answer, zone, stand, from, diff).await,
            (None, Transport::Stream) => self.zone_whole(asked.answer, zone, stand).await,
            (Some((from, diff)), Transport::Datagram) => {
                let apex = self.zones.apex(&zone.name);
                // Far more names than can fit are not tried.
                let fits = diff.len() <= 200;
                let message = match fits {
                    true => asked.answer.one(|message| {
                        let mut push = |record: Record<'_>| match record {
                            Record::Soa(serial) => message.push(apex.soa(serial)),
                            Record::Name(wire) => match apex.cname(Owner::Name(wire), &stand.target) {
                                Ok(record) => message.push(record),
                                Err(_) => Err(domain::base::message_builder::PushError::ShortBuf),
                            },
                        };
                        records(&diff, soa_serial(from), stand.serial()).try_for_each(&mut push)
                    })?,
                    false => None,
                };
                match message {
                    Some(message) => {
                        self.metrics.count("ixfr");
                        Ok(Reply::One(message))
                    }
                    // RFC 1995 section 2: what does not fit is answered with the SOA, and asked for again over TCP.
                    None => self.only_soa(asked, stand.serial()),
                }
            }
            (None, Transport::Datagram) => self.only_soa(asked, stand.serial()),
        }
    }

    fn only_soa(&self, asked: Asked, serial: SoaSerial) -> Result<Reply, DnsError> {
        let Asked { mut answer, found, .. } = asked;
        let apex = self.zones.apex(found.name());
        self.metrics.count("current");
        match answer.one(|message| message.push(apex.soa(serial)))? {
            Some(message) => Ok(Reply::One(message)),
            None => answer.truncated().map(Reply::One),
        }
    }

    /// What leads from the versions of the sum `from` to `stand`.
    async fn diff(
        &self,
        zone: &Arc<Zone>,
        stand: &Stand,
        from: u64,
        versions: &[crate::list::Serial],
    ) -> Result<Option<Arc<Diff>>, DnsError> {
        let key = (zone.name.clone(), from, stand.sum);
        let cell = self.diffs.cell(&key);
        let made = cell.get_or_try_init(|| async {
            let diff = diff(self.hub.deltas(), zone, stand, versions, self.limits.changes).await?;
            Ok::<_, DnsError>(diff.map(Arc::new))
        });
        let diff = made.await?.clone();
        // A refusal may be one for now (an older base is just being swept), and large ones are not worth their memory.
        if diff.as_ref().is_none_or(|diff| diff.len() > KEPT_NAMES) {
            self.diffs.forget(&key);
        }
        let counted = zone.records().unwrap_or_else(|| stand.lists.iter().map(|list| list.head.entries).sum());
        // The zone has at least what comes now; its count may be older.
        let whole = |diff: &Diff| counted.max(diff.added.len() as u64) + LARGER;
        Ok(diff.filter(|diff| diff.len() as u64 <= whole(diff)))
    }

    /// Starts making messages on a thread that may block. Waits for its turn, and says SERVFAIL when that does not come.
    async fn produce(
        self: &Arc<Self>,
        answer: Answer,
        what: &'static str,
        make: impl FnOnce(&Service, Answer, &mut dyn FnMut(Vec<u8>) -> Result<(), DnsError>) -> Result<(), DnsError> + Send + 'static,
    ) -> Result<Reply, DnsError> {
        let turn = tokio::time::timeout(self.limits.idle, self.transfers.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            self.metrics.count("too-many-transfers");
            return answer.empty(Rcode::SERVFAIL).map(Reply::One);
        };
        self.metrics.count(what);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let service = self.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut out = |message: Vec<u8>| {
                service.metrics.octets.inc_by(message.len() as u64);
                sender.blocking_send(Ok(message)).map_err(|_| DnsError::Gone)
            };
            match make(&service, answer, &mut out) {
                Ok(()) | Err(DnsError::Gone) => {}
                Err(error) => {
                    tracing::error!(%error, "a transfer was broken off");
                    let _ = sender.blocking_send(Err(error));
                }
            }
        });
        Ok(Reply::Many(receiver))
    }

    async fn zone_whole(self: &Arc<Self>, answer: Answer, zone: Arc<Zone>, stand: Stand) -> Result<Reply, DnsError> {
        let apex = self.zones.apex(&zone.name);
        self.produce(answer, "axfr", move |service, answer, out| {
            let mut packer = Packer::new(answer, out);
            packer.push(&apex.soa(stand.serial()))?;
            packer.push(&apex.ns())?;
            let mut records = 0;
            let counts = walk(service.hub.deltas().artefacts(), &zone, &stand, |owner| {
                records += 1;
                packer.push(&apex.cname(owner, &stand.target)?)
            })?;
            // The last SOA goes out only now that all that was read has been compared with its digest.
            packer.push(&apex.soa(stand.serial()))?;
            packer.flush()?;
            let name = format!("{}", zone.name.fmt_with_dot());
            service.metrics.walked(&name, records, &counts);
            if zone.walked(records, counts) {
                tracing::warn!(zone = name, left_out = %counts, "entries that a policy zone cannot say are left out");
            }
            Ok(())
        })
        .await
    }

    async fn steps(self: &Arc<Self>, answer: Answer, zone: Arc<Zone>, stand: Stand, from: u64, diff: Arc<Diff>) -> Result<Reply, DnsError> {
        let apex = self.zones.apex(&zone.name);
        self.produce(answer, "ixfr", move |_, answer, out| {
            let mut packer = Packer::new(answer, out);
            for record in records(&diff, soa_serial(from), stand.serial()) {
                match record {
                    Record::Soa(serial) => packer.push(&apex.soa(serial))?,
                    Record::Name(wire) => packer.push(&apex.cname(Owner::Name(wire), &stand.target)?)?,
                }
            }
            packer.flush()
        })
        .await
    }

    async fn catalog_whole(self: &Arc<Self>, answer: Answer, catalog: Arc<CatalogZone>) -> Result<Reply, DnsError> {
        let apex: Apex = self.zones.apex(&catalog.name);
        self.produce(answer, "axfr", move |_, answer, out| {
            let mut packer = Packer::new(answer, out);
            let (serial, zones) = catalog.content();
            packer.push(&apex.soa(serial))?;
            packer.push(&apex.ns())?;
            packer.push(&catalog.version()?)?;
            for zone in &zones {
                packer.push(&catalog.member(zone)?)?;
            }
            packer.push(&apex.soa(serial))?;
            packer.flush()
        })
        .await
    }
}

/// A record of an increment.
enum Record<'a> {
    Soa(SoaSerial),
    Name(&'a [u8]),
}

/// The records of an increment in their order (RFC 1995 section 4).
fn records(diff: &Diff, from: SoaSerial, to: SoaSerial) -> impl Iterator<Item = Record<'_>> {
    [Record::Soa(to), Record::Soa(from)]
        .into_iter()
        .chain(diff.removed.iter().map(|wire| Record::Name(wire)))
        .chain([Record::Soa(to)])
        .chain(diff.added.iter().map(|wire| Record::Name(wire)))
        .chain([Record::Soa(to)])
}
