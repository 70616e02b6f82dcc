//! The formats that are read: their names, and what each is.

use std::{fmt, str::FromStr};

use crate::list::quoted;

macro_rules! formats {
    ($($(#[$about:meta])* $name:ident = $word:literal, $text:literal;)*) => {
        /// A format of a file of rules.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub enum Format {
            $($(#[$about])* #[serde(rename = $word)] $name,)*
        }

        impl Format {
            /// All of them.
            pub const ALL: &'static [Format] = &[$(Format::$name,)*];

            /// Its name on the command line and in addresses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Format::$name => $word,)*
                }
            }

            /// What it is, in one line.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Format::$name => $text,)*
                }
            }
        }
    };
}

formats! {
    /// One domain a line; also `kind:target` and attributes, as in bwld's own text.
    Domains = "domains", "one name a line, exactly that host unless --scope says subtree";
    /// One name a line, and everything under it.
    Subtrees = "subtrees", "one name a line, the host and all under it (squidGuard domains, e2guardian site lists); an address is that address";
    /// `/etc/hosts` lines.
    Hosts = "hosts", "an address that leads nowhere, then names";
    /// Comma-separated with a header line (also with `;` or TAB between the columns).
    Csv = "csv", "columns named in the first line (ours, and those of Citizen Lab's lists)";
    /// JSON, one value a line.
    Ndjson = "ndjson", "one JSON object or string a line; members are named as the columns of csv";
    /// A JSON document, also policies of browsers.
    Json = "json", "a JSON array of objects or strings, or an object with one; policies of Chromium, Edge and Firefox";
    /// bwld's own text: entry lines, with or without snapshot header; also the header block of `lists/`, and change
    /// lines with `+`, `~` (put) and `-` (remove).
    Bwld = "bwld", "bwld's own text";
    /// Adblock syntax: browsers' filters, AdGuard Home, Pi-hole.
    Adblock = "adblock", "rules of browsers' filters and of AdGuard Home (plain names, whole hosts, beginnings of URLs, exceptions)";
    /// A response policy zone as a master file.
    Rpz = "rpz", "a response policy zone (names, response addresses, passthru)";
    /// Settings of dnsmasq.
    Dnsmasq = "dnsmasq", "settings of dnsmasq (address=/name/, local=/name/, server=/name/)";
    /// Settings of Unbound.
    Unbound = "unbound", "settings of Unbound (local-zone, local-data)";
    /// Zones of BIND's named.
    Bind = "bind", "settings of BIND's named (zone \"name\" { type primary; ... } on one line)";
    /// A register's dump in XML.
    Xml = "xml", "a register's dump in XML: <content> with <url>, <domain>, <ip>, <ipSubnet>; other names by --xml";
    /// One URL a line.
    Urls = "urls", "one URL a line, exactly that one; also Squid's url_regex where it says one URL or one beginning";
    /// Squid's `dstdomain`.
    Dstdomain = "dstdomain", "Squid's dstdomain: .name is the host and all under it, name the host alone, an address that address";
    /// Lines of nginx's `map` and `geo`.
    Nginx = "nginx", "lines of nginx's map and geo; the value 0 or white allows";
    /// A map of HAProxy.
    Haproxy = "haproxy", "a map of HAProxy over names or addresses; the value 0 or white allows";
    /// A map of HAProxy over whole URLs.
    HaproxyUrls = "haproxy-urls", "a map of HAProxy over whole URLs (map_str of baseq)";
    /// A map of HAProxy over beginnings of URLs.
    HaproxyPrefixes = "haproxy-prefixes", "a map of HAProxy over beginnings of URLs (map_beg of baseq)";
    /// Elements of nftables' sets.
    Nft = "nft", "elements of sets in nft's language";
    /// Lines of ipset.
    Ipset = "ipset", "what ipset save writes";
    /// What firewalls fetch.
    Firewall = "firewall", "one name, URL, address or range (first-last too) a line; *.name behind name: all under it";
    /// A URL list of PAN-OS.
    PaloaltoUrls = "paloalto-urls", "a URL list of PAN-OS: name/ is every page of the host";
    /// A feed of Check Point.
    Checkpoint = "checkpoint", "a custom intelligence feed of Check Point, CSV";
    /// A script of RouterOS.
    Mikrotik = "mikrotik", "a script of RouterOS: dns static, firewall address-list";
    /// Proxy auto-config.
    Pac = "pac", "proxy auto-config as it is written here";
    /// A tar archive of category folders, as squidGuard and UT1 have them.
    Tree = "tree", "a tar archive, or with the command a folder, of CATEGORY/domains and CATEGORY/urls (squidGuard, UT1)";
    /// One URL a line, as the beginning of what is meant.
    Prefixes = "prefixes", "one URL a line, and everything that it begins (squidGuard urls, e2guardian URL lists)";
}

impl Format {
    /// Whether it can say that something is to be allowed in spite of other rules.
    pub fn has_exceptions(self) -> bool {
        matches!(
            self,
            Format::Adblock
                | Format::Rpz
                | Format::Dnsmasq
                | Format::Unbound
                | Format::Json
                | Format::Nginx
                | Format::Haproxy
                | Format::HaproxyUrls
                | Format::HaproxyPrefixes
                | Format::Pac
                | Format::Ipset
        )
    }

    /// The names of all formats, joined by commas.
    pub fn names() -> String {
        Format::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(feature = "daemon")]
impl utoipa::PartialSchema for Format {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let names = Format::ALL.iter().map(|format| format.name());
        let object = utoipa::openapi::schema::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
        object.description(Some("A format of a file of rules.")).enum_values(Some(names)).into()
    }
}

#[cfg(feature = "daemon")]
impl utoipa::ToSchema for Format {}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such format to read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" is not a format that is read; write one of {names}", names = Format::names())]
pub struct NotAFormat(String);

impl FromStr for Format {
    type Err = NotAFormat;
    fn from_str(text: &str) -> Result<Self, NotAFormat> {
        Format::ALL.iter().copied().find(|format| format.name() == text).ok_or_else(|| NotAFormat(quoted(text)))
    }
}
