//! The index: sled behind a narrow trait. Everything in it can be rebuilt from the journal. The only file that sees sled.
