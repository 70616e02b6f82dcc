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
    let asked =
        ["a.example", "WWW.B.example.", "x.ok.b.example", "none.example", "https://c.example/x/y?z=1", "192.0.2.7", "[2001:db8::1]", "com"];
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

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// Pieces of what could be meant, and of what could not.
    fn text(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 24] = [
            b"a",
            b"b.example",
            b".",
            b"..",
            b"/",
            b"http://",
            b"https://",
            b":",
            b":8443",
            b"[",
            b"2001:db8::1",
            b"]",
            b"192.0.2.7",
            b"/24",
            b"subtree:",
            b"domain:",
            b"*",
            b"\n",
            b"\t",
            b"cat=adult",
            b"\xc3\xa4",
            b"\xff",
            b"\0",
            b"xn--a",
        ];
        let n = self.next(9);
        (0..n).flat_map(|_| PIECES[self.next(PIECES.len())]).copied().collect()
    }
}

#[test]
fn whatever_comes_is_answered_or_refused_and_breaks_nothing() {
    let made = Made::new();
    made.load(c"black", 1, RULES);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut seen, mut json, mut needed) = ([0_u64; 7], vec![0_u8; 4_096], 0);
    let mut texts = std::mem::MaybeUninit::<CTexts>::uninit();
    for turn in 0..20_000 {
        let text = numbers.text();
        let (start, len) = (text.as_ptr().cast::<c_char>(), text.len());
        let mut verdict = CVerdict::default();
        // SAFETY: a matcher, octets and their number, room for what is to be filled.
        let code = unsafe {
            match turn % 40 {
                0 => bwld_local_deny(made.0, start, len),
                1 => bwld_local_allow(made.0, start, len),
                2 => bwld_set_policy(made.0, start, len),
                3 => bwld_load_list(made.0, c"white".as_ptr(), 2, start.cast(), len, 0, std::ptr::null_mut()),
                4 => bwld_explain_json(made.0, start, len, 1, json.as_mut_ptr().cast(), numbers.next(json.len()), &raw mut needed),
                5 => {
                    let question = CQuestion { text: start, len };
                    bwld_look_up_batch(made.0, &raw const question, 1, 1, &raw mut verdict)
                }
                _ => bwld_look_up(made.0, start, len, 1, &raw mut verdict, texts.as_mut_ptr()),
            }
        };
        assert!((border::E_DAMAGED + 1..=0).contains(&code), "{code}: {}", String::from_utf8_lossy(&text));
        seen[usize::from(verdict.kind)] += 1;
    }
    assert!(seen[usize::from(types::INVALID)] > 1_000 && seen[usize::from(types::BLOCK)] > 100, "{seen:?}");
}
