//! PowerDNS Recursor: policy zones with TSIG, polled.

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// pdns_recursor with the recipe.
pub fn start(site: &Site) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address());
    site.own_signed(recipe("powerdns-rpz.lua")).with("/var/lib/powerdns/", &folder).write(&site.place.path("rpz.lua"));
    let text = format!(
        "lua-config-file={folder}rpz.lua\nsocket-dir={folder}\nlocal-address={resolver}\nquery-local-address={resolver}\n\
         allow-from=127.0.0.0/8\ndont-query=\nforward-zones-recurse=.={world}\ndnssec=off\nsecurity-poll-suffix=\nthreads=1\n\
         disable-syslog=yes\nlog-common-errors=yes\nloglevel=6\nmax-cache-ttl=1\nmax-negative-ttl=1\npacketcache-ttl=0\nhint-file=no\nsystem-resolver-ttl=0\n"
    );
    let text = text.replace("system-resolver-ttl=0\n", "");
    site.place.write("recursor.conf", text);
    Program::start("pdns_recursor", &[&format!("--config-dir={folder}"), "--daemon=no", "--write-pid=no"])
}

#[test]
fn recursor_follows_by_tsig_and_ixfr() {
    with_a_network(&["pdns_recursor"], || {
        let mut site = Site::new(31);
        story::tell(
            &mut site,
            &Peer { start: &start, fetch: &|_| {}, blocked: Answer::is_nxdomain, copy: Some("block.rpz.example.org"), garden: true },
        );
    });
}
