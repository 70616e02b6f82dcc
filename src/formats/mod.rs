//! Other people's list formats.
//!
//! [`read`](read()) and [`open`] read them as streams, [`write`](mod@write) writes them. Nothing here fetches a file or opens one.

mod read;
pub mod write;

pub use read::{
    Exceptions, Format, Header, HeaderError, ISSUES_KEPT, Issue, Item, LeftOut, NotAFormat, Opened, PIECE, Piece, Pieces, ReadError,
    ReadOptions, Rest, Summary, Whole, Wildcards, XmlNames, XmlNamesError, header, open, read,
};
