//! BIND 9: secondary zones with TSIG, IXFR and NOTIFY as its response policy.

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// named with the recipes, in a folder of its own.
pub fn start(site: &Site) -> Program {
    start_with(site, &[])
}

/// The same with these zones before the others, for which no key is needed.
pub fn start_with(site: &Site, open: &[String]) -> Program {
    let folder = site.folder();
    let before: String = open.iter().map(|name| format!("    zone \"{name}\";\n")).collect();
    let first = "response-policy {\n";
    let options = options_with(first, &format!("{first}{before}"));
    let mut zones = site.own_signed(recipe("bind-zones.conf")).with("/var/cache/bind/", &folder).text();
    for name in open {
        let primaries = site.publisher();
        zones.push_str(&format!(
            "zone \"{name}\" {{ type secondary; primaries {{ {primaries}; }}; file \"{folder}{name}\"; allow-query {{ localhost; }}; }};\n"
        ));
    }
    run(site, &options, &zones)
}

/// The recipe of the options with something else in place of `printed`.
pub fn options_with(printed: &str, own: &str) -> String {
    recipe("bind-options.conf").with(printed, own).text()
}

/// named with these options and zones.
pub fn run(site: &Site, options: &str, zones: &str) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address().ip());
    let text = format!(
        "options {{\n directory \"{folder}\";\n pid-file none;\n session-keyfile none;\n listen-on port 53 {{ {resolver}; }};\n \
         listen-on-v6 {{ none; }};\n query-source address {resolver};\n transfer-source {resolver};\n notify no;\n recursion yes;\n \
         allow-recursion {{ any; }};\n forward only;\n forwarders {{ {world}; }};\n dnssec-validation no;\n empty-zones-enable no;\n \
         max-cache-ttl 1;\n max-ncache-ttl 1;\n{options}}};\ncontrols {{ }};\n{zones}"
    );
    site.place.write("named.conf", text);
    Program::start("named", &["-g", "-c", &format!("{folder}named.conf"), "-n", "2"])
}

#[test]
fn named_follows_by_tsig_notify_and_ixfr() {
    with_a_network(&["named"], || {
        let mut site = Site::new(11);
        story::tell(&mut site, &Peer { start: &start, blocked: Answer::is_nxdomain, copy: None, garden: Some(story::page) });
    });
}

#[test]
fn named_with_a_wrong_key_is_refused_and_says_so() {
    with_a_network(&["named"], || {
        story::refused(&mut Site::new(12), &start).says("tsig verify failure");
    });
}
