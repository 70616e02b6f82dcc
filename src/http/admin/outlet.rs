//! What is written on a blocking thread goes out as an answer, as fast as the client takes it.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::publisher::PublishError;

use super::super::app::Shared;
use super::super::body::{Outlet, Unwritten, written};
use super::super::problem::Problem;
use super::refused;

/// Octets gathered before they are sent.
const PIECE: usize = 64 << 10;

/// An answer of what `work` writes. If it fails on the way, the body is broken off, so that a part is never taken for the whole.
pub(super) async fn streamed(
    shared: &Shared,
    kind: &'static str,
    work: impl FnOnce(&mut Outlet) -> Result<(), PublishError> + Send + 'static,
) -> Result<Response, Problem> {
    match written(PIECE, work).await {
        Ok(body) => Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()),
        Err(Unwritten::Refused(error)) => Err(refused(shared, &error)),
        Err(Unwritten::Panicked) => Err(Problem::internal("the publisher failed at this; the log says where")),
    }
}
