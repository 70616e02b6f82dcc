//! Real programs against this one: each test starts them on loopback with the very configuration that `docs/FILTERS.md`
//! prints, asks, publishes a change and asks again.
//!
//! What it offers: [`with`] (the programs a test needs, and a network of its own in which nothing leaves the machine),
//! [`Program`] (a running program whose log is shown when something fails), [`recipe`] (a block of the documentation),
//! [`ask`] (one DNS question), [`World`] (the name servers of the whole world, answering for every name).
//!
//! A program that is absent makes its test say so and pass; with `CI` set it fails.

mod alone;
mod bind;
mod bind_catalog;
mod bind_parts;
mod by_hand;
mod fed;
mod files;
mod harness;
mod measure;
mod names;
mod policies;
mod powerdns;
mod program;
mod question;
mod recipe;
mod site;
mod story;
mod unbound;
mod web;
mod world;

pub use alone::{is_alone, with, with_a_network};
pub use program::{Program, find, free_port};
pub use question::{Answer, ask, ask_with};
pub use recipe::{Recipe, recipe};
pub use world::World;
