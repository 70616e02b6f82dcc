//! Two operators at once, by the program: who was slower is told so, and nothing of the other's work is lost.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::support::Place;

/// Passes one client's connections on to `server`, and calls `between` before the first request by `method` is passed on.
/// Returns its address.
fn slow_way(server: &str, method: &'static str, between: impl FnOnce() + Send + 'static) -> String {
    let server = server.strip_prefix("http://").expect("an http address").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it listens"));
    std::thread::spawn(move || {
        let mut between = Some(between);
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let mut daemon = TcpStream::connect(&server).expect("a listening daemon");
            let (mut from, mut to) = (daemon.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            let back = std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let mut buffer = [0; 64 << 10];
            while let Ok(read @ 1..) = client.read(&mut buffer) {
                if buffer[..read].starts_with(method.as_bytes())
                    && let Some(between) = between.take()
                {
                    between();
                }
                daemon.write_all(&buffer[..read]).expect("the daemon reads");
            }
            let _ = daemon.shutdown(Shutdown::Write);
            back.join().expect("passed on");
        }
    });
    address
}

#[test]
fn who_was_slower_is_told_and_undoes_nothing() {
    let place = std::sync::Arc::new(Place::new());
    let daemon = place.serve();
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["account", "add", "anna", "--role", "editor@t"]).with_code(0);

    let other = place.clone();
    let way = slow_way(&daemon.address(), "PUT", move || {
        other.run(&["policy", "set", "t", "--max-entries", "7"]).with_code(0);
    });
    let slower = place.run(&["freeze", "t", "--approvals", "2", "--server", &way]).with_code(1);
    assert!(slower.err.contains("run it again"), "{}", slower.err);
    let policy = place.run(&["policy", "show", "t", "--json"]).with_code(0).json();
    assert_eq!((&policy["approvals"], &policy["max_entries"]), (&0.into(), &7.into()), "{policy}");
    // Once more, on what is there now: both are in force.
    place.run(&["freeze", "t", "--approvals", "2", "--server", &way]).with_code(0);
    let policy = place.run(&["policy", "show", "t", "--json"]).with_code(0).json();
    assert_eq!((&policy["approvals"], &policy["max_entries"]), (&2.into(), &7.into()), "{policy}");

    // A role that was just taken away does not come back with another that is given.
    let other = place.clone();
    let way = slow_way(&daemon.address(), "PATCH", move || {
        other.run(&["account", "set", "anna", "--role", "auditor@t"]).with_code(0);
    });
    let slower = place.run(&["account", "set", "anna", "--role", "reviewer@t", "--server", &way]).with_code(1);
    assert!(slower.err.contains("run it again"), "{}", slower.err);
    let listed = place.run(&["account", "list"]).with_code(0);
    assert!(listed.out.contains("auditor@t") && !listed.out.contains("reviewer@t"), "{}", listed.out);
}

#[test]
fn an_account_is_disabled_whatever_it_does_meanwhile() {
    let place = std::sync::Arc::new(Place::new());
    let daemon = place.serve();
    place.run(&["account", "add", "anna", "--role", "editor"]).with_code(0);
    // A token more changes the account's tag, between any reading of it and the write.
    for (command, disabled) in [("disable", true), ("enable", false)] {
        let other = place.clone();
        let way = slow_way(&daemon.address(), "PATCH", move || {
            other.run(&["token", "new", "anna"]).with_code(0);
        });
        place.run(&["account", command, "anna", "--server", &way]).with_code(0);
        let listed = place.run(&["account", "list", "--json"]).with_code(0).json();
        let anna = listed.as_array().expect("accounts").iter().find(|one| one["name"] == "anna").expect("anna");
        assert_eq!(anna["disabled"], disabled, "{anna}");
    }
    let listed = place.run(&["token", "list", "anna", "--json"]).with_code(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn a_scheme_is_put_only_in_the_place_of_the_one_that_was_read() {
    let place = std::sync::Arc::new(Place::new());
    let daemon = place.serve();
    let scheme = |code: &str| {
        let names = serde_json::json!({"en": code});
        serde_json::json!({"id": "ours", "names": {"en": "Ours"}, "codes": [{"code": code, "names": names}]}).to_string()
    };
    for code in ["one", "two", "three"] {
        place.write(&format!("{code}.json"), scheme(code));
    }
    place.run(&["scheme", "put", "one.json"]).with_code(0);
    let other = place.clone();
    let way = slow_way(&daemon.address(), "PUT", move || {
        other.run(&["scheme", "put", "two.json"]).with_code(0);
    });
    let slower = place.run(&["scheme", "put", "three.json", "--server", &way]).with_code(1);
    assert!(slower.err.contains("run it again"), "{}", slower.err);
    assert!(place.run(&["scheme", "list"]).with_code(0).out.contains("en: two"));
    place.run(&["scheme", "put", "three.json", "--server", &way]).with_code(0);
}
