//! Regular expressions that say no more than one URL or one beginning of URLs.
//!
//! Guarantees: only an expression anchored at its beginning, of a literal host and path, is taken; whatever else is none of
//! ours. It runs no expression.

use crate::list::Kind;

/// The rule of an expression such as `^https?://a\.example/x([/?&=]|$)`: its kind and target; `None` if it says something else.
/// `\/` stands for `/` everywhere, as in formats that write expressions between slashes.
pub(super) fn url(expression: &str) -> Option<(Kind, String)> {
    const ENDS: [&str; 4] = ["([/?&=]|$)", "([\\/?&=]|$)", "(?:[/?&=]|$)", "(?:[\\/?&=]|$)"];
    let rest = expression.strip_prefix('^')?;
    let rest = rest.strip_prefix("http")?;
    let rest = rest.strip_prefix("s?").or_else(|| rest.strip_prefix('s')).unwrap_or(rest);
    let rest = rest.strip_prefix("://").or_else(|| rest.strip_prefix(":\\/\\/"))?;
    let (text, kind) = match ENDS.iter().find_map(|end| rest.strip_suffix(end)) {
        Some(text) => (text, Kind::Prefix),
        None => match rest.strip_suffix('$').filter(|text| !ends_in_escape(text)) {
            Some(text) => (text, Kind::Url),
            // What begins so is more than the rule that ends at a boundary.
            None => (rest, Kind::Prefix),
        },
    };
    let target = literal(text)?;
    // Without a path the expression goes on within the name of the host.
    target.contains('/').then_some((kind, target))
}

/// Whether the last octet is behind a backslash that escapes what follows.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|c| *c == b'\\').count() % 2 == 1
}

/// The text that an expression without operators stands for.
pub(super) fn literal(expression: &str) -> Option<String> {
    let mut text = String::with_capacity(expression.len());
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.as_str().starts_with('x') => {
                let code = chars.as_str().get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
                text.push(Some(char::from(code)).filter(char::is_ascii_punctuation)?);
                chars = chars.as_str()[3..].chars();
            }
            // `\d` and the like are classes.
            '\\' => text.push(chars.next().filter(|c| c.is_ascii_punctuation())?),
            '.' | '[' | ']' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '^' | '$' | '|' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_url_or_one_beginning_is_read() {
        let own = |kind, text: &str| Some((kind, text.to_owned()));
        for (expression, rule) in [
            (r"^https?://a\.example/x$", own(Kind::Url, "a.example/x")),
            (r"^https?:\/\/a\.example\/x\?y=1$", own(Kind::Url, "a.example/x?y=1")),
            (r"^https?://a\.example:8080/x([/?&=]|$)", own(Kind::Prefix, "a.example:8080/x")),
            (r"^https?:\/\/a\.example\/([\/?&=]|$)", own(Kind::Prefix, "a.example/")),
            (r"^https?://a\.example/x/", own(Kind::Prefix, "a.example/x/")),
            (r"^http://a\.example/\$", own(Kind::Prefix, "a.example/$")),
            (r"^https?://a\.example/\\$", own(Kind::Url, "a.example/\\")),
            (r"^https?://\[2001:db8::1\]/$", own(Kind::Url, "[2001:db8::1]/")),
            (r"^https?:\/\/a\.example\/\x24$", own(Kind::Url, "a.example/$")),
            (r"^https?://a\.example/\x2", None),
            (r"^https?://a\.example/\x61", None),
            (r"^https?://a\.example", None),
            (r"^https?://a.example/x", None),
            (r"^https?://[a-z]+\.example/", None),
            (r"^https?://a\.example/(x|y)$", None),
            (r"^https?://a\.example/\d", None),
            (r"https?://a\.example/x", None),
            (r"^ftp://a\.example/x", None),
            ("^", None),
            ("", None),
        ] {
            assert_eq!(url(expression), rule, "{expression}");
        }
    }
}
