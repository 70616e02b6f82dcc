//! `deploy/school-update.sh`: lists for a school with curl, zstd and minisign alone. It installs what is genuine and newer, and
//! leaves what is installed alone whatever else comes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use crate::support::{Daemon, Place, get};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/school-update.sh");

/// Whether everything the script needs is here; CI must have it.
fn ready() -> bool {
    let absent: Vec<&str> =
        ["curl", "zstd", "minisign"].into_iter().filter(|p| Command::new(p).arg("--version").output().is_err()).collect();
    assert!(absent.is_empty() || std::env::var_os("CI").is_none(), "CI must have {}: .ci/run installs it", absent.join(", "));
    if !absent.is_empty() {
        println!("skipped: {} is not installed", absent.join(", "));
    }
    absent.is_empty()
}

fn published(place: &Place) -> Daemon {
    let daemon = place.serve();
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    place.write("key.pub", get(&daemon.address(), "/v1/minisign.pub"));
    daemon
}

/// Runs the script for list `t` as domains into `out`; the command appends to `reloaded`.
fn update(place: &Place, address: &str) -> Output {
    let mut command = Command::new("sh");
    command.arg(SCRIPT).args(["-s", address, "-k", "key.pub", "-l", "t", "-f", "domains", "-o", "out"]);
    command.args(["--", "sh", "-c", "echo once >> reloaded"]).current_dir(place.path("")).env("no_proxy", "*");
    command.output().expect("sh runs")
}

#[track_caller]
fn ends(place: &Place, address: &str, code: i32) -> String {
    let output = update(place, address);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn reloads(place: &Place) -> usize {
    std::fs::read_to_string(place.path("reloaded")).map_or(0, |text| text.lines().count())
}

/// What the stand-in answers: the export and its signature, each with a status, a body, and how much of the body is sent.
#[derive(Clone)]
struct Answers {
    export: (u16, Vec<u8>, usize),
    signature: Vec<u8>,
}

/// A server that says what it is told to say; ends with the test's process.
fn stand_in(answers: Arc<Mutex<Answers>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &answers.lock().expect("no panic").clone())));
    address
}

fn answer(mut stream: TcpStream, answers: &Answers) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
    let wanted = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body, sent) = match wanted.contains(".minisig") {
        true => (200, &answers.signature, answers.signature.len()),
        false => (answers.export.0, &answers.export.1, answers.export.2),
    };
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), &body[..sent.min(body.len())]].concat());
}

#[test]
fn it_installs_what_is_new_and_does_nothing_where_nothing_is() {
    if !ready() {
        return;
    }
    let place = Place::new();
    let daemon = published(&place);
    let address = daemon.address();
    ends(&place, &address, 0);
    assert!(place.read("out").contains("\na.example\n"));
    assert_eq!(place.read("out").as_bytes(), get(&address, "/v1/lists/t/export/domains"));
    let (written, state) = (std::fs::metadata(place.path("out")).expect("a file").modified().expect("a time"), place.read("out.state"));
    assert!(state.contains("serial=1\n"), "{state}");
    ends(&place, &address, 0);
    assert_eq!((reloads(&place), std::fs::metadata(place.path("out")).expect("a file").modified().expect("a time")), (1, written));
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    ends(&place, &address, 0);
    assert!(place.read("out").contains("\nb.example\n") && reloads(&place) == 2);
    // The server is away: what is installed stays, and nothing is left lying about.
    assert!(daemon.stop().success());
    let before = place.read("out");
    ends(&place, &address, 1);
    assert_eq!((place.read("out"), reloads(&place)), (before, 2));
    let left: Vec<String> =
        std::fs::read_dir(place.path("")).expect("a folder").flatten().map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.contains(".school-update") || name.ends_with(".lock")), "{left:?}");
    assert_eq!(Command::new("sh").args([SCRIPT, "-s", &address]).output().expect("sh runs").status.code(), Some(2));
}

#[test]
fn what_is_old_bent_cut_or_empty_is_refused_and_what_is_installed_stays() {
    if !ready() {
        return;
    }
    let place = Place::new();
    let daemon = published(&place);
    let fetch = |what: &str| get(&daemon.address(), &format!("/v1/lists/t/export/{what}"));
    let (old, old_signature) = (fetch("domains"), fetch("domains.minisig"));
    let (other, other_signature) = (fetch("hosts"), fetch("hosts.minisig"));
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    let (new, signature) = (fetch("domains"), fetch("domains.minisig"));
    let genuine = Answers { export: (200, new.clone(), usize::MAX), signature: signature.clone() };
    let said = Arc::new(Mutex::new(genuine.clone()));
    let address = stand_in(said.clone());
    ends(&place, &address, 0);
    let installed = place.read("out");
    assert_eq!(installed.as_bytes(), new);
    // The tag in the state would spare the fetching: as after an installation that was made by hand.
    let refuse = |what: &str, answers: Answers, code: i32| {
        place.write("out.state", "list=t\nformat=domains\nserial=2\n");
        *said.lock().expect("no panic") = answers;
        let told = ends(&place, &address, code);
        assert_eq!((place.read("out"), reloads(&place)), (installed.clone(), 1), "{what}: {told}");
        assert!(told.contains("stays"), "{what}: {told}");
    };
    let with = |export: &[u8], signature: &[u8]| Answers { export: (200, export.to_vec(), usize::MAX), signature: signature.to_vec() };
    let mut bent = new.clone();
    *bent.last_mut().expect("octets") ^= 1;
    refuse("an octet flipped", with(&bent, &signature), 3);
    refuse("one more line", with(&[&new[..], b"evil.example\n"].concat(), &signature), 3);
    refuse("the old one with the new signature", with(&old, &signature), 3);
    refuse("the old one again, genuine", with(&old, &old_signature), 4);
    refuse("another format, genuine", with(&other, &other_signature), 3);
    let claimed = String::from_utf8(old_signature.clone()).expect("text").replace("serial=1", "serial=9");
    refuse("a serial that was not signed", with(&old, claimed.as_bytes()), 3);
    refuse("no signature", with(&new, b""), 3);
    refuse("empty", with(b"", &signature), 3);
    refuse("cut off on the way", Answers { export: (200, new.clone(), new.len() / 2), signature: signature.clone() }, 1);
    refuse("cut off before", with(&new[..new.len() / 2], &signature), 3);
    refuse("an error page", Answers { export: (404, b"<html>no".to_vec(), usize::MAX), signature: signature.clone() }, 1);
    refuse("a bomb", with(&zstd::encode_all(&*vec![0; 8 << 20], 19).expect("packed"), &signature), 3);
    // Another key: a publisher that is not the one.
    let key = place.read("key.pub");
    let stranger = Place::new();
    let _other = published(&stranger);
    place.write("key.pub", stranger.read("key.pub"));
    refuse("of another key", genuine.clone(), 3);
    place.write("key.pub", key);
    *said.lock().expect("no panic") = genuine;
    ends(&place, &address, 0);
    assert_eq!(reloads(&place), 1, "the same octets are no change");
}

#[test]
fn shellcheck_finds_nothing_in_it() {
    match Command::new("shellcheck").args(["--shell", "sh", SCRIPT]).output() {
        Ok(said) => assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout)),
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "CI must have shellcheck: .ci/run installs it");
            println!("skipped: shellcheck is not installed");
        }
    }
}
