//! The few durable operations everything here is made of, behind a trait so that a test can make each fail
//! (before it took effect, or after).

use std::{fs::File, io, path::Path};

/// Durable operations. Reading needs no trait: a failed read changes nothing.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Creates a file that must not exist, mode 0600 for secrets, 0644 else.
    ///
    /// # Errors
    /// Of the system.
    fn create(&self, path: &Path, secret: bool) -> io::Result<File>;
    /// Writes all bytes at the end of `file`.
    ///
    /// # Errors
    /// Of the system.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;
    /// `fdatasync`/`fsync`.
    ///
    /// # Errors
    /// Of the system.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Renames over whatever is there.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// fsync of a folder.
    ///
    /// # Errors
    /// Of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Cuts a file to `len` octets.
    ///
    /// # Errors
    /// Of the system.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()>;
}

/// The operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;
