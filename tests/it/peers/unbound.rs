//! Unbound: policy zones by plain transfer and over TLS.

use super::site::{Sent, Site};
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// unbound with the recipe.
pub fn start(site: &Site) -> Program {
    start_with(site, &[])
}

/// The same with these zones before the others.
pub fn start_with(site: &Site, open: &[String]) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address().ip());
    let before =
        open.iter().map(|name| format!("rpz:\n    name: \"{name}\"\n    primary: {}\n    allow-notify: {0}\n\n", site.publisher()));
    let first = "rpz:\n    name: \"allow.open";
    let rpz = site.own(recipe("unbound.conf")).with(first, before.collect::<String>() + first);
    let rpz = rpz.with("/etc/ssl/certs/ca-certificates.crt", format!("{folder}ca.pem")).with("/var/lib/unbound/", &folder).text();
    let text = format!(
        "server:\n verbosity: 2\n use-syslog: no\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
         interface: {resolver}\n outgoing-interface: {resolver}\n access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n \
         do-ip6: no\n num-threads: 1\n cache-max-ttl: 0\n cache-max-negative-ttl: 0\n trust-anchor-signaling: no\n\
         {rpz}\nforward-zone:\n name: \".\"\n forward-addr: {world}\n\nremote-control:\n control-enable: no\n"
    );
    site.place.write("unbound.conf", text);
    Program::start("unbound", &["-d", "-p", "-c", &format!("{folder}unbound.conf")])
}

#[test]
fn unbound_follows_in_the_clear_and_over_tls() {
    with_a_network(&["unbound"], || {
        let mut site = Site::new(21);
        story::tell(&mut site, &Peer { start: &start, blocked: Answer::is_nodata, copy: Some("block.rpz"), garden: None });
    });
}

#[test]
fn unbound_at_an_address_that_is_not_allowed_is_refused() {
    with_a_network(&["unbound"], || {
        let mut site = Site::new(22);
        site.start_with(|settings| settings.replace(", \"127.0.0.1\"", ""));
        let mut unbound = start(&site);
        site.ready(&mut unbound);
        let mut said = String::new();
        unbound.until("the refusal in the publisher's log", || {
            said.push_str(&site.said());
            said.contains("which it may not have")
        });
        site.until(&mut unbound, "passes: the zone never came", "first.example", Answer::has_records);
        assert_eq!(site.sent(), Sent { increments: 0, whole: 0 });
    });
}
