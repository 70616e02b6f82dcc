//! Immutable files named by the digest of their uncompressed content.

/// The folder of artefacts.
#[derive(Debug)]
pub struct Artefacts {}

/// A file being written: temporary name, fsync, rename, fsync of the folder.
#[derive(Debug)]
pub struct ArtefactWriter {}
