//! An export in a coding: made while the client takes it.

use std::io::Write;

use super::super::accept::Coding;
use super::super::body::Outlet;

/// Octets of a piece that are worth a message between threads. A format and zstd write pieces of some size; gzip does not.
pub(in crate::http) const fn worth(coding: Coding) -> usize {
    match coding {
        Coding::Gzip => 32 << 10,
        Coding::Identity | Coding::Zstd => 0,
    }
}

/// Runs `work` with what it writes in this coding.
pub(in crate::http) fn coded<E: From<std::io::Error>>(
    coding: Coding,
    outlet: &mut Outlet,
    work: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    match coding {
        Coding::Identity => work(outlet),
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(outlet, flate2::Compression::fast());
            work(&mut encoder)?;
            encoder.finish()?;
            Ok(())
        }
        Coding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(outlet, 1)?;
            work(&mut encoder)?;
            encoder.finish()?;
            Ok(())
        }
    }
}
