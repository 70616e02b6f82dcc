//! Files that are read again when they change: what they looked like when they were read last.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// When a file was changed and its size; none if it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// Some files, and how they looked. Looks at times and sizes only, never into them.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    files: Vec<(PathBuf, Stamp)>,
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).ok().and_then(|about| Some((about.modified().ok()?, about.len())))
}

impl Watched {
    /// These files as they are now. Read them after this: then a change in between is seen the next time.
    pub fn new<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Watched {
        let files = files.into_iter().map(Into::into).map(|path: PathBuf| (path.clone(), stamp(&path)));
        Watched { files: files.collect() }
    }

    /// Whether one of them looks other than when this was asked last.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, before) in &mut self.files {
            let now = stamp(path);
            changed |= *before != now;
            *before = now;
        }
        changed
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
}
