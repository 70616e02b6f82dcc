//! The parts of a question's text: address, port, host and rest of a URL.

use std::net::IpAddr;

use super::QuestionError;
use crate::list::quoted;

pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).filter(|t| t.contains(':')).unwrap_or(text);
    if bare.len() > 45 {
        return None;
    }
    bare.parse().ok()
}

/// `host:port` and `[address]:port` without the port.
pub(super) fn without_port(text: &str) -> Result<&str, QuestionError> {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => {
            if is_port(port) {
                Ok(host)
            } else {
                Err(QuestionError::Port(quoted(port)))
            }
        }
        _ => Ok(text),
    }
}

/// Digits alone, up to 65535.
fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Host and rest of a URL that is in canonical form but for the scheme, the case of its host and a default port.
pub(super) fn plain_url(text: &str) -> Option<(&str, &str)> {
    let url = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let path = url.find('/')?;
    let authority = &url[..path];
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let dropped = matches!(port, "80" | "443");
    if !dropped && (port.starts_with('0') || !is_port(port)) {
        return None;
    }
    is_plain(&url.as_bytes()[path..]).then_some((host, if dropped { &url[path..] } else { &url[host.len()..] }))
}

/// Whether the URL parser and the normalisation of rules leave these octets, a path and query, as they are.
fn is_plain(octets: &[u8]) -> bool {
    let mut before = 0;
    for &c in octets {
        let kept = match c {
            b'.' => before != b'/',
            b'?' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b'-' | b'/' | b':' | b';' | b'=' | b'@' | b'_' | b'~' => true,
            _ => c.is_ascii_alphanumeric(),
        };
        if !kept {
            return false;
        }
        before = c;
    }
    // An empty query is dropped.
    before != b'?'
}
