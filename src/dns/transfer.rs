//! Transfers: the whole zone as a stream of messages from the lists' snapshots, or what changed as one condensed step.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::base::iana::Rcode;
use domain::base::{Name, Serial as SoaSerial};
use tokio::sync::mpsc;

use super::DnsError;
use super::catalog::CatalogZone;
use super::content::{Owner, walk};
use super::diff::Diff;
use super::message::{Answer, Apex, FULL, Packer};
use super::numbers::Position;
use super::part::Part;
use super::service::{Asked, Messages, Reply, Service, Transport};
use super::shared::{Cost, Span, Steps};
use super::turns::Turn;
use super::zone::{Stand, Zone};
use super::zones::Found;

/// Messages made before they are sent, a transfer: what a slow secondary costs in memory is this many times 16 KiB.
const AHEAD: usize = 4;
/// Octets of records that are certain to fit into those messages: what comes once a message is less than the rest. Who has
/// so little to send needs no turn, since none of it waits for the secondary.
const FITS: usize = AHEAD * (FULL - 2_048);
/// Entries of a list, or names in a catalog, whose records fit as certainly: two of 269 octets at most are one of them.
const FEW: u64 = 100;
/// An increment may have this many records more than the whole zone: for so few it is not worth having all replaced.
const LARGER: u64 = 100;

impl Service {
    /// AXFR.
    pub(super) async fn whole(self: &Arc<Self>, asked: Asked) -> Result<Reply, DnsError> {
        match asked.found.clone() {
            Found::Catalog(catalog, names) => match catalog.serial(&self.shared, &names).await {
                Ok(serial) => self.catalog_whole(asked.answer, catalog, serial, names).await,
                Err(reason) => self.unavailable(asked.answer, &asked.found, &reason),
            },
            Found::Zone(zone, part) => match zone.stand(&self.shared, part).await {
                Ok(stand) => self.zone_whole((asked.answer, None), zone, part, stand).await,
                Err(reason) => self.unavailable(asked.answer, &asked.found, &reason),
            },
        }
    }

    /// IXFR from `serial`.
    pub(super) async fn increment(self: &Arc<Self>, asked: Asked, serial: SoaSerial) -> Result<Reply, DnsError> {
        let Found::Zone(zone, part) = asked.found.clone() else { return self.catalog_increment(asked, serial).await };
        let stand = match zone.stand(&self.shared, part).await {
            Ok(stand) => stand,
            Err(reason) => return self.unavailable(asked.answer, &asked.found, &reason),
        };
        let mut turn = None;
        let steps = match zone.position(&stand, part, serial) {
            Position::Current => return self.only_soa(asked, stand.serial()),
            Position::Unknown => None,
            Position::At(from, versions) => {
                let span = Span { from, versions: &versions, to: stand.of_lists, lists: &stand.newest.lists };
                match (self.shared.cost(&zone, span), asked.transport) {
                    (Cost::Nothing | Cost::Little(false), _) | (Cost::Little(true), Transport::Stream) => {}
                    // RFC 1995 section 4: a datagram that nobody has to wait for is not worth such work.
                    (_, Transport::Datagram) => return self.only_soa(asked, stand.serial()),
                    (Cost::Much | Cost::TooMuch, Transport::Stream) => match self.turn(asked.answer.source).await {
                        Some(got) => turn = Some(got),
                        None => return self.too_many(asked.answer),
                    },
                }
                let steps = match self.shared.cost(&zone, span) {
                    Cost::TooMuch => {
                        self.metrics.count("too-many-increments");
                        None
                    }
                    _ => self.shared.steps(&zone, span).await?,
                };
                steps.filter(|steps| worth_it(&zone, part, &stand, steps.of(part)))
            }
        };
        match (steps, asked.transport) {
            (Some(steps), Transport::Stream) => self.increment_stream((asked, turn), stand, serial, steps, part).await,
            (None, Transport::Stream) => self.zone_whole((asked.answer, turn), zone, part, stand).await,
            (Some(steps), Transport::Datagram) => self.increment_datagram(asked, &stand, serial, steps.of(part)),
            (None, Transport::Datagram) => self.only_soa(asked, stand.serial()),
        }
    }

    /// An increment of the catalog: the whole, if there is a newer one.
    async fn catalog_increment(self: &Arc<Self>, asked: Asked, serial: SoaSerial) -> Result<Reply, DnsError> {
        let newest = match asked.found.serial(&self.shared).await {
            Ok(newest) => newest,
            Err(reason) => return self.unavailable(asked.answer, &asked.found, &reason),
        };
        let behind = newest.into_int().wrapping_sub(serial.into_int());
        match behind == 0 || behind >= 1 << 31 || asked.transport == Transport::Datagram {
            true => self.only_soa(asked, newest),
            false => self.whole(asked).await,
        }
    }

    fn increment_datagram(&self, mut asked: Asked, stand: &Stand, from: SoaSerial, diff: &Diff) -> Result<Reply, DnsError> {
        let apex = self.zones.apex(asked.found.name());
        // Far more names than can fit are not tried.
        let fits = diff.len() <= 200;
        let message = match fits {
            true => asked.answer.one(|message| {
                let mut push = |record: Record<'_>| match record {
                    Record::Soa(serial) => message.push(apex.soa(serial)),
                    Record::Name(wire) => match apex.cname(Owner::Name(wire), &stand.newest.target) {
                        Ok(record) => message.push(record),
                        Err(_) => Err(domain::base::message_builder::PushError::ShortBuf),
                    },
                };
                records(diff, from, stand.serial()).try_for_each(&mut push)
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

    fn only_soa(&self, asked: Asked, serial: SoaSerial) -> Result<Reply, DnsError> {
        let Asked { mut answer, found, .. } = asked;
        let apex = self.zones.apex(found.name());
        self.metrics.count("current");
        match answer.one(|message| message.push(apex.soa(serial)))? {
            Some(message) => Ok(Reply::One(message)),
            None => answer.truncated().map(Reply::One),
        }
    }

    /// Waits for a turn, but not for long.
    async fn turn(&self, source: SocketAddr) -> Option<Turn> {
        tokio::time::timeout(self.limits.idle, self.turns.turn(source.ip())).await.ok().flatten()
    }

    fn too_many(&self, answer: Answer) -> Result<Reply, DnsError> {
        self.say(answer.source, "too many transfers; one waited in vain for its turn");
        self.metrics.count("too-many-transfers");
        answer.empty(Rcode::SERVFAIL).map(Reply::One)
    }

    /// Starts making messages on a thread that may block. Waits for its turn, and says SERVFAIL when that does not come.
    async fn produce(
        self: &Arc<Self>,
        answer: Answer,
        what: &'static str,
        turn: Needed,
        make: impl FnOnce(&Service, Answer, Sending<'_>) -> Result<(), DnsError> + Send + 'static,
    ) -> Result<Reply, DnsError> {
        let source = answer.source;
        let turn = match turn {
            Needed::Not => None,
            Needed::Had(turn) => Some(turn),
            Needed::Yes => match self.turn(source).await {
                Some(turn) => Some(turn),
                None => return self.too_many(answer),
            },
        };
        self.metrics.count(what);
        let (sender, made) = mpsc::channel(AHEAD);
        let pace = turn.as_ref().map(|turn| turn.pace.clone());
        let service = self.clone();
        tokio::task::spawn_blocking(move || {
            // Until all is made, or nobody wants it any more.
            let _turn = turn;
            let mut out = |message: Vec<u8>| {
                service.metrics.octets.inc_by(message.len() as u64);
                sender.blocking_send(Ok(message)).map_err(|_| DnsError::Gone)
            };
            match make(&service, answer, Sending { out: &mut out, ended: &|| sender.is_closed() }) {
                Ok(()) | Err(DnsError::Gone) => {}
                Err(error) => {
                    service.say(source, &format!("a transfer was broken off: {error}"));
                    let _ = sender.blocking_send(Err(error));
                }
            }
        });
        Ok(Reply::Many(Messages { made, pace }))
    }

    async fn zone_whole(
        self: &Arc<Self>,
        (answer, turn): (Answer, Option<Turn>),
        zone: Arc<Zone>,
        part: Part,
        stand: Stand,
    ) -> Result<Reply, DnsError> {
        let apex = self.zones.apex(zone.name_of(part));
        let needed = Needed::of(turn, entries(&stand) <= FEW);
        self.produce(answer, "axfr", needed, move |service, answer, Sending { out, ended }| {
            let mut packer = Packer::new(answer, out);
            packer.push(&apex.soa(stand.serial()))?;
            packer.push(&apex.ns())?;
            let mut records = 0;
            let counts = walk(service.shared.hub.deltas().artefacts(), &zone, part, &stand.newest, ended, |owner| {
                records += 1;
                packer.push(&apex.cname(owner, &stand.newest.target)?)
            })?;
            // The last SOA goes out only now that all that was read has been compared with its digest.
            packer.push(&apex.soa(stand.serial()))?;
            packer.flush()?;
            service.walked(&zone, part, records, counts);
            Ok(())
        })
        .await
    }

    async fn increment_stream(
        self: &Arc<Self>,
        (asked, turn): (Asked, Option<Turn>),
        stand: Stand,
        from: SoaSerial,
        steps: Steps,
        part: Part,
    ) -> Result<Reply, DnsError> {
        let apex = self.zones.apex(asked.found.name());
        let needed = Needed::of(turn, steps.of(part).octets() <= FITS);
        self.produce(asked.answer, "ixfr", needed, move |_, answer, Sending { out, .. }| {
            let mut packer = Packer::new(answer, out);
            for record in records(steps.of(part), from, stand.serial()) {
                match record {
                    Record::Soa(serial) => packer.push(&apex.soa(serial))?,
                    Record::Name(wire) => packer.push(&apex.cname(Owner::Name(wire), &stand.newest.target)?)?,
                }
            }
            packer.flush()
        })
        .await
    }

    async fn catalog_whole(
        self: &Arc<Self>,
        answer: Answer,
        catalog: Arc<CatalogZone>,
        serial: SoaSerial,
        zones: Vec<Name<Bytes>>,
    ) -> Result<Reply, DnsError> {
        let apex: Apex = self.zones.apex(&catalog.name);
        let needed = Needed::of(None, zones.len() as u64 <= FEW);
        self.produce(answer, "axfr", needed, move |_, answer, Sending { out, .. }| {
            let mut packer = Packer::new(answer, out);
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

/// Whether an increment is worth having: not if it has far more records than the whole. How many those are is known once
/// this program has walked the zone; before that, since a start for example, the most that they can be counts.
fn worth_it(zone: &Zone, part: Part, stand: &Stand, diff: &Diff) -> bool {
    // A subtree is two records.
    let counted = zone.records(part).unwrap_or(2 * entries(stand));
    // The zone has at least what comes now; its count may be older.
    diff.len() as u64 <= counted.max(diff.added.len() as u64) + LARGER
}

/// Entries of the lists of a zone.
fn entries(stand: &Stand) -> u64 {
    stand.newest.lists.iter().map(|list| list.head.entries).sum()
}

/// Where the messages of a transfer go.
struct Sending<'a> {
    /// Takes the next one.
    out: &'a mut dyn FnMut(Vec<u8>) -> Result<(), DnsError>,
    /// Whether nobody takes any more: who makes few messages of much finds it out here, and frees the turn.
    ended: &'a dyn Fn() -> bool,
}

/// Whether a transfer needs a turn.
enum Needed {
    /// All of it is made at once.
    Not,
    /// It has one.
    Had(Turn),
    /// It has to wait for one.
    Yes,
}

impl Needed {
    /// A transfer that has perhaps a turn, and of which all is perhaps made at once.
    fn of(turn: Option<Turn>, at_once: bool) -> Needed {
        match turn {
            _ if at_once => Needed::Not,
            Some(turn) => Needed::Had(turn),
            None => Needed::Yes,
        }
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
