//! PowerDNS Recursor: policy zones with TSIG, fetched by its Lua configuration.

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, recipe, with_a_network};

/// pdns_recursor with the recipe.
pub fn start(site: &Site) -> Program {
    start_with(site, &[])
}

/// The same with these zones before the others, for which no key is needed.
pub fn start_with(site: &Site, open: &[String]) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver().ip(), site.world.address());
    let signed = site.own_signed(recipe("powerdns-rpz.lua")).with("/var/lib/powerdns/", &folder).text();
    let mut rpz: String = open.iter().map(|name| format!("rpzPrimary('{}', '{name}', {{ refresh = 1 }})\n", site.publisher())).collect();
    rpz.push_str(&signed);
    site.place.write("rpz.lua", rpz);
    let text = format!(
        "lua-config-file={folder}rpz.lua\nsocket-dir={folder}\nlocal-address={resolver}\nquery-local-address={resolver}\n\
         allow-from=127.0.0.0/8\ndont-query=\nforward-zones-recurse=.={world}\ndnssec=off\nsecurity-poll-suffix=\nthreads=1\n\
         disable-syslog=yes\nlog-common-errors=yes\nloglevel=6\nmax-cache-ttl=1\nmax-negative-ttl=1\npacketcache-ttl=0\nhint-file=no\n"
    );
    site.place.write("recursor.conf", text);
    Program::start("pdns_recursor", &[&format!("--config-dir={folder}"), "--daemon=no", "--write-pid=no"])
}

#[test]
fn recursor_follows_by_tsig_and_ixfr() {
    with_a_network(&["pdns_recursor"], || {
        let mut site = Site::new(31);
        let copy = Some("block.rpz.example.org");
        story::tell(&mut site, &Peer { start: &start, blocked: Answer::is_nxdomain, copy, garden: Some(story::page) });
    });
}

#[test]
fn recursor_with_a_wrong_key_is_refused() {
    with_a_network(&["pdns_recursor"], || drop(story::refused(&mut Site::new(32), &start)));
}
