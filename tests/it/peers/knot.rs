//! Knot Resolver: policy zones from files, which the recipe's script fetches.

use std::process::Command;

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, find, recipe, with_a_network};

/// kresd with the recipe.
pub fn start(site: &Site) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver(), site.world.address());
    let policy = recipe("kresd.conf").with("/var/lib/knot-resolver/", &folder).text();
    let text = format!(
        "net.ipv6 = false\nnet.listen('{}', {}, {{ kind = 'dns' }})\ncache.size = 10 * MB\ntrust_anchors.remove('.')\n\
         modules.unload('ta_update')\nmodules.unload('ta_signal_query')\nmodules.unload('priming')\nlog_level('info')\n\
         modules.load('hints > iterate')\nhints.root({{ ['ns.world.'] = '{}' }})\n{policy}",
        resolver.ip(),
        resolver.port(),
        world.ip(),
    );
    site.place.write("kresd.conf", text);
    let mut command = Command::new(find("kresd").expect("asked before"));
    command.args(["-n", "-c", &format!("{folder}kresd.conf"), &folder]);
    Program::start_command(command)
}

/// Fetches both zones as the recipe says.
pub fn fetch(site: &Site) {
    site.own_signed(recipe("knot-fetch.sh")).write(&site.place.path("knot-fetch.sh"));
    for list in ["allow", "block"] {
        let (well, said) = site.shell(&format!("sh knot-fetch.sh {list}.rpz.example.org \"$PWD/{list}.rpz\""));
        assert!(well, "{said}");
    }
}

#[test]
fn kresd_follows_by_file() {
    with_a_network(&["kresd", "kdig"], || {
        assert!(
            std::path::Path::new("/usr/share/lua/5.1/cqueues.lua").exists() || std::env::var_os("CI").is_none(),
            "CI must have lua-cqueues"
        );
        let mut site = Site::new(41);
        story::tell(&mut site, &Peer { start: &start, fetch: &fetch, blocked: Answer::is_nxdomain, copy: None, garden: false });
    });
}
