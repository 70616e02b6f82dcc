//! The structures of `bwld.h`, octet for octet, and how they are filled.
//!
//! Guarantees: sizes and places are those of the header (asserted here, and in `tests/layout.c` on the other side).

use std::ffi::c_char;
use std::mem::offset_of;

use bwld::list::{Action, Colour, Kind};
use bwld::matcher::{IndexError, Match, Missing, Verdict};

use crate::border::{MAX_MESSAGE, cut, put};

pub const NO_DATA: u8 = 0;
pub const INVALID: u8 = 1;
pub const BLOCK: u8 = 2;
pub const ALLOW: u8 = 3;
pub const UNLISTED: u8 = 4;

/// `bwld_verdict`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CVerdict {
    pub kind: u8,
    pub action: u8,
    pub age: u8,
    pub rule_kind: u8,
    pub stale: u8,
    pub incomplete: u8,
    pub damaged: u8,
    pub local: u8,
    pub serial: u64,
}

/// `bwld_texts`. It is filled through a pointer and never read.
#[repr(C)]
pub struct CTexts {
    pub rule: [c_char; 2049],
    pub origin: [c_char; 254],
    pub list: [c_char; 64],
    pub categories: [c_char; 528],
    pub reference: [c_char; 33],
    pub reason: [c_char; 33],
    pub invalid: [c_char; MAX_MESSAGE + 1],
}

/// `bwld_question`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CQuestion {
    pub text: *const c_char,
    pub len: usize,
}

/// `bwld_loaded`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CLoaded {
    pub rules: u64,
    pub refused: u64,
    pub first_line: u64,
    pub serial: u64,
}

/// `bwld_list_state`.
#[repr(C)]
pub struct CListState {
    pub origin: [c_char; 254],
    pub list: [c_char; 64],
    pub problem: [c_char; MAX_MESSAGE + 1],
    pub colour: u8,
    pub present: u8,
    pub stale: u8,
    pub local: u8,
    pub serial: u64,
    pub expires: u64,
}

const _: () = {
    assert!(size_of::<CVerdict>() == 16 && offset_of!(CVerdict, local) == 7 && offset_of!(CVerdict, serial) == 8);
    assert!(size_of::<CTexts>() == 3985 && offset_of!(CTexts, reason) == 2928 && offset_of!(CTexts, invalid) == 2961);
    assert!(size_of::<CLoaded>() == 32 && offset_of!(CLoaded, serial) == 24);
    assert!(size_of::<CListState>() == 1368 && offset_of!(CListState, colour) == 1342 && offset_of!(CListState, serial) == 1352);
};

/// `BWLD_BLACK` or `BWLD_WHITE`.
pub const fn colour_number(colour: Colour) -> u8 {
    match colour {
        Colour::Black => 1,
        Colour::White => 2,
    }
}

impl CVerdict {
    /// What a question gets that is none.
    pub const INVALID: CVerdict =
        CVerdict { kind: INVALID, action: 0, age: 0, rule_kind: 0, stale: 0, incomplete: 0, damaged: 0, local: 0, serial: 0 };

    /// The answer in numbers. Allocates nothing.
    pub fn of(verdict: &Verdict<'_>) -> CVerdict {
        let none = CVerdict { stale: verdict.stale().into(), ..CVerdict::default() };
        match verdict {
            Verdict::Block(by) => CVerdict { kind: BLOCK, ..CVerdict::decided(by) },
            Verdict::Allow(by) => CVerdict { kind: ALLOW, action: 0, ..CVerdict::decided(by) },
            Verdict::Unlisted { .. } => CVerdict { kind: UNLISTED, ..none },
            Verdict::NoData(missing) => CVerdict { kind: NO_DATA, damaged: missing.damaged.into(), ..none },
        }
    }

    fn decided(by: &Match<'_>) -> CVerdict {
        let mut verdict = CVerdict {
            rule_kind: match by.kind() {
                Kind::Domain => 1,
                Kind::Subtree => 2,
                Kind::Url => 3,
                Kind::Prefix => 4,
                Kind::Cidr => 5,
            },
            stale: by.stale.into(),
            incomplete: by.incomplete.into(),
            local: by.list().local.into(),
            serial: by.list().serial.map_or(0, |serial| serial.get()),
            action: 1,
            ..CVerdict::default()
        };
        match by.action_and_age() {
            Ok((action, age)) => {
                verdict.action = match action {
                    None | Some(Action::Block) => 1,
                    Some(Action::Warn) => 2,
                    Some(Action::Log) => 3,
                };
                verdict.age = age.unwrap_or(0);
            }
            // The rule is there, only its attributes are not: the strictest reading of them.
            Err(_) => verdict.damaged = 1,
        }
        verdict
    }
}

/// Texts to be filled: a pointer to a [`CTexts`], or null.
pub struct Texts(*mut CTexts);

impl Texts {
    /// Empties all texts.
    ///
    /// # Safety
    /// `texts` is null or points at room for a [`CTexts`] that nobody else uses while this value lives.
    pub unsafe fn new(texts: *mut CTexts) -> Texts {
        let texts = Texts(texts);
        texts.each(|room, size| {
            // SAFETY: `each` gives rooms that lie within the structure.
            unsafe { put(b"", room, size) }
        });
        texts
    }

    fn each(&self, mut give: impl FnMut(*mut c_char, usize)) {
        let rooms = [
            (offset_of!(CTexts, rule), 2049),
            (offset_of!(CTexts, origin), 254),
            (offset_of!(CTexts, list), 64),
            (offset_of!(CTexts, categories), 528),
            (offset_of!(CTexts, reference), 33),
            (offset_of!(CTexts, reason), 33),
            (offset_of!(CTexts, invalid), MAX_MESSAGE + 1),
        ];
        if self.0.is_null() {
            return;
        }
        for (at, size) in rooms {
            give(self.0.cast::<c_char>().wrapping_add(at), size);
        }
    }

    /// Fills the texts in the order of the structure.
    fn fill(&self, texts: [&str; 7]) {
        let mut texts = texts.into_iter();
        self.each(|room, size| {
            let text = texts.next().unwrap_or_default();
            // SAFETY: `each` gives rooms that lie within the structure, which by the promise to `new` is ours.
            unsafe { put(text.as_bytes(), room, size) }
        });
    }

    /// Fills in why a question is none.
    pub fn invalid(&self, why: &dyn std::fmt::Display) {
        if !self.0.is_null() {
            self.fill(["", "", "", "", "", "", cut(&why.to_string(), MAX_MESSAGE)]);
        }
    }

    /// Fills in who decided, and why.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged where the rule's texts stand; the list's names are filled in then.
    pub fn of(&self, verdict: &Verdict<'_>) -> Result<(), IndexError> {
        if self.0.is_null() {
            return Ok(());
        }
        match verdict {
            Verdict::Unlisted { .. } => {}
            Verdict::NoData(Missing { list, .. }) => self.fill(["", list.origin.as_str(), list.list.as_str(), "", "", "", ""]),
            Verdict::Block(by) | Verdict::Allow(by) => {
                let (origin, list) = (by.list().origin.as_str(), by.list().list.as_str());
                self.fill(["", origin, list, "", "", "", ""]);
                let (rule, attributes) = (by.rule()?, by.attributes()?);
                let categories = attributes.categories.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(",");
                let reference = attributes.reference.as_deref().unwrap_or_default();
                let reason = attributes.reason.as_ref().map_or("", |code| code.as_str());
                self.fill([&rule.to_string(), origin, list, &categories, reference, reason, ""]);
            }
        }
        Ok(())
    }
}
