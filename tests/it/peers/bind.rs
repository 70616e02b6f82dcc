//! BIND 9: secondary zones with TSIG, IXFR and NOTIFY as its response policy.

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// named with the recipes, in a folder of its own.
pub fn start(site: &Site) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address().ip());
    let options = recipe("bind-options.conf").text();
    let zones = site.own_signed(recipe("bind-zones.conf")).with("/var/cache/bind/", &folder).text();
    let text = format!(
        "options {{\n directory \"{folder}\";\n pid-file none;\n session-keyfile none;\n listen-on port 53 {{ {resolver}; }};\n \
         listen-on-v6 {{ none; }};\n query-source address {resolver};\n transfer-source {resolver};\n notify no;\n recursion yes;\n \
         allow-recursion {{ any; }};\n forward only;\n forwarders {{ {world}; }};\n dnssec-validation no;\n empty-zones-enable no;\n \
         max-cache-ttl 1;\n max-ncache-ttl 1;\n{options}}};\ncontrols {{ }};\n{zones}"
    );
    site.place.write("named.conf", text);
    Program::start("named", &["-g", "-c", &format!("{folder}named.conf"), "-n", "1"])
}

#[test]
fn named_follows_by_tsig_notify_and_ixfr() {
    with_a_network(&["named"], || {
        let mut site = Site::new(11);
        story::tell(&mut site, &Peer { start: &start, fetch: &|_| {}, blocked: Answer::is_nxdomain, copy: None, garden: true });
    });
}

#[test]
fn named_with_a_wrong_key_is_refused_and_says_so() {
    with_a_network(&["named"], || {
        let mut site = Site::new(12);
        site.place.write("isp-a.secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        site.stop();
        site.start();
        let mut named = start(&site);
        site.ready(&mut named);
        named.says("tsig verify failure");
        site.until(&mut named, "passes: the zone never came", "first.example", Answer::has_records);
        let said = site.said();
        assert!(said.contains("BADSIG"), "{said}");
    });
}
