//! Owns proving the event log by the replay, and completing it.
//! Knows nothing of how the machine is fed. Invariant: what the event log already holds is
//! compared, and the log is opened for writing only when it has been compared to the end that it
//! shares with the journal, and the journal has been judged.

use std::path::PathBuf;

use engine::{Frame, StateMachine};
use journal::{Examined, JournalReader, Record, RecoveryReport};

use crate::error::PipelineError;
use crate::event_check::EventCheck;
use crate::event_log::{EventLog, split_payload};
use crate::options::{
    Options, event_log_id, events_dir, events_draft_dir, journal_dir, quarantine_dir,
};

/// Walks the event log beside the replay.
pub(crate) struct Proof<'a, S: StateMachine> {
    options: &'a Options,
    /// The log as it was found; taken when it is opened for writing.
    found: Option<Examined>,
    log: Option<(EventLog<S::Event>, RecoveryReport)>,
    begin: Begin,
    check: EventCheck<S>,
    /// Last event that the log held at the start, and the input sequence of it.
    logged: u64,
    released: u64,
}

/// Where a proof begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// The last command, and the last event, that a snapshot holds: what is replayed and compared
    /// comes behind them.
    pub(crate) sequence: u64,
    pub(crate) event_sequence: u64,
    /// Event up to which the log is only compared and not judged by itself: the comparison reads
    /// every byte of it, so that a second reading would find nothing more.
    pub(crate) judged_after: u64,
}

/// An event log that ends where the journal does, everything synced.
pub(crate) struct Proven<E> {
    pub(crate) event_log: EventLog<E>,
    /// Events compared in this proof.
    pub(crate) compared: u64,
    pub(crate) report: RecoveryReport,
    /// Where the log went that knew of commands which the journal has lost.
    pub(crate) set_aside: Option<PathBuf>,
}

impl<'a, S: StateMachine> Proof<'a, S> {
    /// Reads and judges the end of the event log; changes nothing in it.
    pub(crate) fn open(options: &'a Options, begin: Begin) -> Result<Self, PipelineError> {
        let dir = events_dir(&options.data_dir);
        let mut released = begin.sequence;
        let judged = options.event_log_options::<S>(begin.judged_after);
        let found = journal::examine(&dir, &judged, |record| {
            if let Some((sequence, ..)) = split_payload(record.payload) {
                released = sequence;
            }
            Ok::<_, PipelineError>(())
        })?;
        Ok(Self {
            options,
            log: None,
            begin,
            check: EventCheck::open(&options.data_dir, begin.event_sequence)?,
            logged: found.report().last_seq,
            found: Some(found),
            released,
        })
    }

    /// Compares the events of one frame with the log, or appends those that are missing there.
    pub(crate) fn check(
        &mut self,
        frame: &Frame<S::Command>,
        events: &[S::Event],
    ) -> Result<(), PipelineError> {
        for (position, event) in events.iter().enumerate() {
            if self.check.compared() == self.logged {
                if self.found.is_some() {
                    self.judge_journal()?;
                }
                return Ok(self.open_log()?.append(
                    frame.sequence,
                    frame.timestamp_ns,
                    position,
                    events,
                )?);
            }
            self.check.check(frame, position, event)?;
        }
        Ok(())
    }

    /// Ends the log where the journal ends, at input sequence `replayed`. The log may know of more
    /// only where the journal may have lost it without breaking its word; it is then moved away and
    /// written again up to there.
    pub(crate) fn finish(
        mut self,
        journal: &mut Examined,
        replayed: u64,
    ) -> Result<Proven<S::Event>, PipelineError> {
        self.join(journal)?;
        let mut set_aside = None;
        if self.check.compared() < self.logged {
            let extra = self.check.next()?.expect("a record that was read before");
            let event_sequence = extra.seq;
            let sequence = split_payload(extra.payload).map_or(0, |(sequence, ..)| sequence);
            if sequence <= replayed || !journal.may_lack_stored_records() {
                return Err(PipelineError::EventLogAhead { event_sequence, sequence, replayed });
            }
            set_aside = Some(self.write_anew(journal, replayed)?);
        }
        self.open_log()?;
        let (mut event_log, report) = self.log.expect("opened above");
        event_log.store()?;
        event_log.sync()?;
        let compared = self.check.compared() - self.begin.event_sequence;
        Ok(Proven { event_log, compared, report, set_aside })
    }

    /// The first change to the event log comes while the journal is still being read: make sure
    /// that nothing in the rest of it will be refused afterwards.
    fn judge_journal(&mut self) -> Result<(), PipelineError> {
        let dir = journal_dir(&self.options.data_dir);
        let options = self.options.journal_options::<S>(self.begin.sequence);
        let mut journal = journal::examine(&dir, &options, |_| Ok::<_, PipelineError>(()))?;
        self.join(&mut journal)
    }

    /// Both logs belong to one exchange.
    fn join(&mut self, journal: &mut Examined) -> Result<(), PipelineError> {
        if let Some(found) = &mut self.found {
            found.join(journal)?;
        }
        Ok(())
    }

    fn open_log(&mut self) -> Result<&mut EventLog<S::Event>, PipelineError> {
        if let Some(found) = self.found.take() {
            let (writer, report) = found.open()?;
            self.log = Some((EventLog::new(writer), report));
        }
        let (log, _) = self.log.as_mut().expect("opened above or before");
        Ok(log)
    }

    /// Moves the log to quarantine and puts another one in its place, with those of its events that
    /// the replay came to as well, or that a snapshot vouches for, byte for byte. All of the old
    /// one is read before anything is changed, and the new one is whole before the old one goes: a
    /// process that dies meanwhile leaves one of the two, see [`finish_swap`].
    fn write_anew(
        &mut self,
        journal: &mut Examined,
        replayed: u64,
    ) -> Result<PathBuf, PipelineError> {
        self.found = None;
        let options = self.options;
        let (dir, draft) = (events_dir(&options.data_dir), events_draft_dir(&options.data_dir));
        let compared = self.check.compared();
        let judged = options.event_log_options::<S>(0);
        let all = |_: Record<'_>| Ok::<_, PipelineError>(());
        journal::examine(&dir, &judged, all)?;
        let mut found = journal::examine(&draft, &judged, all)?;
        found.join(journal)?;
        let mut log = EventLog::<S::Event>::new(found.open()?.0);
        let mut old = JournalReader::open(&dir, event_log_id::<S>(), 1)?;
        for _ in 0..compared {
            log.copy(&old.next_record()?.expect("a record that was read before"))?;
        }
        log.store()?;
        log.close()?;
        let place = journal::set_aside(&dir, &quarantine_dir(&options.data_dir))?;
        journal::put_in_place(&draft, &dir)?;
        tracing::warn!(
            first_lost_sequence = replayed + 1,
            last_lost_sequence = self.released,
            first_lost_event = compared + 1,
            last_lost_event = self.logged,
            set_aside = %place.display(),
            "the journal has lost unsynced commands; the event log is written again without them"
        );
        let rest = options.event_log_options::<S>(compared);
        self.found = Some(journal::examine(&dir, &rest, all)?);
        self.join(journal)?;
        Ok(place)
    }
}

/// Ends what a process began that died while it put another event log in place: the new one is
/// whole if the old one has gone, and not needed if it has not.
pub(crate) fn finish_swap(options: &Options) -> Result<(), PipelineError> {
    let (dir, draft) = (events_dir(&options.data_dir), events_draft_dir(&options.data_dir));
    if !draft.is_dir() {
        return Ok(());
    }
    if dir.is_dir() {
        journal::remove_draft(&draft)?;
    } else {
        journal::put_in_place(&draft, &dir)?;
    }
    Ok(())
}
