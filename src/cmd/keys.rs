//! `bwld keys`: make and show secret keys, print the fingerprint subscribers pin. Key sets: `keyset.rs`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::store::{RealDisk, create_secret, read_secret};
use crate::trust::SecretKey;
use crate::wire::MAX_KEYSET;

use super::client::Connect;
use super::{files, keyset, out};

/// Make and show keys; make, sign and activate key sets.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make a secret key in a new file of mode 0600
    #[command(after_help = "\
Examples:
  bwld keys generate example/root-2 --out root-2.key        on a machine that is off line
  bwld keys generate example/signing-2027 --out signing.key")]
    Generate {
        /// The key's name in signatures: a-z 0-9 . - _ /
        name: String,
        /// The file; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the public part of a secret key
    #[command(after_help = "Examples:\n  bwld keys show bwld-data/keys/signing.key")]
    Show {
        /// The secret key's file
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the fingerprint of a key set: what a subscriber pins
    #[command(after_help = "\
Examples:
  bwld keys fingerprint                    of the key set in force, asked from the daemon
  bwld keys fingerprint next.keyset        of a file")]
    Fingerprint {
        /// A key set's file; without it the daemon is asked
        file: Option<PathBuf>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Print the public key of the signatures over exports, for minisign: asked from the daemon
    #[command(
        after_help = "Examples:\n  bwld keys minisign > minisign.pub\n  minisign -V -p minisign.pub -m canary.hosts.txt -x canary.hosts.minisig"
    )]
    Minisign {
        #[command(flatten)]
        connect: Connect,
    },
    /// Make, sign, show and activate key sets
    #[command(subcommand)]
    Set(keyset::Command),
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::Generate { name, out } => generate(&name, &out),
        Command::Show { file, json } => show(&file, json),
        Command::Fingerprint { file, connect } => {
            let note = match &file {
                Some(file) => files::read_bounded(file, MAX_KEYSET as u64)?,
                None => keyset::in_force(&connect, config).await?.into_bytes(),
            };
            let (set, _) = keyset::read(&note)?;
            out::print(&format!("{}\n", set.fingerprint()))
        }
        Command::Minisign { connect } => out::print(&connect.open_public(config)?.text("v1/minisign.pub").await?),
        Command::Set(command) => keyset::run(command, config).await,
    }
}

fn generate(name: &str, file: &Path) -> anyhow::Result<()> {
    let key = SecretKey::generate(name)?;
    create_secret(&RealDisk, file, &zeroize::Zeroizing::new(format!("{}\n", key.to_text().as_str())))?;
    out::print(&format!("{}: made. Its public part:\n{} {}\n", file.display(), key.name(), STANDARD.encode(key.public())))
}

fn show(file: &Path, json: bool) -> anyhow::Result<()> {
    let key = read(file)?;
    let hash: String = key.sign("\n").key_hash.iter().map(|b| format!("{b:02x}")).collect();
    let public = STANDARD.encode(key.public());
    if json {
        return out::print_json(&serde_json::json!({"name": key.name(), "public": public, "hash": hash}));
    }
    out::print(&format!("name    {}\npublic  {public}\nhash    {hash}\n", key.name()))
}

/// Reads a secret key.
///
/// # Errors
/// Of the file, or that it is no key; its text is never quoted.
pub fn read(file: &Path) -> anyhow::Result<SecretKey> {
    let text = read_secret(file)?;
    SecretKey::from_text(text.trim_end()).map_err(|e| anyhow::anyhow!("{} is no secret key: {e}", file.display()))
}

/// A public key from `NAME=BASE64` or a secret key's file.
///
/// # Errors
/// That it is neither.
pub fn public(text: &str) -> anyhow::Result<(String, [u8; 32])> {
    if let Some((name, base64)) = text.split_once('=')
        && let Ok(bytes) = STANDARD.decode(base64)
        && let Ok(key) = <[u8; 32]>::try_from(bytes)
    {
        return Ok((name.to_owned(), key));
    }
    let key = read(Path::new(text)).with_context(|| format!("\"{text}\" is neither NAME=BASE64 nor a key's file"))?;
    Ok((key.name().to_owned(), key.public()))
}
