//! Owns what every test needs: a directory, options, replies that can be waited for, log contents.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine::{Codec, Frame};
use journal::{GroupSink, JournalReader, RecordKind, SyncHandle, SyncPolicy};
use pipeline::{
    Clock, Cursors, EventLogReader, Ingress, Instance, JournalOptions, LoggedEvent, ManualClock,
    Options, Outcome, Outlet, PipelineError, Recovered, Reply, Running, Stepped, SystemClock,
    recover, start,
};

use crate::toy::{Command, Event, Sum};

pub(crate) type Outlets = Vec<Box<dyn Outlet<Sum>>>;

/// Small segments and rings in a directory of any file system.
pub(crate) fn options(dir: &Path, sync: SyncPolicy) -> Options {
    let journal =
        JournalOptions { segment_bytes: 1 << 20, sync, allow_fs: true, ..Default::default() };
    Options { journal, input_slots: 1024, output_slots: 1024, ..Options::new(dir) }
}

/// What a reply was told, and where the cursors stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) sequence: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) state_hash: Option<[u8; 32]>,
    pub(crate) synced: u64,
    pub(crate) written: u64,
    pub(crate) logged: u64,
}

/// Sends its answer to the test.
#[derive(Debug)]
pub(crate) struct Ticket {
    answers: Sender<Answer>,
    cursors: Arc<Cursors>,
}

impl Reply<Sum> for Ticket {
    fn complete(self, frame: &Frame<Command>, outcome: Outcome<'_, Event>) {
        let (events, state_hash) = match outcome {
            Outcome::Events(events) => (events.to_vec(), None),
            Outcome::StateHash(hash) => (Vec::new(), Some(hash)),
        };
        let answer = Answer {
            sequence: frame.sequence,
            events,
            state_hash,
            synced: self.cursors.synced(),
            written: self.cursors.written(),
            logged: self.cursors.logged(),
        };
        // The test may have looked at enough answers.
        let _ = self.answers.send(answer);
    }
}

/// Makes tickets and waits for their answers.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) tickets: Sender<Answer>,
    pub(crate) answers: Receiver<Answer>,
    cursors: Arc<Cursors>,
}

impl Desk {
    pub(crate) fn new(cursors: Arc<Cursors>) -> Self {
        let (tickets, answers) = channel();
        Self { tickets, answers, cursors }
    }

    pub(crate) fn ticket(&self) -> Option<Ticket> {
        Some(Ticket { answers: self.tickets.clone(), cursors: Arc::clone(&self.cursors) })
    }

    /// Answers that are there now.
    pub(crate) fn ready(&self) -> Vec<Answer> {
        self.answers.try_iter().collect()
    }

    pub(crate) fn wait(&self, count: usize) -> Vec<Answer> {
        (0..count).map(|_| self.answers.recv().unwrap()).collect()
    }
}

/// Submits as soon as there is room.
pub(crate) fn submit(ingress: &Ingress<Sum, Ticket>, command: Command, desk: &Desk) -> u64 {
    loop {
        match ingress.try_submit(command, desk.ticket(), pipeline::Lane::Control) {
            Ok(sequence) => return sequence,
            Err(pipeline::SubmitError::RingFull) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A sum that nobody watches.
pub(crate) fn bare() -> Instance<Sum> {
    Instance::bare(Sum::default())
}

pub(crate) fn running(options: &Options) -> Running<Sum, Ticket> {
    running_with(options, Vec::new(), Arc::new(SystemClock::new()))
}

pub(crate) fn running_with(
    options: &Options,
    outlets: Outlets,
    clock: Arc<dyn Clock>,
) -> Running<Sum, Ticket> {
    let mut outlets = Some(outlets);
    let watched = || {
        let outlets = outlets.take().expect("there is no snapshot, so one instance will do");
        Instance { machine: Sum::default(), outlets }
    };
    let recovered = recover(options, watched).unwrap();
    start(recovered, options, clock).unwrap()
}

pub(crate) fn stepped(options: &Options, clock: &Arc<ManualClock>) -> Stepped<Sum, Ticket> {
    let recovered = recover(options, bare).unwrap();
    Stepped::new(recovered, options, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// Does something before each sync.
struct Watched<F> {
    below: Box<dyn GroupSink>,
    before: Arc<F>,
}

impl<F: Fn() + Send + Sync> GroupSink for Watched<F> {
    fn put(&mut self, offset: u64, group: &[u8]) -> io::Result<()> {
        self.below.put(offset, group)
    }

    fn sync(&mut self) -> io::Result<()> {
        (self.before)();
        self.below.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        self.below.sync_handle()
    }
}

/// Has this done before each sync of the journal that its thread waits for.
pub(crate) fn before_syncs(
    recovered: &mut Recovered<Sum>,
    before: impl Fn() + Send + Sync + 'static,
) {
    let before = Arc::new(before);
    recovered
        .writers_mut()
        .0
        .layer_sinks(move |_, below| Box::new(Watched { below, before: Arc::clone(&before) }));
}

/// All files below a directory with their bytes; the lock file and folders without files do not
/// count.
pub(crate) fn bytes_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.append(&mut bytes_below(&path));
        } else if path.file_name().is_none_or(|name| name != "lock") {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

/// Fails to recover, and nothing is modified by that.
pub(crate) fn refused(options: &Options) -> PipelineError {
    let before = bytes_below(&options.data_dir);
    let error = recover(options, bare).expect_err("recovery is refused");
    assert!(bytes_below(&options.data_dir) == before, "a refused start changed a log: {error}");
    error
}

/// Kind, sequence, time and payload of a journal record.
pub(crate) type JournalRecord = (RecordKind, u64, u64, Vec<u8>);

pub(crate) fn journal_records(dir: &Path) -> Vec<JournalRecord> {
    let mut reader = JournalReader::open(&dir.join("journal"), 1, 1).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push((record.kind, record.seq, record.ts_ns, record.payload.to_vec()));
    }
    records
}

pub(crate) fn logged_events(dir: &Path) -> Vec<LoggedEvent<Event>> {
    let mut reader = EventLogReader::<Sum>::open(dir, 1).unwrap();
    let mut events = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        events.push(event);
    }
    events
}

/// Makes the event log anew, with these records and nothing else.
pub(crate) fn write_event_log(dir: &Path, events: &[LoggedEvent<Event>]) {
    let exchange_uuid = journal::stat(&dir.join("journal")).unwrap().exchange_uuid;
    let dir = dir.join("events");
    std::fs::remove_dir_all(&dir).unwrap();
    let options = journal::Options {
        exchange_uuid: Some(exchange_uuid),
        segment_bytes: 1 << 20,
        allow_fs: true,
        schema_hash: [7; 32],
        ..journal::Options::new(0x101, SyncPolicy::Os)
    };
    let (mut writer, _) = journal::recover(&dir, &options, |_| Ok::<_, ()>(())).unwrap();
    for logged in events {
        let payload_max = 12 + Event::BYTES_MAX;
        if writer.group_is_full(payload_max) {
            writer.store().unwrap();
        }
        let (sequence, time) = (logged.event_sequence, logged.timestamp_ns);
        writer
            .append(RecordKind::EVENT, sequence, time, payload_max, |out| {
                out[..8].copy_from_slice(&logged.input_sequence.to_le_bytes());
                out[8..12].copy_from_slice(&logged.index.to_le_bytes());
                12 + logged.event.encode_into(&mut out[12..])
            })
            .unwrap();
    }
    writer.close().unwrap();
}
