//! What counts as one source of requests, wherever so many of one source are allowed.

use std::net::{IpAddr, Ipv6Addr};

/// The source behind an address: an IPv4 address, also one written as IPv6, or an IPv6 network of 64 bits, which one host has for
/// itself. The loopback address stays itself.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_network_and_loopback_is_itself() {
        let of = |text: &str| source(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::");
        assert_eq!(of("2001:db8:0:1::1"), "2001:db8:0:1::");
        assert_eq!(of("2001:db8:0:2::1"), "2001:db8:0:2::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::1"), "::1");
        // Of its network only the address itself is loopback.
        assert_eq!(of("::2"), "::");
        assert_eq!(of("127.0.0.1"), "127.0.0.1");
    }
}
