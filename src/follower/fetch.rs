//! What there is to ask for (docs/PROTOCOL.md section 11), one function each.

use std::{path::Path, time::Duration};

use reqwest::{Method, Response, StatusCode, header};
use tokio::io::AsyncWriteExt as _;

use crate::list::{Digest, ListId};
use crate::wire::{MAX_BUCKET, MAX_HEAD, MAX_KEYSET, compress, decompress};

use super::FollowError;
use super::client::{Client, Encoding};

/// Octets that a zstd frame of `size` octets has at most, with something to spare.
pub(super) const fn compressed_limit(size: u64) -> u64 {
    size + size / 64 + 4_096
}

/// The answer to a question for the newest head.
#[derive(Debug)]
pub(super) enum HeadAnswer {
    Note { note: Vec<u8>, etag: Option<header::HeaderValue>, max_age: Option<Duration> },
    Same { max_age: Option<Duration> },
}

/// Where a snapshot's download stands, so that it can be taken up again at the same address.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    pub digest: Digest,
    pub mirror: usize,
    pub etag: header::HeaderValue,
    pub encoding: Encoding,
    pub len: u64,
}

impl Client {
    pub async fn head(
        &self,
        mirror: usize,
        list: &ListId,
        etag: Option<&header::HeaderValue>,
        wait: Option<(Duration, u64)>,
    ) -> Result<HeadAnswer, FollowError> {
        let mut url = self.url(mirror, &["v1", "lists", list.as_str(), "head"]);
        if let Some((wait, after)) = wait {
            url.query_pairs_mut().append_pair("wait", &wait.as_secs().to_string()).append_pair("after", &after.to_string());
        }
        let mut request = self.request(Method::GET, url, false);
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let waiting = wait.map_or(Duration::ZERO, |(wait, _)| wait);
        let (response, meta) = self.send(request, waiting, &[StatusCode::OK, StatusCode::NOT_MODIFIED]).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(HeadAnswer::Same { max_age: meta.max_age });
        }
        let note = self.small(response, "head", meta.encoding, MAX_HEAD as u64).await?;
        Ok(HeadAnswer::Note { note, etag: meta.etag, max_age: meta.max_age })
    }

    /// Key set `number`, or the newest.
    pub async fn keyset(&self, mirror: usize, number: Option<u64>) -> Result<Vec<u8>, FollowError> {
        let text = number.map(|n| n.to_string());
        let url = match &text {
            Some(n) => self.url(mirror, &["v1", "keyset", n]),
            None => self.url(mirror, &["v1", "keyset"]),
        };
        let (response, meta) = self.send(self.request(Method::GET, url, false), Duration::ZERO, &[StatusCode::OK]).await?;
        self.small(response, "key set", meta.encoding, MAX_KEYSET as u64).await
    }

    /// A small document, decompressed.
    async fn small(&self, response: Response, what: &'static str, encoding: Encoding, limit: u64) -> Result<Vec<u8>, FollowError> {
        let body = self.body(response, compressed_limit(limit), self.limits.small).await?;
        match encoding {
            Encoding::Zstd => Ok(decompress(what, &body, limit)?),
            Encoding::Identity if body.len() as u64 > limit => Err(crate::wire::WireError::TooLarge { what, limit }.into()),
            Encoding::Identity => Ok(body),
        }
    }

    /// A delta, compressed with zstd, of at most `at_most` octets as it travels and `limit` uncompressed.
    pub async fn delta(&self, mirror: usize, list: &ListId, from: u64, to: u64, at_most: u64, limit: u64) -> Result<Vec<u8>, FollowError> {
        let url = self.url(mirror, &["v1", "lists", list.as_str(), "delta", &from.to_string(), &to.to_string()]);
        let (response, meta) = self.send(self.request(Method::GET, url, true), Duration::ZERO, &[StatusCode::OK]).await?;
        let body = self.body(response, at_most.min(compressed_limit(limit)), self.limits.snapshot).await?;
        Ok(match meta.encoding {
            Encoding::Zstd => body,
            Encoding::Identity => compress(&body, 3),
        })
    }

    /// Octets of the compressed snapshot, if the address says.
    pub async fn measure_snapshot(&self, mirror: usize, list: &ListId, digest: &Digest) -> Result<Option<u64>, FollowError> {
        let url = self.url(mirror, &["v1", "lists", list.as_str(), "snapshot", &digest.hex()]);
        let (_, meta) = self.send(self.request(Method::HEAD, url, true), Duration::ZERO, &[StatusCode::OK]).await?;
        Ok(meta.length)
    }

    /// Downloads a snapshot of `size` uncompressed octets into `path`, taking up a download that was cut off if `partial` tells of one.
    pub async fn snapshot(
        &self,
        mirror: usize,
        list: &ListId,
        digest: &Digest,
        size: u64,
        path: &Path,
        partial: &mut Option<Partial>,
    ) -> Result<Encoding, FollowError> {
        let url = self.url(mirror, &["v1", "lists", list.as_str(), "snapshot", &digest.hex()]);
        let mut request = self.request(Method::GET, url.clone(), true);
        let resume = partial.take().filter(|p| p.digest == *digest && p.mirror == mirror && p.len > 0 && path.exists());
        if let Some(p) = &resume {
            request = request.header(header::RANGE, format!("bytes={}-", p.len)).header(header::IF_RANGE, &p.etag);
        }
        let (response, meta) = self.send(request, Duration::ZERO, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        let begin = match (response.status(), resume) {
            (StatusCode::PARTIAL_CONTENT, Some(p)) => {
                let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
                if p.encoding != meta.encoding || range.is_none_or(|r| !r.starts_with(&format!("bytes {}-", p.len))) {
                    return Err(FollowError::Unexpected(format!("{url}: another range than was asked for; ask another address")));
                }
                p.len
            }
            (StatusCode::PARTIAL_CONTENT, None) => {
                return Err(FollowError::Unexpected(format!("{url}: a part where the whole was asked for; ask another address")));
            }
            _ => 0,
        };
        // Appending, so that what comes lands behind what is kept.
        let opened = tokio::fs::OpenOptions::new().append(true).create(true).open(path).await;
        let mut file = opened.map_err(FollowError::io("create", path))?;
        file.set_len(begin).await.map_err(FollowError::io("cut", path))?;
        let mut len = begin;
        let limit = compressed_limit(size).saturating_sub(begin);
        let mut chunks = self.chunks(response, limit, self.limits.snapshot)?;
        let ended = loop {
            match chunks.next(self).await {
                Ok(Some(chunk)) => {
                    file.write_all(&chunk).await.map_err(FollowError::io("write", path))?;
                    len += chunk.len() as u64;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        file.flush().await.map_err(FollowError::io("write", path))?;
        if let Err(error) = ended {
            // What came so far is of use if the address can go on from there.
            if let (Some(etag), true) = (meta.etag, matches!(error, FollowError::Transport { .. })) {
                *partial = Some(Partial { digest: *digest, mirror, etag, encoding: meta.encoding, len });
            }
            return Err(error);
        }
        Ok(meta.encoding)
    }

    /// The bucket digests of a version.
    pub async fn buckets(&self, mirror: usize, list: &ListId, serial: u64, bits: u8) -> Result<Vec<u8>, FollowError> {
        let url = self.url(mirror, &["v1", "lists", list.as_str(), "buckets", &serial.to_string()]);
        let (response, meta) = self.send(self.request(Method::GET, url, false), Duration::ZERO, &[StatusCode::OK]).await?;
        self.small(response, "bucket digests", meta.encoding, 32 << bits).await
    }

    /// The lines of a bucket.
    pub async fn bucket(&self, mirror: usize, list: &ListId, serial: u64, b: u32) -> Result<Vec<u8>, FollowError> {
        let url = self.url(mirror, &["v1", "lists", list.as_str(), "bucket", &serial.to_string(), &b.to_string()]);
        let (response, meta) = self.send(self.request(Method::GET, url, true), Duration::ZERO, &[StatusCode::OK]).await?;
        self.small(response, "bucket", meta.encoding, MAX_BUCKET as u64).await
    }

    /// Opens the event stream for `lists` (section 12).
    pub async fn events(&self, mirror: usize, lists: &str) -> Result<Response, FollowError> {
        let mut url = self.url(mirror, &["v1", "events"]);
        url.set_query(Some(&format!("lists={lists}")));
        let request = self.request(Method::GET, url.clone(), false).header(header::ACCEPT, "text/event-stream");
        let (response, meta) = self.send(request, Duration::ZERO, &[StatusCode::OK]).await?;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !kind.trim().to_ascii_lowercase().starts_with("text/event-stream") || meta.encoding != Encoding::Identity {
            return Err(FollowError::Unexpected(format!("{url}: not an event stream but \"{}\"", kind.escape_debug())));
        }
        Ok(response)
    }
}
