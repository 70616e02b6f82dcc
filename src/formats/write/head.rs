//! The first and the last lines of an export, and the name of its set.

use crate::list::{Kind, quoted};

use super::{Cx, ExportError, ExportFormat, ExportHeader, ExportOptions, ExportReport, Says};

/// Most rules of a format that one entry becomes.
pub(super) const MOST_RULES: u64 = 4;

/// Longest name of a set: ipset takes 31 octets, and what belongs to it has an ending.
const NAME: usize = 27;

/// The name for a set, zone or group.
///
/// # Errors
/// [`ExportError::Name`] if the options give one that cannot be.
pub(super) fn set_name(options: &ExportOptions, header: &ExportHeader) -> Result<String, ExportError> {
    if let Some(name) = &options.name {
        let fits = (1..=NAME).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-'));
        return if fits { Ok(name.clone()) } else { Err(ExportError::Name(quoted(name))) };
    }
    let list = header.list.as_str();
    // A name that begins with a digit is no identifier in nftables.
    let whole = if list.starts_with(|c: char| c.is_ascii_digit()) { format!("l-{list}") } else { list.to_owned() };
    if whole.len() <= NAME {
        return Ok(whole);
    }
    // Two long names with one beginning stay two.
    let tail = crate::list::Digest::of(list).hex();
    Ok(format!("{}-{}", &whole[..NAME - 9], &tail[..8]))
}

/// The header, in comments; nothing if the format has none.
pub(super) fn begin(cx: &mut Cx<'_>, format: ExportFormat, options: &ExportOptions) {
    let Some(mark) = format.comment() else { return };
    let header = cx.header;
    let mut say = |word: &str, text: &str| {
        if !text.is_empty() {
            cx.put(mark);
            cx.put(" ");
            cx.put(word);
            cx.put(": ");
            // One line whatever the text holds: a line break in a title must not become a rule.
            let text: String = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect();
            cx.line([text.as_str()]);
        }
    };
    say("Title", &header.title);
    let origin = header.origin.as_ref().map(|origin| format!(" of {origin}")).unwrap_or_default();
    say("List", &format!("{}{origin}, {}", header.list, header.colour));
    say("Serial", &header.serial.to_string());
    say("Updated", &header.updated.to_string());
    say("Owner", &header.owner);
    say("Licence", &header.licence);
    say("Source", &header.source);
    say("Selection", &selection(options));
    say("Format", &format!("{format}; {}", not_said(format)));
}

/// What `options` select, as in a query; empty: everything.
fn selection(options: &ExportOptions) -> String {
    let joined = |codes: &[crate::list::Code]| codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(",");
    let mut parts = Vec::new();
    if !options.categories.is_empty() {
        parts.push(format!("categories={}", joined(&options.categories)));
    }
    parts.extend(options.age.map(|age| format!("age={age}")));
    parts.extend(options.limit.map(|limit| format!("limit={limit}")));
    if !options.priority.is_empty() {
        parts.push(format!("priority={}", joined(&options.priority)));
    }
    if options.any_spelling {
        parts.push("spellings=any".to_owned());
    }
    parts.join(" ")
}

/// Which kinds the format cannot say, in words.
fn not_said(format: ExportFormat) -> String {
    let of = |wanted: fn(Says) -> bool| {
        let kinds = Kind::ALL.into_iter().filter(|kind| wanted(format.says(*kind)));
        kinds.map(Kind::word).collect::<Vec<_>>().join(", ")
    };
    let (none, some) = (of(|says| says == Says::None), of(|says| matches!(says, Says::Some(_))));
    match (none.as_str(), some.as_str()) {
        ("", "") => "says every rule".to_owned(),
        (none, "") => format!("cannot say {none}"),
        ("", some) => format!("cannot say some of {some}"),
        (none, some) => format!("cannot say {none}, and some of {some}"),
    }
}

/// The last lines: what became of the entries, and that this is the end.
pub(super) fn end(cx: &mut Cx<'_>, format: ExportFormat, report: &ExportReport) {
    let Some(mark) = format.comment() else { return };
    let ExportReport { entries, written, rules, folded, not_selected, .. } = report;
    let mut text = format!("{mark} Entries: {entries}; written {written} as {rules} rules");
    for (count, words) in [(not_selected, "not selected"), (folded, "covered by others")] {
        if *count > 0 {
            text.push_str(&format!("; {count} {words}"));
        }
    }
    cx.line([text.as_str()]);
    for (kind, why, count) in report.left_out() {
        cx.line([mark, " Left out: ", &count.to_string(), " ", kind.word(), ": ", why.text()]);
    }
    cx.line([mark, " End of list"]);
}
