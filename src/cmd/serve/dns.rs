//! The DNS side of the daemon: from the configuration to a server that runs until the daemon stops.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::dns::{self, DnsError, DnsOptions, Limits, Service, TlsAccept};
use crate::http::{MoreMetrics, Spoken, Tls, TlsFiles};
use crate::list::Origin;
use crate::store::{RealDisk, Watched, write_file_atomic};

use super::super::config::{Config, Loaded};
use super::super::exit::Ended;
use super::super::{files, keyset};
use super::daemon::Parts;
use super::tasks::{self, Stop};

/// What runs, for the metrics and for the daemon's end.
#[derive(Default)]
pub(super) struct Running {
    /// To be shown with the others.
    pub(super) metrics: Vec<MoreMetrics>,
    /// Ends when the last transfer has.
    pub(super) serving: Option<JoinHandle<()>>,
}

/// Starts it, if the configuration says where.
pub(super) async fn begin(parts: &Parts, loaded: &Loaded, settings: &Config, stop: &Arc<Stop>) -> anyhow::Result<Running> {
    let address_file = PathBuf::from(&settings.serve.data).join(files::DNS_ADDRESS);
    let _ = std::fs::remove_file(&address_file);
    if settings.dns.listen.is_empty() && settings.dns.tls_listen.is_empty() {
        if !loaded.dns().is_empty() {
            tracing::warn!("the configuration has dns zones or keys, but dns.listen is empty: no DNS is served");
        }
        return Ok(Running::default());
    }
    let (_, note) = parts.hub.catalog().keyset(None).context("a key set is in force")?;
    let origin = keyset::read(note.as_bytes())?.0.origin;
    let reading = loaded.file().map(|file| (file.to_owned(), watched(loaded)));
    let options = options(loaded, settings, origin)?;
    let tls = tls(settings, stop)?;
    let service = Service::new(&options, parts.hub.clone(), parts.store.clone(), parts.clock.clone())?;
    if let Some((file, watched)) = reading {
        let read = again(options.clone(), file, watched, {
            let service = service.clone();
            move |options: &DnsOptions| service.exchange(options)
        });
        tasks::read_again("dns keys, and who may have which zone,", read, stop.clone())?;
    }
    let bound = dns::bind(&options, tls).await?;
    let addresses: Vec<String> = bound.addresses().iter().map(ToString::to_string).collect();
    write_file_atomic(&RealDisk, &address_file, format!("{}\n", addresses.join("\n")).as_bytes())?;
    tracing::info!(addresses = addresses.join(" "), tls = ?bound.tls_addresses(), zones = options.zones.len(), "serving zones");
    let metrics = service.metrics().clone();
    let more = MoreMetrics { prefix: "dns", register: Arc::new(move |registry| metrics.register(registry)) };
    let mut stopping = stop.subscribe();
    let asked = async move {
        let _ = stopping.wait_for(Option::is_some).await;
    };
    let drain = Duration::from_secs(settings.serve.drain_seconds);
    let serving = tokio::spawn(async move {
        bound.serve(service, asked, drain).await;
        let _ = std::fs::remove_file(&address_file);
    });
    Ok(Running { metrics: vec![more], serving: Some(serving) })
}

fn options(loaded: &Loaded, settings: &Config, origin: Origin) -> anyhow::Result<DnsOptions> {
    let dns = &settings.dns;
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let addresses = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>();
    let refused = |(zone, reason)| Ended::Usage(format!("dns zone \"{zone}\": {reason}"));
    Ok(DnsOptions {
        listen: addresses(&dns.listen).context("the addresses were checked with the configuration")?,
        tls_listen: addresses(&dns.tls_listen).context("the addresses were checked with the configuration")?,
        origin,
        zones: loaded.dns().zones().map_err(refused)?,
        keys: loaded.dns().keys()?,
        catalog: loaded.dns().catalog().map_err(refused)?,
        refresh: u32::try_from(dns.refresh_seconds).unwrap_or(u32::MAX),
        limits: Limits {
            connections: number(dns.max_connections),
            per_source: number(dns.max_per_source),
            idle: Duration::from_secs(dns.idle_seconds),
            stall: Duration::from_secs(dns.stall_seconds),
            requests: u32::try_from(dns.max_requests).unwrap_or(u32::MAX),
            transfers: number(dns.max_transfers),
            ..Limits::default()
        },
    })
}

/// The files that say which keys there are and who may have what: the configuration as it was before it was read, which may
/// be long ago, and the secrets as they are now. Read those after this.
fn watched(loaded: &Loaded) -> [Watched; 2] {
    [loaded.watched(), Watched::new(loaded.dns().secret_files())]
}

/// Reads keys, and who may have which zone, again when the configuration or a secret has changed or could not be used, or `anyway`.
/// Whether what was read is in force.
fn again(
    mut options: DnsOptions,
    file: PathBuf,
    mut watching: [Watched; 2],
    exchange: impl Fn(&DnsOptions) -> Result<(), DnsError>,
) -> impl FnMut(bool) -> anyhow::Result<bool> {
    let refused = |(zone, reason)| anyhow::anyhow!("dns zone \"{zone}\": {reason}");
    let mut exchanged = move |watching: &mut [Watched; 2]| {
        let loaded = Loaded::from_file(&file)?;
        *watching = watched(&loaded);
        options.keys = loaded.dns().keys()?;
        options.zones = loaded.dns().zones().map_err(refused)?;
        options.catalog = loaded.dns().catalog().map_err(refused)?;
        exchange(&options)?;
        Ok(true)
    };
    move |anyway: bool| {
        // Each is asked: a change is to be seen once.
        let changed = watching.each_mut().map(Watched::changed);
        if changed == [false; 2] && !anyway {
            return Ok(false);
        }
        exchanged(&mut watching).inspect_err(|_: &anyhow::Error| watching[0].read_again())
    }
}

/// How a connection over TLS is taken, with files that are read again when they change.
fn tls(settings: &Config, stop: &Arc<Stop>) -> anyhow::Result<Option<TlsAccept>> {
    let dns = &settings.dns;
    if dns.tls_listen.is_empty() {
        return Ok(None);
    }
    if dns.tls_certificate.is_empty() || dns.tls_key.is_empty() {
        anyhow::bail!(Ended::Usage("dns.tls_listen needs dns.tls_certificate and dns.tls_key".into()));
    }
    let path = |text: &str| Path::new(text).to_owned();
    let files = TlsFiles { certificate: path(&dns.tls_certificate), key: path(&dns.tls_key), client_authorities: None };
    let tls = Arc::new(Tls::open(files, Spoken::Transfers)?);
    tasks::certificates(tls.clone(), stop.clone())?;
    Ok(Some(Arc::new(move || tls.acceptor())))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_changed_since_the_configuration_was_read_is_read_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("bwld.toml");
        let allowing = |network: &str| {
            let zone = format!("[[dns.zone]]\nname = \"z.example\"\nlist = \"one\"\nallow = [\"{network}\"]\n");
            std::fs::write(&file, zone).expect("room");
        };
        allowing("192.0.2.0/24");
        let loaded = Loaded::from_file(&file).expect("valid");
        // Withdrawn while the store was opened.
        allowing("192.0.2.77/32");
        let watching = watched(&loaded);
        let options = options(&loaded, &loaded.config(), "lists.example".parse().expect("a name")).expect("valid");
        let taken = Rc::new(RefCell::new(Vec::new()));
        let exchange = {
            let taken = taken.clone();
            move |options: &DnsOptions| {
                taken.borrow_mut().push(options.zones[0].allow[0].to_string());
                // And again while it was read.
                if taken.borrow().len() == 1 {
                    allowing("192.0.2.9/32");
                }
                Ok(())
            }
        };
        let mut read = again(options, file.clone(), watching, exchange);
        assert!(read(false).expect("valid") && read(false).expect("valid") && !read(false).expect("valid"));
        assert_eq!(*taken.borrow(), ["192.0.2.77/32", "192.0.2.9/32"]);
        assert!(read(true).expect("valid"), "whoever asks is read to");
        std::fs::write(&file, "[[dns.zone]]\n").expect("room");
        assert!(read(false).is_err() && read(false).is_err(), "what could not be used is read again");
    }
}
