//! The octets of an index: made in memory, or a file mapped into it.
//!
//! Guarantees: what is made in memory begins at a multiple of 64, so that a line of the table is one cache line; a large
//! one asks for pages of 2 MiB, with which a hit costs a quarter to a third less (docs/MATCHING.md). A mapped file has the
//! file system's pages, and is shared by all processes that map it.

use std::fs::File;
use std::io::{self, Read};

use memmap2::{Mmap, MmapMut};

/// A cache line, in octets.
const LINE: usize = 64;
/// From this size on an index in memory asks for large pages, in octets.
const LARGE: usize = 4 << 20;

/// The octets of an index.
pub struct Buffer(Place);

enum Place {
    /// In memory, with room to begin at a multiple of 64: where the index begins, and how long it is.
    Heap { octets: Vec<u8>, start: usize, len: usize },
    /// In memory, in large pages where the system has them.
    Large(MmapMut),
    /// A mapped file.
    Mapped(Mmap),
}

impl Buffer {
    /// `len` zeros in memory, and the octets of them.
    pub(crate) fn zeroed(len: usize) -> Buffer {
        if len >= LARGE
            && let Ok(map) = MmapMut::map_anon(len)
        {
            // A refusal costs speed and nothing else.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Buffer(Place::Large(map));
        }
        let octets = vec![0; len + LINE];
        let start = octets.as_ptr().align_offset(LINE).min(LINE);
        Buffer(Place::Heap { octets, start, len })
    }

    /// Maps a file; nothing of it is read yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn map(file: &File) -> io::Result<Buffer> {
        // SAFETY: index files are written under a temporary name, renamed, and from then on never written or truncated, only
        // unlinked, which leaves a mapping whole. Octets that change nevertheless (a failing disk) are numbers to us, whose every use is
        // checked against bounds; a file that somebody truncates ends the process by SIGBUS, as it would any program that maps it.
        #[allow(unsafe_code)]
        unsafe { Mmap::map(file) }.map(|map| Buffer(Place::Mapped(map)))
    }

    /// Reads a whole file into memory, for look-ups that are faster than in a mapped one, at the price of reading and
    /// keeping all of it.
    ///
    /// # Errors
    /// What the system says; a file that is cut off meanwhile is `UnexpectedEof`.
    pub fn read(mut file: &File) -> io::Result<Buffer> {
        let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut buffer = Buffer::zeroed(length);
        file.read_exact(buffer.heap_mut())?;
        Ok(buffer)
    }

    pub(crate) fn heap_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Place::Heap { octets, start, len } => &mut octets[*start..*start + *len],
            Place::Large(map) => map,
            Place::Mapped(_) => &mut [],
        }
    }
}

impl From<&[u8]> for Buffer {
    fn from(octets: &[u8]) -> Buffer {
        let mut buffer = Buffer::zeroed(octets.len());
        buffer.heap_mut().copy_from_slice(octets);
        buffer
    }
}

impl AsRef<[u8]> for Buffer {
    #[inline(always)]
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Place::Heap { octets, start, len } => &octets[*start..*start + *len],
            Place::Large(map) => map,
            Place::Mapped(map) => map,
        }
    }
}
