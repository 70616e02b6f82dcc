//! The canonical form of URL targets (docs/PROTOCOL.md section 3.2).
//!
//! Guarantees: canonical form is reached in one step; spellings of one resource give one text. It fetches nothing and
//! never drops a path.

use std::fmt::Write as _;

use ::url::{Host, Url};

use super::{MAX_RULE, TargetError, domain::push_host, ids::quoted};

/// Brings a URL, with or without scheme, to the scheme-less canonical form of a rule. User information, the fragment
/// and the ports 80 and 443 are left out.
///
/// # Errors
/// [`TargetError`] says why the URL cannot be a target.
pub fn canonical_url(text: &str) -> Result<String, TargetError> {
    let mut out = String::with_capacity(text.len() + 1);
    push_url(text, &mut out)?;
    Ok(out)
}

/// As [`canonical_url`], behind what `out` already holds; after an error `out` is as it was.
pub(super) fn push_url(text: &str, out: &mut String) -> Result<(), TargetError> {
    let start = out.len();
    let done = push(text, out);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn push(text: &str, out: &mut String) -> Result<(), TargetError> {
    let wrong = |why: &str| TargetError::UrlSyntax { text: quoted(text), why: why.to_owned() };
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    // Canonical form can be shorter than what is written (dot segments), but not without bound.
    if text.len() > 4 * MAX_RULE {
        return Err(TargetError::TooLong(text.len()));
    }
    // The URL parser would drop these silently; a rule is what is written.
    if text.chars().any(|c| c.is_control()) || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(TargetError::Control(quoted(text)));
    }
    let (rest, scheme) = without_scheme(text)?;
    if rest.starts_with(['/', '\\', '?', '#']) || rest.is_empty() {
        return Err(TargetError::NoHost(quoted(text)));
    }
    let authority = &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())];
    if !scheme && authority.contains('@') {
        // mailto:a@example.com, or an address of electronic mail: a whole host must not come of it.
        return Err(wrong("\"@\" before the path"));
    }
    let url = Url::parse(&format!("https://{rest}")).map_err(|error| wrong(&error.to_string()))?;
    match url.host() {
        Some(Host::Domain(name)) => push_host(name, out)?,
        Some(Host::Ipv4(address)) => write!(out, "{address}").map_err(|_| wrong("host"))?,
        // As the URL Standard writes it, always in hexadecimal.
        Some(Host::Ipv6(_)) => out.push_str(url.host_str().unwrap_or_default()),
        None => return Err(TargetError::NoHost(quoted(text))),
    }
    if let Some(port) = url.port().filter(|port| !matches!(port, 80 | 443)) {
        write!(out, ":{port}").map_err(|_| wrong("port"))?;
    }
    push_percent(url.path(), out);
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        out.push('?');
        push_percent(query, out);
    }
    Ok(())
}

/// Cuts `http://` or `https://` off; says whether it was there. Another scheme is refused.
fn without_scheme(text: &str) -> Result<(&str, bool), TargetError> {
    for scheme in ["https://", "http://"] {
        if text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)) {
            return Ok((&text[scheme.len()..], true));
        }
    }
    match text.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.')) => {
            if scheme.is_empty() {
                Err(TargetError::NoHost(quoted(text)))
            } else {
                Err(TargetError::Scheme(quoted(text)))
            }
        }
        _ => Ok((text, false)),
    }
}

/// One spelling per octet: unreserved ones plain, all others in upper-case hex, a `%` that begins no encoding as `%25`.
fn push_percent(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        push_plain(&rest[..at], out);
        let octet = rest.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()));
        match octet.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(octet) => {
                if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
                    out.push(char::from(octet));
                } else {
                    push_hex(octet, out);
                }
                rest = &rest[at + 3..];
            }
            None => {
                out.push_str("%25");
                rest = &rest[at + 1..];
            }
        }
    }
    push_plain(rest, out);
}

/// Text without `%`: octets outside printable ASCII encoded. The URL parser has done most of it.
fn push_plain(text: &str, out: &mut String) {
    if text.bytes().all(|c| c.is_ascii_graphic()) {
        out.push_str(text);
        return;
    }
    for c in text.bytes() {
        if c.is_ascii_graphic() { out.push(char::from(c)) } else { push_hex(c, out) }
    }
}

fn push_hex(octet: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(octet >> 4)]));
    out.push(char::from(HEX[usize::from(octet & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_to_one_text() {
        for (text, canonical) in [
            ("http://example.com", "example.com/"),
            ("HTTP://EXAMPLE.com:80/", "example.com/"),
            ("https://example.com:443/", "example.com/"),
            ("http://example.com:443/", "example.com/"),
            ("example.com:8080", "example.com:8080/"),
            ("https://example.com/a/b/../c", "example.com/a/c"),
            ("https://example.com/a/%2e%2E/c", "example.com/c"),
            ("https://example.com/a/%2ehidden", "example.com/a/.hidden"),
            ("https://example.com/%61/c", "example.com/a/c"),
            ("https://example.com/a%2fc", "example.com/a%2Fc"),
            ("https://example.com/a/c?", "example.com/a/c"),
            ("https://example.com/a/c?#f", "example.com/a/c"),
            ("https://example.com/a?x=%7e&y=%c3%bc", "example.com/a?x=~&y=%C3%BC"),
            ("https://example.com//a//c", "example.com//a//c"),
            ("https://example.com\\a\\c", "example.com/a/c"),
            ("https://user:pass@example.com/a", "example.com/a"),
            ("https://example.com@evil.example/a", "evil.example/a"),
            ("http://bücher.example/ü?q=ü", "xn--bcher-kva.example/%C3%BC?q=%C3%BC"),
            ("http://example.com./trailing-dot", "example.com/trailing-dot"),
            ("http://exa%6Dple.com/", "example.com/"),
            ("http://example.com/with space", "example.com/with%20space"),
            ("http://example.com/100%", "example.com/100%25"),
            ("http://example.com/%%32%65%%32%65/", "example.com/%252e%252e/"),
            ("http://0x7f.1/", "127.0.0.1/"),
            ("http://[::ffff:7f00:1]:8080/x", "[::ffff:7f00:1]:8080/x"),
            ("http://[2001:DB8:0:0::1]/", "[2001:db8::1]/"),
            ("github.io/x/", "github.io/x/"),
            ("a.example/b@c", "a.example/b@c"),
            ("a.example/http://b.example/", "a.example/http://b.example/"),
        ] {
            let once = canonical_url(text);
            assert_eq!(once.as_deref(), Ok(canonical), "{text}");
            assert_eq!(canonical_url(canonical).as_deref(), Ok(canonical), "{text}, again");
        }
    }

    #[test]
    fn what_is_no_web_url_is_refused() {
        type Check = fn(&TargetError) -> bool;
        let table: [(&str, Check); 21] = [
            ("", |e| *e == TargetError::Empty),
            ("http://", |e| matches!(e, TargetError::NoHost(_))),
            ("http:///no-host", |e| matches!(e, TargetError::NoHost(_))),
            ("/only/path", |e| matches!(e, TargetError::NoHost(_))),
            ("//scheme-relative.example/x", |e| matches!(e, TargetError::NoHost(_))),
            ("://x.example/", |e| matches!(e, TargetError::NoHost(_))),
            ("ftp://example.com/file", |e| matches!(e, TargetError::Scheme(_))),
            ("data:text/html,hi", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("javascript:alert(1)", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("mailto:a@example.com", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("a@example.com", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("http:example.com/", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("http://example.com:99999/", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("http://ex ample.com/", |e| matches!(e, TargetError::UrlSyntax { .. })),
            ("http://com/", |e| matches!(e, TargetError::SingleLabel(_))),
            ("http://*.example.com/", |e| matches!(e, TargetError::Wildcard { .. })),
            ("http://a..b/", |e| matches!(e, TargetError::EmptyLabel(_))),
            ("http://example.com/tab\there", |e| matches!(e, TargetError::Control(_))),
            ("http://example.com/nul\0", |e| matches!(e, TargetError::Control(_))),
            (" example.com/", |e| matches!(e, TargetError::Control(_))),
            ("http://example.com/ ", |e| matches!(e, TargetError::Control(_))),
        ];
        for (text, check) in table {
            let error = canonical_url(text).expect_err(text);
            assert!(check(&error), "{text}: {error:?}");
        }
    }
}
