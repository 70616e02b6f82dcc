//! Turns entry lines in order of the rule into a bucket file, with bounded memory whatever the size of the list.
//!
//! Lines are dealt into at most 64 parts by the top bits of their bucket number; a part's buffer that is full goes to an
//! unnamed spill file. Then each part is taken whole (a 64th of the list), dealt into its buckets, and written.
//! Dealing keeps the order, so nothing is sorted.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use sha2::{Digest as _, Sha256};

use crate::list::{Digest, MAX_LINE, rule_of};
use crate::store::{Disk, StoreError};
use crate::wire::{MAX_BITS, Root, Tree, bucket_digest, bucket_of};

use super::base::{END_MAGIC, FOOTER, MAGIC, ROW};

/// Parts at most, as bits.
const PART_BITS: u8 = 6;
/// A part's buffer goes to the spill file when it is larger, in octets.
const SPILL_AT: usize = 64 << 10;
/// Octets before each spilled line: bucket number (4), length (2).
const PREFIX: usize = 6;

/// What was built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// k.
    pub bits: u8,
    /// Number of entries.
    pub entries: u64,
    /// Digest of the bucket file: its artefact name.
    pub digest: Digest,
    /// Octets of the bucket file.
    pub size: u64,
    /// Root digest of the content.
    pub root: Root,
}

/// Builds a bucket file from entry lines pushed in order of the rule.
#[derive(Debug)]
pub struct BaseWriter {
    bits: u8,
    /// log2 of the number of buckets a part has.
    shift: u8,
    parts: Vec<Part>,
    spill: Spill,
    entries: u64,
}

#[derive(Debug, Default)]
struct Part {
    buffer: Vec<u8>,
    /// Place and length in the spill file.
    blocks: Vec<(u64, usize)>,
}

/// A part, bucket after bucket.
struct Dealt {
    text: Vec<u8>,
    /// Where each bucket ends, and its digest.
    buckets: Vec<(usize, Digest)>,
}

impl BaseWriter {
    /// A writer for 2^`bits` buckets; spills into an unnamed file in the folder `spill_dir`, if it must at all.
    ///
    /// # Panics
    /// If `bits` is larger than [`MAX_BITS`].
    pub fn new(bits: u8, spill_dir: &Path) -> BaseWriter {
        assert!(bits <= MAX_BITS, "k is checked where heads are read and made");
        let part_bits = bits.min(PART_BITS);
        let parts = (0..1 << part_bits).map(|_| Part::default()).collect();
        BaseWriter { bits, shift: bits - part_bits, parts, spill: Spill { dir: spill_dir.to_owned(), file: None, len: 0 }, entries: 0 }
    }

    /// Takes the next line, without LF. The caller vouches for form and order.
    ///
    /// # Errors
    /// Of the spill file; `InvalidInput` if the line is too long.
    pub fn push(&mut self, line: &str) -> io::Result<()> {
        if line.len() > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an entry line is longer than 4096 octets"));
        }
        let bucket = bucket_of(rule_of(line), self.bits);
        let part = &mut self.parts[(bucket >> self.shift) as usize];
        if part.buffer.len() + PREFIX + line.len() > SPILL_AT {
            part.blocks.push(self.spill.write(&part.buffer)?);
            part.buffer.clear();
        }
        part.buffer.extend_from_slice(&bucket.to_le_bytes());
        part.buffer.extend_from_slice(&u16::try_from(line.len()).expect("at most MAX_LINE").to_le_bytes());
        part.buffer.extend_from_slice(line.as_bytes());
        self.entries += 1;
        Ok(())
    }

    /// Writes the bucket file to `out`, which is neither flushed nor synced.
    ///
    /// # Errors
    /// Of the spill file and of `out`.
    pub fn finish<W: Write>(self, out: W) -> io::Result<(W, Built)> {
        let mut out = Hashed { inner: out, hasher: Sha256::new(), len: 0 };
        out.write_all(MAGIC)?;
        let rows = 1usize << self.bits;
        let (mut table, mut leaves) = (Vec::with_capacity(rows * ROW), Vec::with_capacity(rows));
        let (bits, entries) = (self.bits, self.entries);
        // One thread deals the next parts into buckets while this one hashes and writes the part before.
        thread::scope(|scope| {
            let (give, dealt) = sync_channel::<io::Result<Dealt>>(1);
            scope.spawn(move || self.deal(|part| give.send(part).is_ok()));
            for part in &dealt {
                let part = part?;
                let begin = out.len;
                out.write_all(&part.text)?;
                for (end, leaf) in part.buckets {
                    table.extend_from_slice(&(begin + end as u64).to_be_bytes());
                    table.extend_from_slice(&leaf.0);
                    leaves.push(leaf);
                }
            }
            io::Result::Ok(())
        })?;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&out.len.to_be_bytes());
        footer.extend_from_slice(&entries.to_be_bytes());
        footer.extend_from_slice(&[bits, 0, 0, 0, 0, 0, 0, 0]);
        let mut check = Sha256::new();
        check.update(&table);
        check.update(&footer);
        out.write_all(&table)?;
        out.write_all(&check.finalize())?;
        out.write_all(&footer)?;
        out.write_all(END_MAGIC)?;
        let root = Tree::new(&leaves).expect("2^k leaves").root(entries);
        let built = Built { bits, entries, digest: Digest(out.hasher.finalize().into()), size: out.len, root };
        Ok((out.inner, built))
    }

    /// Deals each part into its buckets, in order, until `give` says that nobody takes them any more.
    fn deal(self, give: impl Fn(io::Result<Dealt>) -> bool) {
        let in_part = 1u32 << self.shift;
        let mut buckets: Vec<Vec<u8>> = vec![Vec::new(); in_part as usize];
        let mut lines = Vec::new();
        for part in self.parts {
            if let Err(e) = self.spill.gather(&part, &mut lines) {
                give(Err(e));
                return;
            }
            let mut rest = &lines[..];
            while let Some((prefix, behind)) = rest.split_first_chunk::<PREFIX>() {
                let number = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
                let (line, behind) = behind.split_at(usize::from(u16::from_le_bytes([prefix[4], prefix[5]])));
                let bucket = &mut buckets[(number & (in_part - 1)) as usize];
                bucket.extend_from_slice(line);
                bucket.push(b'\n');
                rest = behind;
            }
            let mut dealt = Dealt { text: Vec::with_capacity(lines.len()), buckets: Vec::with_capacity(buckets.len()) };
            for bucket in &mut buckets {
                dealt.text.extend_from_slice(bucket);
                dealt.buckets.push((dealt.text.len(), bucket_digest(bucket)));
                bucket.clear();
            }
            if !give(Ok(dealt)) {
                return;
            }
        }
    }

    /// Writes the bucket file durably: beside `path`, synced, renamed to it, the folder synced.
    ///
    /// # Errors
    /// [`StoreError`]; what was at `path` before is then still there, or the new file is there whole.
    pub fn finish_at(self, disk: &dyn Disk, path: &Path) -> Result<Built, StoreError> {
        let io_error = |action, source| StoreError::Io { action, path: path.display().to_string(), source };
        let beside = path.with_extension("buckets.new");
        if beside.exists() {
            disk.remove(&beside).map_err(|e| io_error("remove what an interrupted run left beside", e))?;
        }
        let file = disk.create(&beside, false).map_err(|e| io_error("create beside", e))?;
        let out = io::BufWriter::with_capacity(256 << 10, ToDisk { disk, file: &file });
        let (out, built) = self.finish(out).map_err(|e| io_error("write bucket file", e))?;
        out.into_inner().map_err(|e| io_error("write bucket file", e.into_error()))?;
        disk.sync(&file).map_err(|e| io_error("sync", e))?;
        disk.rename(&beside, path).map_err(|e| io_error("rename to", e))?;
        disk.sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(|e| io_error("sync folder of", e))?;
        Ok(built)
    }
}

/// Writes through a [`Disk`].
struct ToDisk<'a> {
    disk: &'a dyn Disk,
    file: &'a File,
}

impl Write for ToDisk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.append(self.file, bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts and hashes what goes through.
struct Hashed<W> {
    inner: W,
    hasher: Sha256,
    len: u64,
}

impl<W: Write> Hashed<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

/// Where full buffers go: a file without a name, so that a crash leaves nothing behind. Never synced.
#[derive(Debug)]
struct Spill {
    dir: PathBuf,
    file: Option<File>,
    len: u64,
}

impl Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<(u64, usize)> {
        if self.file.is_none() {
            self.file = Some(unnamed_file(&self.dir)?);
        }
        let at = self.len;
        self.file.as_ref().expect("just made").write_all_at(bytes, at)?;
        self.len += bytes.len() as u64;
        Ok((at, bytes.len()))
    }

    /// All of a part, in the order it came.
    fn gather(&self, part: &Part, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        into.resize(part.blocks.iter().map(|b| b.1).sum(), 0);
        let mut at = 0;
        for (place, len) in &part.blocks {
            let file = self.file.as_ref().expect("a block lies in the file");
            file.read_exact_at(&mut into[at..at + len], *place)?;
            at += len;
        }
        into.extend_from_slice(&part.buffer);
        Ok(())
    }
}

/// A file in `dir` that has no name any more: gone when it is closed, or when the process dies.
pub(in crate::store) fn unnamed_file(dir: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!(".spill-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = dir.join(name);
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
