//! A `url:` or `prefix:` rule as an extended regular expression, for programs that match whole URLs.

use crate::list::Kind;

use super::Cx;
use super::entry::EntryRef;

/// Appends the expression that matches exactly the URLs of the rule, anchored, with `http` and `https`, in words that
/// POSIX, PCRE and JavaScript share. `slash`: escape `/`, too, for formats that write expressions between slashes.
pub(super) fn push_url(cx: &mut Cx<'_>, entry: &EntryRef<'_>, slash: bool) {
    let url = entry.url();
    cx.put(if slash { "^https?:\\/\\/" } else { "^https?://" });
    push_literal(cx, url.host, slash);
    if let Some(port) = url.port {
        cx.put(":");
        cx.put(port);
    }
    push_literal(cx, url.path, slash);
    if entry.kind == Kind::Url {
        cx.put("$");
    } else if !url.ends_at_boundary() {
        cx.put(if slash { "([\\/?&=]|$)" } else { "([/?&=]|$)" });
    }
}

/// Text that stands for itself.
pub(super) fn push_literal(cx: &mut Cx<'_>, text: &str, slash: bool) {
    for c in text.bytes() {
        if slash && c == b'$' {
            // Readers of Adblock syntax take `$$` and `$@$` anywhere in a line for a rule about elements of pages.
            cx.put("\\x24");
            continue;
        }
        let special = matches!(c, b'.' | b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'*' | b'+' | b'?' | b'^' | b'$' | b'|' | b'\\');
        if special || (slash && c == b'/') {
            cx.out.push(b'\\');
        }
        cx.out.push(c);
    }
}
