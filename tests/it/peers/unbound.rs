//! Unbound: policy zones by plain transfer and over TLS.

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// unbound with the recipe.
pub fn start(site: &Site) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address().ip());
    let rpz = site.own(recipe("unbound.conf"));
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
        story::tell(&mut site, &Peer { start: &start, fetch: &|_| {}, blocked: Answer::is_nodata, copy: Some("block.rpz"), garden: false });
    });
}
