//! What a look-up allocates: nothing. Counted for each thread, for this binary runs many tests at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bwld::list::Colour;
use bwld::matcher::{Categories, Layers, Lists, Policy, Question, Verdict};

use super::made::{about_of, build_as, now, state};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Not there any more while the thread ends.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came; counting neither allocates nor unwinds.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATIONS.with(Cell::get);
    let done = work();
    (done, ALLOCATIONS.with(Cell::get) - before)
}

fn lists() -> Lists {
    let mut lists = Lists::new();
    for (n, colour) in [Colour::Black, Colour::White, Colour::Black].into_iter().enumerate() {
        let about = about_of(&format!("list-{n}"), colour, 1);
        let mut lines: Vec<String> = (0..3_000).map(|k| format!("subtree:n{k}.list-{n}.example\tcat=c{}", k % 7)).collect();
        lines.extend(["prefix:a.example/p", "prefix:192.0.2.1/x", "cidr:10.0.0.0/8", "cidr:2001:db8::/32"].map(str::to_owned));
        let base = Layers::new(build_as(about.clone(), [n as u8 / 2; 16], lines.iter().map(String::as_str)).into());
        let mut changes = bwld::list::ChangeSet::default();
        changes.push(bwld::list::Change::Remove(lines[5].split('\t').next().expect("a rule").parse().expect("a rule"))).expect("one");
        let layers = base.apply(about_of(&format!("list-{n}"), colour, 2), &changes).expect("it applies");
        lists = lists.with_list(state(layers.about()), Some(layers)).expect("lists");
    }
    let policy = Policy { categories: Categories::Except(["c1".parse().expect("a code")].into()), age: Some(12), ..Policy::default() };
    lists.with_policy(policy).expect("a policy")
}

#[test]
fn a_look_up_allocates_nothing() {
    let lists = lists();
    let deep = "x.".repeat(110) + "n9.list-0.example";
    for (question, word) in [
        ("n7.list-0.example", "block"),
        ("N7.List-0.Example.", "block"),
        ("x.n9.list-1.example", "allow"),
        ("n5.list-0.example", "unlisted"),
        ("n8.list-0.example", "unlisted"),
        ("nothing.example", "unlisted"),
        ("nothing.example:8443", "unlisted"),
        ("localhost", "unlisted"),
        (&deep, "block"),
        ("a.example/p?q=1", "allow"),
        ("https://a.example/p/q", "allow"),
        ("http://A.example:80/p", "allow"),
        ("https://a.example:8080/other", "unlisted"),
        ("10.1.2.3", "allow"),
        ("10.1.2.3:53", "allow"),
        ("http://192.0.2.1/x", "allow"),
        ("2001:db8::1", "allow"),
        ("[2001:db8::1]:443", "allow"),
        ("::ffff:10.0.0.1", "allow"),
        ("2001:db9::1", "unlisted"),
    ] {
        let (verdict, allocated) = allocations(|| lists.ask(question, now()).map(|verdict| verdict.word()));
        assert_eq!((verdict, allocated), (Ok(word), 0), "{question}");
    }
    let questions: Vec<Question<'_>> = ["n7.list-0.example", "a.example/p", "10.0.0.1", &deep]
        .into_iter()
        .cycle()
        .take(100)
        .map(|text| Question::parse(text).expect(text))
        .collect();
    let mut decided = 0;
    let ((), allocated) = allocations(|| {
        lists.look_up_batch(&questions, now(), |_, verdict| decided += u32::from(matches!(verdict, Verdict::Block(_) | Verdict::Allow(_))))
    });
    assert_eq!((decided, allocated), (100, 0), "a batch");
    // The counter counts.
    assert!(allocations(|| Box::new(std::hint::black_box(7))).1 > 0);
    assert!(allocations(|| lists.ask("bücher.example", now()).is_ok()).1 > 0, "names beyond ASCII are brought to canonical form");
}
