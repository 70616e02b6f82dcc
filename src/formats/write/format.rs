//! The formats: their names, and what each can say.

use std::{fmt, str::FromStr};

use crate::list::{Colour, Kind};

use super::Cx;
use super::entry::EntryRef;
use super::{Why, adblock, browsers, firewalls, names, own, proxies, resolvers};

/// Whether a format can say a kind of rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// Every rule of the kind.
    All,
    /// Some; the text says which.
    Some(&'static str),
    /// None.
    None,
}

/// What overlapping rules a program refuses, or would misread: those that another rule of the list covers are folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fold {
    /// Takes them as they are.
    No,
    /// Names under a `subtree:`.
    Names,
    /// Ranges within a `cidr:`.
    Ranges,
}

/// How a list that allows is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum White {
    /// As rules that allow.
    Allows,
    /// As rules that allow, but for some kinds, which are left out; the text says which.
    Some(&'static str),
    /// As the bare names: what they are for is said where the filter is set up.
    Plain,
}

/// All there is to know of a format.
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) extension: &'static str,
    pub(super) media: &'static str,
    pub(super) about: &'static str,
    /// In the order of [`Kind::ALL`].
    pub(super) says: [Says; 5],
    pub(super) white: White,
    /// What a comment line begins with; none: the format has no comments.
    pub(super) comment: Option<&'static str>,
    pub(super) fold: Fold,
    /// Most rules that the program takes; none: no number is known.
    pub(super) most: Option<u64>,
    /// Carries attributes, so that actions and categories are not lost.
    pub(super) attributes: bool,
    pub(super) begin: fn(&mut Cx<'_>),
    /// Writes the entry and says how many rules of the format it became, or why it could not.
    pub(super) entry: fn(&mut Cx<'_>, &EntryRef<'_>) -> Result<u64, Why>,
    pub(super) end: fn(&mut Cx<'_>),
}

const NOTHING: fn(&mut Cx<'_>) = |_| {};

/// What most formats have in common; each says what it differs in.
pub(super) const PLAIN: Spec = Spec {
    name: "",
    extension: "txt",
    media: "text/plain; charset=utf-8",
    about: "",
    says: [Says::None; 5],
    white: White::Plain,
    comment: Some("#"),
    fold: Fold::No,
    most: None,
    attributes: false,
    begin: NOTHING,
    entry: |_, _| Err(Why::Kind),
    end: NOTHING,
};

macro_rules! formats {
    ($($(#[$about:meta])* $name:ident = $spec:expr;)*) => {
        /// A format that a list can be exported in.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum ExportFormat {
            $($(#[$about])* $name,)*
        }

        impl ExportFormat {
            /// All of them, in the order of the table in docs/FILTERS.md.
            pub const ALL: &'static [ExportFormat] = &[$(ExportFormat::$name,)*];

            pub(super) fn spec(self) -> &'static Spec {
                match self {
                    $(ExportFormat::$name => {
                        const SPEC: Spec = $spec;
                        &SPEC
                    })*
                }
            }
        }
    };
}

formats! {
    /// bwld's own text, one canonical line an entry.
    Bwld = own::BWLD;
    /// One JSON document.
    Json = own::JSON;
    /// One JSON object a line.
    Ndjson = own::NDJSON;
    /// Comma-separated values.
    Csv = own::CSV;
    /// One name a line, meaning exactly that host.
    Domains = names::DOMAINS;
    /// One name a line, meaning the host and all under it.
    Subtrees = names::SUBTREES;
    /// One URL a line, meaning exactly that.
    Urls = names::URLS;
    /// One address range a line.
    Addresses = names::ADDRESSES;
    /// A hosts file.
    Hosts = names::HOSTS;
    /// A configuration file of dnsmasq.
    Dnsmasq = resolvers::DNSMASQ;
    /// A `servers-file` of dnsmasq, which it reads again on SIGHUP.
    DnsmasqServers = resolvers::DNSMASQ_SERVERS;
    /// An include file of Unbound.
    Unbound = resolvers::UNBOUND;
    /// A response policy zone as a zone file.
    Rpz = resolvers::RPZ;
    /// Lists of Blocky.
    Blocky = names::BLOCKY;
    /// Rules of AdGuard Home and Pi-hole.
    AdguardDns = adblock::DNS;
    /// Rules of filters in browsers.
    Adblock = adblock::BROWSER;
    /// `dstdomain` of Squid.
    SquidDomains = names::SQUID_DOMAINS;
    /// `url_regex` of Squid.
    SquidUrls = proxies::SQUID_URLS;
    /// `domainlist` of squidGuard.
    SquidguardDomains = names::SQUIDGUARD_DOMAINS;
    /// `urllist` of squidGuard.
    SquidguardUrls = names::SQUIDGUARD_URLS;
    /// Site lists of e2guardian.
    E2guardianSites = names::E2GUARDIAN_SITES;
    /// URL lists of e2guardian.
    E2guardianUrls = names::E2GUARDIAN_URLS;
    /// A `map` of nginx over `$host`.
    Nginx = proxies::NGINX;
    /// A `map` of nginx over whole URLs.
    NginxUrls = proxies::NGINX_URLS;
    /// A `geo` of nginx.
    NginxAddresses = proxies::NGINX_ADDRESSES;
    /// A map of HAProxy over hosts.
    Haproxy = proxies::HAPROXY;
    /// A map of HAProxy over whole URLs.
    HaproxyUrls = proxies::HAPROXY_URLS;
    /// A map of HAProxy over beginnings of URLs.
    HaproxyPrefixes = proxies::HAPROXY_PREFIXES;
    /// A map of HAProxy over addresses.
    HaproxyAddresses = proxies::HAPROXY_ADDRESSES;
    /// Sets of nftables, replaced in one transaction.
    Nftables = firewalls::NFTABLES;
    /// Sets of ipset, swapped in.
    Ipset = firewalls::IPSET;
    /// FortiGate, domains.
    FortinetDomains = names::FORTINET_DOMAINS;
    /// FortiGate, addresses.
    FortinetAddresses = names::FORTINET_ADDRESSES;
    /// PAN-OS, domains.
    PaloaltoDomains = names::PALOALTO_DOMAINS;
    /// PAN-OS, URLs.
    PaloaltoUrls = names::PALOALTO_URLS;
    /// PAN-OS, addresses.
    PaloaltoAddresses = names::PALOALTO_ADDRESSES;
    /// Check Point, custom intelligence feed.
    Checkpoint = firewalls::CHECKPOINT;
    /// pfBlockerNG, DNSBL.
    PfblockerngDomains = names::PFBLOCKERNG_DOMAINS;
    /// pfBlockerNG, addresses.
    PfblockerngAddresses = names::PFBLOCKERNG_ADDRESSES;
    /// A script of RouterOS.
    Mikrotik = firewalls::MIKROTIK;
    /// A policy file of Chromium, Chrome and Edge.
    ChromiumPolicy = browsers::CHROMIUM;
    /// A policy file of Firefox.
    FirefoxPolicy = browsers::FIREFOX;
    /// Proxy auto-config.
    Pac = browsers::PAC;
}

impl ExportFormat {
    /// Its name in addresses and on the command line.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// What it is and who reads it, in one line.
    pub fn about(self) -> &'static str {
        self.spec().about
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        self.spec().media
    }

    /// A name for a file of it, such as `adult.hosts.txt`.
    pub fn file_name(self, list: &str) -> String {
        format!("{list}.{}.{}", self.name(), self.spec().extension)
    }

    /// Whether it can say rules of this kind.
    pub fn says(self, kind: Kind) -> Says {
        let at = Kind::ALL.iter().position(|other| *other == kind);
        at.map_or(Says::None, |at| self.spec().says[at])
    }

    /// How a list that allows is written.
    pub fn white(self) -> White {
        self.spec().white
    }

    /// Whether rules that another rule of the list covers are left away, because the program refuses or misreads them.
    pub fn folds(self) -> bool {
        self.spec().fold != Fold::No
    }

    /// Most rules that the program takes, if a number is known: more are refused, unless a limit is given.
    pub fn most(self) -> Option<u64> {
        self.spec().most
    }

    /// Whether it carries categories, ages and all other attributes.
    pub fn has_attributes(self) -> bool {
        self.spec().attributes
    }

    /// What a comment line begins with; none: the format has no comments, and so no header.
    pub fn comment(self) -> Option<&'static str> {
        self.spec().comment
    }

    /// Whether a list of this colour is written in full meaning: a black one always is.
    pub fn says_colour(self, colour: Colour) -> bool {
        colour == Colour::Black || self.white() != White::Plain
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{text}\" is not a format; there are {}", all_names())]
pub struct NoSuchFormat {
    text: String,
}

fn all_names() -> String {
    ExportFormat::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for ExportFormat {
    type Err = NoSuchFormat;
    fn from_str(text: &str) -> Result<Self, NoSuchFormat> {
        let found = ExportFormat::ALL.iter().copied().find(|format| format.name() == text);
        found.ok_or_else(|| NoSuchFormat { text: crate::list::quoted(text) })
    }
}
