//! Owns what the three stages share. Knows nothing of rings and threads: the bodies below are
//! called slot by slot, by a thread, by a test or by recovery. Invariant: a stage waits for nobody
//! inside its body, except for room on a full disk.

pub(crate) mod apply;
pub(crate) mod journaler;
pub(crate) mod publisher;

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use crate::bell::{Bells, WaitMode};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::cursor::Cursors;
use crate::sync_age::SyncAge;
use crate::tables::Tables;

/// What every part of one pipeline sees.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) cursors: Arc<Cursors>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) sync_age: Arc<CachePadded<SyncAge>>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Shared {
    /// Everything at `base`, the last sequence that recovery found; the machine has these tables.
    pub(crate) fn new(base: u64, wait: WaitMode, tables: Tables, clock: Arc<dyn Clock>) -> Self {
        Self {
            cursors: Arc::new(Cursors::new(base)),
            counters: Arc::default(),
            bells: Arc::new(Bells::new(wait)),
            tables: Arc::new(tables),
            sync_age: Arc::new(CachePadded::new(SyncAge::new())),
            clock,
        }
    }
}
