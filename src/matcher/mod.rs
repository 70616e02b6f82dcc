//! The matching core: host, URL or address in, verdict out, in about one memory access.
//!
//! [`IndexBuilder`] compiles the entries of a list into an [`Index`], one immutable run of octets that is written to a file
//! and opened by mapping it. [`Layers`] are an index with the deltas since. [`Lists`] are all lists that a filter applies,
//! with its [`Policy`] and its own rules; [`Matcher`] exchanges them under running look-ups.
//!
//! Guarantees: a look-up allocates nothing and takes no lock; the answer is exact, for the text of a rule is compared; a
//! damaged index is an error, never a wrong answer; a list that is missing gives [`Verdict::NoData`], never "not listed".
//! It reads no clock, opens no file (it maps one that it is given), and knows nothing of signatures: build from what `trust` has
//! verified.
//!
//! ```
//! use bwld::list::{Colour, Digest, Serial, Timestamp};
//! use bwld::matcher::{About, IndexBuilder, Layers, ListState, Lists, Matcher, Seed, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let about = About {
//!     origin: "lists.example.org".parse()?,
//!     list: "adult".parse()?,
//!     colour: Colour::Black,
//!     serial: Serial::FIRST,
//!     root: Digest::of(""),
//! };
//! let mut builder = IndexBuilder::new(about.clone(), Seed::new(*b"drawn at random!"));
//! builder.push("subtree:adult.example\tcat=adult")?;
//! let layers = Layers::new(builder.finish()?.into());
//!
//! let state = ListState {
//!     origin: about.origin,
//!     list: about.list,
//!     colour: about.colour,
//!     serial: Some(about.serial),
//!     expires: Some("2027-01-01T00:00:00Z".parse()?),
//!     local: false,
//! };
//! let matcher = Matcher::new(Lists::new().with_list(state, Some(layers))?);
//!
//! let now: Timestamp = "2026-11-24T12:00:00Z".parse()?;
//! match matcher.load().ask("www.adult.example", now)? {
//!     Verdict::Block(by) => println!("blocked by {} of {} {}", by.rule()?, by.list().list, by.list().serial.unwrap()),
//!     other => panic!("{other:?}"),
//! }
//! # Ok(())
//! # }
//! ```

mod buffer;
mod build;
mod check;
#[cfg(test)]
mod crowding;
mod details;
mod explain;
mod find;
mod hash;
mod index;
mod layers;
mod layout;
mod pages;
mod policy;
mod prefetch;
mod question;
mod ranges;
mod set;
mod urls;
mod verdict;

pub use buffer::Buffer;
pub use build::{BuildError, IndexBuilder};
pub use explain::{Explanation, Outcome};
pub use hash::Seed;
pub use index::Index;
pub use layers::{Fold, Layers, LayersError};
pub use layout::{About, IndexError};
pub use policy::{Categories, Ignored, Policy, Precedence};
pub use question::{MAX_QUESTION, Question, QuestionError};
pub use set::{BATCH, ListState, Lists, Matcher};
pub use verdict::{Match, Missing, Verdict};
