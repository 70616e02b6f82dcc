//! `bwld keys set`: the work with root keys, which can be done off line: draft the next key set, sign it on each root
//! holder's machine, then activate it at the daemon.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::list::{Digest, ListId, Origin, Timestamp};
use crate::store::{Clock as _, RealDisk, SystemClock, write_file_atomic};
use crate::trust::Trusted;
use crate::wire::{KeySet, ListSelection, MAX_KEYSET, Note, RootKey, SigningKeyLine};

use super::client::Connect;
use super::{exit::Ended, files, keys, out};

/// Make, sign, show and activate key sets.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Draft the next key set from the one in force, or the very first
    #[command(after_help = "\
KEY is NAME=BASE64 (as `bwld keys show` prints it) or the file of a secret key.

Examples:
  bwld keys set new --add-signing new.key --out next.keyset         a second signing key
  bwld keys set new --remove-signing example/signing --out next.keyset
  bwld keys set new --first --origin lists.example.org --add-root root.key --add-signing signing.key --out first.keyset")]
    New(Box<NewArgs>),
    /// Add signatures of root keys to a key set
    #[command(after_help = "Examples:\n  bwld keys set sign next.keyset --key root-1.key --key root-2.key")]
    Sign {
        /// The key set, drafted or already signed by others; signatures are added to it
        file: PathBuf,
        /// A root key's file (may be repeated)
        #[arg(long, required = true, value_name = "FILE")]
        key: Vec<PathBuf>,
    },
    /// Show a key set, who signed it, and whether that is enough
    #[command(after_help = "Examples:\n  bwld keys set show\n  bwld keys set show next.keyset --previous current.keyset")]
    Show(ShowArgs),
    /// Put a signed key set in force at the daemon
    #[command(after_help = "Examples:\n  bwld keys set activate next.keyset")]
    Activate {
        /// The key set with enough signatures
        file: PathBuf,
        #[command(flatten)]
        connect: Connect,
    },
}

/// What `bwld keys set new` takes.
#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// The key set in force, as a file [default: ask the daemon]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Draft key set 1 instead
    #[arg(long, requires = "origin", conflicts_with = "from")]
    first: bool,
    /// The publisher's name, for --first
    #[arg(long, requires = "first")]
    origin: Option<Origin>,
    /// A root key to add (may be repeated)
    #[arg(long, value_name = "KEY")]
    add_root: Vec<String>,
    /// A root key to leave out, by name
    #[arg(long, value_name = "NAME")]
    remove_root: Vec<String>,
    /// A signing key to add (may be repeated)
    #[arg(long, value_name = "KEY")]
    add_signing: Vec<String>,
    /// A signing key to leave out, by name
    #[arg(long, value_name = "NAME")]
    remove_signing: Vec<String>,
    /// How many root keys must sign the set after this one
    #[arg(long, value_name = "N")]
    threshold: Option<u32>,
    /// Days for which added signing keys are valid
    #[arg(long, value_name = "N", default_value_t = 730)]
    days: u64,
    /// Lists that added signing keys may sign, joined by commas [default: all]
    #[arg(long, value_name = "LISTS", value_delimiter = ',')]
    lists: Vec<ListId>,
    /// Where to write the draft
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connect: Connect,
}

/// What `bwld keys set show` takes.
#[derive(clap::Args, Debug)]
pub struct ShowArgs {
    /// The key set's file [default: ask the daemon]
    file: Option<PathBuf>,
    /// The key set before it: check the step from that one to this one
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::New(args) => new(*args, config).await,
        Command::Sign { file, key } => sign(&file, &key),
        Command::Show(args) => show(args, config).await,
        Command::Activate { file, connect } => {
            let note = files::read_bounded(&file, MAX_KEYSET as u64)?;
            let (set, signed) = read(&note)?;
            ensure!(signed.is_some(), "{} is a draft without signatures; first: bwld keys set sign", file.display());
            let _: serde_json::Value = connect.open(config)?.send_body("v1/admin/keyset", note.into()).await?;
            out::print(&format!("key set {} is in force; fingerprint {}\n", set.number, set.fingerprint()))
        }
    }
}

/// The note of the key set in force, from the daemon.
pub async fn in_force(connect: &Connect, config: Option<&Path>) -> anyhow::Result<String> {
    connect.open_public(config)?.text("v1/keyset").await
}

/// Reads a key set: a signed note, or a draft without signatures.
///
/// # Errors
/// That it is neither.
pub fn read(bytes: &[u8]) -> anyhow::Result<(KeySet, Option<Note>)> {
    if let Ok(note) = Note::parse(bytes, MAX_KEYSET) {
        return Ok((KeySet::parse(&note.text)?, Some(note)));
    }
    let text = std::str::from_utf8(bytes).context("not a key set: it is no text")?;
    Ok((KeySet::parse(text).context("neither a signed key set nor a draft of one")?, None))
}

async fn new(args: NewArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let mut set = match (&args.from, args.origin) {
        (_, Some(origin)) => {
            KeySet { origin, number: 1, previous: None, threshold: 1, roots: Vec::new(), signing: Vec::new(), issued: now }
        }
        (from, None) => {
            let note = match from {
                Some(file) => files::read_bounded(file, MAX_KEYSET as u64)?,
                None => in_force(&args.connect, config).await?.into_bytes(),
            };
            let (current, _) = read(&note)?;
            KeySet { number: current.number + 1, previous: Some(current.fingerprint()), issued: now, ..current }
        }
    };
    take_out(&mut set.roots, &args.remove_root, |k| &k.name, "root")?;
    take_out(&mut set.signing, &args.remove_signing, |k| &k.name, "signing")?;
    for text in &args.add_root {
        let (name, key) = keys::public(text)?;
        set.roots.push(RootKey { name, key });
    }
    for text in &args.add_signing {
        let (name, key) = keys::public(text)?;
        let mut lists = args.lists.clone();
        lists.sort();
        lists.dedup();
        let lists = if lists.is_empty() { ListSelection::All } else { ListSelection::Some(lists) };
        set.signing.push(SigningKeyLine { name, key, from: now, until: now.plus(args.days.saturating_mul(86_400)), lists });
    }
    set.threshold = args.threshold.unwrap_or(set.threshold);
    set.roots.sort_by(|a, b| a.name.cmp(&b.name));
    set.signing.sort_by(|a, b| a.name.cmp(&b.name));
    let text = set.to_text();
    KeySet::parse(&text).context("this would be no valid key set")?;
    ensure!(!args.out.exists(), "{} exists; name another file", args.out.display());
    write_file_atomic(&RealDisk, &args.out, text.as_bytes())?;
    let out = args.out.display();
    out::print(&format!("{out}: draft of key set {}. Next, with each root key: bwld keys set sign {out} --key ROOT.key\n", set.number))
}

fn take_out<T>(from: &mut Vec<T>, names: &[String], name_of: impl Fn(&T) -> &str, what: &str) -> anyhow::Result<()> {
    for name in names {
        let before = from.len();
        from.retain(|key| name_of(key) != name);
        if from.len() == before {
            let known: Vec<&str> = from.iter().map(&name_of).collect();
            return Err(Ended::Usage(format!("no {what} key is named \"{name}\"; there are: {}", known.join(", "))).into());
        }
    }
    Ok(())
}

fn sign(file: &Path, key_files: &[PathBuf]) -> anyhow::Result<()> {
    let (set, note) = read(&files::read_bounded(file, MAX_KEYSET as u64)?)?;
    let mut note = note.unwrap_or_else(|| Note { text: set.to_text(), signatures: Vec::new() });
    for path in key_files {
        let key = keys::read(path)?;
        // A root key that leaves with this set signs it as one of the set before: any root key may sign, the daemon counts.
        let signature = key.sign(&note.text);
        note.signatures.retain(|s| s.name != signature.name || s.key_hash != signature.key_hash);
        note.signatures.push(signature);
        if !set.roots.iter().any(|r| r.key == key.public()) {
            out::print(&format!("{}: not a root key of this set; its signature counts only if it is one of the set before\n", key.name()))?;
        }
    }
    write_file_atomic(&RealDisk, file, note.encode().as_bytes())?;
    out::print(&format!(
        "{}: key set {} now has {} signatures. Fingerprint {}\n",
        file.display(),
        set.number,
        note.signatures.len(),
        set.fingerprint()
    ))
}

async fn show(args: ShowArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let bytes = match &args.file {
        Some(file) => files::read_bounded(file, MAX_KEYSET as u64)?,
        None => in_force(&args.connect, config).await?.into_bytes(),
    };
    let (set, note) = read(&bytes)?;
    let verdict = check_step(&bytes, note.is_some(), args.previous.as_deref())?;
    let signers: Vec<&str> = note.iter().flat_map(|n| n.signatures.iter().map(|s| s.name.as_str())).collect();
    if args.json {
        out::print_json(&serde_json::json!({
            "origin": set.origin.as_str(),
            "keyset": set.number,
            "fingerprint": set.fingerprint(),
            "previous": set.previous,
            "threshold": set.threshold,
            "issued": set.issued,
            "roots": set.roots.iter().map(|k| serde_json::json!({"name": k.name, "key": STANDARD.encode(k.key)})).collect::<Vec<_>>(),
            "signing": set.signing.iter().map(|k| serde_json::json!({
                "name": k.name, "key": STANDARD.encode(k.key), "from": k.from, "until": k.until, "lists": lists_text(&k.lists),
            })).collect::<Vec<_>>(),
            "signatures": signers,
            "valid": verdict.is_ok(),
        }))?;
    } else {
        out::print(&describe(&set, &signers, SystemClock.now()))?;
    }
    match verdict {
        Ok(sentence) if args.json => drop(sentence),
        Ok(sentence) => out::print(&format!("{sentence}\n"))?,
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether enough root keys signed: of this set, and of the one before when it is at hand.
fn check_step(bytes: &[u8], signed: bool, previous: Option<&Path>) -> anyhow::Result<anyhow::Result<String>> {
    if !signed {
        return Ok(Ok("draft: nobody has signed yet".into()));
    }
    let own = |bytes: &[u8]| -> anyhow::Result<Trusted> {
        let fingerprint: Digest = read(bytes)?.0.fingerprint();
        Ok(Trusted::pin(bytes, &fingerprint)?)
    };
    Ok(match previous {
        None => own(bytes).map(|_| "signed by enough of its own root keys".to_owned()),
        Some(file) => {
            let before = files::read_bounded(file, MAX_KEYSET as u64)?;
            let step = own(&before).and_then(|trusted| Ok(trusted.advance(bytes)?));
            step.map(|_| "signed by enough root keys of the set before and of its own".to_owned())
        }
    })
}

fn describe(set: &KeySet, signers: &[&str], now: Timestamp) -> String {
    let mut text = format!(
        "key set      {} of {}\nfingerprint  {}\nissued       {}\nthreshold    {} of {} root keys\n",
        set.number,
        set.origin,
        set.fingerprint(),
        set.issued,
        set.threshold,
        set.roots.len()
    );
    for root in &set.roots {
        let signed = if signers.contains(&root.name.as_str()) { "signed" } else { "has not signed" };
        text.push_str(&format!("root         {} {}  {signed}\n", root.name, STANDARD.encode(root.key)));
    }
    for key in &set.signing {
        let state = if now < key.from {
            "not yet valid"
        } else if now >= key.until {
            "expired"
        } else {
            "valid"
        };
        let (from, until, lists) = (key.from, key.until, lists_text(&key.lists));
        text.push_str(&format!("signing      {} {}  {state}, {from} to {until}, lists {lists}\n", key.name, STANDARD.encode(key.key)));
    }
    text
}

fn lists_text(lists: &ListSelection) -> String {
    match lists {
        ListSelection::All => "*".into(),
        ListSelection::Some(lists) => lists.iter().map(ListId::as_str).collect::<Vec<_>>().join(","),
    }
}

/// Pins the key set that has `fingerprint` among `notes` and goes on through those after it.
///
/// # Errors
/// Of trust (exit code 3).
pub fn chain(notes: &[Vec<u8>], fingerprint: &Digest) -> anyhow::Result<Trusted> {
    let mut sets = Vec::new();
    for note in notes {
        sets.push((read(note)?.0, note));
    }
    sets.sort_by_key(|(set, _)| set.number);
    let Some(at) = sets.iter().position(|(set, _)| set.fingerprint() == *fingerprint) else {
        bail!(Ended::Verification(format!("none of the key sets has the fingerprint {fingerprint}; check both, and where they came from")));
    };
    let mut trusted = Trusted::pin(sets[at].1, fingerprint)?;
    for (_, note) in &sets[at + 1..] {
        trusted = trusted.advance(note)?;
    }
    Ok(trusted)
}
