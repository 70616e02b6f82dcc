//! Files that are read again when they change: what they looked like when they were read last.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How a file looks from outside; none if it is not there.
type Stamp = Option<About>;

/// What differs when a file was written, put in place of another with the times of that one, or given to somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct About {
    /// Device and inode.
    file: (u64, u64),
    size: u64,
    /// When its content was changed, in seconds and nanoseconds.
    changed: (i64, i64),
    /// When anything about it was.
    touched: (i64, i64),
    /// Mode, owner and group: whether it can be read, and whether it is open to others.
    access: (u32, u32, u32),
}

/// Some files, and how they looked. Looks at them from outside only, never into them.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    files: Vec<(PathBuf, Stamp)>,
    again: bool,
}

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some(About {
        file: (about.dev(), about.ino()),
        size: about.size(),
        changed: (about.mtime(), about.mtime_nsec()),
        touched: (about.ctime(), about.ctime_nsec()),
        access: (about.mode(), about.uid(), about.gid()),
    })
}

impl Watched {
    /// These files as they are now. Read them after this: then a change in between is seen the next time.
    pub fn new<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Watched {
        let files = files.into_iter().map(Into::into).map(|path: PathBuf| (path.clone(), stamp(&path)));
        Watched { files: files.collect(), again: false }
    }

    /// Whether one of them looks other than when this was asked last, or could not be used then.
    pub fn changed(&mut self) -> bool {
        let mut changed = std::mem::take(&mut self.again);
        for (path, before) in &mut self.files {
            let now = stamp(path);
            changed |= *before != now;
            *before = now;
        }
        changed
    }

    /// What was read could not be used: the next look has it read again, however the files look then.
    pub fn read_again(&mut self) {
        self.again = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_comes_and_goes_is_seen_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, "1").expect("room");
        let mut watched = Watched::new([&one, &two]);
        assert!(!watched.changed());
        fs::write(&one, "22").expect("room");
        assert!(watched.changed() && !watched.changed());
        fs::write(&two, "").expect("room");
        assert!(watched.changed() && !watched.changed());
        fs::remove_file(&one).expect("it was there");
        assert!(watched.changed() && !watched.changed());
    }

    #[test]
    fn a_file_with_the_times_and_size_of_the_one_before_and_a_mode_are_changes_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        for (path, text) in [(&one, "1"), (&two, "2")] {
            fs::write(path, text).expect("room");
            fs::File::options().write(true).open(path).expect("it is there").set_modified(at).expect("one's own");
        }
        let mut watched = Watched::new([&one]);
        fs::rename(&two, &one).expect("in the same folder");
        assert!(watched.changed() && !watched.changed());
        fs::set_permissions(&one, fs::Permissions::from_mode(0o400)).expect("one's own");
        assert!(watched.changed() && !watched.changed());
    }

    #[test]
    fn what_could_not_be_used_is_read_once_more() {
        let mut watched = Watched::new(["/nowhere"]);
        assert!(!watched.changed());
        watched.read_again();
        assert!(watched.changed() && !watched.changed());
    }
}
