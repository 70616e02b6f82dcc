//! The single writer: staged changes -> guards -> serial -> artefacts -> sign -> journal (the commit point) -> index -> announce.
//!
//! Guarantees: nothing is announced that is not durable; a refused publication leaves everything as it was; cost
//! follows the change, not the list. Synchronous: callers on a runtime use its blocking threads.

mod api;
mod error;
mod guards;
mod options;
mod protect;

pub use api::{
    ChangeRequest, CheckReport, ImportMode, ImportReport, ListPatch, ListView, LogPage, NewList, PublishReport, PublishRequest, PutEntry,
    Refusal, StagedView,
};
pub use error::{Class, PublishError};
pub use options::PublisherOptions;
pub use protect::{Protected, ProtectedError};
