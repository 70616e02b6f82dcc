//! The canonical form of host names (docs/PROTOCOL.md section 3.1).
//!
//! Guarantees: canonical form is reached in one step (a canonical name comes back as it is); a pure ASCII name takes
//! one pass and no IDNA tables. It resolves nothing.

use std::iter;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use psl::{Psl, Type};

use super::{TargetError, ids::quoted};

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Brings a host name to canonical form: UTS #46 to A-labels, lower case, no trailing dot, public suffixes refused.
///
/// # Errors
/// [`TargetError`] says why the name cannot be a target.
pub fn canonical_domain(text: &str) -> Result<String, TargetError> {
    let mut out = String::with_capacity(text.len());
    push_domain(text, &mut out)?;
    Ok(out)
}

/// As [`canonical_domain`], behind what `out` already holds; after an error `out` is as it was.
pub(super) fn push_domain(text: &str, out: &mut String) -> Result<(), TargetError> {
    let start = out.len();
    push_host(text, out)?;
    let done = check_suffix(&out[start..]);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

/// Refuses a canonical name that is a public suffix.
pub(super) fn check_suffix(name: &str) -> Result<(), TargetError> {
    if is_public_suffix(name) { Err(TargetError::PublicSuffix(quoted(name))) } else { Ok(()) }
}

/// As [`push_domain`], public suffixes allowed: what the text form of a rule demands, whoever reads it.
pub(crate) fn push_host(text: &str, out: &mut String) -> Result<(), TargetError> {
    let start = out.len();
    let name = text.strip_suffix('.').unwrap_or(text);
    out.push_str(name);
    out[start..].make_ascii_lowercase();
    match check_ascii(&out[start..]) {
        Shape::Canonical => return Ok(()),
        Shape::NeedsIdna => {}
        Shape::Wrong => {
            out.truncate(start);
            return Err(explain(text));
        }
    }
    out.truncate(start);
    if text.len() > 16 * MAX_NAME {
        return Err(TargetError::NameTooLong(text.len()));
    }
    let mapped =
        Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Ignore).map_err(|_| explain_unicode(text))?;
    // Mapping can make a trailing dot of an ideographic full stop; behind one that was taken off already it is one too many.
    let mapped = match mapped.strip_suffix('.') {
        Some(rest) if (name.len() < text.len() || rest.ends_with('.')) && !rest.is_empty() => {
            return Err(TargetError::EmptyLabel(quoted(text)));
        }
        Some(rest) => rest,
        None => &mapped,
    };
    match check_ascii(mapped) {
        Shape::Wrong => Err(explain(mapped)),
        Shape::Canonical | Shape::NeedsIdna => {
            if mapped.split('.').any(hides_a_label) {
                return Err(TargetError::Idna(quoted(text)));
            }
            out.push_str(mapped);
            Ok(())
        }
    }
}

/// Whether an A-label decodes to something that looks like an A-label again: validity criterion 4 of UTS #46 in the
/// case that hyphens are not checked, which the crate leaves out.
fn hides_a_label(label: &str) -> bool {
    label.strip_prefix("xn--xn--").is_some() && idna::punycode::decode_to_string(&label[4..]).is_none_or(|text| text.starts_with("xn--"))
}

/// What a name in lower case is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// ASCII in canonical form, without A-labels.
    Canonical,
    /// Well-formed so far; has letters outside ASCII, or A-labels that must be checked.
    NeedsIdna,
    /// Cannot be a host.
    Wrong,
}

/// One pass over the octets: labels, lengths, characters, the number at the end.
fn check_ascii(name: &str) -> Shape {
    let bytes = name.as_bytes();
    let mut ascii = true;
    let mut idna = false;
    let mut start = 0;
    let mut labels = 0_usize;
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            Some(b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => continue,
            Some(b'.') | None => {}
            Some(128..) => {
                ascii = false;
                continue;
            }
            Some(_) => return Shape::Wrong,
        }
        let label = &bytes[start..at];
        if ascii && !(1..=MAX_LABEL).contains(&label.len()) {
            return Shape::Wrong;
        }
        idna |= label.starts_with(b"xn--");
        labels += 1;
        if at < bytes.len() {
            start = at + 1;
        }
    }
    if !ascii {
        return Shape::NeedsIdna;
    }
    if labels < 2 || bytes.len() > MAX_NAME || is_number(&bytes[start..]) {
        return Shape::Wrong;
    }
    if idna { Shape::NeedsIdna } else { Shape::Canonical }
}

/// The URL Standard's *ends in a number*, for one label in lower case.
fn is_number(label: &[u8]) -> bool {
    match label.first() {
        Some(b'0'..=b'9') => {
            label.iter().all(u8::is_ascii_digit) || label.strip_prefix(b"0x").is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

/// Whether a canonical name is a suffix in the ICANN section, or the parent of one that the section writes with a star
/// (`kobe.jp` of `*.kobe.jp`): either way a rule for its subtree would block a registry.
fn is_public_suffix(name: &str) -> bool {
    // One look-up answers both: a label is put before the name that no rule of the suffix list has, so that only a star matches it.
    let never: &[u8] = b"\0";
    let labels = || name.as_bytes().rsplit(|c| *c == b'.');
    let found = psl::List.find(labels().chain(iter::once(never)));
    match found.typ {
        Some(Type::Icann) => found.len >= name.len(),
        // A private star under the name hides what the name itself is.
        Some(Type::Private) if found.len > name.len() => {
            let own = psl::List.find(labels());
            own.typ == Some(Type::Icann) && own.len >= name.len()
        }
        _ => false,
    }
}

/// The reason why a text is no host, once it is known that it is none. Slow and thorough.
fn explain(text: &str) -> TargetError {
    let quote = || quoted(text);
    if text.is_empty() {
        return TargetError::Empty;
    }
    if text.bytes().all(|c| c == b'.') {
        return TargetError::Root;
    }
    if let Some(error) = explain_foreign(text) {
        return error;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if let Some(character) = name.chars().find(|c| c.is_ascii() && !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.')) {
        return TargetError::Character { text: quote(), character };
    }
    if let Some(rest) = name.strip_prefix('.')
        && !rest.starts_with('.')
    {
        return TargetError::LeadingDot { text: quote(), rest: quoted(rest) };
    }
    if name.split('.').any(str::is_empty) {
        return TargetError::EmptyLabel(quote());
    }
    if let Some(label) = name.split('.').find(|label| label.len() > MAX_LABEL) {
        return TargetError::LabelTooLong(quoted(label));
    }
    if name.len() > MAX_NAME {
        return TargetError::NameTooLong(name.len());
    }
    if name.rsplit('.').next().is_some_and(|last| is_number(last.to_ascii_lowercase().as_bytes())) {
        return TargetError::EndsInNumber(quote());
    }
    TargetError::SingleLabel(quote())
}

/// Recognises what people put where a host belongs: wildcards, URLs, addresses, ports.
fn explain_foreign(text: &str) -> Option<TargetError> {
    if text.contains('*') {
        // Only for `*.name` is it clear what is meant; a hint must not be wider than the text. A second star is no name:
        // it is not asked for, or `*.*.*.…` would go one level deeper for each.
        let rest = text.strip_prefix("*.").filter(|rest| !rest.contains('*') && canonical_domain(rest).is_ok());
        return Some(TargetError::Wildcard { text: quoted(text), rest: rest.map_or("NAME".to_owned(), quoted) });
    }
    if text.contains('/')
        && let Ok(range) = super::canonical_cidr(text)
    {
        return Some(TargetError::Address { text: quoted(text), range });
    }
    if text.contains('/') {
        let rest = super::canonical_url(text).map_or("HOST/PATH".to_owned(), |url| quoted(&url));
        return Some(TargetError::Url { text: quoted(text), rest });
    }
    // 0x7f.1 and 3232235521 are addresses to a browser.
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return super::canonical_cidr(&address.to_string()).ok().map(|range| TargetError::Address { text: quoted(text), range });
    }
    if text.len() <= MAX_NAME
        && !text.contains(['%', '[', ']'])
        && let Ok(::url::Host::Ipv4(address)) = ::url::Host::parse(text)
    {
        return Some(TargetError::Address { text: quoted(text), range: format!("{address}/32") });
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|c| c.is_ascii_digit()) => Some(TargetError::Port(quoted(text))),
        _ => None,
    }
}

/// The reason why UTS #46 refused a text.
fn explain_unicode(text: &str) -> TargetError {
    match text.chars().find(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        Some(_) => explain(text),
        None => TargetError::Idna(quoted(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_to_one_name() {
        for (text, name) in [
            ("example.com", "example.com"),
            ("EXAMPLE.Com.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("www。example。", "www.example"),
            ("ｆｕｌｌ.example", "full.example"),
            ("soft\u{ad}hyphen.example", "softhyphen.example"),
            ("under_score.example", "under_score.example"),
            ("-hyphen-.example", "-hyphen-.example"),
            ("github.io", "github.io"),
            ("example.test", "example.test"),
            ("city.kobe.jp", "city.kobe.jp"),
            ("www.ck", "www.ck"),
            ("1.2.3.4a.5c", "1.2.3.4a.5c"),
        ] {
            assert_eq!(canonical_domain(text).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_would_be_wide_or_no_host_is_refused() {
        type Check = fn(&TargetError) -> bool;
        let table: [(&str, Check); 33] = [
            ("", |e| *e == TargetError::Empty),
            (".", |e| *e == TargetError::Root),
            ("..", |e| *e == TargetError::Root),
            ("com", |e| matches!(e, TargetError::SingleLabel(_))),
            ("localhost.", |e| matches!(e, TargetError::SingleLabel(_))),
            ("co.uk", |e| matches!(e, TargetError::PublicSuffix(_))),
            ("kobe.jp", |e| matches!(e, TargetError::PublicSuffix(_))),
            ("c.kobe.jp", |e| matches!(e, TargetError::PublicSuffix(_))),
            ("x.ck", |e| matches!(e, TargetError::PublicSuffix(_))),
            ("个人.hk", |e| matches!(e, TargetError::PublicSuffix(_))),
            ("192.0.2.1", |e| matches!(e, TargetError::Address { range, .. } if range == "192.0.2.1/32")),
            ("0300.0250.0.1", |e| matches!(e, TargetError::Address { range, .. } if range == "192.168.0.1/32")),
            ("0xC0A80001", |e| matches!(e, TargetError::Address { range, .. } if range == "192.168.0.1/32")),
            ("[2001:db8::1]", |e| matches!(e, TargetError::Address { range, .. } if range == "2001:db8::1/128")),
            ("foo.0x1", |e| matches!(e, TargetError::EndsInNumber(_))),
            ("foo.09", |e| matches!(e, TargetError::EndsInNumber(_))),
            ("a..b", |e| matches!(e, TargetError::EmptyLabel(_))),
            ("a.example。.", |e| matches!(e, TargetError::EmptyLabel(_))),
            (".suffix.example", |e| matches!(e, TargetError::LeadingDot { rest, .. } if rest == "suffix.example")),
            ("*.wild.example", |e| matches!(e, TargetError::Wildcard { rest, .. } if rest == "wild.example")),
            ("*", |e| matches!(e, TargetError::Wildcard { .. })),
            ("wild*.foo.example", |e| matches!(e, TargetError::Wildcard { rest, .. } if rest == "NAME")),
            ("*.*.wild.example", |e| matches!(e, TargetError::Wildcard { rest, .. } if rest == "NAME")),
            ("*.co.uk", |e| matches!(e, TargetError::Wildcard { rest, .. } if rest == "NAME")),
            ("/regex/", |e| matches!(e, TargetError::Url { rest, .. } if rest == "HOST/PATH")),
            ("a b.example", |e| matches!(e, TargetError::Character { character: ' ', .. })),
            ("ex%61mple.com", |e| matches!(e, TargetError::Character { character: '%', .. })),
            ("http://Example.com", |e| matches!(e, TargetError::Url { .. })),
            ("http://example.com/a/../%61", |e| matches!(e, TargetError::Url { rest, .. } if rest == "example.com/a")),
            ("example.com:443", |e| matches!(e, TargetError::Port(_))),
            ("xn--a.example", |e| matches!(e, TargetError::Idna(_))),
            ("\u{1f}ü.example", |e| matches!(e, TargetError::Character { .. })),
            ("\u{301}a.example", |e| matches!(e, TargetError::Idna(_))),
        ];
        for (text, check) in table {
            let error = canonical_domain(text).expect_err(text);
            assert!(check(&error), "{text}: {error:?}");
        }
    }

    #[test]
    fn lengths_are_held_to() {
        let label = "a".repeat(63);
        assert!(canonical_domain(&format!("{label}.example")).is_ok());
        assert!(matches!(canonical_domain(&format!("{label}a.example")), Err(TargetError::LabelTooLong(_))));
        let name = format!("{label}.{label}.{label}.{}.xy", "b".repeat(253 - 3 * 64 - 3));
        assert_eq!(name.len(), 253);
        assert!(canonical_domain(&name).is_ok());
        assert_eq!(canonical_domain(&format!("c{name}")), Err(TargetError::LabelTooLong("c".to_owned() + &label)));
        assert_eq!(canonical_domain(&name.replace(".xy", ".xyz")), Err(TargetError::NameTooLong(254)));
    }

    #[test]
    fn an_error_leaves_the_buffer_alone() {
        let mut out = "domain:".to_owned();
        for text in ["co.uk", "a..b", "bü cher.example", "xn--a.example"] {
            assert!(push_domain(text, &mut out).is_err());
            assert_eq!(out, "domain:");
        }
    }
}
