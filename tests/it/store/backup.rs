//! Backup while publishing goes on, restore, and backups that were tampered with.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bwld::store::{BackupReport, Disk, RealDisk, RestoreOptions, RestoreReport, Store, StoreError, create_secret, restore};

use super::made::*;

fn data_folder(dir: &Path) -> Store {
    let (store, _) = open(dir, MEMORY);
    store.commit(&list("a")).unwrap();
    store.commit(&list("b")).unwrap();
    for n in 1..=10 {
        publish(&store, "a", n, n.div_ceil(4)).unwrap();
    }
    publish(&store, "b", 1, 1).unwrap();
    stage(&store, "b", "+domain:x.example\n").unwrap();
    fs::create_dir(dir.join("keys")).unwrap();
    create_secret(&RealDisk, &dir.join("keys/signing.key"), "signing").unwrap();
    create_secret(&RealDisk, &dir.join("operator.token"), "token").unwrap();
    store
}

fn restored(from: &Path, into: &Path, options: &RestoreOptions) -> Result<RestoreReport, StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    restore(from, into, options, at(99), &disk, &mut |_| {})
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

fn backed_up(dir: &Path, secrets: bool) -> (Store, BackupReport) {
    let store = data_folder(&dir.join("data"));
    let report = store.backup(&dir.join("backup"), secrets, at(50)).unwrap();
    (store, report)
}

#[test]
fn a_restored_folder_is_the_one_that_was_backed_up_and_serials_go_on_above() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = backed_up(dir.path(), false);
    let before = (store.lists().unwrap(), store.versions(&id("a"), None, 99).unwrap());
    // It goes on after the backup; a mirror will tell how far.
    publish(&store, "a", 11, 3).unwrap();
    publish(&store, "a", 12, 3).unwrap();
    assert!(report.linked > 5 && report.files > report.linked);
    let into = dir.path().join("new");
    let options = RestoreOptions {
        highest: BTreeMap::from([(id("a"), serial(12)), (id("later"), serial(3))]),
        margin: 1_000,
        manifest: Some(report.manifest),
    };
    let done = restored(&dir.path().join("backup"), &into, &options).unwrap();
    assert_eq!((done.secrets, done.made, done.unknown), (false, at(50), vec![id("later")]));
    // 13 is left out: whoever has 12 would see it name another version before it.
    assert_eq!(done.next, [(id("a"), serial(14)), (id("b"), serial(1_002))]);
    let (new, recovery) = open(&into, MEMORY);
    assert_eq!(recovery.missing, []);
    assert_eq!(new.check().unwrap().problems, [""; 0]);
    let mut after = new.lists().unwrap();
    for list in &mut after {
        list.floor = None;
    }
    assert_eq!((after, new.versions(&id("a"), None, 99).unwrap()), before);
    assert!(publish(&new, "a", 11, 3).is_err());
    publish(&new, "a", 14, 14).unwrap();
    assert!(!into.join("keys").exists() && !into.join("operator.token").exists());
}

#[test]
fn secrets_go_into_it_only_when_asked_for_and_stay_secret() {
    let dir = tempfile::tempdir().unwrap();
    backed_up(dir.path(), true);
    let into = dir.path().join("new");
    assert!(restored(&dir.path().join("backup"), &into, &RestoreOptions::default()).unwrap().secrets);
    for root in [dir.path().join("backup"), into] {
        for name in ["keys/signing.key", "operator.token"] {
            assert_eq!(fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn publishing_goes_on_while_a_backup_is_made_and_the_backup_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = data_folder(&dir.path().join("data"));
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for n in 11..=60 {
                publish(&store, "a", n, n.div_ceil(4)).unwrap();
                if n % 20 == 0 {
                    store.maintain().unwrap();
                }
            }
        });
        for n in 0..4 {
            let to = dir.path().join(format!("backup-{n}"));
            store.backup(&to, false, at(n)).unwrap();
            restored(&to, &dir.path().join(format!("new-{n}")), &RestoreOptions::default()).unwrap();
        }
        publisher.join().unwrap();
    });
    let (new, _) = open(&dir.path().join("new-3"), MEMORY);
    assert_eq!(new.check().unwrap().problems, [""; 0]);
}

#[test]
fn a_backup_of_which_anything_was_changed_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, report) = backed_up(dir.path(), true);
    let backup = dir.path().join("backup");
    let into = dir.path().join("new");
    let exact = RestoreOptions { manifest: Some(report.manifest), ..RestoreOptions::default() };
    let mut names = Vec::new();
    files(&backup, &mut names);
    assert!(names.len() > 15);
    for name in names {
        let bytes = fs::read(&name).unwrap();
        let manifest = name.ends_with("manifest.json");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        // Artefacts are links to those of the store: give the changed ones files of their own.
        for changed in [flipped, bytes[..bytes.len() - 1].to_vec()] {
            fs::remove_file(&name).unwrap();
            fs::write(&name, &changed).unwrap();
            let options = if manifest { &exact } else { &RestoreOptions::default() };
            restored(&backup, &into, options).expect_err(&name.display().to_string());
            assert!(!into.exists(), "{}", name.display());
        }
        fs::remove_file(&name).unwrap();
        restored(&backup, &into, &RestoreOptions::default()).expect_err(&name.display().to_string());
        fs::write(&name, &bytes).unwrap();
    }
    restored(&backup, &into, &exact).unwrap();
}

#[test]
fn a_manifest_that_leads_out_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    backed_up(dir.path(), true);
    let backup = dir.path().join("backup");
    let text = fs::read_to_string(backup.join("manifest.json")).unwrap();
    for bad in ["../operator.token", "/etc/passwd", "keys/../operator.token", "index/x", "keys/a/b", "journal/x.seg", "keys/.hidden"] {
        fs::write(backup.join("manifest.json"), text.replace("\"operator.token\"", &format!("{bad:?}"))).unwrap();
        let error = restored(&backup, &dir.path().join("new"), &RestoreOptions::default()).unwrap_err().to_string();
        assert!(error.contains("no place in it"), "{bad}: {error}");
    }
}

#[test]
fn a_journal_that_was_rewritten_with_its_digest_is_still_refused() {
    let dir = tempfile::tempdir().unwrap();
    backed_up(dir.path(), false);
    let backup = dir.path().join("backup");
    // Leave the last segment out, of manifest and folder.
    let manifest = backup.join("manifest.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let files = value["files"].as_array_mut().unwrap();
    let at = files.iter().rposition(|f| f["path"].as_str().unwrap().starts_with("journal/")).unwrap();
    let gone = files.remove(at);
    fs::remove_file(backup.join(gone["path"].as_str().unwrap())).unwrap();
    fs::write(&manifest, value.to_string()).unwrap();
    let error = restored(&backup, &dir.path().join("new"), &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::BadBackup { .. }), "{error}");
}

#[test]
fn neither_backup_nor_restore_writes_into_a_folder_that_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = backed_up(dir.path(), false);
    assert!(matches!(store.backup(&dir.path().join("backup"), false, at(1)), Err(StoreError::Exists { .. })));
    let data = dir.path().join("data");
    let refused = restored(&dir.path().join("backup"), &data, &RestoreOptions::default());
    assert!(matches!(refused, Err(StoreError::Exists { .. })));
}

#[test]
fn a_restore_that_was_interrupted_is_not_taken_for_a_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("restore-unfinished"), "").unwrap();
    let error = open_on(dir.path(), MEMORY, Arc::new(RealDisk)).unwrap_err();
    assert!(matches!(error, StoreError::Unfinished { .. }), "{error}");
}
