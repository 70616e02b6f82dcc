//! Sets of packet filters (nftables, ipset), RouterOS, and Check Point's feed.

use std::net::Ipv4Addr;

use crate::list::Kind;

use super::entry::{EntryRef, Range};
use super::format::{Fold, PLAIN, Says, Spec, White};
use super::names::RANGES;
use super::{Cx, Why};

/// Octets of elements in one command.
const ELEMENTS: usize = 16 << 10;

/// Sets `v4-NAME` and `v6-NAME` in table `inet bwld`. Read by `nft -f` it is one transaction: at no time is a set empty.
pub(super) const NFTABLES: Spec = Spec {
    name: "nftables",
    extension: "nft",
    about: "sets v4-NAME and v6-NAME of table inet bwld, for nft -f: replaced in one transaction",
    says: RANGES,
    fold: Fold::Ranges,
    begin: |cx| {
        let name = &cx.name;
        let text = format!(
            "add table inet bwld\n\
             add set inet bwld v4-{name} {{ type ipv4_addr; flags interval; }}\n\
             add set inet bwld v6-{name} {{ type ipv6_addr; flags interval; }}\n\
             flush set inet bwld v4-{name}\nflush set inet bwld v6-{name}\n"
        );
        cx.put(&text);
    },
    entry: |cx, entry| {
        let family = family(entry)?;
        let gathered = &mut cx.gathered[family];
        if !gathered.is_empty() {
            gathered.extend_from_slice(b", ");
        }
        gathered.extend_from_slice(entry.target.as_bytes());
        if gathered.len() >= ELEMENTS {
            elements(cx, family);
        }
        Ok(1)
    },
    end: |cx| {
        elements(cx, 0);
        elements(cx, 1);
    },
    ..PLAIN
};

fn elements(cx: &mut Cx<'_>, family: usize) {
    if cx.gathered[family].is_empty() {
        return;
    }
    let mut gathered = std::mem::take(&mut cx.gathered[family]);
    let name = cx.name.clone();
    cx.put(if family == 0 { "add element inet bwld v4-" } else { "add element inet bwld v6-" });
    cx.put(&name);
    cx.put(" { ");
    cx.out.extend_from_slice(&gathered);
    cx.put(" }\n");
    gathered.clear();
    cx.gathered[family] = gathered;
}

/// 0 for IPv4, 1 for IPv6.
fn family(entry: &EntryRef<'_>) -> Result<usize, Why> {
    match entry.kind {
        Kind::Cidr => Ok(usize::from(entry.target.contains(':'))),
        _ => Err(Why::Kind),
    }
}

/// Filled beside the ones in use, which are then swapped. The most elements are a constant: a set that is there with
/// another number would be refused.
pub(super) const IPSET: Spec = Spec {
    name: "ipset",
    extension: "ipset",
    about: "sets NAME-v4 and NAME-v6 for ipset restore: filled beside the ones in use, then swapped",
    says: RANGES,
    begin: |cx| {
        let name = &cx.name;
        let mut text = String::new();
        for (family, ending) in [("inet", "4"), ("inet6", "6")] {
            for set in ["-v", "-n"] {
                text.push_str(&format!("create {name}{set}{ending} hash:net family {family} maxelem 16777216 -exist\n"));
            }
            text.push_str(&format!("flush {name}-n{ending}\n"));
        }
        cx.put(&text);
    },
    entry: |cx, entry| {
        let ending = if family(entry)? == 0 { "-n4 " } else { "-n6 " };
        let name = std::mem::take(&mut cx.name);
        cx.line(["add ", &name, ending, entry.target, " -exist"]);
        cx.name = name;
        Ok(1)
    },
    end: |cx| {
        let name = &cx.name;
        let mut text = String::new();
        for ending in ["4", "6"] {
            text.push_str(&format!("swap {name}-n{ending} {name}-v{ending}\ndestroy {name}-n{ending}\n"));
        }
        cx.put(&text);
    },
    ..PLAIN
};

/// A script: what was there of the list is removed first.
pub(super) const MIKROTIK: Spec = Spec {
    name: "mikrotik",
    extension: "rsc",
    about: "a script of RouterOS 7: static DNS entries, and address list NAME",
    says: [Says::All, Says::All, Says::None, Says::None, Says::All],
    white: White::Some("cidr alone"),
    begin: |cx| {
        let name = &cx.name;
        let text = format!(
            "/ip dns static remove [find comment=\"bwld-{name}\"]\n\
             /ip firewall address-list remove [find list=\"{name}\"]\n\
             /ipv6 firewall address-list remove [find list=\"{name}\"]\n"
        );
        cx.put(&text);
    },
    entry: |cx, entry| {
        let name = std::mem::take(&mut cx.name);
        let said = match entry.kind {
            Kind::Domain | Kind::Subtree if !cx.black => Err(Why::Colour),
            Kind::Domain => {
                cx.line(["/ip dns static add name=\"", entry.target, "\" type=NXDOMAIN comment=\"bwld-", &name, "\""]);
                Ok(1)
            }
            Kind::Subtree => {
                let middle = "\" type=NXDOMAIN match-subdomain=yes comment=\"bwld-";
                cx.line(["/ip dns static add name=\"", entry.target, middle, &name, "\""]);
                Ok(1)
            }
            Kind::Cidr => {
                let menu = if entry.target.contains(':') { "/ipv6" } else { "/ip" };
                cx.line([menu, " firewall address-list add list=\"", &name, "\" address=", entry.target]);
                Ok(1)
            }
            Kind::Url | Kind::Prefix => Err(Why::Kind),
        };
        cx.name = name;
        said
    },
    ..PLAIN
};

pub(super) const CHECKPOINT: Spec = Spec {
    name: "checkpoint",
    extension: "csv",
    media: "text/csv; charset=utf-8",
    about: "custom intelligence feed of Check Point, CSV",
    says: [Says::All, Says::None, Says::None, Says::None, Says::Some("IPv4")],
    begin: |cx| cx.put("# UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT\n"),
    entry: |cx, entry| {
        let (value, kind) = match entry.kind {
            Kind::Domain => (entry.target.to_owned(), "Domain"),
            Kind::Cidr => match entry.range() {
                Some(Range::V4(address, 32)) => (address.to_string(), "IP"),
                Some(Range::V4(address, length)) => {
                    let last = u32::from(address) | u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                    (format!("{address}-{}", Ipv4Addr::from(last)), "IP Range")
                }
                _ => return Err(Why::Address),
            },
            _ => return Err(Why::Kind),
        };
        let line = format!("{}-{},{value},{kind},high,high,AB,\n", cx.name, cx.rules + 1);
        cx.put(&line);
        Ok(1)
    },
    ..PLAIN
};
