//! Byte ranges and conditions (RFC 9110 sections 13 and 14), as far as immutable bodies need them.

use axum::http::{HeaderMap, HeaderValue, header};

/// What of a body of known length is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it.
    Whole,
    /// Octets `first` to `last`, both inclusive and within the body.
    Octets {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Nothing of the body is in the range asked for: 416.
    Outside,
}

/// Reads `Range` for a body of `length` octets whose strong tag is `etag`. A range that is malformed, of another unit or
/// of several parts is passed over, as the RFC allows; so is one whose `If-Range` names another representation.
pub fn part(headers: &HeaderMap, etag: &HeaderValue, length: u64) -> Part {
    if headers.get(header::IF_RANGE).is_some_and(|condition| condition != etag) {
        return Part::Whole;
    }
    headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map_or(Part::Whole, |range| parse(range, length))
}

/// Reads the value of `Range` for a body of `length` octets.
fn parse(range: &str, length: u64) -> Part {
    let number = |text: &str| {
        let digits = (1..=19).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let Some((unit, spec)) = range.split_once('=') else { return Part::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let end = length.checked_sub(1);
    match (first, last, number(first), number(last)) {
        ("", _, _, Some(0)) => Part::Outside,
        ("", _, _, Some(suffix)) => match end {
            Some(end) => Part::Octets { first: length.saturating_sub(suffix), last: end },
            None => Part::Outside,
        },
        (_, "", Some(first), _) => match end {
            Some(end) if first <= end => Part::Octets { first, last: end },
            _ => Part::Outside,
        },
        (_, _, Some(first), Some(last)) if first <= last => match end {
            Some(end) if first <= end => Part::Octets { first, last: last.min(end) },
            _ => Part::Outside,
        },
        _ => Part::Whole,
    }
}

/// Whether `If-None-Match` names this tag (weak comparison), so that 304 is the answer.
pub fn none_match(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(own) = etag.to_str().map(opaque) else { return false };
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        // Our tags hold no comma, so a plain split finds them in any list.
        value.trim() == "*" || value.split(',').any(|tag| opaque(tag) == own)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let octets = |first, last| Part::Octets { first, last };
        for (range, expected) in [
            ("bytes=0-0", octets(0, 0)),
            ("bytes=0-99", octets(0, 99)),
            ("bytes=10-", octets(10, 99)),
            ("bytes=-10", octets(90, 99)),
            ("bytes=-1000", octets(0, 99)),
            ("bytes=90-1000", octets(90, 99)),
            ("BYTES = 5-6", octets(5, 6)),
            ("bytes=100-", Part::Outside),
            ("bytes=100-200", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=6-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
        ] {
            assert_eq!(parse(range, 100), expected, "{range:?}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Outside);
        assert_eq!(parse("bytes=-5", 0), Part::Outside);
    }

    #[test]
    fn if_range_of_another_representation_asks_for_the_whole() {
        let etag = HeaderValue::from_static("\"a\"");
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=1-2"));
        assert_eq!(part(&headers, &etag, 10), Part::Octets { first: 1, last: 2 });
        headers.insert(header::IF_RANGE, etag.clone());
        assert_eq!(part(&headers, &etag, 10), Part::Octets { first: 1, last: 2 });
        for other in ["\"b\"", "W/\"a\"", "Tue, 24 Nov 2026 00:00:00 GMT"] {
            headers.insert(header::IF_RANGE, HeaderValue::from_static(other));
            assert_eq!(part(&headers, &etag, 10), Part::Whole, "{other}");
        }
    }

    #[test]
    fn tags_are_found_in_lists_and_weak_ones_count() {
        let etag = HeaderValue::from_static("\"7-abc\"");
        for (value, expected) in [
            ("\"7-abc\"", true),
            ("W/\"7-abc\"", true),
            ("\"6\", \"7-abc\"", true),
            ("*", true),
            ("\"7\"", false),
            ("7-abc", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            assert_eq!(none_match(&headers, &etag), expected, "{value:?}");
        }
        assert!(!none_match(&HeaderMap::new(), &etag));
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_body(range in "bytes=[0-9]{0,4}-[0-9]{0,4}|[ -~]{0,30}", length in 0u64..2000) {
            if let Part::Octets { first, last } = parse(&range, length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
