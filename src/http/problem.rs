//! Errors as RFC 9457 problems: a status, a stable code for programs, a sentence for people that says what to do.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::publisher::Refusal;

/// Every code, and when it is answered. A code keeps its meaning for ever; new ones come.
pub const CODES: &[(&str, &str)] = &[
    ("bad-bucket", "a bucket is asked for by a number that is none"),
    ("bad-digest", "a digest is not written as one"),
    ("bad-encoding", "the body is not whole, or not in a coding that is taken"),
    ("bad-idempotency-key", "an idempotency key that is none"),
    ("bad-json", "the body is not the JSON that this call takes"),
    ("bad-list-name", "what stands where a list's name should is none"),
    ("bad-note", "the body is not a signed note"),
    ("bad-number", "a number is not written as one, or out of range"),
    ("bad-parameter", "a parameter of the query has no such value"),
    ("bad-position", "a position in the event stream is not written as one"),
    ("bad-provider", "the provider of identities cannot be asked, or answers wrongly"),
    ("bad-serial", "a serial is not written as one"),
    ("bad-span", "a delta is asked for that leads backwards"),
    ("bad-tag", "If-Match or If-None-Match is not written as tags in quotes, or *"),
    ("body-broken", "the body broke off; nothing was done"),
    ("body-timeout", "the body did not come in time; nothing was done"),
    ("changed", "it was changed meanwhile; read it again"),
    ("changed-meanwhile", "what was to be changed no longer has the tag of If-Match; `etag` is that of now"),
    ("code-needed", "name and password fit, and a code of the second factor is needed as well"),
    ("conflict", "it does not fit what is there"),
    ("csrf", "a session changes something without the header bwld-csrf, or with a wrong one"),
    ("delta-damaged", "the delta cannot be read here"),
    ("delta-gone", "the delta is no longer kept"),
    ("delta-too-costly", "joining so many deltas costs more than the snapshot"),
    ("empty-export", "an export would be empty; `empty=ok` asks for it all the same"),
    ("fatal", "the publisher cannot go on before it is repaired"),
    ("forbidden", "the caller's roles, or the way they came in, do not allow it"),
    ("idempotency-answer-lost", "it was done under this key, and the answer was not kept"),
    ("idempotency-in-progress", "it is being done under this key"),
    ("idempotency-mismatch", "another request was done under this key"),
    ("internal", "the publisher has a fault; its log says which"),
    ("method-not-allowed", "the path is there, but not for this method"),
    ("no-minisign-key", "exports are not signed here"),
    ("no-account", "there is no such account"),
    ("no-oidc", "no provider of identities is set up here"),
    ("no-route", "there is nothing at this path"),
    ("no-tag", "a condition on what has no tag"),
    ("no-token", "there is no such token"),
    ("not-acceptable", "no coding that the client takes can be had"),
    ("not-found", "there is no such list, or none that the caller may see"),
    ("not-now", "the entry's state does not allow it, or not to this caller"),
    ("not-newest", "only the newest version is kept by buckets"),
    ("range-outside", "the range begins behind the end"),
    ("refused", "refused by form or by a guard; `refusals` says what and why"),
    ("retry", "it cannot be done now, and may be done later"),
    ("snapshot-gone", "the snapshot is no longer kept"),
    ("tag-needed", "this overwrites something: If-Match must say what was read"),
    ("too-large", "the body is larger than the limit"),
    ("too-many-connections", "no place for another connection"),
    ("too-many-exports", "no place for another export that is made"),
    ("too-many-keys", "the account has used as many idempotency keys as are kept for it; Retry-After says when the first is over"),
    ("too-many-long-polls", "no place for another one that waits"),
    ("too-many-rules", "the program that reads the format takes fewer rules"),
    ("too-many-searches", "no place for another search for an entry by its reference"),
    ("too-many-subscribers", "no place for another event stream"),
    ("too-many-tries", "too often tried in vain; Retry-After says when to come back"),
    ("unauthorized", "no valid token was sent"),
    ("unknown-bucket", "there is no such bucket"),
    ("unknown-format", "there is no such format of exports"),
    ("unknown-job", "the caller has no such job"),
    ("unknown-entry", "there is no entry of this reference, or none that the caller may see"),
    ("unknown-keyset", "there is no such key set"),
    ("unknown-list", "no such list is published"),
    ("unknown-parameter", "the query has a parameter that this call does not know"),
    ("unknown-scheme", "there is no such category scheme"),
    ("unknown-serial", "there is no such version"),
];

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    refusals: Vec<Refusal>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refusals: &'a [Refusal],
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
}

impl Problem {
    /// A problem; `code` never changes its meaning, `detail` says what to do.
    pub(super) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(CODES.iter().any(|(known, _)| *known == code), "{code} has no line in the table of codes");
        Problem { status, code, title, detail: detail.into(), headers: Vec::new(), refusals: Vec::new() }
    }

    /// A malformed request.
    pub(super) fn bad_request(code: &'static str, detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "The request cannot be understood", detail.to_string())
    }

    /// There is no such thing.
    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no such thing here", detail)
    }

    /// Something here is broken; what exactly stands in the log, not in the answer.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The publisher has a fault", detail)
    }

    /// Too many of something; come back after `seconds`.
    pub(super) fn busy(code: &'static str, detail: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Too busy", detail).with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// With a header field.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What it was and what to do.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The body.
    pub(super) fn document(&self) -> String {
        let document = Document {
            r#type: format!("tag:bwld.online,2026:problem/{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            refusals: &self.refusals,
            etag: self.headers.iter().find(|(name, _)| *name == header::ETAG).and_then(|(_, tag)| tag.to_str().ok()),
        };
        serde_json::to_string(&document).expect("text and numbers are always written to memory")
    }

    /// With what was refused, one by one.
    pub(super) fn with_refusals(mut self, refusals: Vec<Refusal>) -> Self {
        self.refusals = refusals;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.document()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
