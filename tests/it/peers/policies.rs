//! Every policy that a zone can have, and addresses, as the resolvers enforce them that know policy zones themselves.

use domain::base::Rtype;

use super::site::Site;
use super::story::passes;
use super::{Answer, Program, ask, ask_with, bind, powerdns, unbound, with_a_network};

/// A zone for each policy, of the list `more` what has the category of that name.
const POLICIES: [&str; 6] = ["nxdomain", "nodata", "drop", "tcp-only", "walled-garden", "addresses"];

fn zone(policy: &str) -> String {
    format!("{policy}.open.example.org")
}

/// Publishes a name for each policy, and the address of `elsewhere.example`.
fn site(net: u8) -> (Site, Vec<String>) {
    let mut site = Site::new(net);
    let mut sections = String::new();
    for policy in POLICIES {
        let (name, word) = (zone(policy), if policy == "addresses" { "nxdomain" } else { policy });
        let garden = if policy == "walled-garden" { "garden = \"blocked.example.org\"\n" } else { "" };
        sections.push_str(&format!(
            "\n[[dns.zone]]\nname = \"{name}\"\nlist = \"more\"\ncategories = [\"{policy}\"]\npolicy = \"{word}\"\n{garden}\
             allow = [\"127.0.0.0/8\"]\nnotify = [\"{}\"]\n",
            site.resolver().ip()
        ));
    }
    site.start_with(|settings| settings + &sections);
    site.place.run(&["list", "create", "more", "--colour", "black", "--title", "More"]).with_code(0);
    for policy in POLICIES {
        let rule = if policy == "addresses" { "cidr:198.18.0.9/32".to_owned() } else { format!("subtree:{policy}.example") };
        site.stage(&["add", "more", "--cat", policy, "-"], &[&rule]);
    }
    site.publish("more");
    site.add("block", &["domain:www.signed.example"]);
    (site, POLICIES.map(zone).to_vec())
}

/// `signs`: the resolver hands signatures on.
fn enforced(site: &Site, mut resolver: Program, signs: bool) {
    site.ready(&mut resolver);
    let garden = |answer: &Answer| answer.records.iter().any(|r| r.starts_with("CNAME blocked.example.org"));
    site.until(&mut resolver, "nxdomain", "www.nxdomain.example", Answer::is_nxdomain);
    site.until(&mut resolver, "nodata", "www.nodata.example", Answer::is_nodata);
    site.until(&mut resolver, "by TCP only", "www.tcp-only.example", |answer| answer.truncated && passes(answer));
    site.until(&mut resolver, "the walled garden", "www.walled-garden.example", garden);
    site.until(&mut resolver, "an address that is listed", "elsewhere.example", |a| a.is_nxdomain() || a.is_nodata());
    site.until(&mut resolver, "an address that is not", "free.example", passes);
    site.until(&mut resolver, "passed by the white list", "good.under.example", passes);
    // Whoever asks for signatures gets the same answer of a name that is signed.
    let checks = |name: &str| ask_with(site.resolver(), name, Rtype::A, true);
    site.until(&mut resolver, "of a signed name", "www.signed.example", |answer| answer.is_nxdomain() || answer.is_nodata());
    resolver.until("a signature of a free name, where there are any", || {
        !signs || checks("free.signed.example").is_some_and(|a| a.records.iter().any(|r| r.starts_with("RRSIG")))
    });
    let answer = checks("www.signed.example").expect("an answer");
    assert!(!answer.records.iter().any(|r| r.starts_with("A ")), "{answer:?}");
    // One that is lost once is not one that is never given.
    resolver.until("no answer at all", || {
        let asked = |name| ask(site.resolver(), name, Rtype::A);
        (0..2).all(|_| asked("www.drop.example").is_none() && asked("free.example").is_some_and(|answer| passes(&answer)))
    });
    site.until(&mut resolver, "an answer after it", "free.example", passes);
}

#[test]
fn named_enforces_every_policy() {
    with_a_network(&["named"], || {
        let (site, zones) = site(71);
        let named = bind::start_with(&site, &zones);
        enforced(&site, named, true);
    });
}

#[test]
fn unbound_enforces_every_policy() {
    with_a_network(&["unbound"], || {
        let (site, zones) = site(72);
        let unbound = unbound::start_with(&site, &zones);
        enforced(&site, unbound, true);
    });
}

#[test]
fn recursor_enforces_every_policy() {
    with_a_network(&["pdns_recursor"], || {
        let (site, zones) = site(73);
        let recursor = powerdns::start_with(&site, &zones);
        enforced(&site, recursor, false);
    });
}
