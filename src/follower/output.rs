//! Writes a list as a sorted text file, and runs the reload command.
//!
//! The file is bwld's own text: a block of `# key value` lines, then the entry lines in order.
//!
//! Guarantees: the file is replaced as a whole by rename, or it stays as it was; nothing is written for a list whose content
//! never came; a file that is of this version already is not written; a reload that was due when the process died is run by
//! the next one.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use tokio::io::AsyncReadExt as _;

use crate::store::Disk;

use super::FollowError;
use super::plan::Written;
use super::shared::{Shared, lock};
use super::state::View;

/// Octets of a reload command's output that are kept for the log, of each of its two streams.
const KEPT: usize = 4 << 10;

/// The lines before the entries.
pub(super) fn header(view: &View) -> String {
    let root = view.content.root();
    let mut text = format!(
        "# bwld list\n# origin {}\n# list {}\n# colour {}\n# serial {}\n# root {} k={}\n# entries {}\n",
        view.meta.origin,
        view.meta.list,
        view.meta.colour,
        view.serial,
        root.digest,
        root.bits,
        view.content.entries()
    );
    if let Some(head) = &view.head {
        text.push_str(&format!("# issued {}\n", head.issued));
    }
    text
}

/// Whether the file at `path` is of the view's version already, by its header.
pub(super) fn is_current(view: &View, path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let wanted = header(view);
    let wanted: Vec<&str> = wanted.lines().filter(|l| !l.starts_with("# issued")).collect();
    let found = BufReader::new(file).lines().take(wanted.len()).map_while(Result::ok);
    found.eq(wanted.iter().copied())
}

fn temporary_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.bwld.tmp"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the view to `path`. `marker`, if any, is put down before the file is replaced.
pub(super) fn write(disk: &dyn Disk, view: &mut View, path: &Path, marker: Option<&Path>) -> Result<Written, FollowError> {
    if is_current(view, path) {
        return Ok(Written::Unchanged);
    }
    let beside = temporary_of(path);
    let _ = fs::remove_file(&beside);
    let result = write_beside(disk, view, &beside);
    if let Err(error) = result {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    if let Some(marker) = marker {
        // A crash from here on: the next start reloads, perhaps once too often.
        fs::write(marker, b"").map_err(FollowError::io("write", marker))?;
    }
    disk.rename(&beside, path).map_err(FollowError::io("rename to", path))?;
    disk.sync_dir(folder_of(path)).map_err(FollowError::io("fsync folder of", path))?;
    Ok(Written::Changed)
}

fn write_beside(disk: &dyn Disk, view: &mut View, beside: &Path) -> Result<(), FollowError> {
    let file = disk.create(beside, false).map_err(FollowError::io("create", beside))?;
    let mut out = BufWriter::with_capacity(256 << 10, &file);
    out.write_all(header(view).as_bytes()).map_err(FollowError::io("write", beside))?;
    let list = view.meta.list.clone();
    let mut written = 0u64;
    let lines = view.lines(&mut |line| {
        written += 1;
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    });
    if let Err(e) = lines {
        return Err(match e.kind() {
            // The digest at the end of the snapshot did not match, or it could not be read: nothing of it is published.
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => FollowError::Damaged { list, reason: e.to_string() },
            _ => FollowError::io("write", beside)(e),
        });
    }
    if written != view.content.entries() {
        return Err(FollowError::Damaged { list, reason: format!("{written} lines where {} are due", view.content.entries()) });
    }
    out.flush().map_err(FollowError::io("write", beside))?;
    drop(out);
    disk.sync(&file).map_err(FollowError::io("fsync", beside))
}

/// Where it is noted that a reload is due.
pub(super) fn marker(dir: &Path) -> PathBuf {
    dir.join("reload-due")
}

/// Writes the output of a list, if it has one.
pub(super) fn write_output(shared: &Shared, list: usize) -> Written {
    let followed = &shared.lists[list];
    let Some(path) = &followed.choice.output else { return Written::Unchanged };
    let marker = shared.options.reload.is_some().then(|| marker(&shared.dir));
    let once = || {
        let Some(mut view) = lock(&followed.state).view() else { return Ok(Written::Unchanged) };
        write(&*shared.disk, &mut view, path, marker.as_deref())
    };
    let mended = once().or_else(|error| {
        if !matches!(error, FollowError::Damaged { .. }) {
            return Err(error);
        }
        tracing::warn!(list = %followed.choice.id, "{error}; making the base anew");
        let Some(mut view) = lock(&followed.state).begin_fold() else { return Err(error) };
        let base = super::state::fold(&*shared.disk, &followed.dir, &mut view).map_err(|e| match e {
            // Neither the snapshot nor the buckets are whole.
            FollowError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => error,
            other => other,
        })?;
        lock(&followed.state).end_fold(base)?;
        once()
    });
    match mended {
        Ok(written) => {
            if written == Written::Changed {
                tracing::info!(list = %followed.choice.id, path = %path.display(), "wrote");
            }
            written
        }
        Err(error) => {
            tracing::error!(list = %followed.choice.id, path = %path.display(), "could not write: {error}");
            shared.failed(list, &error);
            let damaged = matches!(error, FollowError::Damaged { .. });
            lock(&followed.notes).damaged |= damaged;
            if damaged { Written::Damaged } else { Written::Failed }
        }
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

/// Runs the reload command, if there is one: program and arguments, no shell, nothing on its standard input, ended when it
/// takes too long.
pub(super) async fn reload(shared: Arc<Shared>) {
    let Some([program, arguments @ ..]) = shared.options.reload.as_deref() else { return };
    let limit = shared.options.limits.reload;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return reloaded(&shared, Err(format!("cannot run the reload command {program}: {e}"))),
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let run = async { tokio::join!(child.wait(), keep(out), keep(err)) };
    let ended = tokio::time::timeout(limit, run).await;
    let result = match ended {
        Ok((Ok(status), out, err)) if status.success() => {
            tracing::info!(%program, %out, %err, "reloaded");
            Ok(())
        }
        Ok((Ok(status), out, err)) => Err(format!("the reload command {program} ended with {status}: {err} {out}")),
        Ok((Err(e), ..)) => Err(format!("the reload command {program}: {e}")),
        Err(_) => {
            let _ = child.kill().await;
            Err(format!("the reload command {program} was ended after {} s; raise the limit if it needs longer", limit.as_secs()))
        }
    };
    reloaded(&shared, result);
}

fn reloaded(shared: &Shared, result: Result<(), String>) {
    let _ = fs::remove_file(marker(&shared.dir));
    let mut reload = lock(&shared.reload);
    reload.at = Some(shared.clock.now());
    if let Err(reason) = &result {
        // Run again with the next change.
        tracing::error!("{reason}");
    }
    reload.error = result.err();
}
