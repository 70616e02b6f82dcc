//! Signatures over exports in the form of minisign.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::trust::{MinisignHash, SecretKey};

use super::super::app::{Inner, Shared};
use super::super::problem::Problem;
use super::super::public::header_value;
use super::super::spans;
use super::{Asked, busy, refused};

/// Exports that are made at a time. Each has a blocking thread while its client takes it.
const AT_A_TIME: usize = 64;
/// As many more for those who have an account: whoever asks without one, and takes them slowly, keeps none of these.
const FOR_OPERATORS: usize = 16;
/// Digests of exports that are remembered.
const REMEMBERED: usize = 256;

/// Signs exports, and bounds how many are made at a time. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Exports(Arc<Shop>);

#[derive(Debug)]
struct Shop {
    key: Option<SecretKey>,
    making: Arc<Semaphore>,
    for_operators: Arc<Semaphore>,
    /// Tag and digest of exports, the newest last: a signature costs the making of an export once for each version.
    digests: Mutex<VecDeque<(String, [u8; 64])>>,
}

impl Exports {
    /// With the key for signatures; without one there are none.
    pub fn new(key: Option<SecretKey>) -> Exports {
        let [making, for_operators] = [AT_A_TIME, FOR_OPERATORS].map(|places| Arc::new(Semaphore::new(places)));
        Exports(Arc::new(Shop { key, making, for_operators, digests: Mutex::default() }))
    }

    /// Leave to make one for anybody; none: too many are being made.
    pub(in crate::http) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.making.clone().try_acquire_owned().ok()
    }

    /// Leave to make one for somebody who has an account; none: too many of those are being made.
    pub(in crate::http) fn permit_for_operators(&self) -> Option<OwnedSemaphorePermit> {
        self.0.for_operators.clone().try_acquire_owned().ok()
    }

    fn key(&self) -> Result<&SecretKey, Problem> {
        let detail = "exports are not signed here; verify the list itself by its head";
        self.0.key.as_ref().ok_or_else(|| Problem::not_found("no-minisign-key", detail))
    }

    fn remembered(&self, tag: &str) -> Option<[u8; 64]> {
        let digests = self.0.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.iter().find(|(other, _)| other == tag).map(|(_, digest)| *digest)
    }

    fn remember(&self, tag: String, digest: [u8; 64]) {
        let mut digests = self.0.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.len() >= REMEMBERED {
            digests.pop_front();
        }
        digests.push_back((tag, digest));
    }
}

impl Default for Exports {
    fn default() -> Self {
        Exports::new(None)
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `GET /v1/minisign.pub`
pub(super) async fn public_key(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let key = shared.app.options.exports.key()?.minisign_public();
    spans::small(&headers, key.into(), TEXT, header_value(&shared.poll_later())?)
}

/// The signature over the export without any coding. Its trusted comment says what was signed, and until when the list's head
/// counts: an old export with its old signature is told by that.
pub(super) async fn signature(shared: &Inner, headers: &HeaderMap, asked: Asked) -> Result<Response, Problem> {
    let exports = shared.app.options.exports.clone();
    exports.key()?;
    let digest = match exports.remembered(&asked.tag) {
        Some(digest) => digest,
        None => {
            let permit = exports.permit().ok_or_else(|| busy(shared))?;
            let (artefacts, made) = (shared.app.hub.deltas().artefacts().clone(), asked.clone());
            let hashed = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let mut hash = MinisignHash::default();
                made.write(&artefacts, &mut hash).map(|()| hash.finish())
            });
            let digest = hashed.await.map_err(|_| Problem::internal("the export failed; the log says where"))?.map_err(refused)?;
            exports.remember(asked.tag.clone(), digest);
            digest
        }
    };
    let head = &asked.list.head;
    let trusted = format!(
        "list={} format={} serial={} issued={} expires={} export={}",
        head.list, asked.format, head.serial, head.issued, head.expires, asked.tag
    );
    let text = exports.key()?.minisign(&digest, &trusted);
    spans::small(headers, text.into(), TEXT, header_value(&shared.poll_later())?)
}
