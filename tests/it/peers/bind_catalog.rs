//! BIND 9 that configures itself from the catalog zone (RFC 9432): it has every zone that the publisher offers.

use domain::base::Rtype;

use super::site::Site;
use super::{Program, ask, with_a_network};

fn start(site: &Site) -> Program {
    let (folder, resolver, publisher, world) = (site.folder(), site.resolver().ip(), site.publisher(), site.world.address().ip());
    let secret = site.place.read("isp-a.secret");
    let text = format!(
        "key \"isp-a\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
         options {{\n directory \"{folder}\";\n pid-file none;\n session-keyfile none;\n listen-on port 53 {{ {resolver}; }};\n \
         listen-on-v6 {{ none; }};\n transfer-source {resolver};\n notify no;\n recursion no;\n allow-query {{ any; }};\n dnssec-validation no;\n forward only;\n forwarders {{ {world}; }};\n \
         serial-query-rate 200;\n min-refresh-time 1;\n min-retry-time 1;\n max-retry-time 2;\n\
         catalog-zones {{\n zone \"catalog.example.org\" default-primaries {{ {publisher} key \"isp-a\"; }} in-memory yes \
         min-update-interval 1;\n }};\n}};\n\
         controls {{ }};\nzone \"catalog.example.org\" {{ type secondary; primaries {{ {publisher} key \"isp-a\"; }}; file \"catalog\"; }};\n"
    );
    site.place.write("named.conf", text);
    Program::start("named", &["-g", "-c", &format!("{folder}named.conf"), "-n", "1"])
}

#[test]
fn named_takes_its_zones_from_the_catalog() {
    with_a_network(&["named"], || {
        let mut site = Site::new(14);
        let notify = site.resolver().ip();
        let catalog = format!("\n[dns.catalog]\nname = \"catalog.example.org\"\nkeys = [\"isp-a\"]\nnotify = [\"{notify} isp-a\"]\n");
        site.start_with(|settings| settings + &catalog);
        let mut named = start(&site);
        for zone in ["allow.rpz", "gambling.rpz", "block.rpz", "allow.open", "block.open"] {
            named.until(zone, || serial(&site, &format!("{zone}.example.org")).is_some());
        }
        let before = serial(&site, "block.rpz.example.org");
        site.add("block", &["domain:second.example"]);
        named.until("the next version", || serial(&site, "block.rpz.example.org") > before);
        // Another zone in the catalog after a start is one more at the secondary, one that is gone is gone there.
        let (old, new) = ("name = \"gambling.rpz.example.org\"", "name = \"games.rpz.example.org\"");
        site.start_with(|settings| settings.replace(old, new));
        named.until("the new zone", || serial(&site, "games.rpz.example.org").is_some());
        let end = || ask(site.resolver(), "gambling.rpz.example.org", Rtype::SOA).is_some_and(|answer| answer.records.is_empty());
        named.until("the end of the old one", end);
    });
}

fn serial(site: &Site, zone: &str) -> Option<u64> {
    ask(site.resolver(), zone, Rtype::SOA)?.records.first()?.split(' ').nth(3)?.parse().ok()
}
