//! Has a filter take in what was written: runs its reload command, or hands the change over while it runs.
//!
//! Guarantees: no shell is involved; nothing takes longer than its limit; a failure is told and undoes nothing. Of a program that
//! was reached only in part, the part is withdrawn.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::Deliver;

/// Octets of a command's output that are kept for the log, of each of its two streams.
const KEPT: usize = 4 << 10;

/// HAProxy gives up a connection whose command does not fit its buffer of 16 KiB.
const PAYLOAD: usize = 15 << 10;

/// Delivers, within `limit`.
///
/// # Errors
/// What failed, in words.
pub(super) async fn deliver(how: &Deliver, limit: Duration) -> Result<String, String> {
    match how {
        Deliver::Command(words) => run(words, limit).await,
        Deliver::Nft { file } => run(&["nft".into(), "-f".into(), file.to_string_lossy().into_owned()], limit).await,
        Deliver::HaproxySocket { socket, map, file } => match tokio::time::timeout(limit, haproxy(socket, map, file)).await {
            Ok(result) => result.map_err(|reason| format!("HAProxy at {}: {reason}", socket.display())),
            Err(_) => {
                Err(format!("HAProxy at {} took longer than {} s; raise the limit if it needs longer", socket.display(), limit.as_secs()))
            }
        },
    }
}

/// Keeps the beginning of a stream and reads it to its end.
async fn keep(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    let Some(mut stream) = stream else { return String::new() };
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..n.min(KEPT - kept.len())]);
    }
    String::from_utf8_lossy(&kept).trim_end().to_owned()
}

/// Runs program and arguments: nothing on its standard input, ended when it takes too long.
async fn run(words: &[String], limit: Duration) -> Result<String, String> {
    let [program, arguments @ ..] = words else { return Ok(String::new()) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("cannot run the reload command {program}: {e}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(limit, async { tokio::join!(child.wait(), keep(out), keep(err)) }).await;
    match ended {
        Ok((Ok(status), out, err)) if status.success() => Ok(format!("{program} {err} {out}").trim_end().to_owned()),
        Ok((Ok(status), out, err)) => Err(format!("the reload command {program} ended with {status}: {err} {out}")),
        Ok((Err(e), ..)) => Err(format!("the reload command {program}: {e}")),
        Err(_) => {
            let _ = child.kill().await;
            Err(format!("the reload command {program} was ended after {} s; raise the limit if it needs longer", limit.as_secs()))
        }
    }
}

/// Replaces the content of a map as one step: HAProxy answers from the old version until the new one is whole.
async fn haproxy(socket: &Path, map: &str, file: &Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(file).await.map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let said = ask(socket, &format!("prepare map {map}\n")).await?;
    let version = said.trim().strip_prefix("New version created:").map(str::trim).filter(|v| v.parse::<u32>().is_ok());
    let Some(version) = version else {
        return Err(format!("it does not know the map {map} ({}); name it as its configuration does, and load it there", said.trim()));
    };
    let filled = fill(socket, map, version, &text).await;
    let ended = match filled {
        Ok(()) => ask(socket, &format!("commit map @{version} {map}\n")).await.and_then(|said| silent("commit", &said)),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = ended {
        let _ = ask(socket, &format!("clear map @{version} {map}\n")).await;
        return Err(reason);
    }
    Ok(format!("HAProxy has the map {map} as version {version}"))
}

/// Adds all lines of the file that are no comments, in pieces that fit HAProxy's buffer.
async fn fill(socket: &Path, map: &str, version: &str, text: &str) -> Result<(), String> {
    let head = format!("add map @{version} {map} <<\n");
    let mut piece = head.clone();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if piece.len() + line.len() + 2 > PAYLOAD {
            add(socket, &mut piece, &head).await?;
        }
        piece.push_str(line);
        piece.push('\n');
    }
    if piece.len() > head.len() { add(socket, &mut piece, &head).await } else { Ok(()) }
}

async fn add(socket: &Path, piece: &mut String, head: &str) -> Result<(), String> {
    // An empty line ends the payload.
    piece.push('\n');
    silent("add", &ask(socket, piece).await?)?;
    head.clone_into(piece);
    Ok(())
}

fn silent(command: &str, said: &str) -> Result<(), String> {
    if said.trim().is_empty() { Ok(()) } else { Err(format!("{command} map: {}", said.trim().chars().take(200).collect::<String>())) }
}

/// One command, one connection.
async fn ask(socket: &Path, command: &str) -> Result<String, String> {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(command.as_bytes()).await?;
        let mut said = Vec::new();
        stream.take(KEPT as u64).read_to_end(&mut said).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&said).into_owned())
    };
    talk.await.map_err(|e| format!("its runtime socket: {e}; it needs \"stats socket {} level admin\"", socket.display()))
}
