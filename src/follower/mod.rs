//! The subscriber's side.

mod plan;
