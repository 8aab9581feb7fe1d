//! Owns how the views are saved into a snapshot and restored from one.
//! Knows nothing of files, nor of what the model keeps. Invariant: after the same commands the same
//! bytes, and bytes that are let in are saved as these bytes again.
//!
//! Who waits for a sequence is this process's own and not saved: the sequence says it anew.

use std::sync::atomic::Ordering;

use engine::codec::append as put;
use engine::{RestoreError, SnapshotReader};

use crate::views::Views;
use crate::views::model::Model;

/// Version of this encoding.
const FORMAT: u16 = 1;

impl Views {
    /// Appends everything. Readers may go on meanwhile.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { model, history: _, reflected: _, progress: _ } = self;
        put(&(FORMAT, self.sequence()), out);
        model.read().save(out);
    }

    /// Puts what was saved in the place of a model that nothing was shown to.
    ///
    /// # Errors
    /// The bytes are not what [`Self::save`] writes, and nothing has changed.
    pub(super) fn restore(&self, bytes: &[u8]) -> Result<(), RestoreError> {
        let from = &mut SnapshotReader::new(bytes);
        let (format, sequence): (u16, u64) = from.read("format")?;
        from.check(format == FORMAT, "format")?;
        let model = Model::new(self.history).filled(from)?;
        from.check(model.sequence <= sequence, "sequence of the model")?;
        from.finish()?;
        *self.model.write() = model;
        self.reflected.store(sequence, Ordering::Release);
        self.progress.send_replace(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
