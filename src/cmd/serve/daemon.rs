//! The running daemon: serves, signs heads again in time, keeps up, and stops when it is told to or can no longer write.
//!
//! Guarantees: when the store's outcome is unknown, `/readyz` says so at once and the daemon stops at once, with an exit code
//! that is no success; only the next start can find out what is on the disk.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::desk::Desk;
use crate::feed::Hub;
use crate::http::{
    self, Admin, App, Exports, HttpOptions, MoreMetrics, Oidc, OperatorToken, Proxies, ProxyField, Readiness, RouteOptions, Spoken, Tls,
    TlsFiles,
};
use crate::list::canonical_cidr;
use crate::people::People;
use crate::publisher::Publisher;
use crate::store::{Clock, RealDisk, Store, write_file_atomic};

use super::super::config::{Config, Loaded, Source};
use super::super::exit::Ended;
use super::super::{files, keyset, out};
use super::banner;
use super::dns;
use super::tasks::{self, Stop, Why};

/// Everything that runs.
pub(super) struct Parts {
    pub(super) publisher: Arc<Publisher>,
    pub(super) store: Arc<Store>,
    pub(super) people: Arc<People>,
    pub(super) desk: Arc<Desk>,
    pub(super) oidc: Option<Arc<Oidc>>,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) token: Zeroizing<String>,
    pub(super) exports: Exports,
}

/// Serves until told to stop.
pub(super) async fn run(parts: Parts, listener: TcpListener, loaded: &Loaded, settings: &Config) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).context("preparing the port")?;
    let tls = tls(settings)?;
    let address = reachable(listener.local_addr().context("asking for the port")?, tls.is_some());
    let data = PathBuf::from(&settings.serve.data);
    let stop = Arc::new(Stop::new(None));
    tasks::signals(stop.clone())?;
    let zones = dns::begin(&parts, loaded, settings, &stop).await?;
    let serving = begin(&parts, listener, settings, tls.clone(), zones.metrics, &stop);
    tokio::spawn(tasks::watchdog(stop.clone()));
    if let Some(tls) = &tls {
        tasks::certificates(tls.clone(), stop.clone())?;
    }

    let address_file = data.join(files::ADDRESS);
    write_file_atomic(&RealDisk, &address_file, format!("{address}\n").as_bytes())?;
    greet(&parts, &address, &data, loaded)?;
    tasks::tell(&[sd_notify::NotifyState::Ready]);
    tracing::info!(address = address.as_str(), data = %data.display(), "serving");
    serving.await.context("the server broke off")?;
    if let Some(zones) = zones.serving {
        zones.await.context("the DNS server broke off")?;
    }
    tasks::tell(&[sd_notify::NotifyState::Stopping]);
    let _ = std::fs::remove_file(&address_file);
    let why = stop.borrow().clone();
    ended(why)
}

/// Starts everything that runs until `stop` says why it should not; what is given back ends when the last connection has.
fn begin(
    parts: &Parts,
    listener: tokio::net::TcpListener,
    settings: &Config,
    tls: Option<Arc<Tls>>,
    more_metrics: Vec<MoreMetrics>,
    stop: &Arc<Stop>,
) -> JoinHandle<()> {
    let readiness = Readiness::default();
    let admin = Admin {
        publisher: parts.publisher.clone(),
        store: parts.store.clone(),
        people: parts.people.clone(),
        desk: parts.desk.clone(),
        oidc: parts.oidc.clone(),
        operator: OperatorToken::new(&parts.token),
        max_import: Admin::DEFAULT_MAX_IMPORT,
    };
    let app = App {
        hub: parts.hub.clone(),
        admin: Some(admin),
        readiness: readiness.clone(),
        clock: parts.clock.clone(),
        options: RouteOptions {
            poll_every: Duration::from_secs(settings.serve.poll_seconds),
            body_stall: Duration::from_secs(settings.serve.stall_seconds),
            more_metrics,
            exports: parts.exports.clone(),
            ..RouteOptions::default()
        },
    };
    let mut stopping = stop.subscribe();
    let asked = async move {
        // An error means that nobody can ask any more: stop as well.
        let _ = stopping.wait_for(Option::is_some).await;
    };
    tokio::spawn(tasks::store(parts.store.failure(), stop.clone()));
    tokio::spawn(tasks::heartbeat(parts.publisher.clone(), parts.clock.clone(), readiness, stop.clone()));
    tokio::spawn(tasks::upkeep(parts.publisher.clone(), parts.people.clone(), stop.clone()));
    tokio::spawn(tasks::desk(parts.desk.clone(), Duration::from_secs(settings.publisher.tick_seconds), stop.clone()));
    tokio::spawn(http::serve(listener, app, HttpOptions { tls, ..http_options(settings) }, asked))
}

/// What the command ends with.
fn ended(why: Option<Why>) -> anyhow::Result<()> {
    match why {
        Some(Why::Fatal(reason)) => anyhow::bail!(
            "stopped: {reason}. Start bwld again: the start reads what is on the disk, repairs what it can and says so. \
             If this happens again, look at the disk"
        ),
        _ => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

fn greet(parts: &Parts, address: &str, data: &Path, loaded: &Loaded) -> anyhow::Result<()> {
    let (number, note) = parts.hub.catalog().keyset(None).context("a key set is in force")?;
    let (set, _) = keyset::read(note.as_bytes())?;
    let token = data.join(files::TOKEN);
    let lists = parts.hub.catalog().all();
    let source = loaded.source("serve.data");
    out::print(&banner::text(&banner::Banner {
        origin: set.origin.as_str(),
        address,
        fingerprint: set.fingerprint(),
        keyset: number,
        data,
        data_is_default: !matches!(source, Source::CommandLine(_)),
        token: &std::path::absolute(&token).unwrap_or(token),
        lists: &lists,
    }))
}

/// The address to give to people: an unspecified one is reached on loopback.
fn reachable(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match address.ip() {
        ip if !ip.is_unspecified() => format!("{scheme}://{address}"),
        std::net::IpAddr::V4(_) => format!("{scheme}://127.0.0.1:{}", address.port()),
        std::net::IpAddr::V6(_) => format!("{scheme}://[::1]:{}", address.port()),
    }
}

fn tls(settings: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let serve = &settings.serve;
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    match (path(&serve.tls_certificate), path(&serve.tls_key)) {
        (Some(certificate), Some(key)) => {
            let files = TlsFiles { certificate, key, client_authorities: path(&serve.tls_client_authorities) };
            Ok(Some(Arc::new(Tls::open(files, Spoken::Http)?)))
        }
        (None, None) if serve.tls_client_authorities.is_empty() => Ok(None),
        _ => anyhow::bail!(Ended::Usage(
            "serve.tls_certificate and serve.tls_key go together, and both with serve.tls_client_authorities".into()
        )),
    }
}

fn http_options(settings: &Config) -> HttpOptions {
    let serve = &settings.serve;
    HttpOptions {
        max_connections: usize::try_from(serve.max_connections).unwrap_or(usize::MAX),
        max_per_peer: usize::try_from(serve.max_per_peer).unwrap_or(usize::MAX),
        proxies: Proxies {
            // Each was checked when it was read.
            networks: serve.proxies.iter().filter_map(|text| canonical_cidr(text).ok()?.parse().ok()).collect(),
            field: if serve.proxy_field == "forwarded" { ProxyField::Forwarded } else { ProxyField::XForwardedFor },
        },
        header_timeout: Duration::from_secs(serve.header_seconds),
        idle_timeout: Duration::from_secs(serve.idle_seconds),
        stall_timeout: Duration::from_secs(serve.stall_seconds),
        drain_timeout: Duration::from_secs(serve.drain_seconds),
        ..HttpOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::exit::{Exit, code_of};
    use crate::store::failing::{Condition, FailingDisk};

    use super::*;

    fn client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().expect("a client")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_of_unknown_outcome_ends_the_daemon_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data").display().to_string();
        let overrides = [("--data", "serve.data", data), ("--shipped-lists", "serve.shipped_lists", "false".into())];
        let loaded = Loaded::load(None, &overrides).expect("a configuration");
        let (settings, disk) = (loaded.config(), Arc::new(FailingDisk::default()));
        let parts = super::super::open(&loaded, &settings, disk.clone()).expect("a publisher");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = reachable(listener.local_addr().expect("an address"), false);
        let stop = Arc::new(Stop::new(None));
        let serving = begin(&parts, listener, &settings, None, Vec::new(), &stop);

        let create = |id: &str| {
            let request = client().post(format!("{address}/v1/admin/lists")).bearer_auth(parts.token.as_str());
            request.body(format!("{{\"id\":\"{id}\",\"colour\":\"black\",\"title\":\"T\"}}")).send()
        };
        assert_eq!(create("a").await.expect("an answer").status(), 201);
        let subscriber = client().get(format!("{address}/v1/lists")).send().await.expect("an answer");
        assert_eq!(subscriber.status(), 200);
        disk.set(Condition::Gone);
        // Whoever met it is still told.
        let met = create("b").await.expect("an answer");
        assert_eq!(met.status(), 500);
        assert!(met.text().await.expect("text").contains("whether the last write to the journal is durable is unknown"));
        // Neither the heartbeat nor the upkeep has anything to do for a minute: it must not wait for them.
        tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
        let error = ended(stop.borrow().clone()).expect_err("no success");
        assert_eq!(code_of(&error), Exit::Failed);
        let words = error.to_string();
        assert!(words.contains("is unknown") && words.contains("Start bwld again"), "{words}");
    }

    #[test]
    fn being_told_to_stop_is_a_success() {
        assert!(ended(Some(Why::Asked)).is_ok() && ended(None).is_ok());
    }
}
