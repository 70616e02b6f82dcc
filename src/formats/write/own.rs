//! bwld's own text, and JSON lines: every entry with all that it has.

use std::borrow::Cow;

use super::Cx;
use super::entry::EntryRef;
use super::format::{PLAIN, Says, Spec, White};

const ALL: [Says; 5] = [Says::All; 5];

pub(super) const BWLD: Spec = Spec {
    name: "bwld",
    about: "bwld's own text: one canonical line an entry, with its attributes",
    says: ALL,
    white: White::Allows,
    attributes: true,
    entry: |cx, entry| {
        cx.line([entry.line]);
        Ok(1)
    },
    ..PLAIN
};

pub(super) const NDJSON: Spec = Spec {
    name: "ndjson",
    extension: "ndjson",
    media: "application/x-ndjson",
    about: "one JSON object a line; the first says what list it is",
    says: ALL,
    white: White::Allows,
    comment: None,
    attributes: true,
    begin: |cx| {
        head_members(cx);
        cx.put("}\n");
    },
    entry: |cx, entry| {
        object(cx, entry);
        cx.put("\n");
        Ok(1)
    },
    ..PLAIN
};

pub(super) const JSON: Spec = Spec {
    name: "json",
    extension: "json",
    media: "application/json",
    about: "one JSON document: what list it is, and its entries as an array",
    says: ALL,
    white: White::Allows,
    comment: None,
    attributes: true,
    begin: |cx| {
        head_members(cx);
        cx.put(",\"rules\":[\n");
    },
    entry: |cx, entry| {
        if cx.rules > 0 {
            // Behind the line before, whose end is not written yet.
            cx.put(",\n");
        }
        object(cx, entry);
        Ok(1)
    },
    end: |cx| {
        let written = format!("\n],\"written\":{}}}\n", cx.rules);
        cx.put(&written);
    },
    ..PLAIN
};

pub(super) const CSV: Spec = Spec {
    name: "csv",
    extension: "csv",
    media: "text/csv; charset=utf-8; header=present",
    about: "comma-separated values (RFC 4180) with a header line",
    says: ALL,
    white: White::Allows,
    comment: None,
    attributes: true,
    begin: |cx| cx.put("rule,cat,ref,age,act,rsn,exp\r\n"),
    entry: |cx, entry| {
        field(cx, entry.rule());
        for key in ["cat", "ref", "age", "act", "rsn", "exp"] {
            cx.put(",");
            field(cx, entry.attribute(key).unwrap_or_default());
        }
        cx.put("\r\n");
        Ok(1)
    },
    ..PLAIN
};

/// A field of CSV, quoted if it has to be.
fn field(cx: &mut Cx<'_>, text: &str) {
    cx.put(&quoted(text));
}

/// A text as a field of CSV (RFC 4180): in quotes if it has to be, also for programs that part fields at semicolons.
pub fn quoted(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|c| matches!(c, b',' | b'"' | b'\r' | b'\n' | b';')) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// `{"list":...` and so on, without the brace that closes it.
fn head_members(cx: &mut Cx<'_>) {
    let header = cx.header;
    cx.put("{\"list\":");
    string(cx, header.list.as_str());
    let origin = header.origin.as_ref().map(|origin| origin.as_str());
    for (name, text) in [
        ("origin", origin.unwrap_or_default()),
        ("colour", if cx.black { "black" } else { "white" }),
        ("title", &header.title),
        ("owner", &header.owner),
        ("licence", &header.licence),
        ("source", &header.source),
        ("updated", &header.updated.to_string()),
    ] {
        member(cx, name, text);
    }
    cx.put(&format!(",\"serial\":{},\"entries\":{}", header.serial, header.entries));
}

/// The entry as an object: `rule`, `cat` as an array, `age` as a number, the others as text.
fn object(cx: &mut Cx<'_>, entry: &EntryRef<'_>) {
    cx.put("{\"rule\":");
    string(cx, entry.rule());
    if !entry.attributes.is_empty() {
        for part in entry.attributes.split('\t') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "cat" => {
                    cx.put(",\"cat\":[");
                    for (at, code) in value.split(',').enumerate() {
                        cx.put(if at == 0 { "" } else { "," });
                        string(cx, code);
                    }
                    cx.put("]");
                }
                "age" => {
                    cx.put(",\"age\":");
                    cx.put(value);
                }
                _ => member(cx, key, value),
            }
        }
    }
    cx.put("}");
}

fn member(cx: &mut Cx<'_>, name: &str, text: &str) {
    cx.put(",\"");
    cx.put(name);
    cx.put("\":");
    string(cx, text);
}

/// A JSON string (RFC 8259).
pub(super) fn string(cx: &mut Cx<'_>, text: &str) {
    // Nearly every text is of a rule, and has nothing to escape.
    if text.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\') {
        cx.out.push(b'"');
        cx.put(text);
        cx.out.push(b'"');
    } else {
        serde_json::to_writer(&mut cx.out, text).expect("text is always written to memory");
    }
}
