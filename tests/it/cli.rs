//! The program as people meet it: a first start, daily work on a list, and what it says when something is wrong.

use std::fs;

use crate::support::{Daemon, Place, get, mode, wait_for};

fn lists(address: &str) -> serde_json::Value {
    serde_json::from_slice(&get(address, "/v1/lists")).expect("JSON")
}

fn serial(address: &str, list: &str) -> Option<u64> {
    lists(address)["lists"].as_array().expect("lists").iter().find(|l| l["id"] == list)?["serial"].as_u64()
}

/// A publisher with one published list `t` that holds `a.example`.
fn with_list(place: &Place) -> Daemon {
    let daemon = place.serve();
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    daemon
}

/// Entry or change lines without the public references, which are random.
fn without_references(text: &str) -> String {
    let attribute = |piece: &&str| !piece.starts_with("ref=");
    let line = |line: &str| line.split('\t').filter(attribute).collect::<Vec<_>>().join("\t");
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn a_first_start_needs_nothing_and_a_second_goes_on() {
    let place = Place::new();
    let daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &[]);
    let address = daemon.address();
    let fingerprint = daemon.greeted("fingerprint ");
    // All a person needs next is said.
    for piece in [
        format!("curl -s {address}/v1/lists"),
        format!("follow {address} --trust {fingerprint} --list canary"),
        "add canary new.example --publish".into(),
    ] {
        assert!(daemon.greeting.contains(&piece), "{piece}\n{}", daemon.greeting);
    }
    assert_eq!(place.read("bwld-data/address").trim(), address);
    for secret in ["bwld-data/keys/root.key", "bwld-data/keys/signing.key", "bwld-data/operator.token"] {
        assert_eq!(mode(&place.path(secret)), 0o600, "{secret}");
    }
    let shown = lists(&address);
    assert_eq!(shown["origin"], "bwld.localhost");
    assert_eq!(shown["fingerprint"], fingerprint.as_str());
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lists")).expect("lists").flatten();
    let shipped = files.filter(|f| f.path().extension().is_some_and(|e| e == "txt")).count() - 1;
    assert_eq!(shown["lists"].as_array().map(Vec::len), Some(shipped), "all but the protected names");
    // The printed command works as it stands, found by the default data folder.
    place.run(&["add", "canary", "new.example", "--publish"]).with_code(0);
    assert_eq!(serial(&address, "canary"), Some(2));
    place.run(&["list", "remove", "shock"]).with_code(2);
    place.run(&["list", "remove", "shock", "--yes"]).with_code(0);
    let token = place.read("bwld-data/operator.token");
    assert!(daemon.stop().success());
    assert!(!place.path("bwld-data/address").exists());

    let daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &[]);
    let address = daemon.address();
    assert_eq!(daemon.greeted("fingerprint "), fingerprint);
    assert_eq!(place.read("bwld-data/operator.token"), token);
    assert_eq!(serial(&address, "canary"), Some(2), "an operator's change stays");
    assert_eq!(serial(&address, "shock"), None, "a removed list stays removed");
    place.run(&["remove", "canary", "new.example", "--publish", "--reason", "enough"]).with_code(0);
    assert_eq!(serial(&address, "canary"), Some(3), "serials go on");
    let log = place.run(&["log", "canary", "--json"]).with_code(0).json();
    assert_eq!(log[0]["reason"], "enough");
    assert_eq!(log.as_array().map(Vec::len), Some(3));
}

#[test]
fn the_publishers_name_is_fixed_with_the_first_key_set() {
    let place = Place::new();
    let daemon = place.serve_with(&["--listen", "127.0.0.1:0", "--origin", "lists.example"], &[("BWLD_SERVE_SHIPPED_LISTS", "false")]);
    assert_eq!(lists(&daemon.address())["origin"], "lists.example");
    assert!(daemon.stop().success());
    let said = place.run(&["serve", "--listen", "127.0.0.1:0", "--origin", "other.example"]).with_code(2);
    assert!(said.err.contains("lists.example") && said.err.contains("other.example"), "{}", said.err);
    // Without an opinion of its own a start takes the name that is there.
    assert_eq!(lists(&place.serve().address())["origin"], "lists.example");
}

#[test]
fn a_second_daemon_on_the_same_folder_or_port_says_so() {
    let place = Place::new();
    let daemon = place.serve();
    let said = place.run(&["serve", "--listen", "127.0.0.1:0"]).with_code(1);
    assert!(said.err.contains("bwld-data") && said.err.contains("running"), "{}", said.err);
    let port = daemon.address().replace("http://", "");
    let said = place.run(&["serve", "--data", "other", "--listen", &port]).with_code(1);
    assert!(said.err.contains("cannot listen"), "{}", said.err);
    assert!(!place.path("other").exists(), "it fails before it makes anything");
}

#[test]
fn daily_work_on_a_list() {
    let place = Place::new();
    let daemon = with_list(&place);
    let address = daemon.address();
    let said =
        place.run(&["add", "t", "b.example", "Ünï.example", "subtree:c.example", "--cat", "x", "--expires", "2031-01-01"]).with_code(0);
    assert!(said.out.contains("3 to add") && said.out.contains("bwld publish t"), "{}", said.out);
    place.run(&["remove", "t", "a.example"]).with_code(0);
    let said = place.run(&["diff", "t"]).with_code(0);
    let staged = without_references(&said.out);
    for line in ["+domain:b.example\tcat=x\texp=2031-01-01", "+domain:xn--n-nga1b.example", "+subtree:c.example", "-domain:a.example"] {
        assert!(staged.contains(line), "{line}\n{staged}");
    }
    assert!(said.out.contains("\tref="), "entries put one by one get a public reference");
    assert!(!said.out.contains('\u{1b}'), "no colour without a terminal");
    let said = place.run(&["publish", "t", "--reason", "why"]).with_code(0);
    assert!(said.out.contains("serial 2") && said.out.contains("+3 -1"), "{}", said.out);
    assert_eq!(serial(&address, "t"), Some(2));
    place.run(&["export", "t", "-o", "t.txt"]).with_code(0);
    assert_eq!(place.read("t.txt"), place.run(&["export", "t"]).with_code(0).out);
    assert!(without_references(&place.read("t.txt")).starts_with("domain:b.example\tcat=x\texp=2031-01-01\n"), "{}", place.read("t.txt"));
    // Many at once, and away with them.
    let said = place.run_with_input(&["add", "t", "-", "--subtree"], b"# a comment\n\nd.example\ndomain:e.example\n").with_code(0);
    assert!(said.out.contains("2 to add"), "{}", said.out);
    assert!(place.run(&["diff", "t"]).with_code(0).out.contains("+subtree:d.example"));
    place.run(&["discard", "t"]).with_code(0);
    let said = place.run(&["publish", "t"]).with_code(0);
    assert!(said.out.contains("nothing is staged"), "{}", said.out);
    let said = place.run(&["list", "set", "t", "--title", "Better", "--owner", "Me", "--json"]).with_code(0).json();
    assert_eq!((said["meta"]["title"].as_str(), said["meta"]["owner"].as_str()), (Some("Better"), Some("Me")));
    let said = place.run(&["list", "show"]).with_code(0);
    assert!(said.out.contains("Better") && said.out.starts_with("LIST"), "{}", said.out);
}

/// Octets of the journal: what is written shows in it.
fn journal(place: &Place) -> u64 {
    let segments = std::fs::read_dir(place.path("bwld-data/journal")).expect("a journal");
    segments.map(|s| s.and_then(|s| s.metadata()).expect("a segment").len()).sum()
}

#[test]
fn a_dry_run_with_a_list_as_such_changes_nothing_and_refuses_the_same() {
    let place = Place::new();
    let daemon = with_list(&place);
    place.run(&["add", "t", "b.example"]).with_code(0);
    let (before, written) = (place.run(&["list", "show", "--json"]).json(), journal(&place));

    let new = ["list", "create", "new", "--colour", "white", "--title", "New", "--cat", "x"];
    let said = place.run(&[&new[..], &["--dry-run"]].concat()).with_code(0);
    assert!(said.out.contains("new: would be created; nothing was written") && said.out.contains("white"), "{}", said.out);
    let said = place.run(&[&new[..], &["--dry-run", "--json"]].concat()).with_code(0).json();
    assert_eq!((said["meta"]["id"].as_str(), said["serial"].as_u64()), (Some("new"), None));
    let said = place.run(&["list", "create", "t", "--colour", "black", "--title", "Again", "--dry-run"]).with_code(1);
    assert!(said.err.contains("t"), "{}", said.err);
    place.run(&["list", "create", "long", "--colour", "black", "--title", &"x".repeat(501), "--dry-run"]).with_code(1);

    let said = place.run(&["list", "set", "t", "--title", "Better", "--dry-run"]).with_code(0);
    assert!(said.out.contains("Better") && said.out.contains("nothing was written"), "{}", said.out);
    place.run(&["list", "set", "t", "--title", &"x".repeat(501), "--dry-run"]).with_code(1);
    place.run(&["list", "set", "nosuch", "--title", "Better", "--dry-run"]).with_code(1);

    let said = place.run(&["list", "remove", "t", "--dry-run"]).with_code(0);
    assert!(said.out.contains("t: would be removed; nothing was written") && said.out.contains("staged        1"), "{}", said.out);
    place.run(&["list", "remove", "t", "--yes", "--dry-run"]).with_code(0);
    place.run(&["list", "remove", "nosuch", "--dry-run"]).with_code(1);

    let said = place.run(&["discard", "t", "--dry-run"]).with_code(0);
    assert!(said.out.contains("+domain:b.example") && said.out.contains("would be discarded: 1 to add"), "{}", said.out);
    place.run(&["discard", "nosuch", "--dry-run"]).with_code(1);

    assert_eq!(place.run(&["list", "show", "--json"]).json(), before);
    assert_eq!(journal(&place), written, "not a frame was written");

    // A removed name keeps its colour; a dry run knows.
    place.run(&["list", "remove", "t", "--yes"]).with_code(0);
    for dry in [&["--dry-run"][..], &[]] {
        let said = place.run(&[&["list", "create", "t", "--colour", "white", "--title", "T"], dry].concat()).with_code(1);
        assert!(said.err.contains("black for ever"), "{}", said.err);
    }
    drop(daemon);
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = Place::new();
    let daemon = with_list(&place);
    let before = place.run(&["list", "show", "t", "--json"]).json();
    let said = place.run(&["add", "t", "b.example", "a.example", "--dry-run"]).with_code(0);
    assert!(said.out.contains("would be staged: 1 to add") && said.out.contains("+domain:b.example"), "{}", said.out);
    place.run(&["remove", "t", "a.example", "--dry-run"]).with_code(0);
    place.write("in.txt", "b.example\nc.example\n");
    let said = place.run(&["import", "in.txt", "--list", "t", "--dry-run"]).with_code(0);
    assert!(said.out.contains("would be staged: 2 to add"), "{}", said.out);
    place.run(&["import", "in.txt", "--list", "t", "--mode", "replace", "--dry-run"]).with_code(0);
    assert_eq!(place.run(&["list", "show", "t", "--json"]).json(), before);
    place.run(&["add", "t", "b.example"]).with_code(0);
    let said = place.run(&["publish", "t", "--dry-run"]).with_code(0);
    assert!(said.out.contains("would be published: 1 to add"), "{}", said.out);
    assert_eq!(serial(&daemon.address(), "t"), Some(1));
}

#[test]
fn an_import_names_every_bad_line_and_passes_over_it() {
    let place = Place::new();
    let _daemon = with_list(&place);
    place.write("in.txt", "# names\nb.example\ncom\nc.example # inline\nnot a name\n\nB.EXAMPLE.\n");
    let said = place.run(&["import", "in.txt", "--list", "t", "--strict"]).with_code(1);
    assert!(said.out.contains("\n5:") || said.out.contains("5:"), "{}", said.out);
    assert!(said.err.contains("nothing was staged"), "{}", said.err);
    let said = place.run(&["import", "in.txt", "--list", "t", "--publish", "--reason", "import"]).with_code(0);
    assert!(said.out.contains("3:1: ") && said.out.contains("2 wrong"), "{}", said.out);
    assert_eq!(without_references(&place.run(&["export", "t"]).out), "domain:a.example\ndomain:b.example\ndomain:c.example\n");
    let said = place.run_with_input(
        &["import", "-", "--list", "t", "--mode", "replace", "--scope", "subtree", "--format", "domains", "--json"],
        b"z.example\n",
    );
    let report = said.with_code(0).json();
    assert_eq!((report["staged"]["added"].as_u64(), report["staged"]["removed"].as_u64()), (Some(1), Some(3)));
    let said = place.run(&["import", "missing.txt", "--list", "t"]).with_code(1);
    assert!(said.err.contains("missing.txt"), "{}", said.err);
}

#[test]
fn a_folder_of_categories_and_a_packed_file_are_imported() {
    let place = Place::new();
    let _daemon = with_list(&place);
    for (file, text) in [
        ("ads/domains", "b.example\n.c.example\n"),
        ("ads/urls", "d.example/x/\n"),
        ("ads/expressions", "x\n"),
        ("games/domains", "e.example\n"),
    ] {
        std::fs::create_dir_all(place.path(&format!("tree/{file}")).parent().expect("a folder")).expect("made");
        place.write(&format!("tree/{file}"), text);
    }
    let said = place.run(&["import", "tree", "--list", "t"]).with_code(0);
    assert!(said.out.contains("ads/domains:2:1: ") && said.out.contains("left out: 1 of: file of expressions"), "{}", said.out);
    assert!(said.out.contains("read as tree: 4 lines, 3 entries"), "{}", said.out);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"||f.example^\n@@||g.example^\n").expect("memory");
    std::fs::write(place.path("rules.gz"), gzip.finish().expect("memory")).expect("written");
    let said = place.run(&["import", "rules.gz", "--list", "t", "--publish"]).with_code(0);
    assert!(said.out.contains("left out: 1 of: exception; first in line 2: \"@@||g.example^\""), "{}", said.out);
    let expected =
        "domain:a.example\nprefix:d.example/x/\tcat=ads\nsubtree:b.example\tcat=ads\nsubtree:e.example\tcat=games\nsubtree:f.example\n";
    assert_eq!(without_references(&place.run(&["export", "t"]).out), expected);
    let said = place.run(&["import", "tree", "--list", "t", "--only", "games", "--dry-run"]).with_code(0);
    assert!(said.out.contains("1 entries"), "{}", said.out);
    let said = place.run(&["import", "tree", "--list", "t", "--exceptions", "only"]).with_code(1);
    assert!(said.err.contains("tree has no exceptions"), "{}", said.err);
    assert!(place.run(&["import", "--help"]).with_code(0).out.contains("dnsmasq"), "the formats are listed");
}

#[test]
fn a_guard_stops_a_disaster_until_it_is_forced_by_name() {
    let place = Place::new();
    let daemon =
        place.serve_with(&["--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_PUBLISHER_GUARD_ENTRIES", "5")]);
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    let names: String = (0..20).map(|i| format!("n{i}.example\n")).collect();
    place.run_with_input(&["add", "t", "-", "--publish"], names.as_bytes()).with_code(0);
    place.run_with_input(&["remove", "t", "-"], names.as_bytes()).with_code(0);
    let said = place.run(&["publish", "t"]).with_code(1);
    assert!(said.err.contains("max-removed"), "{}", said.err);
    assert_eq!(serial(&daemon.address(), "t"), Some(1));
    let said = place.run(&["publish", "t", "--force", "max-removed", "--reason", "court order"]).with_code(0);
    assert!(said.out.contains("serial 2"), "{}", said.out);
    assert!(place.run(&["log", "t"]).out.contains("[forced: max-removed]"));
    place.run(&["publish", "t", "--force", "protected"]).with_code(2);
    // What may never be blocked is refused with its reason, forced or not.
    let said = place.run(&["add", "t", "bwld.online", "--publish"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("protected") || said.out.contains("protected"), "{said:?}");
}

#[test]
fn exit_codes_and_next_steps() {
    let place = Place::new();
    place.run(&["--help"]).with_code(0);
    place.run(&["--version"]).with_code(0);
    place.run(&[]).with_code(2);
    place.run(&["ad"]).with_code(2);
    place.run(&["add", "T", "a.example"]).with_code(2);
    let said = place.run(&["list", "show"]).with_code(1);
    assert!(said.err.contains("operator.token") && said.err.contains("bwld serve"), "{}", said.err);
    place.write("token", "x".repeat(43));
    let said = place.run(&["list", "show", "--token-file", "token"]).with_code(1);
    assert!(said.err.contains("0600") || said.err.contains("600"), "a token that others can read: {}", said.err);
    fs::set_permissions(place.path("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let said = place.run(&["list", "show", "--token-file", "token", "--server", "http://127.0.0.1:1"]).with_code(1);
    assert!(said.err.contains("no answer from the daemon at http://127.0.0.1:1") && said.err.contains("bwld serve"), "{}", said.err);
    let daemon = with_list(&place);
    let said = place.run(&["list", "show", "--token-file", "token", "--server", &daemon.address()]).with_code(1);
    assert!(said.err.contains("token"), "{}", said.err);
    let said = place.run(&["list", "show", "nosuch"]).with_code(1);
    assert!(said.err.contains("nosuch") && said.err.contains("bwld list show"), "{}", said.err);
    let said = place.run(&["add", "t", "com"]).with_code(1);
    assert!(said.err.contains("com"), "{}", said.err);
    let said = place.run(&["list", "create", "t", "--colour", "black", "--title", "again"]).with_code(1);
    assert!(said.err.contains("already"), "{}", said.err);
}

#[test]
fn the_configuration_is_searched_checked_and_shown() {
    let mut place = Place::new();
    place.write("bad.toml", "[serve]\n\nlisten = \"127.0.0.1:0\"\norigni = \"a.example\"\n");
    let said = place.run(&["--config", "bad.toml", "serve"]).with_code(2);
    assert!(said.err.contains("bad.toml, line 4") && said.err.contains("did you mean \"origin\"?"), "{}", said.err);
    place.run(&["config", "check", "bad.toml"]).with_code(2);
    place.run(&["config", "check", "missing.toml"]).with_code(2);
    place.write("bwld.toml", "[log]\nlevel = \"warn\"\nformat = \"json\"\n");
    place.var("BWLD_LOG_LEVEL", "error");
    let said = place.run(&["config", "show", "--json"]).with_code(0).json();
    assert_eq!((said["log.level"]["value"].as_str(), said["log.level"]["source"].as_str()), (Some("error"), Some("$BWLD_LOG_LEVEL")));
    assert_eq!(said["log.format"]["source"], "./bwld.toml, line 3");
    assert_eq!(said["serve.data"]["source"], "default");
    place.var("BWLD_CONFIG", "bad.toml");
    place.run(&["config", "show"]).with_code(2);
    place.run(&["config", "check", "bwld.toml"]).with_code(0);
    let said = place.run(&["config", "example"]).with_code(0);
    assert_eq!(said.out, include_str!("../../deploy/bwld.example.toml"));
}

#[test]
fn logs_are_text_or_json() {
    let place = Place::new();
    let mut daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_LOG_FORMAT", "json")]);
    let mut lines = String::new();
    wait_for("a line of the log", || {
        lines.push_str(&daemon.said());
        lines.contains("serving")
    });
    for line in lines.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["level"].is_string() && value["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = place.run(&["completions", shell]).with_code(0);
        assert!(said.out.contains("publish"), "{shell}");
    }
    let said = place.run(&["man"]).with_code(0);
    assert!(said.out.starts_with(".ie") && said.out.contains("verification failed"), "the exit codes stand in the page");
    place.run(&["man", "pages"]).with_code(0);
    assert!(place.read("pages/bwld-publish.1").contains(r"max\-removed"));
}

#[test]
fn the_log_has_every_write_and_error_and_at_debug_the_polls() {
    for (level, polls) in [("info", false), ("debug", true)] {
        let place = Place::new();
        let vars = [("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_LOG_LEVEL", level)];
        let mut daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &vars);
        get(&daemon.address(), "/v1/lists");
        get(&daemon.address(), "/v1/lists/none/head");
        place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
        let mut said = String::new();
        wait_for("the line of the write", || {
            said += &daemon.said();
            said.contains("method=\"POST\" route=\"/v1/admin/lists\"")
        });
        assert!(said.contains("route=\"/v1/lists/{list}/head\"") && said.contains("status=404"), "{said}");
        assert_eq!(said.contains("route=\"/v1/lists\"}"), polls, "{level}: {said}");
    }
}
