//! Owns a machine together with those who watch it: what a snapshot is of.
//! Knows nothing of files. Invariant: machine and outlets stand at the same sequence.

use engine::{Frame, StateMachine, snapshot_hash};
use journal::Snapshot;

use crate::error::PipelineError;
use crate::outlet::Outlet;

/// Part of a snapshot that is the machine's.
const MACHINE_PART: &str = "machine";

/// A machine, and the outlets that are shown what it does.
pub struct Instance<S: StateMachine> {
    pub machine: S,
    pub outlets: Vec<Box<dyn Outlet<S>>>,
}

impl<S: StateMachine> Instance<S> {
    /// A machine that nobody watches.
    #[must_use]
    pub const fn bare(machine: S) -> Self {
        Self { machine, outlets: Vec::new() }
    }

    /// Shows the outlets what came of a frame.
    pub(crate) fn show(&mut self, frame: &Frame<S::Command>, events: &[S::Event]) {
        for outlet in &mut self.outlets {
            outlet.publish(frame, events);
        }
    }

    /// Ends a batch for the outlets.
    pub(crate) fn end_batch(&mut self) {
        let acked = self.machine.last_sequence();
        for outlet in &mut self.outlets {
            outlet.batch_end(acked);
        }
    }

    /// The parts of a snapshot, and the hash of the machine's state.
    pub(crate) fn parts(&self) -> (Vec<(&'static str, Vec<u8>)>, [u8; 32]) {
        let mut machine = Vec::new();
        self.machine.snapshot(&mut machine);
        let state_hash = snapshot_hash(&machine);
        let mut parts = vec![(MACHINE_PART, machine)];
        for outlet in &self.outlets {
            let Some(section) = outlet.section() else { continue };
            let mut bytes = Vec::new();
            outlet.save(&mut bytes);
            parts.push((section, bytes));
        }
        (parts, state_hash)
    }

    /// Gives a fresh instance what is in a snapshot.
    ///
    /// # Errors
    /// A part is missing, or is not what machine or outlet would have written. The instance is gone
    /// then: half of it may have been filled.
    pub(crate) fn restored(self, snapshot: &Snapshot) -> Result<Self, PipelineError> {
        let sequence = snapshot.meta().seq;
        let part = |name: &'static str| {
            snapshot.part(name).ok_or(PipelineError::SnapshotPart { sequence, part: name })
        };
        let refused =
            |part| move |source| PipelineError::SnapshotRestore { sequence, part, source };
        let Self { machine, mut outlets } = self;
        let machine = machine.restore(part(MACHINE_PART)?).map_err(refused(MACHINE_PART))?;
        if machine.last_sequence() != sequence {
            let found = machine.last_sequence();
            return Err(PipelineError::SnapshotElsewhere { sequence, found });
        }
        for outlet in &mut outlets {
            if let Some(section) = outlet.section() {
                outlet.restore(part(section)?).map_err(refused(section))?;
            }
        }
        Ok(Self { machine, outlets })
    }
}

impl<S: StateMachine> std::fmt::Debug for Instance<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, outlets) = (self.machine.last_sequence(), self.outlets.len());
        f.debug_struct("Instance").field("at", &at).field("outlets", &outlets).finish()
    }
}
