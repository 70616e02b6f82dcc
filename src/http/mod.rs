//! The feed over HTTP/1.1 and 2 (docs/PROTOCOL.md sections 11 and 12), the operator's API, health and metrics.
//!
//! Guarantees: everything read is bounded, every wait has an end, a consumer that does not read is dropped; only what
//! the catalog holds is served; the operator's routes do nothing without the token. Nowhere is written down who asked.
//! It decides nothing about lists: that is `publisher`; and it knows no configuration file.

mod accept;
mod admin;
mod app;
mod body;
mod caller;
mod condition;
mod connection;
mod cookie;
mod events;
mod export;
mod health;
mod metrics;
mod observe;
mod oidc;
mod once;
mod openapi;
mod problem;
mod proxies;
mod public;
mod query;
mod range;
mod server;
mod spans;
mod streams;
mod table;
mod tls;
mod token;

pub use accept::{Coding, negotiate};
pub use admin::{Admin, AuditPage, JobView};
pub use app::{App, MoreMetrics, Readiness, RouteOptions, router};
pub use export::Exports;
pub use oidc::{Oidc, OidcError, OidcOptions};
pub use openapi::description;
pub use problem::CODES as PROBLEM_CODES;
pub use proxies::{Proxies, ProxyField};
pub use range::{Part, none_match, part};
pub use server::{HttpOptions, Remote, serve};
pub use tls::{Spoken, Tls, TlsError, TlsFiles};
pub use token::OperatorToken;
