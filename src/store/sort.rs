//! External sort of entry lines with bounded memory: sorted runs on disk, then a merge.

/// Takes items in any order.
#[derive(Debug)]
pub struct Sorter {}

/// Gives them back ordered, the last one of equal rules winning.
#[derive(Debug)]
pub struct Sorted {}
