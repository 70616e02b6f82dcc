//! The border itself: no panic crosses it, errors become numbers, pointers become references or are refused.
//!
//! Guarantees: [`cross`] returns a code of `bwld.h` whatever happens inside; the message of the last error is kept for the
//! thread it happened in, in memory that needs no freeing.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::EngineError;

/// Success.
pub const OK: c_int = 0;
/// A null pointer, or a number that is none of those in `bwld.h`.
pub const E_ARGUMENT: c_int = -1;
/// A text that is not what was asked for.
pub const E_TEXT: c_int = -2;
/// A file or folder.
pub const E_FILE: c_int = -3;
/// An index or a list that is damaged.
pub const E_DAMAGED: c_int = -4;
/// No such list.
pub const E_NONE: c_int = -5;
/// A mistake in here.
pub const E_INTERNAL: c_int = -6;

/// Longest message, without its NUL: `BWLD_MESSAGE_SIZE` less one.
pub const MAX_MESSAGE: usize = 1_023;

/// What went wrong.
#[derive(Debug)]
pub struct Failure {
    pub code: c_int,
    pub message: String,
}

impl Failure {
    pub fn argument(message: impl Into<String>) -> Failure {
        Failure { code: E_ARGUMENT, message: message.into() }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let code = match &error {
            EngineError::Text(_) => E_TEXT,
            EngineError::File(_) => E_FILE,
            EngineError::Damaged(_) => E_DAMAGED,
            EngineError::None(_) => E_NONE,
            EngineError::Argument(_) => E_ARGUMENT,
            EngineError::Internal(_) => E_INTERNAL,
        };
        Failure { code, message: error.to_string() }
    }
}

/// A message of bounded length. It has nothing to drop, so a thread's end has nothing to run.
struct Message {
    text: [u8; MAX_MESSAGE],
    len: usize,
}

thread_local! {
    static LAST: RefCell<Message> = const { RefCell::new(Message { text: [0; MAX_MESSAGE], len: 0 }) };
}

/// The longest beginning of `text` that has at most `most` octets and ends between two characters.
pub fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    // A character has at most four octets, and 0 is between two of them.
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Keeps a message for `bwld_last_error`.
pub fn remember(message: &str) {
    let kept = cut(message, MAX_MESSAGE);
    LAST.with_borrow_mut(|last| {
        last.text[..kept.len()].copy_from_slice(kept.as_bytes());
        last.len = kept.len();
    });
}

/// Gives the message kept last to `read`.
pub fn recall<R>(read: impl FnOnce(&[u8]) -> R) -> R {
    LAST.with_borrow(|last| read(&last.text[..last.len]))
}

/// Runs what stands behind the border. A panic ends here: everything that threads share is exchanged as a whole when it is
/// ready, so that nothing half done is left behind.
pub fn cross(inside: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let failure = match catch_unwind(AssertUnwindSafe(inside)) {
        Ok(Ok(())) => return OK,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            let message = format!("a mistake in the library, please report it: {}", said.unwrap_or("no message"));
            // What was thrown could throw again when it is dropped.
            std::mem::forget(panic);
            Failure { code: E_INTERNAL, message }
        }
    };
    remember(&failure.message);
    failure.code
}

/// `len` values at `start`; none if `len` is 0, whatever `start` is.
///
/// # Safety
/// If `len` is not 0, `start` is null or the first of `len` values that nobody writes to during `'a`.
pub unsafe fn values<'a, T>(start: *const T, len: usize) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(Failure::argument("a null pointer with a length other than 0"));
    }
    if len.checked_mul(size_of::<T>()).is_none_or(|octets| isize::try_from(octets).is_err()) {
        return Err(Failure::argument("a length that no memory has"));
    }
    if !start.is_aligned() {
        return Err(Failure::argument("a pointer that is not aligned"));
    }
    // SAFETY: not null, aligned, not longer than any object can be; that the values are there is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(start, len) })
}

/// `len` octets at `start` as text.
///
/// # Safety
/// As for [`values`].
pub unsafe fn text<'a>(start: *const c_char, len: usize) -> Result<&'a str, Failure> {
    // SAFETY: passed on.
    let octets = unsafe { values(start.cast::<u8>(), len) }?;
    std::str::from_utf8(octets)
        .map_err(|e| Failure { code: E_TEXT, message: format!("octet {} is not UTF-8; pass text in UTF-8", e.valid_up_to()) })
}

/// A string that ends in NUL; `None` if it is null.
///
/// # Safety
/// `start` is null or begins a string that ends in NUL and that nobody writes to during `'a`.
pub unsafe fn string<'a>(start: *const c_char) -> Result<Option<&'a str>, Failure> {
    if start.is_null() {
        return Ok(None);
    }
    // SAFETY: not null; the NUL is the caller's promise.
    let string = unsafe { CStr::from_ptr(start) };
    match string.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure { code: E_TEXT, message: "a string that is not UTF-8; pass text in UTF-8".to_owned() }),
    }
}

/// A reference to what `pointer` points at.
///
/// # Safety
/// `pointer` is null or points at a `T` that lives during `'a` and that nobody writes to but through `T` itself.
pub unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: null gives none; the rest is the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(format!("the {what} is a null pointer")))
}

/// Refuses a null pointer to what is to be filled.
pub fn fillable<T>(pointer: *mut T, what: &str) -> Result<*mut T, Failure> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Failure::argument(format!("the {what} to fill is a null pointer, or not aligned")));
    }
    Ok(pointer)
}

/// Copies `text`, cut to what fits, and a NUL into `size` octets at `room`, as snprintf does; nothing if there is no room.
///
/// # Safety
/// `room` is null or begins `size` octets that may be written and that are not part of `text`.
pub unsafe fn put(text: &[u8], room: *mut c_char, size: usize) {
    if room.is_null() || size == 0 {
        return;
    }
    let kept = text.len().min(size - 1);
    // SAFETY: `kept` + 1 octets are at most `size`, which the caller lets us write; `text` lies elsewhere.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), room.cast::<u8>(), kept);
        room.add(kept).write(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function of the interface looks like, with a panic in it.
    unsafe extern "C" fn panics(message: *const c_char) -> c_int {
        cross(|| {
            // SAFETY: the tests pass literals.
            let message = unsafe { string(message) }?;
            panic!("{}", message.unwrap_or("nothing"))
        })
    }

    fn last() -> String {
        recall(|octets| String::from_utf8(octets.to_vec()).unwrap())
    }

    #[test]
    fn a_panic_stays_on_this_side() {
        let through: unsafe extern "C" fn(*const c_char) -> c_int = panics;
        // SAFETY: a literal, then null.
        unsafe {
            assert_eq!(through(c"on purpose".as_ptr()), E_INTERNAL);
            assert!(last().ends_with(": on purpose"), "{}", last());
            assert_eq!(through(std::ptr::null()), E_INTERNAL);
        }
        assert_eq!(cross(|| std::panic::panic_any(7_u8)), E_INTERNAL);
        assert!(last().ends_with("no message"));
        struct Nasty;
        impl Drop for Nasty {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(cross(|| std::panic::panic_any(Nasty)), E_INTERNAL);
    }

    #[test]
    fn messages_belong_to_their_thread_and_are_cut_between_characters() {
        remember("mine");
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        assert_eq!(last(), "mine");
        remember(&"ä".repeat(600));
        assert_eq!(last(), "ä".repeat(511));
    }

    #[test]
    fn bad_pointers_are_refused_before_they_are_read() {
        // SAFETY: what is not null is refused for its length or alignment, unread.
        unsafe {
            assert_eq!(values::<u8>(std::ptr::null(), 0).unwrap(), b"");
            assert_eq!(values::<u8>(std::ptr::null(), 1).unwrap_err().code, E_ARGUMENT);
            assert_eq!(values(b"a".as_ptr(), usize::MAX).unwrap_err().code, E_ARGUMENT);
            assert_eq!(values([0_u64; 2].as_ptr(), usize::MAX / 8 + 2).unwrap_err().code, E_ARGUMENT);
            let odd = [0_u64; 2].as_ptr().cast::<u8>().add(1).cast::<u64>();
            assert_eq!(values(odd, 1).unwrap_err().code, E_ARGUMENT);
            assert_eq!(text(b"\xff".as_ptr().cast(), 1).unwrap_err().code, E_TEXT);
            assert_eq!(string(c"\xff".as_ptr()).unwrap_err().code, E_TEXT);
        }
    }

    #[test]
    fn copies_like_snprintf() {
        let mut room = [1_u8; 4];
        // SAFETY: the room has the size that is said, or none.
        unsafe {
            put(b"abcdef", room.as_mut_ptr().cast(), 4);
            assert_eq!(&room, b"abc\0");
            put(b"x", room.as_mut_ptr().cast(), 4);
            assert_eq!(&room, b"x\0c\0");
            put(b"yz", room.as_mut_ptr().cast(), 1);
            assert_eq!(&room, b"\0\0c\0");
            put(b"yz", room.as_mut_ptr().cast(), 0);
            put(b"yz", std::ptr::null_mut(), 9);
            assert_eq!(&room, b"\0\0c\0");
        }
    }
}
