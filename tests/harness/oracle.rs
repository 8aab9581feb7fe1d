//! Owns the judgement on a data directory whose processes died: what they acknowledged is there
//! once, in its place, and everything else at most once. Knows nothing of how they died.
//! Invariant: it only reads, and forgives nothing but what it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine::{Codec, EventBuffer, Frame};
use journal::{JournalReader, Record, RecordKind};
use pipeline::split_event;

use crate::drive::{Ack, Answer, Line, Script, hex};

/// Marks the log of a machine's events in its header; the rest is the number of the machine.
const EVENT_LOG: u32 = 0x100;

/// What the processes of one data directory have said.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Answers by sequence.
    pub acks: BTreeMap<u64, Ack>,
    /// Hash of the state that a recovery came to, by sequence.
    pub starts: BTreeMap<u64, String>,
    /// Whether the last process ended in order.
    pub is_done: bool,
}

impl Heard {
    /// Takes down what one process has said.
    ///
    /// # Errors
    /// It said what no process says, or spoke against itself or another one.
    pub fn take(&mut self, output: &str) -> Result<(), String> {
        self.is_done = false;
        for line in output.lines() {
            match line.parse()? {
                Line::Start { last_sequence, hash } => {
                    if *self.starts.entry(last_sequence).or_insert(hash.clone()) != hash {
                        return Err(format!("another state at {last_sequence} than before"));
                    }
                }
                Line::Ready => {}
                Line::Ack(ack) => {
                    if let Some(other) = self.acks.insert(ack.sequence, ack) {
                        return Err(format!("{other:?} and {ack:?}"));
                    }
                }
                Line::Done => self.is_done = true,
            }
        }
        Ok(())
    }

    /// The lowest number that no answer is known of. A process that begins there repeats all that
    /// was not answered.
    #[must_use]
    pub fn first_unanswered(&self) -> u64 {
        let answered: BTreeSet<u64> = self.acks.values().map(|ack| ack.number).collect();
        (0..).find(|number| !answered.contains(number)).expect("numbers do not end")
    }

    /// Forgets the answers behind a sequence, and returns how many these are.
    pub fn forget_behind(&mut self, sequence: u64) -> usize {
        self.acks.split_off(&(sequence + 1)).len()
    }
}

/// What a journal holds that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub last_sequence: u64,
    /// Commands with keys of their own.
    pub commands: u64,
    /// Commands whose keys had been used.
    pub repeats: u64,
    /// Answers to commands behind the end of the journal.
    pub lost: u64,
}

/// Judges a data directory that nobody writes to. Of the answers that were heard, those behind the
/// end of the journal are counted as lost, for the caller to judge; whatever else is wrong fails.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge<S: Script>(dir: &Path, seed: u64, heard: &Heard) -> Result<Verdict, String> {
    let journal = dir.join("journal");
    if !journal.is_dir() {
        return end(heard, &Walk::new::<S>(dir, seed, heard)?);
    }
    let failed = |error: journal::JournalError| error.to_string();
    let mut inputs = JournalReader::open(&journal, S::MACHINE_ID, 1).map_err(failed)?;
    let mut walk = Walk::new::<S>(dir, seed, heard)?;
    let (mut machine, mut events) = (S::fresh(), EventBuffer::default());
    // Recoveries that came to a state, in their order.
    let mut starts = heard.starts.iter().peekable();
    loop {
        let reached = machine.last_sequence();
        if let Some((_, hash)) = starts.next_if(|(sequence, _)| **sequence == reached)
            && *hash != hex(machine.state_hash())
        {
            return Err(format!("recovery came to another state at {reached}"));
        }
        let Some(record) = inputs.next_record().map_err(failed)? else { break };
        let Some(frame) = frame_of::<S>(&record, reached)? else { continue };
        events.clear();
        machine.apply(&frame, &mut events);
        walk.frame::<S>(record.kind, &frame, events.as_slice())?;
    }
    walk.log_ends()?;
    machine.assert_sound();
    walk.last_sequence = machine.last_sequence();
    end(heard, &walk)
}

/// The input that a record holds, if it holds one: the one behind `last`.
fn frame_of<S: Script>(
    record: &Record<'_>,
    last: u64,
) -> Result<Option<Frame<S::Command>>, String> {
    let (sequence, timestamp_ns) = (record.seq, record.ts_ns);
    let command = match record.kind {
        RecordKind::Command => S::Command::decode_from(record.payload)
            .map_err(|error| format!("{sequence} is no command: {error}"))?,
        RecordKind::Control => S::Command::default(),
        RecordKind::Digest | RecordKind::Seal => return Ok(None),
        RecordKind::Timer | RecordKind::External => {
            return Err(format!("{sequence} is of a kind that nobody writes"));
        }
    };
    if sequence != last + 1 {
        return Err(format!("{sequence} comes behind {last}"));
    }
    Ok(Some(Frame { sequence, timestamp_ns, command }))
}

fn end(heard: &Heard, walk: &Walk<'_>) -> Result<Verdict, String> {
    let last_sequence = walk.last_sequence;
    if let Some((sequence, _)) = heard.starts.range(last_sequence + 1..).next() {
        return Err(format!("recovered {sequence} inputs, and {last_sequence} are there"));
    }
    let lost = heard.acks.range(last_sequence + 1..).count() as u64;
    let commands = walk.answers.len() as u64;
    Ok(Verdict { last_sequence, commands, repeats: walk.repeats, lost })
}

/// The way through one journal.
struct Walk<'a> {
    seed: u64,
    heard: &'a Heard,
    /// Only of a directory whose last process ended in order is the event log complete.
    log: Option<JournalReader>,
    /// Place for the encoding of an event.
    encoded: Vec<u8>,
    /// What each number came to, and the life in which it was met last.
    answers: Vec<(Answer, u64)>,
    repeats: u64,
    /// Of the lives of the directory, the one that is walked through.
    life: u64,
    last_sequence: u64,
}

impl<'a> Walk<'a> {
    fn new<S: Script>(dir: &Path, seed: u64, heard: &'a Heard) -> Result<Self, String> {
        let events = dir.join("events");
        let log = heard.is_done.then(|| JournalReader::open(&events, EVENT_LOG | S::MACHINE_ID, 1));
        let log = log.transpose();
        Ok(Self {
            seed,
            heard,
            log: log.map_err(|error| error.to_string())?,
            encoded: vec![0; S::Event::BYTES_MAX],
            answers: Vec::new(),
            repeats: 0,
            life: 0,
            last_sequence: 0,
        })
    }

    fn frame<S: Script>(
        &mut self,
        kind: RecordKind,
        frame: &Frame<S::Command>,
        events: &[S::Event],
    ) -> Result<(), String> {
        self.compare_log::<S>(frame, events)?;
        if kind == RecordKind::Control {
            self.life += 1;
        }
        let sequence = frame.sequence;
        let ack = self.heard.acks.get(&sequence);
        let number = S::number(&frame.command).filter(|_| kind == RecordKind::Command);
        let Some(number) = number else {
            return ack.map_or(Ok(()), |ack| Err(format!("{ack:?} is {:?}", frame.command)));
        };
        if frame.command != S::command(self.seed, number) {
            return Err(format!("{sequence} is another command than {number}"));
        }
        let at = usize::try_from(number).map_err(|error| error.to_string())?;
        let first = self.answers.get(at).copied();
        if first.is_some_and(|(_, life)| life == self.life) {
            return Err(format!("{number} is twice in one life, the second time at {sequence}"));
        }
        // A life begins with what was not answered and goes on without a gap.
        if at > self.answers.len() {
            return Err(format!("{number} comes before {}, see {sequence}", self.answers.len()));
        }
        let (answer, is_repeat) = (S::answer(events), S::is_repeat(events));
        if is_repeat != first.is_some() {
            return Err(format!("{number} took effect twice or never, see {sequence}: {events:?}"));
        }
        if let Some((first, _)) = first.filter(|(first, _)| *first != answer) {
            return Err(format!("{number} was answered {first} and then {answer}: {events:?}"));
        }
        if ack.is_some_and(|ack| ack.number != number || ack.answer != answer) {
            return Err(format!("{ack:?}, but the journal says {number}, {answer}: {events:?}"));
        }
        self.repeats += u64::from(is_repeat);
        match self.answers.get_mut(at) {
            Some((_, life)) => *life = self.life,
            None => self.answers.push((answer, self.life)),
        }
        Ok(())
    }

    fn compare_log<S: Script>(
        &mut self,
        frame: &Frame<S::Command>,
        events: &[S::Event],
    ) -> Result<(), String> {
        let Some(log) = &mut self.log else { return Ok(()) };
        for (index, event) in (0..).zip(events) {
            let len = event.encode_into(&mut self.encoded);
            let expected = Some((frame.sequence, index, &self.encoded[..len]));
            let logged = log.next_record().map_err(|error| error.to_string())?;
            let is_equal = logged.is_some_and(|logged| {
                split_event(logged.payload) == expected && logged.ts_ns == frame.timestamp_ns
            });
            if !is_equal {
                return Err(format!("event {index} of {} is not in its log", frame.sequence));
            }
        }
        Ok(())
    }

    fn log_ends(&mut self) -> Result<(), String> {
        let Some(log) = &mut self.log else { return Ok(()) };
        match log.next_record().map_err(|error| error.to_string())? {
            Some(extra) => Err(format!("the event log goes on with {extra:?}")),
            None => Ok(()),
        }
    }
}
