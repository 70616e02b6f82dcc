//! Asks addresses over HTTP, with a bound on everything: size, time, rate, what is decompressed. Redirects are not followed.
//!
//! It verifies nothing; what it brings is only bytes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::{ClientTls, FollowError, Limits};

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    Identity,
    Zstd,
}

/// What an answer says beside its body.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub etag: Option<HeaderValue>,
    /// From `Cache-Control`.
    pub max_age: Option<Duration>,
    pub encoding: Encoding,
    pub length: Option<u64>,
}

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    urls: Vec<Url>,
    pub limits: Limits,
    received: AtomicU64,
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn meta_of(response: &Response) -> Result<Meta, FollowError> {
    let headers = response.headers();
    let encoding = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Encoding::Identity,
        Some(b"zstd") => Encoding::Zstd,
        Some(_) => {
            let reason = format!("{}: an encoding that was not asked for; ask another address", response.url());
            return Err(FollowError::Unexpected(reason));
        }
    };
    let max_age = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).find_map(|d| {
        let (name, value) = d.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok().map(Duration::from_secs))?
    });
    let length = number(headers, header::CONTENT_LENGTH);
    Ok(Meta { etag: headers.get(header::ETAG).cloned(), max_age, encoding, length })
}

/// An error of the client in words, with its causes, without the address (which the caller names).
fn reason_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(c) = cause {
        let text = c.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = c.source();
    }
    words
}

impl Client {
    /// A client for these addresses.
    ///
    /// # Errors
    /// [`FollowError::Options`] if there is no address or one that cannot be used.
    pub fn new(urls: &[Url], tls: &ClientTls, limits: &Limits) -> Result<Client, FollowError> {
        if urls.is_empty() {
            return Err(FollowError::Options("no address to follow; name at least one, such as http://127.0.0.1:7080/".into()));
        }
        if let Some(url) = urls.iter().find(|u| !matches!(u.scheme(), "http" | "https") || u.cannot_be_a_base()) {
            return Err(FollowError::Options(format!("{url} cannot be followed; use http:// or https://")));
        }
        let http = tls
            .apply(reqwest::Client::builder())?
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits.connect)
            .http1_max_headers(64)
            .http2_max_header_list_size(16 << 10)
            .tcp_nodelay(true)
            .user_agent(concat!("bwld/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| FollowError::Options(format!("the HTTP client cannot be set up: {}", reason_of(e))))?;
        Ok(Client { http, urls: urls.to_vec(), limits: limits.clone(), received: AtomicU64::new(0) })
    }

    /// Octets of answers received so far, headers and bodies as this program sees them.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn count(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// The address of a mirror, for people.
    pub fn name(&self, mirror: usize) -> String {
        self.urls.get(mirror).map(Url::to_string).unwrap_or_default()
    }

    /// Number of addresses.
    pub fn mirrors(&self) -> usize {
        self.urls.len()
    }

    /// A resource below a mirror's address.
    pub fn url(&self, mirror: usize, path: &[&str]) -> Url {
        let mut url = self.urls[mirror % self.urls.len()].clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// A request with what every one of them has.
    pub fn request(&self, method: Method, url: Url, zstd: bool) -> RequestBuilder {
        self.http.request(method, url).header(header::ACCEPT_ENCODING, if zstd { "zstd" } else { "identity" })
    }

    /// Sends a request and waits for the beginning of an answer with one of the `wanted` states.
    pub async fn send(&self, request: RequestBuilder, wait: Duration, wanted: &[StatusCode]) -> Result<(Response, Meta), FollowError> {
        let (client, request) = request.build_split();
        let request = request.map_err(|e| FollowError::Options(reason_of(e)))?;
        let url = request.url().to_string();
        let patience = self.limits.connect + self.limits.answer + wait;
        let answer = timeout(patience, client.execute(request)).await;
        let response = match answer {
            Err(_) => return Err(FollowError::TooSlow { url, seconds: patience.as_secs() }),
            Ok(Err(e)) => return Err(FollowError::Transport { url, reason: reason_of(e), retry_after: None }),
            Ok(Ok(response)) => response,
        };
        self.count(response.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum());
        let status = response.status();
        if wanted.contains(&status) {
            let meta = meta_of(&response)?;
            return Ok((response, meta));
        }
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => FollowError::Gone { url, status: status.as_u16() },
            _ => {
                let retry_after = number(response.headers(), header::RETRY_AFTER);
                let reason = match status.is_redirection() {
                    true => format!("answers {}; redirects are not followed", status.as_u16()),
                    false => format!("answers {}", status.as_u16()),
                };
                FollowError::Transport { url, reason, retry_after }
            }
        })
    }

    /// Reads a body of at most `limit` octets, within `total`, and never slower than the limits allow.
    pub async fn body(&self, response: Response, limit: u64, total: Duration) -> Result<Vec<u8>, FollowError> {
        let mut body = Vec::new();
        let mut chunks = self.chunks(response, limit, total)?;
        while let Some(chunk) = chunks.next(self).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The same, chunk by chunk.
    pub fn chunks(&self, response: Response, limit: u64, total: Duration) -> Result<Chunks, FollowError> {
        let size = number(response.headers(), header::CONTENT_LENGTH);
        if size.is_some_and(|size| size > limit) {
            return Err(FollowError::TooBig { url: response.url().to_string(), limit, size });
        }
        let begun = Instant::now();
        Ok(Chunks { response, limit, taken: 0, begun, end: begun + total, span_end: begun + self.limits.rate_span, in_span: 0 })
    }

    /// The next chunk of an event stream; `None` at its end.
    pub async fn next_chunk(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, FollowError> {
        match timeout(self.limits.silence, response.chunk()).await {
            Ok(Ok(chunk)) => {
                self.count(chunk.as_ref().map_or(0, |c| c.len()));
                Ok(chunk)
            }
            Ok(Err(e)) => Err(FollowError::Transport { url: response.url().to_string(), reason: reason_of(e), retry_after: None }),
            Err(_) => Err(FollowError::TooSlow { url: response.url().to_string(), seconds: self.limits.silence.as_secs() }),
        }
    }
}

/// A body that is being read, with its bounds.
#[derive(Debug)]
pub(super) struct Chunks {
    response: Response,
    limit: u64,
    taken: u64,
    begun: Instant,
    end: Instant,
    /// When the span ends in which `least_bytes` must come, and what came in it.
    span_end: Instant,
    in_span: u64,
}

impl Chunks {
    /// The next chunk; `None` at the end.
    pub async fn next(&mut self, client: &Client) -> Result<Option<bytes::Bytes>, FollowError> {
        let (span, least) = (client.limits.rate_span, client.limits.least_bytes);
        loop {
            // Looked at before every chunk: somebody who drips never lets the wait below run out.
            let now = Instant::now();
            if now >= self.end || (now >= self.span_end && self.in_span < least) {
                return Err(FollowError::TooSlow { url: self.response.url().to_string(), seconds: self.begun.elapsed().as_secs() });
            }
            if now >= self.span_end {
                (self.span_end, self.in_span) = (now + span, 0);
            }
            let chunk = match timeout_at(self.span_end.min(self.end), self.response.chunk()).await {
                Err(_) => continue,
                Ok(Ok(None)) => return Ok(None),
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Err(e)) => {
                    let url = self.response.url().to_string();
                    return Err(FollowError::Transport { url, reason: reason_of(e), retry_after: None });
                }
            };
            client.count(chunk.len());
            self.taken += chunk.len() as u64;
            self.in_span += chunk.len() as u64;
            if self.taken > self.limit {
                return Err(FollowError::TooBig { url: self.response.url().to_string(), limit: self.limit, size: None });
            }
            return Ok(Some(chunk));
        }
    }
}
