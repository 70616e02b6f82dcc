//! What the publisher's data folder must hold beside the store: keys, the first key set, the operator's token.
//!
//! Guarantees: each secret is made once, exclusively and with mode 0600; a start that was cut off anywhere is continued
//! by the next one with what is already there. The caller holds the lock of the folder.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::list::{Origin, Timestamp};
use crate::store::{RealDisk, create_folder, create_secret, read_secret, write_file_atomic};
use crate::trust::SecretKey;
use crate::wire::{KeySet, ListSelection, MAX_KEYSET, RootKey, SigningKeyLine};

use super::super::{files, keys};

/// How long the first signing key is valid, in seconds: ten years. Rotation does not wait for it.
const VALID: u64 = 10 * 365 * 86_400;
/// A key is valid from this many seconds before now, so that a follower whose clock is behind accepts it.
pub const VALID_BEFORE: u64 = 86_400;

/// The secret keys' folder, and the signing key: made if this folder has had no key set yet.
///
/// # Errors
/// Of the disk; that the key is missing though a key set is in force.
pub fn signing_key(data: &Path, origin: &Origin, fresh: bool) -> anyhow::Result<SecretKey> {
    create_folder(&RealDisk, &data.join("keys"))?;
    let path = data.join(files::SIGNING_KEY);
    if path.exists() {
        return keys::read(&path);
    }
    if !fresh {
        bail!(
            "{} is missing; put it back from where you keep keys, or name a new one in a new key set (bwld keys set new)",
            path.display()
        );
    }
    made(&path, &format!("{origin}/signing"))
}

/// The key that signs exports for minisign: made if it is not there. It is no signing key of a key set: whoever has it can
/// sign exports, not heads.
///
/// # Errors
/// Of the disk.
pub fn minisign_key(data: &Path, origin: &Origin) -> anyhow::Result<SecretKey> {
    create_folder(&RealDisk, &data.join("keys"))?;
    let path = data.join(files::MINISIGN_KEY);
    if path.exists() { keys::read(&path) } else { made(&path, &format!("{origin}/minisign")) }
}

fn made(path: &Path, name: &str) -> anyhow::Result<SecretKey> {
    let key = SecretKey::generate(name)?;
    create_secret(&RealDisk, path, &Zeroizing::new(format!("{}\n", key.to_text().as_str())))?;
    Ok(key)
}

/// The first key set as a signed note: the one that lies ready (made off line), or a new one with a root key made here.
///
/// # Errors
/// Of the disk; that what lies ready is of another origin.
pub fn first_keyset(data: &Path, origin: &Origin, signer: &SecretKey, now: Timestamp) -> anyhow::Result<String> {
    let ready = data.join(files::FIRST_KEYSET);
    if ready.exists() {
        let note = String::from_utf8(files::read_bounded(&ready, MAX_KEYSET as u64)?).context("the first key set is text")?;
        let (set, _) = super::super::keyset::read(note.as_bytes())?;
        ensure!(set.origin == *origin, "{} is of origin {}, but serve.origin is {origin}", ready.display(), set.origin);
        return Ok(note);
    }
    let path = data.join(files::ROOT_KEY);
    let root = if path.exists() { keys::read(&path)? } else { made(&path, &format!("{origin}/root"))? };
    let from = Timestamp::from_unix(now.unix().saturating_sub(VALID_BEFORE));
    let set = KeySet {
        origin: origin.clone(),
        number: 1,
        previous: None,
        threshold: 1,
        roots: vec![RootKey { name: root.name().to_owned(), key: root.public() }],
        signing: vec![SigningKeyLine {
            name: signer.name().to_owned(),
            key: signer.public(),
            from,
            until: now.plus(VALID),
            lists: ListSelection::All,
        }],
        issued: now,
    };
    let note = root.sign_note(set.to_text()).encode();
    // Crash after this line: the next start takes this very note, so the fingerprint stays what it was.
    write_file_atomic(&RealDisk, &ready, note.as_bytes())?;
    Ok(note)
}

/// The operator's token: 256 random bits, made at the first start.
///
/// # Errors
/// Of the disk or the random source.
pub fn operator_token(data: &Path) -> anyhow::Result<Zeroizing<String>> {
    let path = data.join(files::TOKEN);
    if !path.exists() {
        let mut bits = Zeroizing::new([0; 32]);
        getrandom::fill(bits.as_mut()).context("the system has no randomness")?;
        create_secret(&RealDisk, &path, &Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(bits.as_ref()))))?;
    }
    let token = Zeroizing::new(read_secret(&path)?.trim().to_owned());
    ensure!(token.len() >= 32, "{} is too short for a token; remove it, and the next start makes a new one", path.display());
    Ok(token)
}

/// The key from which second factors are made: 256 random bits, made at the first start that misses it.
///
/// # Errors
/// Of the disk or the random source; that the file holds no key.
pub fn people_key(data: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    create_folder(&RealDisk, &data.join("keys"))?;
    let path = data.join(files::PEOPLE_KEY);
    if !path.exists() {
        let mut bits = Zeroizing::new([0; 32]);
        getrandom::fill(bits.as_mut()).context("the system has no randomness")?;
        create_secret(&RealDisk, &path, &Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(bits.as_ref()))))?;
    }
    let text = read_secret(&path)?;
    let octets = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).unwrap_or_default());
    let mut key = Zeroizing::new([0; 32]);
    ensure!(octets.len() == key.len(), "{} holds no key; put it back from a backup with secrets", path.display());
    key.copy_from_slice(&octets);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::list::Digest;
    use crate::trust::Trusted;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_private_and_the_key_set_is_valid() {
        let dir = tempfile::tempdir().expect("a folder");
        let origin: Origin = "a.example".parse().expect("an origin");
        let now = Timestamp::from_unix(1_800_000_000);
        let signer = signing_key(dir.path(), &origin, true).expect("made");
        let note = first_keyset(dir.path(), &origin, &signer, now).expect("made");
        let token = operator_token(dir.path()).expect("made");
        let people = people_key(dir.path()).expect("made");
        assert_eq!(token.len(), 43, "256 bits");
        for name in [files::ROOT_KEY, files::SIGNING_KEY, files::PEOPLE_KEY, files::TOKEN] {
            let mode = std::fs::metadata(dir.path().join(name)).expect(name).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let set = super::super::super::keyset::read(note.as_bytes()).expect("a key set").0;
        let fingerprint: Digest = set.fingerprint();
        Trusted::pin(note.as_bytes(), &fingerprint).expect("signed by its root key");
        // A second start, and one that was cut off before the key set was in force, find the same.
        assert_eq!(signing_key(dir.path(), &origin, true).expect("read").public(), signer.public());
        assert_eq!(first_keyset(dir.path(), &origin, &signer, now.plus(9)).expect("read"), note);
        assert_eq!(operator_token(dir.path()).expect("read").as_str(), token.as_str());
        assert_eq!(people_key(dir.path()).expect("read"), people);
    }

    #[test]
    fn a_missing_key_is_not_replaced_behind_the_operators_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let origin: Origin = "a.example".parse().expect("an origin");
        assert!(signing_key(dir.path(), &origin, false).is_err_and(|e| e.to_string().contains("is missing")));
    }
}
