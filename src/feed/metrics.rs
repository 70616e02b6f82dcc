//! What the feed counts. Never who asked.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

/// Counters of one hub. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct FeedMetrics {
    /// Event streams open now.
    pub subscribers: Gauge,
    /// Long polls waiting now.
    pub long_polls: Gauge,
    /// Subscriptions and long polls turned away because there were too many.
    pub turned_away: Counter,
    /// Head events handed to a connection.
    pub events: Counter,
    /// Heartbeat comments handed to a connection.
    pub comments: Counter,
    /// Merged deltas composed (and not found in the cache).
    pub composed: Counter,
    /// From the announcement of a version to the hand-over of its event to a connection.
    pub propagation: Histogram,
}

impl Default for FeedMetrics {
    fn default() -> Self {
        FeedMetrics {
            subscribers: Gauge::default(),
            long_polls: Gauge::default(),
            turned_away: Counter::default(),
            events: Counter::default(),
            comments: Counter::default(),
            composed: Counter::default(),
            propagation: Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
        }
    }
}

impl FeedMetrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("subscribers", "Event streams that are open", self.subscribers.clone());
        registry.register("long_polls", "Long polls that are waiting", self.long_polls.clone());
        registry.register("turned_away", "Event streams and long polls refused because there were too many", self.turned_away.clone());
        registry.register("events_sent", "Head events handed to connections", self.events.clone());
        registry.register("comments_sent", "Comment lines handed to idle event streams", self.comments.clone());
        registry.register("deltas_composed", "Merged deltas that had to be composed", self.composed.clone());
        registry.register_with_unit(
            "propagation",
            "From the announcement of a version to the hand-over of its event to a connection",
            Unit::Seconds,
            self.propagation.clone(),
        );
    }
}
