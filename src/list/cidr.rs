//! The canonical form of address ranges (docs/PROTOCOL.md section 3.3).
//!
//! Guarantees: a range is never made wider; bits set beyond the length are an error, not cut off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{TargetError, ids::quoted};

/// Shortest IPv4 length.
const SHORTEST_V4: u8 = 8;
/// Shortest IPv6 length.
const SHORTEST_V6: u8 = 16;

/// Brings an address or a range to canonical `ADDRESS/LENGTH`.
///
/// # Errors
/// [`TargetError`] says why it cannot be a target; host bits that are set are an error, not cut off.
pub fn canonical_cidr(text: &str) -> Result<String, TargetError> {
    let range = || TargetError::Range(quoted(text));
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(parse_length(length).ok_or_else(range)?)),
        None => (text, None),
    };
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).filter(|a| a.contains(':')).unwrap_or(address);
    let address = bare.parse::<IpAddr>().map_err(|_| odd_spelling(bare, length).unwrap_or_else(range))?;
    match address {
        IpAddr::V4(v4) => version4(text, v4, length.unwrap_or(32)),
        IpAddr::V6(v6) => {
            let length = length.unwrap_or(128);
            match v6.to_ipv4_mapped() {
                Some(v4) if (96..=128).contains(&length) => version4(text, v4, length - 96),
                _ => version6(text, v6, length),
            }
        }
    }
}

/// Decimal, no sign, no leading zero.
fn parse_length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|c| c.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// `0xC0A80001` or `0300.0250.0.1`: what a browser makes of it is the hint, but a rule never comes of it.
fn odd_spelling(bare: &str, length: Option<u8>) -> Option<TargetError> {
    let plain = !bare.is_empty() && bare.len() <= 64 && bare.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.');
    match ::url::Host::parse(bare).ok().filter(|_| plain && length.is_none())? {
        ::url::Host::Ipv4(address) => {
            Some(TargetError::NotCanonical { text: quoted(bare), canonical: format!("{address}/32, if that is meant") })
        }
        _ => None,
    }
}

fn version4(text: &str, address: Ipv4Addr, length: u8) -> Result<String, TargetError> {
    if length > 32 {
        return Err(TargetError::Range(quoted(text)));
    }
    if length < SHORTEST_V4 {
        return Err(TargetError::RangeTooWide { text: quoted(text), shortest: SHORTEST_V4 });
    }
    let bits = u32::from(address);
    let network = bits & (u32::MAX << (32 - u32::from(length)));
    if network != bits {
        let network = format!("{}/{length}", Ipv4Addr::from(network));
        return Err(TargetError::HostBits { text: quoted(text), network, address: format!("{address}/32") });
    }
    Ok(format!("{address}/{length}"))
}

fn version6(text: &str, address: Ipv6Addr, length: u8) -> Result<String, TargetError> {
    if length > 128 {
        return Err(TargetError::Range(quoted(text)));
    }
    if length < SHORTEST_V6 {
        return Err(TargetError::RangeTooWide { text: quoted(text), shortest: SHORTEST_V6 });
    }
    let bits = u128::from(address);
    let network = bits & (u128::MAX << (128 - u32::from(length)));
    if network != bits {
        let network = format!("{}/{length}", Ipv6Addr::from(network));
        return Err(TargetError::HostBits { text: quoted(text), network, address: format!("{address}/128") });
    }
    Ok(format!("{address}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ranges() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1/128"),
            ("[2001:db8::1]", "2001:db8::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::1.2.3.4", "::102:304/128"),
        ] {
            assert_eq!(canonical_cidr(text).as_deref(), Ok(canonical), "{text}");
            assert_eq!(canonical_cidr(canonical).as_deref(), Ok(canonical), "{text}, again");
        }
    }

    #[test]
    fn nothing_is_cut_off_or_guessed() {
        type Check = fn(&TargetError) -> bool;
        let table: [(&str, Check); 16] = [
            ("", |e| *e == TargetError::Empty),
            (
                "192.0.2.1/24",
                |e| matches!(e, TargetError::HostBits { network, address, .. } if network == "192.0.2.0/24" && address == "192.0.2.1/32"),
            ),
            ("2001:db8::1/32", |e| matches!(e, TargetError::HostBits { network, .. } if network == "2001:db8::/32")),
            ("0.0.0.0/0", |e| matches!(e, TargetError::RangeTooWide { shortest: 8, .. })),
            ("::/0", |e| matches!(e, TargetError::RangeTooWide { shortest: 16, .. })),
            ("::ffff:0.0.0.0/96", |e| matches!(e, TargetError::RangeTooWide { shortest: 8, .. })),
            ("192.0.2.0/33", |e| matches!(e, TargetError::Range(_))),
            ("2001:db8::/129", |e| matches!(e, TargetError::Range(_))),
            ("192.0.2.0/024", |e| matches!(e, TargetError::Range(_))),
            ("192.0.2.0/+24", |e| matches!(e, TargetError::Range(_))),
            ("192.0.2.0/", |e| matches!(e, TargetError::Range(_))),
            ("192.0.2.0/24/8", |e| matches!(e, TargetError::Range(_))),
            ("fe80::1%lo0", |e| matches!(e, TargetError::Range(_))),
            ("192.0.2", |e| matches!(e, TargetError::NotCanonical { .. })),
            ("0300.0250.0.1", |e| matches!(e, TargetError::NotCanonical { canonical, .. } if canonical.starts_with("192.168.0.1/32"))),
            ("example.com", |e| matches!(e, TargetError::Range(_))),
        ];
        for (text, check) in table {
            let error = canonical_cidr(text).expect_err(text);
            assert!(check(&error), "{text}: {error:?}");
        }
    }
}
