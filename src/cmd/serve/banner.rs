//! What `bwld serve` says when it is ready: what a person needs next.

use std::path::Path;

use crate::list::Digest;
use crate::store::PublishedList;

use super::super::out;

/// What is to be said.
#[derive(Debug)]
pub struct Banner<'a> {
    /// The publisher's name.
    pub origin: &'a str,
    /// `http://ADDRESS:PORT`.
    pub address: &'a str,
    /// Of the key set to pin.
    pub fingerprint: Digest,
    /// Its number.
    pub keyset: u64,
    /// The data folder.
    pub data: &'a Path,
    /// Whether the operator's commands find this data folder without being told.
    pub data_is_default: bool,
    /// Where the token lies.
    pub token: &'a Path,
    /// What is published.
    pub lists: &'a [std::sync::Arc<PublishedList>],
}

/// The text.
pub fn text(banner: &Banner<'_>) -> String {
    let Banner { origin, address, fingerprint, keyset, data, token, .. } = banner;
    let program = program();
    let list = banner.lists.iter().find(|l| l.meta.id.as_str() == "canary").or(banner.lists.first());
    let list = list.map_or("LIST", |l| l.meta.id.as_str());
    let from = if banner.data_is_default { String::new() } else { format!(" --data {}", quoted(&data.display().to_string())) };
    let mut text = format!(
        "\nbwld {} publishes as {origin}\n\n  address      {address}\n  fingerprint  {fingerprint}   (of key set {keyset}; what followers pin)\n  \
         token        {}   (the operator's; it changes lists, keep it secret)\n  \
         log-in       {program} account invite operator{from}   (prints a token by which the password is set, once)\n\nPublished:\n",
        env!("CARGO_PKG_VERSION"),
        token.display()
    );
    let mut rows = Vec::new();
    for list in banner.lists {
        let head = &list.head;
        let id = format!("  {}", list.meta.id);
        rows.push(vec![
            id,
            list.meta.colour.to_string(),
            format!("serial {}", head.serial),
            format!("{} entries", out::count(head.entries)),
        ]);
    }
    text.push_str(&if rows.is_empty() { "  nothing yet\n".to_owned() } else { out::table(&rows) });
    text.push_str(&format!(
        "\nLook at the lists:\n  curl -s {address}/v1/lists\n\nFollow one (in a second terminal):\n  {program} follow {address} --trust {fingerprint} --list {list}\n\n\
         Change it and watch it arrive (in a third):\n  {program} add {list} new.example --publish{from}\n\nCtrl-C stops.\n"
    ));
    text
}

/// How this program is called from here: its name when the search path has it, else the path to it.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else { return "bwld".into() };
    let in_path = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("bwld") == exe));
    if in_path {
        return "bwld".into();
    }
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| exe.strip_prefix(here).ok().map(|p| Path::new(".").join(p)));
    quoted(&relative.unwrap_or(exe).display().to_string())
}

/// In quotes for a shell where it needs them.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
