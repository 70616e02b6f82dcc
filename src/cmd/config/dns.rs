//! `[[dns.zone]]`, `[[dns.key]]` and `[dns.catalog]`: what the table of settings cannot hold, since there are several.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::dns::{KeyOptions, MOST_PARTS, Policy, ZoneOptions, no_key};
use crate::list::{Code, ListId};
use crate::store::read_secret;

use super::ConfigError;

/// Names under `dns` that are read here.
pub const NAMES: [&str; 3] = ["zone", "key", "catalog"];
/// Zones and keys, at most.
const MOST: usize = 10_000;

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsSections {
    /// Zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zone: Vec<ZoneSection>,
    /// Keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<KeySection>,
    /// The catalog zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogSection>,
}

/// `[[dns.zone]]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneSection {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lists: Vec<ListId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    garden: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notify: Vec<String>,
}

/// `[dns.catalog]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogSection {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notify: Vec<String>,
}

/// `[[dns.key]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySection {
    name: String,
    #[serde(default = "usual_algorithm")]
    algorithm: String,
    secret_file: PathBuf,
}

fn usual_algorithm() -> String {
    "hmac-sha256".to_owned()
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    dns: DnsSections,
}

/// Reads them from the text of a file; `path` is for messages. All else in the file has been checked.
pub(super) fn read(text: &str, path: &Path) -> Result<DnsSections, ConfigError> {
    let place = |at: usize| format!("{}, line {}", path.display(), 1 + text.bytes().take(at).filter(|b| *b == b'\n').count());
    let wrong = |at: usize, reason: String| ConfigError::Value { place: place(at), key: "dns".into(), reason };
    let whole: Whole = toml::from_str(text).map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message().replace('\n', ", ")))?;
    let sections = whole.dns;
    if sections.zone.len() > MOST || sections.key.len() > MOST {
        return Err(wrong(0, format!("at most {MOST} zones and as many keys")));
    }
    let at = text.find("[[dns.zone]]").or_else(|| text.find("[dns.catalog]")).unwrap_or(0);
    let zones = sections.zones().map_err(|(zone, reason)| wrong(text.find(&zone).unwrap_or(at), format!("zone \"{zone}\": {reason}")))?;
    let catalog =
        sections.catalog().map_err(|(zone, reason)| wrong(text.find(&zone).unwrap_or(at), format!("catalog \"{zone}\": {reason}")))?;
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let known: Vec<String> = sections.key.iter().map(|key| plain(&key.name)).collect();
    if let Some(key) = zones.iter().chain(&catalog).flat_map(ZoneOptions::named_keys).find(|key| !known.contains(&plain(key))) {
        return Err(wrong(text.find(&format!("\"{key}\"")).unwrap_or(at), no_key(key)));
    }
    Ok(sections)
}

type Refused = (String, String);

impl DnsSections {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.zone.is_empty() && self.key.is_empty() && self.catalog.is_none()
    }

    /// As TOML, below `[dns]`.
    pub fn to_toml(&self) -> String {
        #[derive(Serialize)]
        struct Below<'a> {
            dns: &'a DnsSections,
        }
        if self.is_empty() { String::new() } else { toml::to_string(&Below { dns: self }).unwrap_or_default() }
    }

    /// The zones.
    ///
    /// # Errors
    /// The zone, and what is wrong with it.
    pub fn zones(&self) -> Result<Vec<ZoneOptions>, Refused> {
        self.zone.iter().map(|zone| zone.options().map_err(|reason| (zone.name.clone(), reason))).collect()
    }

    /// The catalog zone.
    ///
    /// # Errors
    /// The zone, and what is wrong with it.
    pub fn catalog(&self) -> Result<Option<ZoneOptions>, Refused> {
        let Some(catalog) = &self.catalog else { return Ok(None) };
        let zone = ZoneSection {
            name: catalog.name.clone(),
            keys: catalog.keys.clone(),
            allow: catalog.allow.clone(),
            notify: catalog.notify.clone(),
            ..ZoneSection::default()
        };
        zone.options().map(Some).map_err(|reason| (catalog.name.clone(), reason))
    }

    /// The files of the keys' secrets.
    pub fn secret_files(&self) -> impl Iterator<Item = &Path> {
        self.key.iter().map(|key| key.secret_file.as_path())
    }

    /// The keys, their secrets read from their files: base64 on one line. A file that others may read is refused.
    ///
    /// # Errors
    /// What is wrong, with the key's name.
    pub fn keys(&self) -> anyhow::Result<Vec<KeyOptions>> {
        use anyhow::Context as _;
        let read = |key: &KeySection| -> anyhow::Result<KeyOptions> {
            let text = read_secret(&key.secret_file)?;
            let secret = STANDARD.decode(text.trim()).context("the secret is not base64")?;
            Ok(KeyOptions { name: key.name.clone(), algorithm: key.algorithm.clone(), secret: Zeroizing::new(secret) })
        };
        let named = |key: &KeySection| read(key).with_context(|| format!("dns.key \"{}\", {}", key.name, key.secret_file.display()));
        self.key.iter().map(named).collect::<anyhow::Result<Vec<_>>>()
    }
}

impl ZoneSection {
    fn options(&self) -> Result<ZoneOptions, String> {
        // Without a word the policy follows from the list's colour, and none that does takes a garden.
        Policy::named(self.policy.as_deref().unwrap_or("nxdomain"), self.garden.as_deref())?;
        let lists = self.list.iter().chain(&self.lists).cloned().collect();
        let network = |text: &String| {
            let address = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
            let net = address.or_else(|_| text.parse::<ipnet::IpNet>());
            net.map_err(|_| format!("\"{text}\" is not a network; write 192.0.2.0/24 or 192.0.2.1"))
        };
        Ok(ZoneOptions {
            name: self.name.clone(),
            lists,
            categories: self.categories.clone(),
            policy: self.policy.clone(),
            garden: self.garden.clone(),
            parts: match self.parts {
                None => 1,
                Some(parts) if (1..=MOST_PARTS).contains(&parts) => parts,
                Some(_) => return Err(format!("parts is 1 to {MOST_PARTS}")),
            },
            keys: self.keys.clone(),
            allow: self.allow.iter().map(network).collect::<Result<_, _>>()?,
            notify: self.notify.iter().map(|text| secondary(text)).collect::<Result<_, _>>()?,
        })
    }
}

/// `ADDRESS`, `ADDRESS:PORT` or either with a key's name behind a space.
fn secondary(text: &str) -> Result<(SocketAddr, Option<String>), String> {
    let (address, key) = text.split_once(' ').map_or((text, None), |(address, key)| (address, Some(key.trim().to_owned())));
    let whole = address.parse::<SocketAddr>();
    let address = whole.or_else(|_| address.parse::<std::net::IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    let address = address.map_err(|_| format!("\"{text}\" is nobody to notify; write 192.0.2.1, 192.0.2.1:53 or 192.0.2.1:53 KEY"))?;
    Ok((address, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[dns]\nlisten = [\"127.0.0.1:5353\"]\n\n[[dns.zone]]\nname = \"adult.rpz.example.\"\nlist = \"adult\"\n\
        categories = [\"adult\", \"dating\"]\npolicy = \"walled-garden\"\nparts = 8\ngarden = \"block.example.org\"\nkeys = [\"isp-a\"]\n\
        allow = [\"192.0.2.0/24\", \"2001:db8::1\"]\nnotify = [\"192.0.2.1\", \"[2001:db8::1]:5300 isp-a\"]\n\n\
        [[dns.key]]\nname = \"isp-a\"\nsecret_file = \"isp-a.secret\"\n\n[dns.catalog]\nname = \"catalog.example\"\n";

    #[test]
    fn sections_are_read_and_printed() {
        let sections = read(TEXT, Path::new("x.toml")).expect("valid");
        let zones = sections.zones().expect("valid");
        assert_eq!(zones[0].notify[0], ("192.0.2.1:53".parse().expect("an address"), None));
        assert_eq!(zones[0].notify[1], ("[2001:db8::1]:5300".parse().expect("an address"), Some("isp-a".into())));
        assert_eq!(zones[0].allow.len(), 2);
        assert_eq!(sections.key[0].algorithm, "hmac-sha256");
        let again = read(&sections.to_toml(), Path::new("again")).expect("valid");
        assert_eq!(again.to_toml(), sections.to_toml());
    }

    #[test]
    fn mistakes_are_refused_with_their_line() {
        let refused = |from: &str, to: &str| read(&TEXT.replace(from, to), Path::new("x.toml")).expect_err(to).to_string();
        assert!(refused("polic", "polc").contains("line 8"), "{}", refused("polic", "polc"));
        assert!(refused("192.0.2.0/24", "192.0.2.0/33").contains("is not a network"));
        assert!(refused("192.0.2.1\"", "a.example\"").contains("is nobody to notify"));
        assert!(refused("\"adult\"\n", "\"Adult\"\n").contains("line 6"));
        assert!(refused("walled-garden", "waled-garden").contains("policy \"waled-garden\" is unknown"));
        assert!(refused("garden = \"block", "garden = \"rpz-passthru\"#").contains("word of policy zones"));
        let unknown = refused("keys = [\"isp-a\"]", "keys = [\"isp-b\"]");
        assert!(unknown.contains("line 11") && unknown.contains("no dns.key \"isp-b\""), "{unknown}");
        assert!(refused("5300 isp-a", "5300 isp-c").contains("no dns.key \"isp-c\""));
    }
}
