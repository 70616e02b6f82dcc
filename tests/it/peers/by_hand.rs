//! The commands that the documentation gives for looking at transfers: `dig` and `kdig`, as they are printed.

use super::site::Site;
use super::{recipe, with_a_network};

/// What each line of the recipe says, by its line.
fn said(site: &Site) -> Vec<(String, String)> {
    let script = site.own_signed(recipe("dig.sh")).with("IXFR=41", "IXFR=2").text();
    let from = format!(" -b {} ", site.resolver().ip());
    script.lines().map(|line| (line.to_owned(), site.shell(&line.replacen(' ', &from, 1)).1)).collect()
}

#[test]
fn the_printed_commands_show_whole_zones_and_increments() {
    with_a_network(&["dig", "kdig"], || {
        let site = Site::new(51);
        site.add("block", &["domain:second.example"]);
        site.add("block", &["domain:third.example"]);
        let said = said(&site);
        assert_eq!(said.len(), 6);
        for (line, said) in &said {
            let whole = line.contains("AXFR");
            assert!(said.contains("SOA"), "{line}\n{said}");
            assert!(!["verif", "failed", "no servers"].iter().any(|bad| said.contains(bad)), "{line}\n{said}");
            assert_eq!(said.contains("first.example.block"), whole, "only in the whole zone\n{line}\n{said}");
            assert_eq!(said.contains("third.example.block"), whole || line.contains("IXFR"), "{line}\n{said}");
            if line.contains("IXFR") {
                assert!(!said.contains("second.example.block"), "serial 2 had it\n{line}\n{said}");
            }
        }
        assert!(said[5].1.contains("*.under.example.block.open.example.org."), "{}", said[5].1);
    });
}

#[test]
fn a_gap_is_bridged_by_the_whole_zone() {
    with_a_network(&["dig"], || {
        let mut site = Site::new(53);
        let soas = |site: &Site, since: &str| {
            let own = site.own_signed(recipe("dig.sh")).with("IXFR=41", since).text();
            let line = own.lines().find(|l| l.starts_with("dig") && l.contains("IXFR")).expect("in the recipe").to_owned();
            let said = site.shell(&line.replacen(' ', &format!(" -b {} ", site.resolver().ip()), 1)).1;
            assert!(said.contains(".example.block.rpz.example.org."), "{said}");
            said.lines().filter(|l| l.contains("\tSOA\t")).count()
        };
        site.add("block", &["domain:second.example"]);
        assert_eq!(soas(&site, "IXFR=1"), 4, "an increment: new, old, new, new");
        site.wait_for_counts();
        let names: Vec<String> = (0..1500).map(|i| format!("domain:n{i}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        site.add("block", &names);
        site.remove("block", &names[1..]);
        assert_eq!(soas(&site, "IXFR=3"), 2, "the increment would be larger: the whole zone between two SOAs");
        site.stop();
        site.start();
        site.add("block", &["domain:second-and-last.example"]);
        assert_eq!(soas(&site, "IXFR=4"), 4, "over a restart of the publisher too");
        assert_eq!(soas(&site, "IXFR=4000000000"), 2, "a serial that never was");
    });
}

#[test]
fn keys_that_are_not_right_get_the_right_refusal() {
    with_a_network(&["dig"], || {
        let site = Site::new(52);
        let dig = |options: &str| {
            let script = format!("dig -b {} @{} {options} block.rpz.example.org SOA", site.resolver().ip(), site.publisher());
            site.shell(&script).1
        };
        let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let said = dig(&format!("-y hmac-sha256:isp-a:{wrong}"));
        assert!(said.contains("NOTAUTH") && said.contains("BADSIG"), "{said}");
        let said = dig(&format!("-y hmac-sha256:nobody:{wrong}"));
        assert!(said.contains("NOTAUTH") && said.contains("BADKEY"), "{said}");
        let said = dig("");
        assert!(said.contains("REFUSED"), "{said}");
        let said = dig("AXFR a.zone.example");
        assert!(said.contains("Transfer failed"), "{said}");
    });
}
