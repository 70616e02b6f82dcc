//! What cannot be seen from C: allocations counted, and look-ups in many threads while lists are exchanged under them.
//! Everything else is asked from C, in `tests/calls.c` and `examples/filter.c`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// The system's allocator with a count a thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's; the count is a number of this thread, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A matcher that ends with the test.
struct Made(*mut CMatcher);

// SAFETY: bwld.h allows any number of threads.
unsafe impl Sync for Made {}

impl Made {
    fn new() -> Made {
        let mut matcher = std::ptr::null_mut();
        // SAFETY: room for a pointer.
        assert_eq!(unsafe { bwld_new(&raw mut matcher) }, 0);
        Made(matcher)
    }

    fn load(&self, list: &CStr, colour: c_int, rules: &str) {
        let octets = rules.as_ptr().cast();
        // SAFETY: a matcher, a string, octets and their number.
        let code = unsafe { bwld_load_list(self.0, list.as_ptr(), colour, octets, rules.len(), 0, std::ptr::null_mut()) };
        assert_eq!(code, 0);
    }

    fn ask(&self, question: &str, texts: *mut CTexts) -> CVerdict {
        let mut verdict = CVerdict::default();
        // SAFETY: a matcher, octets and their number, room for a verdict, and for texts or null.
        let code = unsafe { bwld_look_up(self.0, question.as_ptr().cast(), question.len(), 1, &raw mut verdict, texts) };
        assert_eq!(code, 0);
        verdict
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: made by bwld_new, closed once.
        unsafe { bwld_close(self.0) };
    }
}

const RULES: &str = "domain:a.example\tcat=adult\tage=18\tact=warn\nsubtree:b.example\nprefix:c.example/x/\ncidr:192.0.2.0/24\n";

#[test]
fn a_look_up_without_texts_allocates_nothing() {
    let made = Made::new();
    made.load(c"black", 1, RULES);
    made.load(c"white", 2, "subtree:ok.b.example\n");
    let asked = ["a.example", "WWW.B.example.", "x.ok.b.example", "none.example", "https://c.example/x/y?z=1", "c.example/y", "com"];
    let ask_all = || asked.map(|question| made.ask(question, std::ptr::null_mut()).kind);
    let first = ask_all();
    let before = COUNT.get();
    assert_eq!(ask_all(), first);
    assert_eq!(COUNT.get(), before, "single look-ups");

    let questions: Vec<CQuestion> =
        asked.iter().cycle().take(70).map(|text| CQuestion { text: text.as_ptr().cast(), len: text.len() }).collect();
    let mut verdicts = vec![CVerdict::default(); questions.len()];
    let before = COUNT.get();
    // SAFETY: a matcher, questions and their number, room for as many verdicts.
    assert_eq!(unsafe { bwld_look_up_batch(made.0, questions.as_ptr(), questions.len(), 1, verdicts.as_mut_ptr()) }, 0);
    assert_eq!(COUNT.get(), before, "a batch");
    assert!(verdicts.iter().map(|verdict| verdict.kind).eq(first.into_iter().cycle().take(70)));
}

#[test]
fn many_threads_look_up_while_one_exchanges_the_lists() {
    let made = Made::new();
    made.load(c"black", 1, RULES);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0_u64; 5];
                    let mut texts = std::mem::MaybeUninit::<CTexts>::uninit();
                    while !done.load(Ordering::Relaxed) || seen.iter().sum::<u64>() == 0 {
                        let verdict = made.ask("x.b.example", texts.as_mut_ptr());
                        // SAFETY: the look-up has put a NUL into each text.
                        let (rule, list) = unsafe {
                            let texts = texts.as_ptr();
                            (CStr::from_ptr((&raw const (*texts).rule).cast()), CStr::from_ptr((&raw const (*texts).list).cast()))
                        };
                        // Verdict and texts are of one state, whichever it was.
                        match verdict.kind {
                            types::BLOCK => assert!(rule == c"subtree:b.example" && list == c"black"),
                            types::ALLOW => assert!(rule == c"domain:x.b.example" && (list == c"white" || verdict.local == 1)),
                            types::UNLISTED => assert!(rule.is_empty() && list.is_empty()),
                            other => panic!("{other}"),
                        }
                        seen[usize::from(verdict.kind)] += 1;
                    }
                })
            })
            .collect();
        for turn in 0..200 {
            made.load(c"white", 2, if turn % 2 == 0 { "domain:x.b.example\n" } else { "domain:y.b.example\n" });
            made.load(c"black", 1, if turn % 3 == 0 { "domain:z.example\n" } else { RULES });
            let rules = if turn % 5 == 0 { "x.b.example" } else { "" };
            // SAFETY: a matcher, octets and their number.
            assert_eq!(unsafe { bwld_local_allow(made.0, rules.as_ptr().cast(), rules.len()) }, 0);
        }
        done.store(true, Ordering::Relaxed);
        askers.into_iter().for_each(|asker| asker.join().expect("no assertion failed"));
    });
}
