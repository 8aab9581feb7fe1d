//! Owns the comparison of two exchanges, command by command, and the search for the shortest
//! sequence of commands that still tells them apart. Knows nothing of what the commands mean.
//! Invariant: what is reported was seen in a run of exactly the steps reported.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{
    AccountId, AssetId, Codec, Command, Event, Frame, InstrumentId, KillSwitchScope, Side,
};

use crate::exchange::Exchange;
use crate::model::Model;
use crate::projection::Books;
use crate::workload::{Step, Workload, frames};

/// Accounts, assets and instruments of a workload have no higher ids.
const IDS_COMPARED: u32 = 12;

/// Where two exchanges parted, and how.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Index of the step after which they differed.
    pub step: usize,
    pub text: String,
}

/// Runs both exchanges on the same steps: events after each command, the whole state after every
/// `state_every` commands and at the end. A panic of either is a difference.
#[must_use]
pub fn first_difference<L: Exchange, R: Exchange>(
    mut left: L,
    mut right: R,
    steps: &[Step],
    state_every: usize,
) -> Option<Difference> {
    let mut books = Books::default();
    for (step, frame) in frames(steps).iter().enumerate() {
        let answers = (guarded(|| left.apply(frame)), guarded(|| right.apply(frame)));
        let (Ok(events), Ok(others)) = &answers else {
            return Some(Difference { step, text: format!("{answers:#?}") });
        };
        if events != others {
            return Some(Difference { step, text: format!("{answers:#?}") });
        }
        events.iter().for_each(|event| books.apply(event));
        if step % state_every == 0 || step + 1 == steps.len() {
            let fault = guarded(|| state_difference(&left, &right, &books, IDS_COMPARED));
            if let Some(text) = fault.unwrap_or_else(Some) {
                return Some(Difference { step, text });
            }
        }
    }
    None
}

/// The same for an exchange and the model that makes the workload of this seed, on its first
/// `count` steps: the model is asked once, not twice. `observe` sees the events, until they differ,
/// and the model unless it is ahead.
#[must_use]
pub fn first_difference_on_the_way(
    mut exchange: impl Exchange,
    seed: u64,
    count: usize,
    state_every: usize,
    mut observe: impl FnMut(&[Event], Option<&Model>),
) -> Option<Difference> {
    let mut books = Books::default();
    let mut workload = Workload::new(seed);
    for step in 0..count {
        let Ok((next, wanted)) = guarded(|| workload.advance()) else {
            return Some(Difference { step, text: "the model itself".to_owned() });
        };
        let Step { label: sequence, time_ns: timestamp_ns, command } = next;
        let frame = Frame { sequence, timestamp_ns, command };
        let found = guarded(|| exchange.apply(&frame));
        if found.as_ref() != Ok(&wanted) {
            return Some(Difference { step, text: format!("{:#?}", (found, wanted)) });
        }
        observe(&wanted, workload.model());
        wanted.iter().for_each(|event| books.apply(event));
        let Some(model) = workload.model() else { continue };
        if step % state_every == 0 || step + 1 == count {
            let fault = guarded(|| state_difference(&exchange, model, &books, IDS_COMPARED));
            if let Some(text) = fault.unwrap_or_else(Some) {
                return Some(Difference { step, text });
            }
        }
    }
    None
}

/// What `run` returned.
///
/// # Errors
/// The text of its panic.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })
}

/// What two exchanges keep differently, or the events told otherwise; looks at accounts, assets and
/// instruments with ids up to `most`. Panics on a broken invariant.
#[must_use]
pub fn state_difference(
    left: &impl Exchange,
    right: &impl Exchange,
    books: &Books,
    most: u32,
) -> Option<String> {
    left.assert_invariants();
    right.assert_invariants();
    let intents = (left.intents(), right.intents());
    if intents.0 != intents.1 {
        return Some(format!("orders that wait for their funds: {intents:?}"));
    }
    for asset in (1..=most).map(AssetId) {
        let totals = (left.fees_and_supply(asset), right.fees_and_supply(asset));
        if totals.0 != totals.1 {
            return Some(format!("fees and supply of asset {asset}: {totals:?}"));
        }
        for account in (1..=most).map(AccountId) {
            let balances = (left.balance(account, asset), right.balance(account, asset));
            if balances.0 != balances.1 {
                return Some(format!("account {account}, asset {asset}: {balances:?}"));
            }
        }
    }
    switches_difference(left, right, most).or_else(|| books_difference(left, right, books, most))
}

/// Kill switches and traded volumes.
fn switches_difference(left: &impl Exchange, right: &impl Exchange, most: u32) -> Option<String> {
    for id in 0..=most {
        for scope in KillSwitchScope::ALL {
            let on = (left.is_killed(*scope, id), right.is_killed(*scope, id));
            if on.0 != on.1 {
                return Some(format!("kill switch {scope:?} {id}: {on:?}"));
            }
        }
        for account in (1..=most).map(AccountId) {
            let volume = |exchange: &dyn Exchange| exchange.daily_volume(account, InstrumentId(id));
            let lots = (volume(left), volume(right));
            if lots.0 != lots.1 {
                return Some(format!("lots of account {account} in {id}: {lots:?}"));
            }
        }
    }
    None
}

fn books_difference(
    left: &impl Exchange,
    right: &impl Exchange,
    books: &Books,
    most: u32,
) -> Option<String> {
    for instrument in (1..=most).map(InstrumentId) {
        let dormant = (left.dormant_orders(instrument), right.dormant_orders(instrument));
        if dormant.0 != dormant.1 {
            return Some(format!("stops of {instrument}: {dormant:?}"));
        }
        let queues = (left.triggered_orders(instrument), right.triggered_orders(instrument));
        if queues.0 != queues.1 {
            return Some(format!("stops that were met in {instrument}: {queues:?}"));
        }
        let seen = books.last_price(instrument);
        let last = (left.last_price(instrument), right.last_price(instrument));
        if last.0 != last.1 || last.0 != seen {
            return Some(format!("last price of {instrument}: {last:?}, by events {seen}"));
        }
        for side in [Side::Buy, Side::Sell] {
            let seen = books.resting_orders(instrument, side);
            let queues =
                (left.resting_orders(instrument, side), right.resting_orders(instrument, side));
            if queues.0 != queues.1 || queues.0 != seen {
                return Some(format!("{side:?} of {instrument}: {queues:?}, by events {seen:?}"));
            }
        }
    }
    None
}

/// Leaves out steps while `differs` still finds a difference; what is left cannot lose one more.
#[must_use]
pub fn shrink(
    steps: &[Step],
    mut differs: impl FnMut(&[Step]) -> Option<Difference>,
) -> (Vec<Step>, Difference) {
    let mut difference = differs(steps).expect("there is a difference to begin with");
    let mut steps = steps[..=difference.step].to_vec();
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let before = steps.len();
        let mut start = 0;
        while start < steps.len() {
            let end = (start + chunk).min(steps.len());
            let without = [&steps[..start], &steps[end..]].concat();
            match differs(&without) {
                Some(smaller) => {
                    steps = without[..=smaller.step].to_vec();
                    difference = smaller;
                }
                None => start = end,
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if steps.len() == before {
            return (steps, difference);
        }
    }
}

/// These steps as a case for [`read_cases`]: per command its time, its bytes and what it is.
#[must_use]
pub fn as_case(name: &str, steps: &[Step]) -> String {
    let mut text = format!("case {name}\n");
    for frame in frames(steps) {
        let mut bytes = [0; Command::BYTES_MAX];
        let length = frame.command.encode_into(&mut bytes);
        let _ = write!(text, "{} ", frame.timestamp_ns);
        for byte in &bytes[..length] {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text, " {:?}", frame.command);
    }
    text
}

/// Reads a file of cases, each with its name; lines that start with `#` are comments.
///
/// # Panics
/// If a line is not of a case, or does not hold a command.
#[must_use]
pub fn read_cases(text: &str) -> Vec<(String, Vec<Frame<Command>>)> {
    let mut cases: Vec<(String, Vec<Frame<Command>>)> = Vec::new();
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix("case ") {
            cases.push((name.to_owned(), Vec::new()));
            continue;
        }
        let mut words = line.split(' ');
        let timestamp_ns = words.next().and_then(|time| time.parse().ok()).expect("a time");
        let hex = words.next().expect("bytes in hexadecimal");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let command = Command::decode_from(&bytes).expect("an encoded command");
        let (_, frames) = cases.last_mut().expect("a case starts with its name");
        let sequence = frames.len() as u64 + 1;
        frames.push(Frame { sequence, timestamp_ns, command });
    }
    cases
}
