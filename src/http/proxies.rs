//! Whom a request comes from when a proxy stands between: whose word is believed, and which of its words.
//!
//! Guarantees: only a connection from one of the named networks has a say; of the addresses it names, the right-most that is none of
//! those networks is taken, so that whatever the client has written itself, further left, changes nothing. What cannot be read ends the
//! search at the last address that could. Bounded: so many addresses are looked at, and a header has a limit of its own.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use super::server::Remote;

/// Addresses looked at: nobody has so many proxies.
const MAX_HOPS: usize = 32;

/// The field in which proxies name whom they speak for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProxyField {
    /// `X-Forwarded-For`: addresses, joined by commas.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), its `for`.
    Forwarded,
}

/// Proxies that are believed. One field only: a proxy passes on the other as the client wrote it.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they connect from.
    pub networks: Vec<IpNet>,
    /// What they write.
    pub field: ProxyField,
}

impl Proxies {
    /// Whether a proxy that is believed has this address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whom a request comes from that came by a connection of `peer`.
    pub(super) fn remote(&self, peer: Remote, headers: &HeaderMap) -> Remote {
        if !self.has(peer.address) {
            return peer;
        }
        let mut nearest = peer.address;
        let name = match self.field {
            ProxyField::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyField::Forwarded => header::FORWARDED,
        };
        let values = headers.get_all(name).iter().rev();
        // Quotes hold no comma in an address; what has one is none, and ends the search.
        let words = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for word in words.take(MAX_HOPS) {
            let address = match self.field {
                ProxyField::XForwardedFor => address(word.trim()),
                ProxyField::Forwarded => forwarded_for(word).and_then(address),
            };
            let Some(address) = address else { break };
            nearest = address;
            if !self.has(address) {
                break;
            }
        }
        // The certificate is that of the proxy.
        Remote { address: nearest, certificate: peer.certificate.filter(|_| nearest == peer.address) }
    }
}

/// The node of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn seen(field: ProxyField, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8:f::/48"].map(|network| network.parse().expect("a network")).to_vec();
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_str(line).expect("a header value"));
        }
        let peer = Remote { address: peer.parse().expect("an address"), certificate: None };
        Proxies { networks, field }.remote(peer, &headers).address.to_string()
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_taken() {
        let x = |peer, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            seen(ProxyField::XForwardedFor, peer, &lines)
        };
        for (peer, lines, expected) in [
            // Nobody else is believed.
            ("192.0.2.9", vec!["198.51.100.1"], "192.0.2.9"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            // What the client wrote itself stands further left.
            ("10.0.0.1", vec!["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["127.0.0.1", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", vec!["10.9.9.9,10.8.8.8"], "10.9.9.9"),
            ("::ffff:10.0.0.1", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
            ("2001:db8:f::1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            // What cannot be read: the last that could.
            ("10.0.0.1", vec!["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1, x, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
        ] {
            assert_eq!(x(peer, &lines), expected, "{peer} {lines:?}");
        }
        let many = vec!["10.0.0.7"; 100_000].join(",");
        assert_eq!(x("10.0.0.1", &[&format!("198.51.100.1,{many}")]), "10.0.0.7", "bounded");
    }

    #[test]
    fn the_other_field_is_what_a_client_wrote() {
        let both = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=198.51.100.1;proto=https, For=\"[2001:db8:f::7]:80\"")];
        assert_eq!(seen(ProxyField::Forwarded, "10.0.0.1", &both), "198.51.100.1");
        assert_eq!(seen(ProxyField::XForwardedFor, "10.0.0.1", &both), "6.6.6.6");
        assert_eq!(seen(ProxyField::Forwarded, "10.0.0.1", &[("forwarded", "for=_hidden, for=10.0.0.3")]), "10.0.0.3");
        assert_eq!(seen(ProxyField::Forwarded, "10.0.0.1", &[("forwarded", "proto=https")]), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn any_field_gives_an_address(line in "[ -~]{0,80}") {
            seen(ProxyField::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", &line)]);
            seen(ProxyField::Forwarded, "10.0.0.1", &[("forwarded", &line)]);
        }
    }
}
