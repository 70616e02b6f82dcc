//! Logs of the daemons: one line an event on the standard error, for people or as JSON.

use tracing_subscriber::EnvFilter;

use super::config::Log;
use super::out;

/// Starts logging for this process. What other crates say below *warn* is left out unless `trace` is asked for.
pub fn start(log: &Log) {
    let level = log.level.as_str();
    let filter = EnvFilter::new(if level == "trace" { "debug,bwld=trace".to_owned() } else { format!("warn,bwld={level}") });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = if log.format == "json" {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        lines.with_ansi(out::colour_err()).with_target(false).try_init()
    };
}
