//! Holds the texts and the files of `deploy/` to what they speak of: links lead somewhere, every dependency has its
//! reason, alerts name metrics that exist, units keep their hardening, commands that are to be pasted work.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::support::Place;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files of a folder with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

fn texts() -> Vec<PathBuf> {
    [files("", ".md"), files("docs", ".md"), files("lists", ".md")].concat()
}

/// Targets of `](target)` links.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn links_lead_to_files_that_exist() {
    let mut broken = Vec::new();
    for path in texts() {
        let text = fs::read_to_string(&path).expect("a text");
        for link in links(&text).into_iter().filter(|l| !l.contains("://") && !l.starts_with('#')) {
            let target = path.parent().expect("a folder").join(link.split('#').next().expect("a path"));
            if !target.exists() {
                broken.push(format!("{}: {link}", path.strip_prefix(root()).expect("below the root").display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("TOML");
    let reasons = read("docs/DEPENDENCIES.md");
    let mut missing = Vec::new();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().expect("a section").keys() {
            let named = reasons.lines().any(|line| {
                let first = line.split('|').nth(1).unwrap_or("");
                first.split(',').any(|word| word.trim() == name)
            });
            if !named && !reasons.contains(&format!("{name} (")) && !reasons.contains(&format!(", {name}.")) {
                missing.push(name.clone());
            }
        }
    }
    assert!(missing.is_empty(), "docs/DEPENDENCIES.md does not say why: {}", missing.join(", "));
}

#[test]
fn texts_name_settings_that_exist() {
    let example: toml::Table = toml::from_str(&read("deploy/bwld.example.toml")).expect("TOML");
    let mut seen = 0;
    for path in [texts(), files("deploy", ".service"), files("deploy", ".yml")].concat() {
        let text = fs::read_to_string(&path).expect("a text");
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
            let word = word.trim_end_matches('.');
            let Some((section, key)) = word.split_once('.') else { continue };
            // `follow.py`, `bwld-serve.service` and the like are files.
            if !example.contains_key(section) || ["py", "rs", "md", "service", "timer", "address"].contains(&key) {
                continue;
            }
            // `[[dns.zone]]` and the like are sections, of which there may be several: the example has none.
            if section == "dns" && ["zone", "key", "catalog"].contains(&key) {
                continue;
            }
            let known = example[section].as_table().expect("a section").contains_key(key);
            assert!(known, "{}: there is no setting {word}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10);
}

#[test]
fn alerts_name_metrics_that_exist() {
    let mut sources = String::new();
    for file in [files("src/http", ".rs"), files("src/feed", ".rs")].concat() {
        sources.push_str(&fs::read_to_string(file).expect("a source"));
    }
    let alerts = read("deploy/alerts.yml");
    let mut seen = 0;
    for word in alerts.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| w.starts_with("bwld_")) {
        // What prometheus-client puts around the registered name: prefixes, unit, and the kind of sample.
        let mut name = word.trim_start_matches("bwld_").trim_start_matches("feed_");
        for ending in ["_bucket", "_total", "_seconds", "_bytes"] {
            name = name.strip_suffix(ending).unwrap_or(name);
        }
        assert!(sources.contains(&format!("\"{name}\"")), "deploy/alerts.yml: {word} is registered nowhere");
        seen += 1;
    }
    assert!(seen > 5);
}

#[test]
fn units_keep_their_hardening() {
    let demanded = [
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "MemoryDenyWriteExecute=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "RestrictNamespaces=yes",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "UMask=",
        "MemoryMax=",
        "StateDirectory=",
    ];
    let units = files("deploy", ".service");
    assert_eq!(units.len(), 3);
    for unit in units {
        let text = fs::read_to_string(&unit).expect("a unit");
        for line in demanded {
            assert!(text.lines().any(|l| l.starts_with(line)), "{}: no {line}", unit.display());
        }
        let user = text.lines().find_map(|l| l.strip_prefix("User=")).expect("a user of its own");
        assert!(read("deploy/bwld.sysusers").contains(&format!("u {user} ")), "{user} is not made by bwld.sysusers");
        let command = text.lines().find_map(|l| l.strip_prefix("ExecStart=/usr/bin/bwld ")).expect("a command");
        let source = ["{}.rs", "{}/mod.rs"].iter().any(|form| root().join("src/cmd").join(form.replace("{}", command)).exists());
        assert!(source, "{}: no subcommand {command}", unit.display());
    }
}

/// The commands of the section on entries with a reason, pasted one after the other beside a publisher that was just started.
#[test]
fn the_walk_through_an_entry_with_a_reason_works_as_it_stands() {
    let text = read("docs/OPERATIONS.md");
    let section = text.split("## Entries with a reason, and review").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let commands: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(commands.len() >= 20 && commands.iter().any(|line| line.starts_with("bwld undo")), "{commands:?}");
    let place = Place::new();
    let _daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &[]);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_bwld")).parent().expect("a folder");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&paths))).expect("a path");
    let mut shell = std::process::Command::new("sh");
    let shell = shell.args(["-e", "-u", "-x", "-c", &commands.join("\n")]).current_dir(place.path("."));
    let done = shell.env_clear().env("PATH", paths).env("HOME", place.path(".")).output().expect("a shell");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("look again   2027-06-01") && said.contains("block: canary domain:bad.example"), "{said}");
}
