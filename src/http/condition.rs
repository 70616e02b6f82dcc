//! Conditional requests of the operator's API (RFC 9110 section 13): tags on what is read, `If-Match` on what is changed.
//!
//! Guarantees: a tag is strong and the digest of the JSON that is shown, so it is the same on every reading of the same; whether
//! what is to be changed still has it is asked by who changes it, behind the same lock as the change ([`Expected`]). A call that
//! does not know conditions refuses them, for one who sends them relies on them.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::list::Digest;
use crate::store::Expected;

use super::caller::Caller;
use super::problem::Problem;

/// Tags in one field at most.
const MAX_TAGS: usize = 100;

/// What a call does about conditions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// It has no tag: a condition is refused.
    Unknown,
    /// `If-Match` with the tag that this call shows, or none.
    Offered(&'static str),
    /// `If-Match` with the tag that this call shows, or `If-None-Match: *`; without it nothing is done.
    Demanded(&'static str),
}

/// What the header fields of a request expect.
pub(super) fn expected(headers: &HeaderMap, condition: Condition) -> Result<Expected, Problem> {
    let (matching, none) = (headers.contains_key(header::IF_MATCH), headers.contains_key(header::IF_NONE_MATCH));
    let of = match condition {
        Condition::Unknown if matching || none => {
            let detail = "what this call does has no tag, so it cannot depend on one; send it without If-Match and If-None-Match";
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "no-tag", "There is no tag to compare", detail));
        }
        Condition::Unknown => return Ok(Expected::Whatever),
        Condition::Offered(of) | Condition::Demanded(of) => of,
    };
    let bad = |field: HeaderName| {
        let detail = format!("{field}: write the ETag that {of} answered, in its quotes, or *");
        Problem::bad_request("bad-tag", detail)
    };
    match (matching, none) {
        (true, true) => Err(Problem::bad_request("bad-tag", "send If-Match or If-None-Match, not both")),
        (true, false) => Ok(match tags(headers, header::IF_MATCH).ok_or_else(|| bad(header::IF_MATCH))? {
            None => Expected::Anything,
            // A tag that none of ours can be fits nothing.
            Some(tags) => Expected::OneOf(tags.iter().filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()).collect()),
        }),
        (false, true) if tags(headers, header::IF_NONE_MATCH) == Some(None) => Ok(Expected::Nothing),
        (false, true) => Err(bad(header::IF_NONE_MATCH)),
        (false, false) if matches!(condition, Condition::Demanded(_)) => Err(missing(of)),
        (false, false) => Ok(Expected::Whatever),
    }
}

/// A write without the tag of what it overwrites.
pub(super) fn missing(of: &str) -> Problem {
    let detail = format!(
        "this call decides about what is there or puts something new in its place, and that may be somebody else's work by now: read it \
         ({of}), then send its ETag as If-Match; or If-Match: * for whatever is there"
    );
    Problem::new(StatusCode::PRECONDITION_REQUIRED, "tag-needed", "Say what you have read", detail)
}

/// What was to be changed is another by now.
pub(super) fn changed(current: Option<Digest>, detail: String) -> Problem {
    let name = current.map_or("there is nothing".to_owned(), |tag| format!("its tag now is \"{tag}\""));
    let detail = format!("{detail}; {name}");
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", "Changed meanwhile", detail);
    match current.map(|tag| field(&tag)) {
        Some(tag) => problem.with(header::ETAG, tag),
        None => problem,
    }
}

/// The tags of a field, with their quotes; `Some(None)`: `*`. None: it does not have its form (RFC 9110 section 8.8.3).
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Option<Vec<String>>> {
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        let mut rest = value.to_str().ok()?.trim();
        if rest == "*" {
            return Some(None);
        }
        while !rest.is_empty() {
            let weak = if rest.starts_with("W/") { 2 } else { 0 };
            let end = rest[weak..].strip_prefix('"')?.find('"')? + weak + 2;
            if !rest[..end].bytes().all(|c| c.is_ascii_graphic()) {
                return None;
            }
            all.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')?.trim_start() };
        }
        if all.len() > MAX_TAGS {
            return None;
        }
    }
    (!all.is_empty()).then_some(Some(all))
}

/// A tag as a header field has it.
pub(super) fn field(tag: &Digest) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{tag}\"")).expect("a digest in quotes is visible ASCII")
}

/// The layer of calls that show what has a tag: answers with it, and with 304 alone if the caller has that already.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    let asks = request.method().is_safe() && request.headers().contains_key(header::IF_NONE_MATCH);
    let known = if asks { tags(request.headers(), header::IF_NONE_MATCH) } else { None };
    if asks && known.is_none() {
        return Problem::bad_request("bad-tag", "If-None-Match: write an ETag in its quotes, or *").into_response();
    }
    let mut response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let tag = match response.headers().get(header::ETAG) {
        Some(tag) => tag.clone(),
        None => {
            let (parts, body) = response.into_parts();
            // It is in memory already: the routes that stream have no tag.
            let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
                return Problem::internal("the answer could not be written").into_response();
            };
            let tag = field(&Digest::of(&bytes));
            response = Response::from_parts(parts, Body::from(bytes));
            tag
        }
    };
    let fits = |known: &Option<Vec<String>>| match known {
        None => true,
        // The weak comparison of section 13.1.2.
        Some(tags) => tags.iter().any(|one| one.trim_start_matches("W/").as_bytes() == tag.as_bytes()),
    };
    if known.as_ref().is_some_and(fits) {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The layer of calls that write: takes what the caller expects to find along to the handler.
pub(super) async fn expect(State(condition): State<Condition>, mut request: Request, next: Next) -> Response {
    match expected(request.headers(), condition) {
        Err(problem) => problem.into_response(),
        Ok(expected) => {
            if let Some(caller) = request.extensions_mut().get_mut::<Caller>() {
                caller.expected = expected;
            }
            next.run(request).await
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOWN: Condition = Condition::Offered("GET /v1/x");

    fn of(fields: &[(HeaderName, &str)], condition: Condition) -> Result<Expected, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        expected(&headers, condition)
    }

    #[test]
    fn conditions_are_read_by_their_form() {
        let (one, other) = (Digest::of("one"), Digest::of("other"));
        let (matching, none) = (header::IF_MATCH, header::IF_NONE_MATCH);
        let both = format!("\"{one}\" ,\"a,b\",  \"{other}\"");
        for (fields, wanted) in [
            (vec![], Expected::Whatever),
            (vec![(matching.clone(), "*")], Expected::Anything),
            (vec![(none.clone(), "*")], Expected::Nothing),
            (vec![(matching.clone(), both.as_str())], Expected::OneOf(vec![one, other])),
            // The comparison is the strong one: a weak tag fits nothing.
            (vec![(matching.clone(), "W/\"x\"")], Expected::OneOf(vec![])),
            (vec![(matching.clone(), "\"\"")], Expected::OneOf(vec![])),
        ] {
            assert_eq!(of(&fields, SHOWN).expect("a condition"), wanted, "{fields:?}");
        }
        for fields in [
            vec![(matching.clone(), "x")],
            vec![(matching.clone(), "")],
            vec![(matching.clone(), "\"x")],
            vec![(matching.clone(), "\"x\" \"y\"")],
            vec![(none.clone(), "\"x\"")],
            vec![(matching.clone(), "*"), (none.clone(), "*")],
        ] {
            assert!(of(&fields, SHOWN).is_err(), "{fields:?}");
        }
        assert!(of(&[(matching.clone(), "*")], Condition::Unknown).is_err() && of(&[], Condition::Unknown).is_ok());
        assert!(of(&[], Condition::Demanded("GET /v1/x")).is_err() && of(&[(none, "*")], Condition::Demanded("GET /v1/x")).is_ok());
        let many = vec!["\"x\""; MAX_TAGS + 1].join(",");
        assert!(of(&[(matching, &many)], SHOWN).is_err());
    }

    proptest! {
        #[test]
        fn any_field_is_read_or_refused(value in "[ -~]{0,60}") {
            let _ = of(&[(header::IF_MATCH, &value)], SHOWN);
        }
    }
}
