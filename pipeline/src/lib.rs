//! Runs one deterministic state machine around one ordered log: durable, replayable, published.
//!
//! Contract: commands enter through [`Ingress`], each gets the next sequence. The journaler stores
//! them and the core applies them at the same time; the publisher lets nothing out (event log,
//! [`Outlet`]s, replies) before a command is both applied and as durable as the sync policy says.
//! [`recover`] rebuilds the machine from the journal and proves the event log equal to what the
//! machine says again; [`start`] continues from there. `graph` draws the topology.
//!
//! Knows nothing of: what a command means, HTTP, async runtimes, configuration files.
//!
//! Failure: a panic in a stage or a failed write ends the process; a restart replays.

mod abort;
mod affinity;
mod bell;
mod clock;
mod configuration_hash;
mod counters;
mod cursor;
mod distribution;
mod epoch;
mod error;
mod event_check;
mod event_log;
mod graph;
mod huge_pages;
mod ingress;
mod instance;
pub mod limits;
mod options;
mod outlet;
mod progress;
mod proof;
mod recovery;
mod reply;
mod room;
mod runner;
mod running;
mod scrubber;
mod sequencer;
mod shadow;
mod slot;
mod snapshot_desk;
mod snapshots;
mod snapshotter;
mod source;
mod stages;
mod stepped;
mod sync;
mod sync_age;
mod tables;

pub use bell::WaitMode;
pub use clock::{Clock, ManualClock, SystemClock};
pub use configuration_hash::ConfigurationHash;
pub use counters::{Counter, Counters, LogCounters, ReplayCounters, SnapshotCounters};
pub use cursor::{Cursor, Cursors};
pub use distribution::Distribution;
pub use error::PipelineError;
pub use event_log::{EventLogReader, LoggedEvent, split_payload as split_event};
pub use graph::start;
pub use huge_pages::HugePages;
pub use ingress::{Ingress, Lane, SubmitError};
pub use instance::Instance;
pub use options::{JournalOptions, Options};
pub use outlet::Outlet;
pub use progress::{Listener, Progress};
pub use recovery::{Recovered, ReplayReport, ReplaySummary, recover, replay};
pub use reply::{Outcome, Reply};
pub use room::Room;
pub use running::{Running, Stopped};
pub use shadow::Shadow;
pub use slot::{Control, ControlError};
pub use snapshot_desk::{SnapshotDesk, SnapshotError, SnapshotPolicy};
pub use snapshots::{SnapshotTaken, take_snapshot};

pub use stepped::Stepped;
