//! The matching core of bwld for filters in C and C++: the functions of `include/bwld.h`.
//!
//! The header is the description; what stands here is thin. `border` turns pointers into references and panics into codes,
//! `types` fills the structures, `engine` does the work.
//!
//! Guarantees: no panic crosses the border; null pointers, lengths and texts are checked before they are used; no pointer
//! into the library is handed out but the matcher itself and constants. It does not resolve names.
//!
//! # Safety
//!
//! Of every function: pointers are null or point where `bwld.h` says, for as long as the call lasts, and a matcher was
//! made by `bwld_new` or `bwld_open_folder` and not given to `bwld_close` yet. What can be checked is checked.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::missing_safety_doc, reason = "it is the same for all and stands above")]

mod border;
mod engine;
mod explain;
mod types;

use std::ffi::{c_char, c_int, c_uint, c_void};

use bwld::list::Colour;
use bwld::matcher::{BATCH, Question};

use border::{E_DAMAGED, E_NONE, Failure, MAX_MESSAGE, cross, cut, fillable, put, recall, reference, remember, string, text, values};
use engine::{Engine, time};
pub use types::{CListState, CLoaded, CQuestion, CTexts, CVerdict};
use types::{Texts, colour_number};

/// `bwld_matcher`: what stands behind the pointer is none of the caller's business.
pub struct CMatcher(Engine);

/// `BWLD_ABI`; also in `build.rs`.
const ABI: c_uint = 1;

impl From<bwld::matcher::IndexError> for Failure {
    fn from(error: bwld::matcher::IndexError) -> Failure {
        Failure { code: E_DAMAGED, message: error.to_string() }
    }
}

/// Refers to a matcher.
///
/// # Safety
/// As at the head of this file.
unsafe fn engine<'a>(matcher: *const CMatcher) -> Result<&'a Engine, Failure> {
    // SAFETY: a matcher that was made and not closed lives on the heap; it is only ever referred to as shared, and what changes in it
    // is behind a lock or an atomic exchange.
    Ok(&unsafe { reference(matcher, "matcher") }?.0)
}

/// Makes a matcher and hands it out.
fn hand_out(matcher: *mut *mut CMatcher, make: impl FnOnce() -> Result<Engine, Failure>) -> Result<(), Failure> {
    let matcher = fillable(matcher, "matcher")?;
    // SAFETY: not null, aligned; the caller lets us write there.
    unsafe { matcher.write(std::ptr::null_mut()) };
    let made = Box::into_raw(Box::new(CMatcher(make()?)));
    // SAFETY: as above.
    unsafe { matcher.write(made) };
    Ok(())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_new(matcher: *mut *mut CMatcher) -> c_int {
    cross(|| hand_out(matcher, || Ok(Engine::new()?)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_open_folder(path: *const c_char, matcher: *mut *mut CMatcher) -> c_int {
    cross(|| {
        hand_out(matcher, || {
            // SAFETY: the head of this file.
            let path = unsafe { string(path) }?.ok_or_else(|| Failure::argument("the path is a null pointer"))?;
            Ok(Engine::open_folder(path)?)
        })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_refresh(matcher: *mut CMatcher, changed: *mut c_int) -> c_int {
    let fill = |what: bool| {
        if !changed.is_null() && changed.is_aligned() {
            // SAFETY: not null, aligned; the caller lets us write there.
            unsafe { changed.write(what.into()) };
        }
    };
    fill(false);
    cross(|| {
        // SAFETY: the head of this file.
        fill(unsafe { engine(matcher) }?.refresh()?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_close(matcher: *mut CMatcher) {
    // Nothing to return a code with; what goes wrong is kept for bwld_last_error.
    let _ = cross(|| {
        if !matcher.is_null() {
            // SAFETY: made by `hand_out` from a Box, closed once, used by nobody else: the caller's promise.
            drop(unsafe { Box::from_raw(matcher) });
        }
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_load_list(
    matcher: *mut CMatcher,
    list: *const c_char,
    colour: c_int,
    octets: *const c_void,
    len: usize,
    expires: u64,
    loaded: *mut CLoaded,
) -> c_int {
    let fill = |what: CLoaded| {
        if !loaded.is_null() && loaded.is_aligned() {
            // SAFETY: not null, aligned; the caller lets us write there.
            unsafe { loaded.write(what) };
        }
    };
    fill(CLoaded::default());
    cross(|| {
        // SAFETY: the head of this file.
        let (engine, list, octets) = unsafe { (engine(matcher)?, string(list)?, values(octets.cast::<u8>(), len)?) };
        let what = engine.load(list, engine::colour(colour)?, octets, expires)?;
        if let Some((_, why)) = &what.first {
            remember(why);
        }
        fill(CLoaded {
            rules: what.rules,
            refused: what.refused,
            first_line: what.first.map_or(0, |(line, _)| line),
            serial: what.serial.map_or(0, |serial| serial.get()),
        });
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_expect_list(matcher: *mut CMatcher, list: *const c_char, colour: c_int) -> c_int {
    cross(|| {
        // SAFETY: the head of this file.
        let (engine, list) = unsafe { (engine(matcher)?, string(list)?) };
        let list = list.ok_or_else(|| Failure::argument("the list's name is a null pointer"))?;
        let colour = engine::colour(colour)?.ok_or_else(|| Failure::argument("pass BWLD_BLACK or BWLD_WHITE"))?;
        Ok(engine.expect(list, colour)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_drop_list(matcher: *mut CMatcher, list: *const c_char) -> c_int {
    cross(|| {
        // SAFETY: the head of this file.
        let (engine, list) = unsafe { (engine(matcher)?, string(list)?) };
        Ok(engine.drop_list(list.ok_or_else(|| Failure::argument("the list's name is a null pointer"))?)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_local_allow(matcher: *mut CMatcher, rules: *const c_char, len: usize) -> c_int {
    // SAFETY: the head of this file.
    cross(|| unsafe { Ok(engine(matcher)?.set_local(Colour::White, text(rules, len)?)?) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_local_deny(matcher: *mut CMatcher, rules: *const c_char, len: usize) -> c_int {
    // SAFETY: the head of this file.
    cross(|| unsafe { Ok(engine(matcher)?.set_local(Colour::Black, text(rules, len)?)?) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_set_policy(matcher: *mut CMatcher, json: *const c_char, len: usize) -> c_int {
    // SAFETY: the head of this file.
    cross(|| unsafe { Ok(engine(matcher)?.set_policy(text(json, len)?)?) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_look_up(
    matcher: *const CMatcher,
    question: *const c_char,
    len: usize,
    now: u64,
    verdict: *mut CVerdict,
    texts: *mut CTexts,
) -> c_int {
    cross(|| {
        let verdict = fillable(verdict, "verdict")?;
        // SAFETY: not null, aligned; the caller lets us write there. First the careful answer, in case the true one cannot be had.
        unsafe { verdict.write(CVerdict::default()) };
        // SAFETY: null, or the caller's room for texts, of octets, which need no alignment.
        let texts = unsafe { Texts::new(texts) };
        // SAFETY: the head of this file.
        let (engine, octets) = unsafe { (engine(matcher)?, values(question.cast::<u8>(), len)?) };
        let answer = match Question::parse_octets(octets) {
            Ok(question) => {
                let lists = engine.matcher.load();
                let found = lists.look_up(&question, time(now));
                let answer = CVerdict::of(&found);
                match texts.of(&found) {
                    Ok(()) => answer,
                    Err(_) => CVerdict { damaged: 1, ..answer },
                }
            }
            Err(error) => {
                texts.invalid(&error);
                CVerdict::INVALID
            }
        };
        // SAFETY: as above.
        unsafe { verdict.write(answer) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_look_up_batch(
    matcher: *const CMatcher,
    questions: *const CQuestion,
    n: usize,
    now: u64,
    verdicts: *mut CVerdict,
) -> c_int {
    cross(|| {
        if n == 0 {
            return Ok(());
        }
        let verdicts = fillable(verdicts, "verdicts")?;
        // SAFETY: the head of this file.
        let questions = unsafe { values(questions, n) }?;
        let put = |at: usize, verdict: CVerdict| {
            // SAFETY: the caller lets us write `n` verdicts from here, and `at` is less.
            unsafe { verdicts.add(at).write(verdict) }
        };
        (0..n).for_each(|at| put(at, CVerdict::default()));
        // SAFETY: the head of this file.
        let engine = unsafe { engine(matcher) }?;
        let (lists, now) = (engine.matcher.load(), time(now));
        for (chunk, start) in questions.chunks(BATCH).zip((0..).step_by(BATCH)) {
            let mut valid = [false; BATCH];
            let asked: [Question<'_>; BATCH] = std::array::from_fn(|at| {
                // SAFETY: each question of the caller is as the head of this file says.
                let octets = chunk.get(at).and_then(|asked| unsafe { values(asked.text.cast::<u8>(), asked.len) }.ok());
                let question = octets.and_then(|octets| Question::parse_octets(octets).ok());
                valid[at] = question.is_some();
                question.unwrap_or_else(|| Question::host("none").expect("one label is a host"))
            });
            lists.look_up_batch(&asked[..chunk.len()], now, |at, found| {
                put(start + at, if valid[at] { CVerdict::of(&found) } else { CVerdict::INVALID });
            });
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_explain_json(
    matcher: *const CMatcher,
    question: *const c_char,
    len: usize,
    now: u64,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> c_int {
    cross(|| {
        let needed = fillable(needed, "length")?;
        // SAFETY: not null, aligned; the caller lets us write there.
        unsafe { needed.write(0) };
        // SAFETY: null, or `size` octets of the caller.
        unsafe { put(b"", buffer, size) };
        // SAFETY: the head of this file.
        let (engine, octets) = unsafe { (engine(matcher)?, values(question.cast::<u8>(), len)?) };
        let json = explain::explain(&engine.matcher.load(), octets, time(now))?;
        // SAFETY: as above, both.
        unsafe {
            put(json.as_bytes(), buffer, size);
            needed.write(json.len());
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_list(matcher: *const CMatcher, number: usize, now: u64, state: *mut CListState) -> c_int {
    cross(|| {
        let state = fillable(state, "state")?;
        // SAFETY: not null, aligned; all zeros, which the caller lets us write there, are a state.
        unsafe { state.write_bytes(0, 1) };
        // SAFETY: the head of this file.
        let engine = unsafe { engine(matcher) }?;
        let lists = engine.matcher.load();
        let Some(list) = lists.states().nth(number) else {
            return Err(Failure { code: E_NONE, message: format!("there is no list number {number}") });
        };
        let problem = (!list.local).then(|| engine.problem(&list.list)).flatten().unwrap_or_default();
        let (origin, name) = (list.origin.as_str().as_bytes(), list.list.as_str().as_bytes());
        // SAFETY: as above; it is a state now, and nobody else uses it before we return.
        let state = unsafe { &mut *state };
        // SAFETY: rooms and their sizes.
        unsafe {
            put(origin, state.origin.as_mut_ptr(), state.origin.len());
            put(name, state.list.as_mut_ptr(), state.list.len());
            put(cut(&problem, MAX_MESSAGE).as_bytes(), state.problem.as_mut_ptr(), state.problem.len());
        }
        state.colour = colour_number(list.colour);
        state.present = lists.layers(&list.origin, &list.list).is_some().into();
        state.stale = list.is_stale(time(now)).into();
        state.local = list.local.into();
        state.serial = list.serial.map_or(0, |serial| serial.get());
        state.expires = list.expires.map_or(0, |expires| expires.unix());
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn bwld_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn bwld_abi() -> c_uint {
    ABI
}

#[unsafe(no_mangle)]
pub extern "C" fn bwld_error_text(error: c_int) -> *const c_char {
    match error {
        0 => c"no error",
        -1 => c"an argument that cannot be: a null pointer, an unknown number",
        -2 => c"a text that is not what was asked for",
        -3 => c"a file or folder that cannot be used",
        -4 => c"a damaged index or list",
        -5 => c"no such list, or no folder",
        -6 => c"a mistake in the library",
        _ => c"no error of this library",
    }
    .as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bwld_last_error(buffer: *mut c_char, size: usize) -> usize {
    recall(|message| {
        // SAFETY: null, or `size` octets of the caller.
        unsafe { put(message, buffer, size) };
        message.len()
    })
}

#[cfg(test)]
mod tests;
