//! What `follow`, `pull` and `status` share: their options, over the configuration, as the follower's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use crate::follower::{ClientTls, Deliver, FollowError, FollowerOptions, ListChoice, OutputChoice, Status, Trust};
use crate::formats::write::{ExportFormat, ExportOptions};
use crate::list::{Code, ListId};

use super::config::{Config, Follow, LIVE, Loaded, OutputSection, Override};
use super::exit::Ended;

/// Whom and what to follow. What is not given here comes from the configuration.
#[derive(clap::Args, Debug)]
pub struct Choice {
    /// Addresses of one publisher and its mirrors, tried in this order
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Fingerprint of a key set of the publisher, got on a trusted way
    #[arg(long, value_name = "FINGERPRINT")]
    trust: Option<String>,
    /// Without --trust: believe the first key set that comes; only for a try on your own machine
    #[arg(long)]
    trust_on_first_use: bool,
    /// A list to follow; LIST=FILE writes it to that file (may be repeated)
    #[arg(long, value_name = "LIST[=FILE]")]
    list: Vec<String>,
    /// Folder that holds what the follower trusts and has [default: $BWLD_FOLLOW_DATA, ./bwld-follow]
    #[arg(long, alias = "data", value_name = "DIR")]
    dir: Option<String>,
    /// Folder to which each list is written as LIST.txt [default: DIR/out]
    #[arg(long, value_name = "DIR")]
    output: Option<String>,
    /// Program to run after a list was written, and its arguments one by one (may be repeated; no shell)
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    reload: Vec<String>,
    /// Keep no compiled index of the lists; `bwld lookup` cannot ask the folder then
    #[arg(long)]
    no_index: bool,
}

impl Choice {
    fn overrides(&self) -> Vec<Override> {
        // An array is passed as TOML, so that a comma in a path stays one.
        let array = |texts: &[String]| toml::Value::from(texts.to_vec()).to_string();
        let mut all: Vec<Override> = Vec::new();
        for (option, key, texts) in
            [("URL", "follow.urls", &self.urls), ("--list", "follow.lists", &self.list), ("--reload", "follow.reload", &self.reload)]
        {
            if !texts.is_empty() {
                all.push((option, key, array(texts)));
            }
        }
        for (option, key, text) in
            [("--trust", "follow.trust", &self.trust), ("--dir", "follow.data", &self.dir), ("--output", "follow.output", &self.output)]
        {
            all.extend(text.clone().map(|text| (option, key, text)));
        }
        if self.trust_on_first_use {
            all.push(("--trust-on-first-use", "follow.trust_on_first_use", "true".into()));
        }
        if self.no_index {
            all.push(("--no-index", "follow.index", "false".into()));
        }
        all
    }

    /// The configuration with these options over it.
    ///
    /// # Errors
    /// Of the configuration.
    pub fn load(&self, config: Option<&Path>) -> anyhow::Result<Config> {
        Ok(Loaded::load(config, &self.overrides())?.config())
    }
}

/// The follower's folder.
pub fn folder(follow: &Follow) -> PathBuf {
    PathBuf::from(&follow.data)
}

/// The follower's own options.
///
/// # Errors
/// [`Ended::Usage`] if something that has no default was not said anywhere.
pub fn options(config: &Config) -> anyhow::Result<FollowerOptions> {
    let follow = &config.follow;
    let missing = |what: &str| anyhow::Error::from(Ended::Usage(what.to_owned()));
    if follow.urls.is_empty() {
        return Err(missing("no address: name the publisher's, `bwld follow http://HOST:PORT`, or set follow.urls"));
    }
    if follow.lists.is_empty() {
        return Err(missing("no list: name one with --list, or set follow.lists; curl ADDRESS/v1/lists shows what there is"));
    }
    let trust = match (follow.trust.as_str(), follow.trust_on_first_use) {
        ("", true) => Trust::FirstUse,
        ("", false) => {
            return Err(missing(
                "no trust: get the fingerprint from the publisher on a trusted way and give it with --trust sha256:..., or set follow.trust",
            ));
        }
        (pinned, _) => Trust::Pinned(pinned.parse().context("the fingerprint was checked with the configuration")?),
    };
    let urls: Vec<Url> =
        follow.urls.iter().map(|u| Url::parse(u)).collect::<Result<_, _>>().context("addresses were checked with the configuration")?;
    let out = if follow.output.is_empty() { folder(follow).join("out") } else { PathBuf::from(&follow.output) };
    let lists = follow.lists.iter().map(|text| choice(text, &out)).collect::<anyhow::Result<Vec<_>>>()?;
    if lists.iter().any(|l| l.output.as_ref().is_some_and(|o| o.parent() == Some(&out))) {
        std::fs::create_dir_all(&out).with_context(|| format!("making the folder of outputs {}", out.display()))?;
    }
    let mut options = FollowerOptions::new(urls, trust, lists);
    options.reload = (!follow.reload.is_empty()).then(|| follow.reload.clone());
    options.tls = ClientTls::from_texts(&follow.authorities, &follow.identity);
    options.outputs = config.outputs.iter().map(|section| output(section, &options.lists)).collect::<anyhow::Result<_>>()?;
    options.push = follow.push;
    options.index = follow.index;
    options.timings.poll = Duration::from_secs(follow.interval);
    options.timings.poll_least = options.timings.poll_least.min(options.timings.poll);
    Ok(options)
}

fn choice(text: &str, out: &Path) -> anyhow::Result<ListChoice> {
    let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(PathBuf::from(file))));
    let id: ListId = name.parse().context("lists were checked with the configuration")?;
    let output = file.unwrap_or_else(|| out.join(format!("{id}.txt")));
    Ok(ListChoice { id, colour: None, output: Some(output) })
}

/// A file for a filter.
fn output(section: &OutputSection, followed: &[ListChoice]) -> anyhow::Result<OutputChoice> {
    let checked = "outputs were checked with the configuration";
    let usage = |text: String| anyhow::Error::from(Ended::Usage(format!("{}: {text}", section.place)));
    let word = section.text("format");
    let format: ExportFormat = LIVE.iter().find(|(name, _)| *name == word).map_or(word, |(_, format)| format).parse().context(checked)?;
    let codes = |name| section.texts(name).iter().map(|code| code.parse::<Code>()).collect::<Result<Vec<_>, _>>();
    let mut lists: Vec<ListId> = section.texts("lists").iter().map(|list| list.parse()).collect::<Result<_, _>>().context(checked)?;
    if lists.is_empty() {
        lists = followed.iter().map(|l| l.id.clone()).collect();
    }
    if let Some(other) = lists.iter().find(|id| !followed.iter().any(|l| l.id == **id)) {
        return Err(usage(format!("output.lists: {other} is not followed; name it in follow.lists, too")));
    }
    let file = PathBuf::from(section.text("file"));
    let export = ExportOptions {
        categories: codes("categories").context(checked)?,
        age: section.number("age").and_then(|age| u8::try_from(age).ok()),
        limit: section.number("limit"),
        priority: codes("priority").context(checked)?,
        name: Some(section.text("name").to_owned()).filter(|name| !name.is_empty()),
        ..ExportOptions::default()
    };
    let deliver = match (word, section.texts("reload")) {
        ("nft", _) => Some(Deliver::Nft { file: file.clone() }),
        ("haproxy-socket", _) => {
            let map = Some(section.text("map")).filter(|map| !map.is_empty()).unwrap_or(section.text("file")).to_owned();
            if map.contains(char::is_whitespace) || map.contains(';') {
                return Err(usage("output.map: HAProxy takes no blanks and no semicolons in the name of a map".into()));
            }
            Some(Deliver::HaproxySocket { socket: section.text("socket").into(), map, file: file.clone() })
        }
        (_, []) => None,
        (_, words) => Some(Deliver::Command(words.to_vec())),
    };
    Ok(OutputChoice { format, export, lists, file, deliver })
}

/// A follower's error with the exit code that it means.
pub fn ended(error: FollowError) -> anyhow::Error {
    match error {
        FollowError::Options(text) => Ended::Usage(text).into(),
        error if error.is_verification() => Ended::Verification(error.to_string()).into(),
        error => error.into(),
    }
}

/// Seconds for people: 40 s, 12 min, 5 h, 3 days.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How each list stands, as a table.
pub fn table(status: &Status) -> String {
    let mut rows = vec![["LIST", "STATE", "SERIAL", "ENTRIES", "AGE", "MODE", "ADDRESS"].map(str::to_owned).to_vec()];
    let or_none = |n: Option<u64>| n.map_or_else(|| "none".to_owned(), super::out::count);
    for list in &status.lists {
        rows.push(vec![
            list.list.to_string(),
            word(&list.health),
            list.serial.map_or_else(|| "none".to_owned(), |s| s.to_string()),
            or_none(list.entries),
            list.age.map_or_else(|| "none".to_owned(), span),
            word(&list.mode),
            super::out::visible(&list.mirror),
        ]);
    }
    super::out::table(&rows)
}

/// The word that a plain variant has in JSON.
pub fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_unit_that_fits() {
        assert_eq!([40, 720, 18_000, 259_200].map(span), ["40 s", "12 min", "5 h", "3 days"]);
    }
}
