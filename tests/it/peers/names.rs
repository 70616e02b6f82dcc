//! Resolvers without zone transfer, configured in Lua: `deploy/names/follow-zone.sh` keeps the names of a zone in a file, and
//! `deploy/names/names.lua` reads what is new of it.

use std::cell::RefCell;
use std::process::Command;

use super::site::Site;
use super::story::{self, Peer};
use super::{Answer, Program, find, recipe, with_a_network};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
/// The address of our page.
const PAGE: &str = "198.18.0.80";

/// Follows the zones with the commands of the recipe.
pub fn follow(site: &Site) -> Vec<Program> {
    site.place.write("zone.key", site.signed(recipe("zone.key")).text());
    let commands = site.own(recipe("follow-zone.sh")).with("/usr/local/lib/bwld/", format!("{HERE}/deploy/names/"));
    let commands = commands.with("/etc/bwld/", site.folder()).with("/var/lib/bwld-zone/", site.folder()).text();
    let lines = commands.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec {line}")]);
            Program::start_command(command)
        })
        .collect()
}

fn in_lua(site: &Site, name: &str) -> String {
    let recipe = recipe(name).with("/usr/local/lib/bwld/", format!("{HERE}/deploy/names/"));
    recipe.with("/var/lib/bwld-zone/", site.folder()).with("192.0.2.80", PAGE).text()
}

/// kresd with the recipe.
pub fn kresd(site: &Site) -> Program {
    let (folder, resolver, world) = (site.folder(), site.resolver(), site.world.address());
    let text = format!(
        "net.ipv6 = false\nnet.listen('{}', {}, {{ kind = 'dns' }})\ncache.size = 10 * MB\ntrust_anchors.remove('.')\n\
         modules.unload('ta_update')\nmodules.unload('ta_signal_query')\nmodules.unload('priming')\nlog_level('info')\n\
         modules.load('hints > iterate')\nhints.root({{ ['ns.world.'] = '{}' }})\n{}",
        resolver.ip(),
        resolver.port(),
        world.ip(),
        in_lua(site, "kresd.conf"),
    );
    site.place.write("kresd.conf", text);
    let mut command = Command::new(find("kresd").expect("asked before"));
    command.args(["-n", "-c", &format!("{folder}kresd.conf"), &folder]);
    Program::start_command(command)
}

/// dnsdist with the recipe, before the name servers of the world.
pub fn dnsdist(site: &Site) -> Program {
    let text = format!(
        "setLocal('{}')\nnewServer('{}')\nsetSecurityPollSuffix('')\n{}",
        site.resolver(),
        site.world.address(),
        in_lua(site, "dnsdist.conf")
    );
    site.place.write("dnsdist.conf", text);
    Program::start("dnsdist", &["--supervised", "-C", &format!("{}dnsdist.conf", site.folder())])
}

fn peer(start: &dyn Fn(&Site) -> Program) -> Peer<'_> {
    let page = |answer: &Answer| answer.records == [format!("A {PAGE}")];
    Peer { start, blocked: Answer::is_nxdomain, copy: Some("block.rpz.example.org"), garden: Some(page) }
}

#[test]
fn kresd_follows_by_tsig_and_ixfr() {
    with_a_network(&["kresd", "kdig"], || {
        let mut site = Site::new(41);
        let _followers = follow(&site);
        story::tell(&mut site, &peer(&kresd));
    });
}

#[test]
fn dnsdist_follows_by_tsig_and_ixfr() {
    with_a_network(&["dnsdist", "kdig"], || {
        let mut site = Site::new(42);
        let _followers = follow(&site);
        story::tell(&mut site, &peer(&dnsdist));
    });
}

#[test]
fn who_follows_with_a_wrong_key_is_refused_and_says_so() {
    with_a_network(&["kresd", "kdig"], || {
        let mut site = Site::new(43);
        let followers = RefCell::default();
        let start = |site: &Site| {
            *followers.borrow_mut() = follow(site);
            kresd(site)
        };
        story::refused(&mut site, &start);
        followers.borrow_mut()[0].says("no whole transfer");
    });
}

/// Answers of the module for a file that grows, breaks off and is replaced, without any resolver.
#[test]
fn the_file_may_grow_break_off_and_be_replaced() {
    with_a_network(&["dnsdist"], || {
        let site = Site::new(44);
        let file = site.place.path("zone");
        let filler: String = (0..30_000).map(|i| format!("+filler{i}.example\n")).collect();
        let script = format!(
            "local zone = dofile('{HERE}/deploy/names/names.lua').open('{0}')\n\
             local function put(mode, text) local f = io.open('{0}', mode) f:write(text) f:close() end\n\
             local function is(name, wanted) if zone:has(name) ~= wanted then error(name .. ' is not ' .. tostring(wanted)) end end\n\
             is('a.example', false)\n\
             put('w', 'zone z 1\\n+a.example\\n+*.b.example\\n=1\\n') zone:look(1)\n\
             is('A.Example.', true) is('x.a.example', false) is('b.example', false) is('x.y.b.example', true) is('b', false)\n\
             put('a', '-a.example\\n+c.example\\n=2\\n+d.exam') zone:look(1)\n\
             is('a.example', false) is('c.example', true) is('d.exam', false)\n\
             put('a', 'ple\\n=3\\n') zone:look(1) is('d.example', true) is('d.exam', false)\n\
             local f = io.open('{0}.more') local filler = f:read('*a') f:close()\n\
             put('w', 'zone z 2\\n' .. filler .. '+e.example\\n=4\\n') zone:look(0)\n\
             is('d.example', true) is('e.example', false)\n\
             for _ = 1, 1000 do zone:look(0) end is('d.example', false) is('e.example', true) is('filler29999.example', true)\n\
             os.remove('{0}') zone:look(1) is('e.example', true)\n",
            file.display()
        );
        site.place.write("zone.more", filler);
        // dnsdist is a Lua interpreter that is here anyway.
        site.place.write("check.lua", script);
        let (well, said) = site.shell("dnsdist --check-config -C check.lua 2>&1");
        assert!(well && said.contains("OK"), "{said}");
    });
}

/// A `kdig` that always has the whole zone: what the file begins with is another line each time, or its reader would go on in the middle.
#[test]
fn every_whole_transfer_begins_anew() {
    let place = crate::support::Place::new();
    let (folder, file) = (place.path("bin"), place.path("zone"));
    std::fs::create_dir(&folder).expect("a folder");
    let soa = "z.example. 1 IN SOA a. b. $n 1 1 1 1";
    let kdig = format!(
        "#!/bin/sh\nhead -n 1 '{0}' >> '{0}.first' 2> /dev/null\nn=$(($(wc -l < '{0}.first') + 1))\n[ $n -lt 7 ] || exit 1\n\
         echo \"{soa}\"; echo \"a$n.example.z.example. 1 IN CNAME .\"; echo \"{soa}\"\n",
        file.display()
    );
    place.write("bin/kdig", kdig);
    std::fs::set_permissions(folder.join("kdig"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.arg(format!("{HERE}/deploy/names/follow-zone.sh")).args(["-s", "127.0.0.1", "-k", "none", "-i", "0.01", "z.example"]);
    let mut program = Program::start_command({
        command.arg(&file).env("PATH", path);
        command
    });
    program.says("no whole transfer");
    let begun = place.read("zone.first");
    let begun: Vec<&str> = begun.lines().collect();
    assert!(begun.len() >= 5 && begun.iter().all(|line| line.starts_with("zone z.example ")), "{begun:?}");
    assert_eq!(begun.iter().collect::<std::collections::BTreeSet<_>>().len(), begun.len(), "{begun:?}");
}

#[test]
fn shellcheck_finds_nothing_in_the_script() {
    match Command::new("shellcheck").args(["--shell", "sh", &format!("{HERE}/deploy/names/follow-zone.sh")]).output() {
        Ok(said) => assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout)),
        Err(_) => assert!(std::env::var_os("CI").is_none(), "CI must have shellcheck: .ci/run installs it"),
    }
}
