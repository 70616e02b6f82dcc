//! Keys, who may have what, and the certificate are exchanged while the built program runs; what is wrong is not taken.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::base::iana::{Rcode, TsigRcode};
use domain::base::{Message, Rtype};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::wire::{key, sign_as, tsig_error};
use crate::peers::free_port;
use crate::support::{DEADLINE, Daemon, Place, wait_for};

/// Asks for the SOA over this connection, signed with this key; the codes of the answer.
fn codes(stream: &mut (impl std::io::Read + std::io::Write), name: &str, secret: u8) -> (Rcode, Option<TsigRcode>) {
    use std::sync::atomic::{AtomicU16, Ordering};
    static ID: AtomicU16 = AtomicU16::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let request = sign_as(ID.fetch_add(1, Ordering::Relaxed), "keyed.example", Rtype::SOA, &key(name, &[secret; 32]), now).0;
    let length = u16::try_from(request.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length[..], &request].concat()).expect("it is open");
    stream.flush().expect("it is open");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("an answer");
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).expect("all of it");
    let answer = Message::from_octets(bytes).expect("a message");
    (answer.header().rcode(), tsig_error(&answer).filter(|error| *error != TsigRcode::NOERROR))
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream
}

fn secret(place: &Place, file: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    place.write(file, text);
    std::fs::set_permissions(place.path(file), std::fs::Permissions::from_mode(0o600)).expect("mode");
}

/// Settings with these keys, of which the zone takes those.
fn settings(keys: &[&str], taken: &[&str], more: &str) -> String {
    let section = |key: &&str| format!("[[dns.key]]\nname = \"{key}\"\nsecret_file = \"{key}.secret\"\n");
    let keys: String = keys.iter().map(section).collect();
    format!(
        "[serve]\nlisten = \"127.0.0.1:0\"\nshipped_lists = false\norigin = \"lists.example\"\n\n[dns]\nlisten = [\"127.0.0.1:0\"]\nidle_seconds = 120\n{more}\n\
         [[dns.zone]]\nname = \"keyed.example\"\nlist = \"one\"\nkeys = {taken:?}\n{keys}"
    )
}

fn hang_up(daemon: &Daemon) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(daemon.pid()).expect("small")).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
}

fn served(place: &Place) -> (Daemon, SocketAddr) {
    let daemon = place.serve_with(&[], &[]);
    place.run(&["list", "create", "one", "--colour", "black", "--title", "One"]).with_code(0);
    place.run(&["add", "one", "domain:a.example", "--publish"]).with_code(0);
    let to = place.read("bwld-data/dns.address").trim().parse().expect("an address");
    (daemon, to)
}

/// Waits for words in the log.
fn says(daemon: &mut Daemon, words: &str) {
    let mut said = String::new();
    wait_for(words, || {
        said.push_str(&daemon.said());
        said.contains(words)
    });
}

#[test]
fn keys_are_exchanged_without_a_restart() {
    const GOOD: (Rcode, Option<TsigRcode>) = (Rcode::NOERROR, None);
    let place = Place::new();
    for (file, octet) in [("isp-a.secret", 1), ("isp-b.secret", 2)] {
        secret(&place, file, &BASE64_STANDARD.encode([octet; 32]));
    }
    place.write("bwld.toml", settings(&["isp-a"], &["isp-a"], ""));
    let (mut daemon, to) = served(&place);
    let mut stands = connect(to);
    let ask = |name, octet| codes(&mut connect(to), name, octet);
    assert_eq!(codes(&mut stands, "isp-a", 1), GOOD);
    assert_eq!(ask("isp-b", 2), (Rcode::NOTAUTH, Some(TsigRcode::BADKEY)));

    // A new one beside the old one, which no zone takes any more.
    place.write("bwld.toml", settings(&["isp-a", "isp-b"], &["isp-b"], ""));
    hang_up(&daemon);
    wait_for("the new key", || ask("isp-b", 2) == GOOD);
    assert_eq!(ask("isp-a", 1), (Rcode::REFUSED, None), "known, and not for this zone");
    // The old one is gone.
    place.write("bwld.toml", settings(&["isp-b"], &["isp-b"], ""));
    hang_up(&daemon);
    wait_for("the key's end", || ask("isp-a", 1) == (Rcode::NOTAUTH, Some(TsigRcode::BADKEY)));
    assert_eq!(codes(&mut stands, "isp-b", 2), GOOD, "the connection stands");
    // Another secret of the same key.
    secret(&place, "isp-b.secret", &BASE64_STANDARD.encode([3; 32]));
    hang_up(&daemon);
    wait_for("the new secret", || ask("isp-b", 3) == GOOD);
    assert_eq!(ask("isp-b", 2), (Rcode::NOTAUTH, Some(TsigRcode::BADSIG)));

    // Nothing of what is wrong is taken: a secret, a name, the whole file.
    let _ = daemon.said();
    secret(&place, "isp-b.secret", "no base64 %%");
    hang_up(&daemon);
    says(&mut daemon, "dns.key \"isp-b\", isp-b.secret: the secret is not base64");
    assert_eq!(ask("isp-b", 3), GOOD);
    secret(&place, "isp-b.secret", &BASE64_STANDARD.encode([3; 32]));
    place.write("bwld.toml", settings(&["isp-a"], &["isp-c"], ""));
    hang_up(&daemon);
    says(&mut daemon, "there is no dns.key \"isp-c\"");
    assert_eq!(ask("isp-b", 3), GOOD);
    place.write("bwld.toml", "[dns\n");
    hang_up(&daemon);
    says(&mut daemon, "those before stay in force");
    assert_eq!(ask("isp-b", 3), GOOD);
    assert!(daemon.stop().success());
}

#[test]
fn who_is_to_have_other_content_has_to_wait_for_it() {
    const GOOD: (Rcode, Option<TsigRcode>) = (Rcode::NOERROR, None);
    const REFUSED: (Rcode, Option<TsigRcode>) = (Rcode::REFUSED, None);
    let place = Place::new();
    for (file, octet) in [("isp-a.secret", 1), ("isp-b.secret", 2)] {
        secret(&place, file, &BASE64_STANDARD.encode([octet; 32]));
    }
    let both = settings(&["isp-a", "isp-b"], &["isp-b"], "");
    place.write("bwld.toml", settings(&["isp-a", "isp-b"], &["isp-a"], ""));
    let (mut daemon, to) = served(&place);
    let ask = |name, octet| codes(&mut connect(to), name, octet);
    assert_eq!((ask("isp-a", 1), ask("isp-b", 2)), (GOOD, REFUSED));
    let in_the_zone = "list = \"one\"\n";
    for other in [
        "list = \"two\"\n",
        "list = \"one\"\ncategories = [\"adult\"]\n",
        "list = \"one\"\npolicy = \"drop\"\n",
        "list = \"one\"\nparts = 2\n",
    ] {
        let _ = daemon.said();
        place.write("bwld.toml", both.replace(in_the_zone, other));
        hang_up(&daemon);
        says(&mut daemon, "until a restart that stays");
        assert_eq!((ask("isp-a", 1), ask("isp-b", 2)), (GOOD, REFUSED), "{other}");
    }
    // With what is served it may have it.
    place.write("bwld.toml", both);
    hang_up(&daemon);
    wait_for("the new access", || ask("isp-b", 2) == GOOD);
    assert_eq!(ask("isp-a", 1), REFUSED);
    assert!(daemon.stop().success());
}

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// A connection over TLS that believes this certificate alone; none if the other side shows another.
fn encrypted(to: SocketAddr, certificate: &str) -> Option<Encrypted> {
    encrypted_by(to, certificate, rustls::ALL_VERSIONS)
}

/// The same with these versions of TLS.
fn encrypted_by(to: SocketAddr, certificate: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> Option<Encrypted> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("in PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"dot".to_vec()];
    let name = ServerName::try_from("lists.example").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("settings that fit");
    let mut stream = connect(to);
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    Some(StreamOwned::new(connection, stream))
}

#[test]
fn a_certificate_is_exchanged_while_a_connection_stands() {
    let place = Place::new();
    let renew = || {
        let made = rcgen::generate_simple_self_signed(vec!["lists.example".into()]).expect("a certificate");
        place.write("transfer.key", made.signing_key.serialize_pem());
        place.write("transfer.pem", made.cert.pem());
        made.cert.pem()
    };
    secret(&place, "isp-a.secret", &BASE64_STANDARD.encode([1; 32]));
    let port = free_port();
    let tls = format!("tls_listen = [\"127.0.0.1:{port}\"]\ntls_certificate = \"transfer.pem\"\ntls_key = \"transfer.key\"\n");
    place.write("bwld.toml", settings(&["isp-a"], &["isp-a"], &tls));
    let old = renew();
    let (mut daemon, _) = served(&place);
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stands = encrypted(to, &old).expect("the certificate of the start");
    assert_eq!(codes(&mut stands, "isp-a", 1).0, Rcode::NOERROR);
    assert!(encrypted_by(to, &old, &[&rustls::version::TLS13]).is_some());
    assert!(encrypted_by(to, &old, &[&rustls::version::TLS12]).is_none(), "RFC 9103 section 7.1");

    // A file that is none is not taken.
    let _ = daemon.said();
    place.write("transfer.pem", "no certificate");
    hang_up(&daemon);
    says(&mut daemon, "certificate and key have changed and are not used");
    assert!(encrypted(to, &old).is_some());
    let new = renew();
    hang_up(&daemon);
    wait_for("the new certificate", || encrypted(to, &new).is_some());
    assert!(encrypted(to, &old).is_none());
    assert_eq!(codes(&mut stands, "isp-a", 1).0, Rcode::NOERROR, "over the connection of before");
    assert!(daemon.stop().success());
}
