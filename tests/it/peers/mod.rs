//! Real programs against this one: each test starts them on loopback with the very configuration that `docs/FILTERS.md`
//! prints, asks, publishes a change and asks again.
//!
//! What it offers: [`with`] (the programs a test needs, and a network of its own in which nothing leaves the machine),
//! [`Program`] (a running program whose log is shown when something fails), [`recipe`] (a block of the documentation),
//! [`ask`] (one DNS question), [`World`] (the name servers of the whole world, answering for every name).
//!
//! A program that is absent makes its test say so and pass; with `CI` set it fails.

mod alone;
mod harness;
#[allow(dead_code)] // until the first peers come
mod program;
#[allow(dead_code)]
mod question;
#[allow(dead_code)]
mod recipe;
mod world;

pub use alone::{is_alone, with};
#[allow(unused_imports)]
pub use program::{Program, find, free_port};
#[allow(unused_imports)]
pub use question::{Answer, ask};
#[allow(unused_imports)]
pub use recipe::recipe;
pub use world::World;
