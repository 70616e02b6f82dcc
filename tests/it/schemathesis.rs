//! A program that knows nothing of bwld but its description asks whatever that description allows, and what it forbids
//! (schemathesis, from PyPI).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Place;

/// What must hold of every answer. That whatever a schema allows is done is not among them: a schema cannot say that a public
/// suffix is no target, or that a key was used before.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,allow_header_conformance,\
    ignored_auth";

/// Calls that are left out, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("backUp", "it would write folders wherever the made-up path leads"),
    ("events", "its answer does not end"),
    ("watchJob", "its answer does not end"),
    ("head", "its answer waits as long as it is told to"),
    ("check", "it reads the whole store each time"),
];

/// Where the program is: in the virtual environment of the tests, or on the path.
fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/schemathesis");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("schemathesis"));
    std::iter::once(own).chain(on_path).find(|file| file.is_file())
}

#[test]
fn what_is_described_is_what_is_answered() {
    let Some(program) = program() else {
        assert!(std::env::var_os("CI").is_none(), "schemathesis is not there; .ci/run installs it into target/venv");
        println!("skipped: schemathesis is not there; pip install schemathesis");
        return;
    };
    let place = Place::new();
    let mut daemon = place.serve();
    let address = daemon.address();
    // One worker: two of them trip over each other in Python 3.11.
    // The name that the description gives as an example.
    place.run(&["list", "create", "adult", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "adult", "a.example", "b.example", "--publish"]).with_code(0);
    let token = place.read("bwld-data/operator.token");
    let mut command = Command::new(program);
    command.current_dir(place.path("")).args(["run", &format!("{address}/v1/openapi.json"), "--checks", CHECKS]);
    command.args(["--header", &format!("Authorization: Bearer {}", token.trim())]);
    command.args(["--max-examples", "15", "--seed", "20261124", "--generation-database", "none", "--no-color"]);
    LEFT_OUT.iter().for_each(|(id, _)| {
        command.args(["--exclude-operation-id", id]);
    });
    let said = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
    // No token is in what the daemon has logged, whatever was asked.
    assert!(!daemon.said().contains(token.trim()));
}
