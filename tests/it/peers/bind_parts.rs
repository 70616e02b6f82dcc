//! BIND 9 with a list in four parts.

use super::bind::{options_with, run};
use super::site::Site;
use super::{Answer, recipe, with_a_network};

/// The serials of the parts, as the publisher gives them.
fn serials(site: &Site) -> Vec<String> {
    let secret = std::fs::read_to_string(site.place.path("isp-a.secret")).expect("the secret");
    let serial = |part: u32| {
        let dig = format!("dig +short @{} -y hmac-sha256:isp-a:{secret} {part}.large.rpz.example.org SOA", site.publisher());
        let (ok, soa) = site.shell(&dig);
        let serial = soa.split(' ').nth(2).map(str::to_owned);
        serial.filter(|_| ok).unwrap_or_else(|| panic!("{soa}"))
    };
    (0..4).map(serial).collect()
}

#[test]
fn named_takes_a_list_in_parts_and_only_the_part_that_changes() {
    with_a_network(&["named", "dig"], || {
        let mut site = Site::new(13);
        let parts = recipe("bwld-parts.toml").with("192.0.2.53", site.resolver().ip()).text();
        site.start_with(|settings| format!("{settings}\n{parts}"));
        let names: Vec<String> = (0..200).map(|n| format!("subtree:many{n}.example")).collect();
        site.add("block", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let whole = "    zone \"block.rpz.example.org\";\n";
        let options = options_with(whole, &recipe("bind-parts-policy.conf").text());
        let own = |name| site.own_signed(recipe(name));
        let parts = site.own(recipe("bind-parts-zones.conf")).with("/var/cache/bind/", site.folder()).text();
        let zones = own("bind-zones.conf").with("/var/cache/bind/", site.folder()).text() + &parts;
        let mut named = run(&site, &options, &zones);
        site.ready(&mut named);
        for name in ["first.example", "deep.under.example", "many0.example", "x.many199.example"] {
            site.until(&mut named, "blocked by one of the parts", name, Answer::is_nxdomain);
        }
        let before = (serials(&site), site.sent());
        site.add("block", &["domain:one.example"]);
        site.until(&mut named, "blocked once published", "one.example", Answer::is_nxdomain);
        let after = (serials(&site), site.sent());
        assert_eq!(before.0.iter().zip(&after.0).filter(|(before, after)| before != after).count(), 1, "{before:?} {after:?}");
        assert!(after.1.increments > before.1.increments && after.1.whole == before.1.whole, "{before:?} {after:?}");
        // Over a restart of the publisher serials stay, and what comes is taken as an increment.
        site.stop();
        site.start();
        assert_eq!(serials(&site), after.0);
        site.remove("block", &["domain:one.example", "subtree:many7.example"]);
        site.until(&mut named, "passed once removed", "x.many7.example", super::story::passes);
        site.until(&mut named, "passed once removed", "one.example", super::story::passes);
        assert_eq!(site.sent().whole, 0, "since the restart");
    });
}
