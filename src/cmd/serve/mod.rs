//! `bwld serve`: puts the publisher together and runs it until it is told to stop.
//!
//! Order of a start: configuration, port (so that a second daemon fails before it touches anything), store (lock and
//! repair), keys, first key set, shipped lists, then service. Nothing is served before all of that is durable.

mod banner;
mod daemon;
mod dns;
mod embedded;
mod home;
mod people;
mod shipped;
pub(super) mod tasks;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::desk::Desk;
use crate::feed::{Hub, HubOptions};
use crate::http::Exports;
use crate::list::Origin;
use crate::people::People;
use crate::publisher::{CheckReport, Protected, Publisher, PublisherOptions};
use crate::store::{Catalog, Clock, Disk, IndexRecovery, Progress, RealDisk, Recovery, Store, StoreOptions, SystemClock};
use crate::trust::SecretKey;

use super::config::{Config, Loaded, Override, Source};
use super::{exit::Ended, files, keyset, logging};
use daemon::Parts;

/// Largest file of protected names, in octets.
const MAX_PROTECTED: u64 = 16 << 20;

/// What `bwld serve` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld serve
  bwld serve --data /var/lib/bwld --origin lists.example.org
  bwld serve --listen 127.0.0.1:0        a free port, written to DATA/address")]
pub struct Args {
    /// Folder of keys and lists [default: $BWLD_DATA, ./bwld-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Address and port [default: 127.0.0.1:7080]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// The publisher's name, fixed with the first key set [default: bwld.localhost]
    #[arg(long)]
    origin: Option<String>,
}

impl Args {
    fn overrides(&self) -> Vec<Override> {
        [("--data", "serve.data", &self.data), ("--listen", "serve.listen", &self.listen), ("--origin", "serve.origin", &self.origin)]
            .into_iter()
            .filter_map(|(option, key, text)| Some((option, key, text.clone()?)))
            .collect()
    }
}

/// Largest file of popular names, in octets.
const MAX_POPULAR: u64 = 64 << 20;

/// Runs it.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let loaded = Loaded::load(config, &args.overrides())?;
    let settings = loaded.config();
    logging::start(&settings.log);
    raise_limit_of_files();
    let listener = listen(&settings.serve.listen, !settings.serve.tls_certificate.is_empty())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(settings.serve.workers).unwrap_or(2))
        .thread_name("bwld")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let _inside = runtime.enter();
    let parts = open(&loaded, &settings, Arc::new(RealDisk))?;
    let result = runtime.block_on(daemon::run(parts, listener, &loaded, &settings));
    runtime.shutdown_timeout(Duration::from_secs(settings.serve.drain_seconds));
    result
}

fn listen(address: &str, tls: bool) -> anyhow::Result<TcpListener> {
    let address: SocketAddr = address.parse().context("the address was checked with the configuration")?;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; is another daemon running? --listen 127.0.0.1:0 takes a free port"))?;
    listener.set_nonblocking(true).context("preparing the port")?;
    if is_overheard(address, tls) {
        tracing::warn!(%address, "listening beyond this machine without TLS: put a proxy in front, the operator's token travels here");
    }
    Ok(listener)
}

/// Whether what comes to this address can be read on its way.
fn is_overheard(address: SocketAddr, tls: bool) -> bool {
    !tls && !address.ip().is_loopback()
}

/// Opens a data folder that no daemon has, and checks it. What a crash left is mended; nothing else is changed: the
/// publisher gets a key that no key set names, so it cannot sign, and no key needs to be there.
pub fn check(loaded: &Loaded) -> anyhow::Result<CheckReport> {
    let settings = loaded.config();
    let data = PathBuf::from(&settings.serve.data);
    let (store, recovery) = open_store(&data, Arc::new(RealDisk))?;
    let found = store.check()?;
    let mut report = CheckReport { verified: found.verified, problems: found.problems };
    if let Some(torn) = &recovery.torn {
        report.verified.push(format!("the last write to the journal was torn and has been cut off ({torn:?})"));
    }
    let origin = origin(loaded, &settings, store.keysets()?.last().map(|(_, note)| note.as_str()))?;
    let catalog = Arc::new(Catalog::default());
    let hub = Hub::new(catalog.clone(), store.artefacts().clone(), HubOptions::default());
    let nobody = SecretKey::generate("check")?;
    let more = publisher(&store, catalog, &settings, origin, nobody, Arc::new(SystemClock), hub)?.check();
    report.verified.extend(more.verified);
    report.problems.extend(more.problems);
    Ok(report)
}

fn open_store(data: &Path, disk: Arc<dyn Disk>) -> anyhow::Result<(Arc<Store>, Recovery)> {
    let (store, recovery) = Store::open(data, StoreOptions::default(), disk, &mut progress())
        .with_context(|| format!("opening the data folder {}", data.display()))?;
    Ok((Arc::new(store), recovery))
}

/// Opens store, keys and publisher; takes in what ships.
fn open(loaded: &Loaded, settings: &Config, disk: Arc<dyn Disk>) -> anyhow::Result<Parts> {
    let data = PathBuf::from(&settings.serve.data);
    let (store, recovery) = open_store(&data, disk)?;
    say(&recovery);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keysets = store.keysets()?;
    let origin = origin(loaded, settings, keysets.last().map(|(_, note)| note.as_str()))?;
    let signer = home::signing_key(&data, &origin, keysets.is_empty())?;
    let first = match keysets.is_empty() {
        true => Some(home::first_keyset(&data, &origin, &signer, clock.now())?),
        false => None,
    };
    let token = home::operator_token(&data)?;
    let exports = Exports::new(Some(home::minisign_key(&data, &origin)?));
    let catalog = Arc::new(Catalog::default());
    let hub = Hub::new(catalog.clone(), store.artefacts().clone(), hub_options(settings));
    let publisher = publisher(&store, catalog, settings, origin, signer, clock.clone(), hub.clone())?;
    let publisher = Arc::new(publisher);
    if let Some(note) = first {
        // Crash before: the next start finds the same note and puts it in force.
        publisher.activate_keyset(&note, "bwld").context("putting the first key set in force")?;
    }
    let people = People::open(store.clone(), clock.clone(), people::options(settings, &data)?).context("opening the accounts")?;
    if settings.serve.shipped_lists {
        shipped::take_in(&publisher, |id| matches!(store.list(id), Ok(Some(_))))?;
    }
    let people = Arc::new(people);
    let desk = Desk::open(publisher.clone(), store.clone(), hub.catalog().clone(), clock.clone()).context("reading the cases")?;
    let desk = desk.with_people(people.clone());
    let oidc = people::oidc(settings, &clock)?;
    Ok(Parts { publisher, people, oidc, store, desk: Arc::new(desk), hub, clock, token, exports })
}

fn publisher(
    store: &Arc<Store>,
    catalog: Arc<Catalog>,
    settings: &Config,
    origin: Origin,
    signer: SecretKey,
    clock: Arc<dyn Clock>,
    hub: Arc<Hub>,
) -> anyhow::Result<Publisher> {
    let protected = match settings.publisher.protected.as_str() {
        "" => embedded::PROTECTED.to_owned(),
        file => String::from_utf8(files::read_bounded(Path::new(file), MAX_PROTECTED)?).with_context(|| format!("{file} is not text"))?,
    };
    let mut options = PublisherOptions::new(origin);
    options.protected = Protected::parse(&protected).context("the protected names (publisher.protected)")?;
    if !settings.publisher.popular.is_empty() {
        let file = &settings.publisher.popular;
        let text = String::from_utf8(files::read_bounded(Path::new(file), MAX_POPULAR)?).with_context(|| format!("{file} is not text"))?;
        options.popular = Protected::ranked(&text).context("the popular names (publisher.popular)")?;
    }
    options.lifetime = settings.publisher.head_lifetime;
    options.renew_after = (settings.publisher.head_lifetime / 4).max(1);
    options.guard_percent = settings.publisher.guard_percent;
    options.guard_entries = settings.publisher.guard_entries;
    options.keep_deltas = settings.publisher.delta_days * 86_400;
    Publisher::open(store.clone(), catalog, options, signer, clock, Box::new(move |id| hub.announce(id))).context("opening the publisher")
}

/// The publisher's name: that of its key sets, if it has any; the configuration may not contradict them.
fn origin(loaded: &Loaded, settings: &Config, newest: Option<&str>) -> anyhow::Result<Origin> {
    let wanted: Origin = settings.serve.origin.parse().context("the origin was checked with the configuration")?;
    let Some(note) = newest else { return Ok(wanted) };
    let had = keyset::read(note.as_bytes())?.0.origin;
    if had != wanted && *loaded.source("serve.origin") != Source::Default {
        let data = &settings.serve.data;
        let reason = format!(
            "{data} belongs to the publisher {had}, but serve.origin is {wanted}; a publisher's name cannot change: leave it out, or take another data folder"
        );
        return Err(Ended::Usage(reason).into());
    }
    Ok(had)
}

/// Says on a terminal, and at times in the log, how far a long start has come.
fn progress() -> impl FnMut(Progress) {
    let mut last = std::time::Instant::now();
    move |p: Progress| {
        if last.elapsed() >= Duration::from_secs(2) {
            last = std::time::Instant::now();
            tracing::info!(stage = ?p.stage, done = p.done, total = p.total, "opening the store");
        }
    }
}

fn say(recovery: &Recovery) {
    if let Some(torn) = &recovery.torn {
        tracing::warn!(?torn, "the last write to the journal was torn and has been cut off; it had not been acknowledged");
    }
    match &recovery.index {
        IndexRecovery::Current => {}
        IndexRecovery::Replayed(frames) => tracing::info!(frames, "the index was behind the journal and has been brought up to date"),
        IndexRecovery::Rebuilt { reason, aside } => tracing::info!(reason, ?aside, "the index has been made anew from the journal"),
    }
    if recovery.swept > 0 {
        tracing::info!(files = recovery.swept, "files that nothing names any more have been removed");
    }
    for (name, owner) in &recovery.missing {
        tracing::error!(?name, %owner, "a file that the journal names is missing; run bwld check, then bwld restore");
    }
}

fn hub_options(settings: &Config) -> HubOptions {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    HubOptions {
        max_subscribers: number(settings.serve.max_subscribers),
        max_long_polls: number(settings.serve.max_long_polls),
        ..HubOptions::default()
    }
}

/// Thousands of subscribers are thousands of descriptors; the usual limit is 1,024, and the hard one is the machine's.
fn raise_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        tracing::warn!(limit = ?limit.current, "the limit of open files could not be raised");
    }
}

#[cfg(test)]
mod tests {
    use super::is_overheard;

    #[test]
    fn it_is_warned_of_listening_beyond_this_machine_only_without_tls() {
        for (address, open) in
            [("127.0.0.1:7080", false), ("[::1]:7080", false), ("0.0.0.0:443", true), ("192.0.2.1:7080", true), ("[::]:443", true)]
        {
            let address = address.parse().expect("an address");
            assert_eq!(is_overheard(address, false), open, "{address}");
            assert!(!is_overheard(address, true), "{address}");
        }
    }
}
