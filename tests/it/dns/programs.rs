//! `dig` and `kdig` against the built program.

use std::process::Command;

use crate::peers::free_port;
use crate::support::{Place, wait_for};

const CONFIG: &str = r#"
[serve]
listen = "127.0.0.1:0"
shipped_lists = false
origin = "lists.example"

[dns]
listen = ["127.0.0.1:0"]
tls_listen = ["127.0.0.1:TLS"]
tls_certificate = "tls.cert"
tls_key = "tls.key"

[[dns.zone]]
name = "one.rpz.example."
list = "one"

[[dns.zone]]
name = "adult.rpz.example."
list = "one"
categories = ["adult"]
policy = "walled-garden"
garden = "block.example.org"
keys = ["isp-a"]

[[dns.key]]
name = "isp-a"
secret_file = "isp-a.secret"

[dns.catalog]
name = "catalog.example"
"#;

const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gb2N0ZXRzISEhISE=";

/// What a program printed, without the lines that are comments, blanks folded.
fn lines(program: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let blank = |line: &&str| !line.is_empty() && !line.starts_with(';');
    text.lines().filter(blank).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn dig_and_kdig_transfer_zones() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    place.write("tls.cert", made.cert.pem());
    place.write("tls.key", made.signing_key.serialize_pem());
    place.write("isp-a.secret", SECRET);
    std::fs::set_permissions(place.path("isp-a.secret"), std::fs::Permissions::from_mode(0o600)).expect("mode");
    let tls_port = free_port().to_string();
    place.write("bwld.toml", CONFIG.replace("TLS", &tls_port));
    let daemon = place.serve_with(&[], &[]);
    let server = daemon.address();
    let run = |arguments: &[&str]| place.run(&[arguments, &["--server", &server]].concat()).with_code(0);
    run(&["list", "create", "one", "--colour", "black", "--title", "One"]);
    run(&["add", "one", "subtree:a.example", "cidr:2001:db8::/32", "url:http://u.example/x", "--publish"]);
    // What cannot be said is counted, where an operator looks, also if nobody ever transfers the zone.
    let left_out = r#"bwld_dns_left_out{zone="one.rpz.example.",reason="url"} 1"#;
    let counted = || String::from_utf8(crate::support::get(&server, "/metrics")).expect("text").contains(left_out);
    wait_for("what is left out", counted);
    run(&["add", "one", "--cat", "adult", "domain:b.example", "--publish"]);
    run(&["remove", "one", "subtree:a.example", "--publish"]);

    let address = place.read("bwld-data/dns.address");
    let port = address.trim().rsplit(':').next().expect("a port").to_owned();
    let dig = |arguments: &[&str]| lines("dig", &[&["@127.0.0.1", "-p", &port, "+noedns", "+tries=1"], arguments].concat());
    let soa = |zone: &str, serial: u32| format!("{zone} 60 IN SOA lists.example. lists.example. {serial} 60 60 2592000 60");
    let one = |serial| soa("one.rpz.example.", serial);
    let ns = "one.rpz.example. 60 IN NS lists.example.";
    let whole =
        [one(3).as_str(), ns, "32.zz.db8.2001.rpz-ip.one.rpz.example. 60 IN CNAME .", "b.example.one.rpz.example. 60 IN CNAME .", &one(3)]
            .map(str::to_owned);
    assert_eq!(dig(&["one.rpz.example", "AXFR"]), whole);
    let step = [
        one(3),
        one(1),
        "a.example.one.rpz.example. 60 IN CNAME .".into(),
        "*.a.example.one.rpz.example. 60 IN CNAME .".into(),
        one(3),
        "b.example.one.rpz.example. 60 IN CNAME .".into(),
        one(3),
    ];
    for way in ["+tcp", "+notcp"] {
        assert_eq!(dig(&["one.rpz.example", "IXFR=1", way]), step, "{way}");
        assert_eq!(dig(&["one.rpz.example", "IXFR=3", way]), [one(3)], "{way}");
    }
    let kdig = |arguments: &[&str]| lines("kdig", &[&["@127.0.0.1"][..], arguments].concat());
    let steps = kdig(&["-p", &port, "one.rpz.example", "IXFR=1"]);
    assert_eq!(steps, step.map(|line| line.replace("  ", " ")));
    // Over TLS the same, with the protocol `dot` that kdig names.
    assert_eq!(kdig(&["-p", &tls_port, "+tls", "one.rpz.example", "AXFR"]), whole);

    // Signed: good, wrong secret, unknown key, not at all.
    let good = format!("hmac-sha256:isp-a:{SECRET}");
    let adult = dig(&["adult.rpz.example", "AXFR", "-y", &good]);
    assert!(adult.contains(&"b.example.adult.rpz.example. 60 IN CNAME block.example.org.".to_owned()), "{adult:?}");
    assert_eq!(adult.len(), 5, "SOA, NS, one name, SOA, the signature: {adult:?}");
    let whole_text = |key: &str| {
        let output = Command::new("dig").args(["@127.0.0.1", "-p", &port, "adult.rpz.example", "SOA", "-y", key]).output().expect("dig");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let wrong = whole_text("hmac-sha256:isp-a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(wrong.contains("NOTAUTH") && wrong.contains("BADSIG"), "{wrong}");
    let unknown = whole_text(&good.replace("isp-a", "isp-b"));
    assert!(unknown.contains("NOTAUTH") && unknown.contains("BADKEY"), "{unknown}");
    assert_eq!(dig(&["adult.rpz.example", "AXFR"]), Vec::<String>::new());
    let catalog = dig(&["catalog.example", "AXFR"]);
    assert!(catalog.iter().any(|line| line.ends_with("IN PTR adult.rpz.example.")), "{catalog:?}");

    // After a restart the serial is the same, and a step leads on from before it.
    daemon.stop();
    let daemon = place.serve_with(&[], &[]);
    wait_for("the address", || place.path("bwld-data/dns.address").exists());
    let port = place.read("bwld-data/dns.address").trim().rsplit(':').next().expect("a port").to_owned();
    let again = lines("dig", &["@127.0.0.1", "-p", &port, "+noedns", "one.rpz.example", "IXFR=1"]);
    assert_eq!(again.len(), 7, "{again:?}");
    drop(daemon);
}
