//! Files of `../shared/data`, for tests that use real or standard inputs where they are at hand.

use std::{fs, io::Read as _, path::Path};

/// The bytes of a file below `../shared/data`, unpacked; `None`, and a notice, where it is absent.
pub fn load(path: &str) -> Option<Vec<u8>> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    let Ok(bytes) = fs::read(&full) else {
        println!("skipped: {} is absent", full.display());
        return None;
    };
    if full.extension().is_none_or(|e| e != "zst") {
        return Some(bytes);
    }
    let mut text = Vec::new();
    zstd::stream::Decoder::new(&bytes[..]).and_then(|mut d| d.read_to_end(&mut text)).expect("a whole zstd file");
    Some(text)
}

/// As [`load`], as text.
pub fn load_text(path: &str) -> Option<String> {
    load(path).map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
}
