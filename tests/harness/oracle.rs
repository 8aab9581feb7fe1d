//! Owns the judgement on a data directory whose processes died: what they acknowledged is there
//! once, in its place, and everything else at most once. Knows nothing of how they died.
//! Invariant: it only reads, and forgives nothing but what it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine::{Frame, StateMachine};
use journal::{JournalReader, RecordKind};
use pipeline::{EventLogReader, Shadow};

use crate::drive::{Ack, Line, Script, hex};

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
                    if let Some(other) = self.acks.insert(ack.sequence, ack.clone()) {
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
        return end(heard, &Walk::<S>::new(dir, seed, heard)?);
    }
    let mut shadow = Shadow::open(dir, S::fresh()).map_err(|error| error.to_string())?;
    let mut kinds = JournalReader::open(&journal, S::MACHINE_ID, 1).map_err(|e| e.to_string())?;
    let mut walk = Walk::new(dir, seed, heard)?;
    walk.start_at(0, shadow.machine())?;
    loop {
        let before = shadow.machine().last_sequence();
        let mut outcome = Ok(());
        let reached = shadow
            .advance(before + 1, |frame, events| {
                outcome = kind_of(&mut kinds).and_then(|kind| walk.frame(kind, frame, events));
            })
            .map_err(|error| error.to_string())?;
        outcome?;
        if reached == before {
            break;
        }
        walk.start_at(reached, shadow.machine())?;
    }
    walk.log_ends()?;
    shadow.machine().assert_sound();
    walk.last_sequence = shadow.machine().last_sequence();
    end(heard, &walk)
}

fn end<S: Script>(heard: &Heard, walk: &Walk<'_, S>) -> Result<Verdict, String> {
    let last_sequence = walk.last_sequence;
    if let Some((sequence, _)) = heard.starts.range(last_sequence + 1..).next() {
        return Err(format!("recovered {sequence} inputs, and {last_sequence} are there"));
    }
    let lost = heard.acks.range(last_sequence + 1..).count() as u64;
    let commands = walk.answers.len() as u64;
    Ok(Verdict { last_sequence, commands, repeats: walk.repeats, lost })
}

/// Kind of the next record that is an input.
fn kind_of(kinds: &mut JournalReader) -> Result<RecordKind, String> {
    loop {
        let record = kinds.next_record().map_err(|error| error.to_string())?;
        let kind = record.ok_or("fewer records than inputs")?.kind;
        if matches!(kind, RecordKind::Command | RecordKind::Control) {
            return Ok(kind);
        }
    }
}

/// The way through one journal.
struct Walk<'a, S: StateMachine> {
    seed: u64,
    heard: &'a Heard,
    /// Only of a directory whose last process ended in order is the event log complete.
    log: Option<EventLogReader<S>>,
    answers: BTreeMap<u64, String>,
    repeats: u64,
    /// Numbers in the life that is walked through.
    life: BTreeSet<u64>,
    last_sequence: u64,
}

impl<'a, S: Script> Walk<'a, S> {
    fn new(dir: &Path, seed: u64, heard: &'a Heard) -> Result<Self, String> {
        let log = heard.is_done.then(|| EventLogReader::open(dir, 1)).transpose();
        Ok(Self {
            seed,
            heard,
            log: log.map_err(|error| error.to_string())?,
            answers: BTreeMap::new(),
            repeats: 0,
            life: BTreeSet::new(),
            last_sequence: 0,
        })
    }

    /// A recovery that ended here came to this state.
    fn start_at(&self, sequence: u64, machine: &S) -> Result<(), String> {
        match self.heard.starts.get(&sequence) {
            Some(hash) if *hash != hex(machine.state_hash()) => {
                Err(format!("recovery came to another state at {sequence}"))
            }
            _ => Ok(()),
        }
    }

    fn frame(
        &mut self,
        kind: RecordKind,
        frame: &Frame<S::Command>,
        events: &[S::Event],
    ) -> Result<(), String> {
        self.compare_log(frame, events)?;
        if kind == RecordKind::Control {
            self.life.clear();
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
        if !self.life.insert(number) {
            return Err(format!("{number} is twice in one life, the second time at {sequence}"));
        }
        let (answer, is_repeat) = (S::answer(events), S::is_repeat(events));
        let first = self.answers.get(&number);
        if is_repeat != first.is_some() {
            return Err(format!("{number} took effect twice or never, see {sequence}: {events:?}"));
        }
        if first.is_some_and(|first| *first != answer) {
            return Err(format!("{number} was answered {first:?} and then {answer}"));
        }
        if ack.is_some_and(|ack| ack.number != number || ack.answer != answer) {
            return Err(format!("{ack:?}, but the journal says {number}, {answer}"));
        }
        self.repeats += u64::from(is_repeat);
        self.answers.insert(number, answer);
        Ok(())
    }

    fn compare_log(
        &mut self,
        frame: &Frame<S::Command>,
        events: &[S::Event],
    ) -> Result<(), String> {
        let Some(log) = &mut self.log else { return Ok(()) };
        for (index, event) in (0..).zip(events) {
            let logged = log.next_event().map_err(|error| error.to_string())?;
            let is_equal = logged.is_some_and(|logged| {
                (logged.input_sequence, logged.index) == (frame.sequence, index)
                    && logged.event == *event
            });
            if !is_equal {
                return Err(format!("event {index} of {} is not in its log", frame.sequence));
            }
        }
        Ok(())
    }

    fn log_ends(&mut self) -> Result<(), String> {
        let Some(log) = &mut self.log else { return Ok(()) };
        match log.next_event().map_err(|error| error.to_string())? {
            Some(extra) => Err(format!("the event log goes on with {extra:?}")),
            None => Ok(()),
        }
    }
}
