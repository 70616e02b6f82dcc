//! What a maker of filters links: neither runtime nor network nor database is in the tree of the core.

use std::collections::BTreeSet;
use std::process::Command;

/// The names of all crates that are linked into a package.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "-e", "normal", "--locked", "--offline", "--prefix", "none"]);
    let output = cargo.args(arguments).output().expect("cargo starts");
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The dependencies that only the feature `daemon` brings, as `Cargo.toml` names them.
fn daemon_only() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
    let daemon = manifest["features"]["daemon"].as_array().expect("a feature");
    daemon.iter().filter_map(|name| name.as_str()?.strip_prefix("dep:")).map(str::to_owned).collect()
}

#[test]
fn the_core_links_neither_runtime_nor_network_nor_database() {
    let forbidden = daemon_only();
    for name in ["tokio", "hyper", "axum", "reqwest", "sled", "tracing", "rustls"] {
        assert!(forbidden.contains(name), "{name} is the daemon's");
    }
    for arguments in [["-p", "bwld", "--no-default-features"].as_slice(), &["-p", "bwld-capi"]] {
        let linked = tree(arguments);
        assert!(linked.contains("bwld") && linked.contains("ed25519-dalek"), "{arguments:?} shows the tree: {linked:?}");
        let wrong: Vec<&String> = linked.intersection(&forbidden).collect();
        assert!(wrong.is_empty(), "cargo tree {arguments:?}: only the daemon may link {wrong:?}");
        let wrong: Vec<&String> = linked.iter().filter(|name| forbidden.iter().any(|f| name.starts_with(&format!("{f}-")))).collect();
        assert!(wrong.is_empty(), "cargo tree {arguments:?}: only the daemon may link {wrong:?}");
    }
    assert!(tree(&["-p", "bwld"]).is_superset(&BTreeSet::from(["tokio".to_owned(), "sled".to_owned()])), "the daemon links them");
}
