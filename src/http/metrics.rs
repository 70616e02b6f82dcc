//! What is counted, in Prometheus' names and units. No client address and no name that was looked up is a label.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

use super::app::App;

/// Labels of a request. The route is the pattern, never the path.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) route: String,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

/// Label of what is counted by route.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Route {
    pub(super) route: String,
}

/// Label of what is told of a list.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct List {
    list: String,
}

fn durations() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0])
}

/// The registry and what the routes count into.
#[derive(Debug)]
pub(super) struct HttpMetrics {
    registry: Registry,
    pub(super) requests: Family<Request, Counter>,
    pub(super) duration: Family<Route, Histogram, fn() -> Histogram>,
    pub(super) body_bytes: Family<Route, Counter>,
    commits: Counter,
    serial: Family<List, Gauge>,
    entries: Family<List, Gauge>,
    expires: Family<List, Gauge>,
    ready: Gauge,
}

impl HttpMetrics {
    pub(super) fn new(app: &App) -> Self {
        let mut metrics = HttpMetrics {
            registry: Registry::with_prefix("bwld"),
            requests: Family::default(),
            duration: Family::new_with_constructor(durations),
            body_bytes: Family::default(),
            commits: Counter::default(),
            serial: Family::default(),
            entries: Family::default(),
            expires: Family::default(),
            ready: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        let help = "From the request's header to the answer's header";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, metrics.duration.clone());
        registry.register_with_unit("http_response_body", "Octets of bodies sent, as encoded", Unit::Bytes, metrics.body_bytes.clone());
        if let Some(admin) = &app.admin {
            admin.publisher.metrics().register(registry);
        }
        registry.register("journal_commits", "Frames of the journal, as numbered", metrics.commits.clone());
        registry.register("list_serial", "Newest version of a list", metrics.serial.clone());
        registry.register("list_entries", "Entries in the newest version", metrics.entries.clone());
        let help = "When the head goes stale, in seconds since 1970";
        registry.register_with_unit("list_head_expiry_timestamp", help, Unit::Seconds, metrics.expires.clone());
        registry.register("ready", "1 when ready to serve", metrics.ready.clone());
        app.hub.metrics().register(registry.sub_registry_with_prefix("feed"));
        for more in &app.options.more_metrics {
            (more.register)(registry.sub_registry_with_prefix(more.prefix));
        }
        metrics
    }

    /// Everything as OpenMetrics text.
    pub(super) fn encode(&self, app: &App) -> Result<String, std::fmt::Error> {
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        // A list that has been removed must not stay in the picture.
        self.serial.clear();
        self.entries.clear();
        self.expires.clear();
        for list in app.hub.catalog().all() {
            let label = List { list: list.meta.id.to_string() };
            self.serial.get_or_create(&label).set(gauge(list.head.serial.get()));
            self.entries.get_or_create(&label).set(gauge(list.head.entries));
            self.expires.get_or_create(&label).set(gauge(list.head.expires.unix()));
        }
        if let Some(admin) = &app.admin {
            // Frames are numbered from 1 and never taken back, so the last number is their count.
            let last = admin.store.last_frame();
            self.commits.inc_by(last.saturating_sub(self.commits.get()));
        }
        self.ready.set(i64::from(app.not_ready().is_empty()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
