//! Stores and syncs that fail: the first failure is the last thing that a writer does.
//!
//! Must not know: files. Invariant: what is not covered by a sync that returned is never called
//! synced.

use super::{Log, command};
use crate::{GroupSink, SyncHandle, SyncPolicy};
use std::io;

/// Fails at a chosen step.
struct FailingSink {
    below: Box<dyn GroupSink>,
    puts_left: u32,
    syncs_left: u32,
}

impl GroupSink for FailingSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.puts_left = self.puts_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        self.below.put(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs_left = self.syncs_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        self.below.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(FailingHandle {
            below: self.below.sync_handle()?,
            fails: self.syncs_left == 0,
        }))
    }
}

struct FailingHandle {
    below: Box<dyn SyncHandle>,
    fails: bool,
}

impl SyncHandle for FailingHandle {
    fn sync(&mut self) -> io::Result<()> {
        if self.fails { Err(io::ErrorKind::Other.into()) } else { self.below.sync() }
    }
}

/// A write makes a file that was cut longer again; what was promised from it is gone all the same.
#[test]
fn what_is_stored_behind_a_cut_is_never_synced() {
    for sync in [SyncPolicy::Group, SyncPolicy::Os] {
        let log = Log::new(sync);
        let mut writer = log.writer();
        super::append(&mut writer, &command(1));
        writer.store().unwrap();
        writer.sync().unwrap();
        let file = std::fs::File::options().write(true).open(log.segment(1)).unwrap();
        file.set_len(0).unwrap();
        super::append(&mut writer, &command(2));
        writer.store().unwrap();
        let error = writer.sync().unwrap_err();
        assert!(error.to_string().contains("the file was cut"), "{error}");
        assert_eq!(writer.synced_seq(), 1);
        drop(writer);
        assert!(log.open().is_err(), "the next start is refused");
    }
}

#[test]
fn a_sync_in_the_background_covers_what_was_stored_before_it() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    assert!(!writer.begin_sync().unwrap(), "nothing waits for a sync");
    super::append(&mut writer, &command(1));
    writer.store().unwrap();
    assert!(writer.begin_sync().unwrap());
    assert!(!writer.begin_sync().unwrap(), "one is under way");
    super::append(&mut writer, &command(2));
    writer.store().unwrap();
    while !writer.poll_sync().unwrap() {
        std::thread::yield_now();
    }
    assert_eq!((writer.synced_seq(), writer.syncs()), (1, 1));
    assert!(writer.begin_sync().unwrap(), "the second command waits for one");
    writer.sync().unwrap();
    assert_eq!((writer.synced_seq(), writer.syncs()), (2, 2), "the one under way was enough");
}

#[test]
fn a_failed_sync_in_the_background_is_the_last() {
    for wait in [false, true] {
        let log = Log::new(SyncPolicy::Os);
        let mut writer = log.writer();
        writer.layer_sinks(|_, below| -> Box<dyn GroupSink> {
            Box::new(FailingSink { below, puts_left: 9, syncs_left: 0 })
        });
        super::append(&mut writer, &command(1));
        writer.store().unwrap();
        assert!(writer.begin_sync().unwrap());
        let failed = loop {
            // A sync that has to wait for the one under way hears of its failure.
            let outcome = if wait { writer.sync().map(|()| true) } else { writer.poll_sync() };
            match outcome {
                Ok(false) => std::thread::yield_now(),
                other => break other,
            }
        };
        assert_eq!(failed.unwrap_err().exit_code(), 134);
        assert_eq!(writer.synced_seq(), 0);
        assert!(matches!(writer.begin_sync(), Err(crate::JournalError::Poisoned)));
        assert!(matches!(writer.sync(), Err(crate::JournalError::Poisoned)));
    }
}

#[test]
fn first_failure_is_the_last() {
    for (puts, syncs) in [(2, 9), (9, 1)] {
        let log = Log::new(SyncPolicy::Group);
        let mut writer = log.writer();
        let layer = move |_, below| -> Box<dyn GroupSink> {
            Box::new(FailingSink { below, puts_left: puts, syncs_left: syncs })
        };
        writer.layer_sinks(layer);
        let mut failed = None;
        for seq in 1..=3 {
            super::append(&mut writer, &command(seq));
            if let Err(error) = writer.store().and_then(|()| writer.sync()) {
                failed = Some((seq, error));
                break;
            }
        }
        let (seq, error) = failed.expect("the fault fired");
        assert_eq!(error.exit_code(), 134);
        assert_eq!(seq, u64::from(puts.min(syncs)) + 1);
        assert_eq!(writer.synced_seq(), seq - 1);
        let poisoned = |outcome| matches!(outcome, Err(crate::JournalError::Poisoned));
        assert!(poisoned(writer.sync()));
        assert!(poisoned(writer.store()));
        assert!(poisoned(writer.store_idle()));
        let next = writer.last_seq() + 1;
        assert!(poisoned(writer.append(crate::RecordKind::Command, next, u64::MAX, 0, |_| 0)));
        assert!(poisoned(writer.close()));
        let (_, report, _) = log.open().unwrap();
        assert!(report.last_seq >= seq - 1);
    }
}
