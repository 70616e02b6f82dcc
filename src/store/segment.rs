//! Reading one segment of the journal from its file.
//!
//! Guarantees: every frame handed out has the right checksum and follows the one before; what is broken is told apart:
//! a torn tail (the last write did not reach the disk whole) or damage. It changes nothing on the disk.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::list::Digest;

use super::{
    FrameId, StoreError,
    disk::at,
    frame::{FRAME_HEADER, FrameError, MAX_FRAME, SEGMENT_HEADER, SegmentHeader, any_frame_after_first_octet, decode_frame},
};

/// Ending of a segment's file name.
pub(super) const ENDING: &str = "seg";

/// A frame handed to a reader of the journal.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number.
    pub id: FrameId,
    /// Hash of the frame before it.
    pub before: Digest,
    /// Its hash.
    pub hash: Digest,
    /// What it says.
    pub content: &'a [u8],
    /// Whether it restates what earlier frames said (the beginning of a checkpoint).
    pub state: bool,
    /// Whether it is the first frame of a checkpoint, so that everything before it may be forgotten.
    pub checkpoint: bool,
}

/// Where a segment stopped being readable although the file goes on: nothing valid follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The file.
    pub segment: String,
    /// Where the torn frame begins.
    pub offset: u64,
    /// How many octets of it are there.
    pub octets: u64,
    /// The number it would have had.
    pub frame: FrameId,
}

/// What reading a segment to its end gave.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Its header.
    pub header: SegmentHeader,
    /// Number of the frame that would come next.
    pub next: FrameId,
    /// Hash of the last frame.
    pub last: Digest,
    /// Octets that are whole.
    pub whole: u64,
    /// What is behind them.
    pub torn: Option<Torn>,
}

/// The file of segment `number`.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.{ENDING}"))
}

/// Numbers of the segments in a folder, ascending.
pub(super) fn segments_in(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at("read folder", dir))? {
        let path = entry.map_err(at("read folder", dir))?.path();
        if path.extension().is_some_and(|e| e == ENDING) {
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            let number = number.filter(|n| segment_path(dir, *n) == path).ok_or_else(|| StoreError::NotAJournal {
                segment: path.display().to_string(),
                reason: "its name is not eight digits; move it out of the folder".into(),
            })?;
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a segment's header.
pub(super) fn read_header(path: &Path) -> Result<SegmentHeader, StoreError> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
    File::open(path).map_err(at("open", path))?.take(SEGMENT_HEADER as u64).read_to_end(&mut bytes).map_err(at("read", path))?;
    SegmentHeader::decode(&bytes).map_err(|reason| StoreError::NotAJournal { segment: path.display().to_string(), reason: reason.into() })
}

/// Reads a segment from its beginning and gives every frame to `visit`.
///
/// `may_be_torn` says that it is the last one: only there may the last write be incomplete.
pub(super) fn scan(
    path: &Path,
    may_be_torn: bool,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), StoreError>,
) -> Result<Scanned, StoreError> {
    let header = read_header(path)?;
    let mut window = Window::open(path)?;
    let mut next = header.first;
    let mut last = header.before;
    let mut whole = SEGMENT_HEADER as u64;
    loop {
        let bytes = window.at_least(FRAME_HEADER).map_err(at("read", path))?;
        if bytes.is_empty() {
            break;
        }
        let need = bytes.get(..4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize);
        let bytes = if need <= MAX_FRAME { window.at_least(FRAME_HEADER + need).map_err(at("read", path))? } else { bytes };
        let frame = match decode_frame(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                let torn = tail(path, window, whole, next, error, may_be_torn && in_state(&header, next).is_none())?;
                return Ok(Scanned { header, next, last, whole, torn: Some(torn) });
            }
        };
        if frame.before != last {
            return Err(damaged(path, whole, next, "it does not follow the frame before it".into()));
        }
        let state = in_state(&header, next);
        visit(Frame {
            id: next,
            before: frame.before,
            hash: frame.hash,
            content: frame.content,
            state: state.is_some(),
            checkpoint: state == Some(0),
        })?;
        last = frame.hash;
        next += 1;
        whole += frame.size as u64;
        let size = frame.size;
        window.consume(size);
    }
    if in_state(&header, next).is_some() {
        return Err(damaged(path, whole, next, "the checkpoint is cut off".into()));
    }
    Ok(Scanned { header, next, last, whole, torn: None })
}

/// The place of frame `id` among those that restate the state.
fn in_state(header: &SegmentHeader, id: FrameId) -> Option<u64> {
    id.checked_sub(header.first).filter(|n| *n < header.state_frames)
}

/// Decides what an unreadable frame is. One append is one write: if it did not reach the disk whole, then nothing was written
/// behind it, and what is there is at most as long as one frame. Anything else is damage, and damage is never cut off.
fn tail(path: &Path, mut window: Window, offset: u64, frame: FrameId, error: FrameError, may_be_torn: bool) -> Result<Torn, StoreError> {
    if !may_be_torn {
        return Err(damaged(path, offset, frame, error.to_string()));
    }
    let rest = window.at_least(FRAME_HEADER + MAX_FRAME + 1).map_err(at("read", path))?;
    if rest.len() > FRAME_HEADER + MAX_FRAME {
        return Err(damaged(path, offset, frame, format!("{error}, and more follows than one frame can hold")));
    }
    if any_frame_after_first_octet(rest) {
        return Err(damaged(path, offset, frame, format!("{error}, but whole frames follow")));
    }
    Ok(Torn { segment: path.display().to_string(), offset, octets: rest.len() as u64, frame })
}

pub(super) fn damaged(path: &Path, offset: u64, frame: FrameId, reason: String) -> StoreError {
    StoreError::Damaged { segment: path.display().to_string(), offset, frame, reason }
}

/// The unread rest of a file, as much of it in memory as is needed.
struct Window {
    file: File,
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Window {
    /// Behind the header.
    fn open(path: &Path) -> Result<Window, StoreError> {
        let mut file = File::open(path).map_err(at("open", path))?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(SEGMENT_HEADER as u64)).map_err(at("read", path))?;
        Ok(Window { file, bytes: Vec::new(), start: 0, ended: false })
    }

    /// The next octets: at least `wanted` of them unless the file ends before.
    fn at_least(&mut self, wanted: usize) -> io::Result<&[u8]> {
        const STEP: u64 = 64 << 10;
        while self.bytes.len() - self.start < wanted && !self.ended {
            if self.start > STEP as usize {
                self.bytes.drain(..self.start);
                self.start = 0;
            }
            self.ended = (&self.file).take(STEP).read_to_end(&mut self.bytes)? == 0;
        }
        Ok(&self.bytes[self.start..])
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
    }
}
