//! Files of resolvers: dnsmasq, Unbound, and response policy zones.

use std::net::Ipv6Addr;

use crate::list::Kind;

use super::entry::{EntryRef, Range};
use super::format::{Fold, PLAIN, Says, Spec, White};
use super::{Cx, Why};

const NAMES: [Says; 5] = [Says::All, Says::All, Says::None, Says::None, Says::None];
const NO_HOST: White = White::Some("subtree alone");

/// `address=/x/` answers NXDOMAIN for the name and all under it; one host exactly is a record of its own.
pub(super) const DNSMASQ: Spec = Spec {
    name: "dnsmasq",
    extension: "conf",
    about: "a configuration file of dnsmasq, for conf-file or conf-dir: read at its start",
    says: NAMES,
    white: NO_HOST,
    entry: |cx, entry| match entry.kind {
        Kind::Domain if cx.black => {
            cx.line(["host-record=", entry.target, ",0.0.0.0,::"]);
            Ok(1)
        }
        Kind::Domain => Err(Why::Colour),
        Kind::Subtree if cx.black => {
            cx.line(["address=/", entry.target, "/"]);
            Ok(1)
        }
        _ => servers(cx, entry),
    },
    ..PLAIN
};

pub(super) const DNSMASQ_SERVERS: Spec = Spec {
    name: "dnsmasq-servers",
    extension: "conf",
    about: "a servers-file of dnsmasq, read again on SIGHUP (beside it: hosts, as addn-hosts)",
    says: [Says::None, Says::All, Says::None, Says::None, Says::None],
    white: White::Allows,
    entry: servers,
    ..PLAIN
};

/// No server at all: NXDOMAIN. `#`: the servers that answer everything else.
fn servers(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    if entry.kind != Kind::Subtree {
        return Err(Why::Kind);
    }
    cx.line(["server=/", entry.target, if cx.black { "/" } else { "/#" }]);
    Ok(1)
}

/// A zone of its own for one host would open the names under it again where a zone above blocks them: so a host is bare
/// `local-data`, which Unbound puts into the zone that is there, or into a transparent one.
pub(super) const UNBOUND: Spec = Spec {
    name: "unbound",
    extension: "conf",
    about: "an include file for the server: section of Unbound",
    says: NAMES,
    white: NO_HOST,
    begin: |cx| cx.put("server:\n"),
    entry: |cx, entry| match entry.kind {
        Kind::Domain if cx.black => {
            cx.line(["local-data: \"", entry.target, ". 60 A 0.0.0.0\""]);
            cx.line(["local-data: \"", entry.target, ". 60 AAAA ::\""]);
            Ok(2)
        }
        Kind::Domain => Err(Why::Colour),
        Kind::Subtree => {
            let kind = if cx.black { ".\" always_nxdomain" } else { ".\" always_transparent" };
            cx.line(["local-zone: \"", entry.target, kind]);
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

/// Octets left for the name of the zone and the star: a record whose name grows too long refuses the whole zone.
const ROOM: usize = 66;

/// Names under a subtree are folded: an owner below `*.x` would by the rules of wildcards (RFC 4592) hide the star from
/// the names around it.
pub(super) const RPZ: Spec = Spec {
    name: "rpz",
    extension: "zone",
    media: "text/dns; charset=utf-8",
    about: "a response policy zone as a zone file, for BIND, Unbound, Knot Resolver, PowerDNS Recursor",
    says: [Says::All, Says::All, Says::None, Says::None, Says::All],
    white: White::Allows,
    comment: Some(";"),
    fold: Fold::Names,
    begin: |cx| {
        // Serial numbers of zones have 32 bits and go round (RFC 1982).
        let serial = cx.header.serial.get() & u64::from(u32::MAX);
        let soa = format!("$TTL 60\n@ SOA localhost. root.localhost. {serial} 60 30 604800 60\n@ NS localhost.\n");
        cx.put(&soa);
    },
    entry: |cx, entry| {
        let action = if cx.black { " CNAME ." } else { " CNAME rpz-passthru." };
        match entry.kind {
            Kind::Domain | Kind::Subtree if entry.target.len() > 253 - ROOM => Err(Why::Text),
            Kind::Domain => {
                cx.line([entry.target, action]);
                Ok(1)
            }
            Kind::Subtree => {
                cx.line([entry.target, action]);
                cx.line(["*.", entry.target, action]);
                Ok(2)
            }
            Kind::Cidr => {
                let owner = entry.range().map(rpz_ip).ok_or(Why::Text)?;
                cx.line([&owner, action]);
                Ok(1)
            }
            Kind::Url | Kind::Prefix => Err(Why::Kind),
        }
    },
    ..PLAIN
};

/// The owner of an address range in a policy zone: length, then the address backwards, the longest run of zeros as `zz`.
fn rpz_ip(range: Range) -> String {
    match range {
        Range::V4(address, length) => {
            let [a, b, c, d] = address.octets();
            format!("{length}.{d}.{c}.{b}.{a}.rpz-ip")
        }
        Range::V6(address, length) => format!("{length}.{}.rpz-ip", backwards(address)),
    }
}

fn backwards(address: Ipv6Addr) -> String {
    let text = address.to_string();
    let groups = |part: &str| part.split(':').rev().filter(|group| !group.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    match text.split_once("::") {
        Some((left, right)) => {
            let mut all = groups(right);
            all.push("zz".to_owned());
            all.extend(groups(left));
            all.join(".")
        }
        None => groups(&text).join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_triggers_are_written_backwards() {
        for (address, length, owner) in [
            ("2001:db8::", 32, "32.zz.db8.2001.rpz-ip"),
            ("2001:db8::1", 128, "128.1.zz.db8.2001.rpz-ip"),
            ("::1", 128, "128.1.zz.rpz-ip"),
            ("1:2:3:4:5:6:7:8", 128, "128.8.7.6.5.4.3.2.1.rpz-ip"),
        ] {
            assert_eq!(rpz_ip(Range::V6(address.parse().unwrap(), length)), owner);
        }
        assert_eq!(rpz_ip(Range::V4([192, 0, 2, 0].into(), 24)), "24.0.2.0.192.rpz-ip");
    }
}
