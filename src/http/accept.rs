//! Which content coding to answer with (RFC 9110 section 12.5.3).

use axum::http::{HeaderMap, HeaderValue, header};

/// A content coding this server has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
    /// None.
    Identity,
}

impl Coding {
    /// As in `Content-Encoding`; none for identity.
    pub fn name(self) -> Option<HeaderValue> {
        match self {
            Coding::Zstd => Some(HeaderValue::from_static("zstd")),
            Coding::Gzip => Some(HeaderValue::from_static("gzip")),
            Coding::Identity => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
            Coding::Identity => "identity",
        }
    }
}

/// The best coding the client takes; zstd before gzip before identity when it likes them the same. `None` when it takes
/// none of them, identity included. Without the field nothing is compressed: the client may not know how.
pub fn negotiate(headers: &HeaderMap) -> Option<Coding> {
    if !headers.contains_key(header::ACCEPT_ENCODING) {
        return Some(Coding::Identity);
    }
    let wishes: Vec<(String, u16)> = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(wish)
        .collect();
    let named = |name: &str| wishes.iter().find(|(coding, _)| coding == name).map(|(_, q)| *q);
    let quality = |coding: Coding| match (named(coding.word()), named("*"), coding) {
        // "x-gzip" is the same coding by an old name.
        (None, _, Coding::Gzip) if named("x-gzip").is_some() => named("x-gzip"),
        (Some(q), ..) => Some(q),
        // Identity is acceptable unless refused, but last.
        (None, Some(0), Coding::Identity) => Some(0),
        (None, _, Coding::Identity) => None,
        (None, star, _) => star.or(Some(0)),
    };
    let mut best = None;
    for coding in [Coding::Zstd, Coding::Gzip, Coding::Identity] {
        // Twice the thousandths, so that the implied identity lies between refused and the least wanted.
        let rank = quality(coding).map_or(1, |q| 2 * u32::from(q));
        if rank > best.map_or(0, |(_, rank)| rank) {
            best = Some((coding, rank));
        }
    }
    best.map(|(coding, _)| coding)
}

/// One element: the coding in lower case and its quality in thousandths. A malformed element is passed over.
fn wish(element: &str) -> Option<(String, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let coding = parts.next().filter(|coding| !coding.is_empty())?.to_ascii_lowercase();
    let mut quality = 1000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            quality = thousandths(value.trim())?;
        }
    }
    Some((coding, quality))
}

/// `qvalue` of RFC 9110 section 12.4.2: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let decimals = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match (whole, decimals) {
        ("0", d) => Some(d),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choose(value: &str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a header value"));
        negotiate(&headers)
    }

    #[test]
    fn qualities_decide_and_ties_go_to_the_better_coding() {
        use Coding::{Gzip, Identity, Zstd};
        assert_eq!(negotiate(&HeaderMap::new()), Some(Identity));
        for (value, expected) in [
            ("", Some(Identity)),
            ("zstd", Some(Zstd)),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, zstd", Some(Zstd)),
            ("GZIP;Q=1.0, zstd;q=0.9", Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip)),
            ("gzip;q=0", Some(Identity)),
            ("zstd;q=0.5, identity", Some(Identity)),
            ("br, deflate", Some(Identity)),
            ("*", Some(Zstd)),
            ("*;q=0.1, gzip;q=0.2", Some(Gzip)),
            ("zstd;q=0, *", Some(Gzip)),
            ("*;q=0", None),
            ("identity;q=0, br", None),
            ("identity;q=0, gzip;q=0.3", Some(Gzip)),
            ("*;q=0, identity", Some(Identity)),
            ("zstd;q=1.5, gzip", Some(Gzip)),
            ("zstd;q=0.1234", Some(Identity)),
            ("zstd ; q = 0.8 , gzip ; q=0.7", Some(Zstd)),
        ] {
            assert_eq!(choose(value), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_gives_an_answer(value in "[ -~]{0,60}") {
            let _ = choose(&value);
        }
    }
}
