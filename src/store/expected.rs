//! What is to be changed must still be what somebody has read (RFC 9110 section 13.1): asked by whoever changes it, behind the same
//! lock as the change, so that nothing comes in between.
//!
//! The tag of an object is the digest of what is shown of it. It follows from durable content, so every reading gives the same one,
//! also after a restart, and another object another one.

use crate::list::Digest;

use super::{By, StoreError};

/// What an act expects to find.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Expected {
    /// Whatever is there.
    #[default]
    Whatever,
    /// Something, whatever it is.
    Anything,
    /// Nothing: it is to be made.
    Nothing,
    /// One of these.
    OneOf(Vec<Digest>),
}

impl By {
    /// Acts only on what is as expected.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> By {
        self.expected = expected;
        self
    }

    /// Whether the object is as expected; `tag` is only worked out if that is asked.
    ///
    /// # Errors
    /// [`StoreError::Changed`] if it is not; that of `tag`.
    pub fn expects<E: From<StoreError>>(&self, tag: impl FnOnce() -> Result<Option<Digest>, E>) -> Result<(), E> {
        if self.expected == Expected::Whatever {
            return Ok(());
        }
        let current = tag()?;
        let fits = match (&self.expected, &current) {
            (Expected::Whatever, _) | (Expected::Anything, Some(_)) | (Expected::Nothing, None) => true,
            (Expected::OneOf(tags), Some(tag)) => tags.contains(tag),
            (Expected::Anything | Expected::OneOf(_), None) | (Expected::Nothing, Some(_)) => false,
        };
        if fits { Ok(()) } else { Err(StoreError::Changed { current }.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_fits_what_is_expected_or_is_named() {
        let (one, other) = (Digest::of("one"), Digest::of("other"));
        for (expected, there, fits) in [
            (Expected::Whatever, None, true),
            (Expected::Whatever, Some(one), true),
            (Expected::Anything, Some(one), true),
            (Expected::Anything, None, false),
            (Expected::Nothing, None, true),
            (Expected::Nothing, Some(one), false),
            (Expected::OneOf(vec![other, one]), Some(one), true),
            (Expected::OneOf(vec![other]), Some(one), false),
            (Expected::OneOf(vec![other]), None, false),
            (Expected::OneOf(vec![]), Some(one), false),
        ] {
            let answer = By::from("anna").expecting(expected.clone()).expects::<StoreError>(|| Ok(there));
            match answer {
                Ok(()) => assert!(fits, "{expected:?} {there:?}"),
                Err(StoreError::Changed { current }) => assert!(!fits && current == there, "{expected:?} {there:?}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
