//! The cookie of a session (RFC 6265): only for this host, only over TLS or loopback, out of reach of scripts and of other sites.

use axum::http::{HeaderMap, HeaderValue, header};

use super::problem::Problem;

/// Its name; `__Host-` binds it to this host, to the whole of it, and to TLS.
const NAME: &str = "__Host-bwld";
/// Longest value that is looked at, in octets.
const MAX: usize = 128;

/// Ends it in the browser.
pub(super) const GONE: HeaderValue = HeaderValue::from_static("__Host-bwld=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");

/// Sets it. It goes when the browser does; the session itself ends earlier, on this side.
pub(super) fn set(id: &str) -> Result<HeaderValue, Problem> {
    let text = format!("{NAME}={id}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let mut value = HeaderValue::from_str(&text).map_err(|_| Problem::internal("a session has no such name"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The session's id that a request carries.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    named(headers, NAME)
}

/// The value of a cookie that a request carries.
pub(super) fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, value)| *key == name && !value.is_empty() && value.len() <= MAX).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let read = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::COOKIE, HeaderValue::from_static(field));
            }
            session(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["a=1; __Host-bwld=abc; b=2"]).as_deref(), Some("abc"));
        assert_eq!(read(&["a=1", "__Host-bwld=abc"]).as_deref(), Some("abc"));
        for none in ["", "__Host-bwld", "__Host-bwld=", "bwld=abc", "x__Host-bwld=abc", "a=__Host-bwld=abc"] {
            assert_eq!(read(&[none]), None, "{none}");
        }
        let text = format!("{:?}", set("abc").ok());
        assert!(text.contains("Sensitive") && !text.contains("abc"), "{text}");
    }
}
