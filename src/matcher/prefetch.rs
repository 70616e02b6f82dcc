//! Starts a read from memory without waiting for it.
//!
//! Worth a third to a half of a look-up in batches, where the reads of 32 questions overlap (docs/MATCHING.md); that pays for
//! the line of unsafe code. Where there is no such instruction for stable Rust it does nothing.

/// Starts reading the cache line of `octets[at]`, if there is one.
#[inline(always)]
pub(crate) fn prefetch(octets: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at < octets.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of every x86-64 (SSE), reads nothing into the program, and faults at no address; this one lies
        // within the slice besides.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(octets.as_ptr().add(at).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (octets, at);
}
