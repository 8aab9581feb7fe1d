//! Owns the verdict on one scenario: the fast engine and the model both do what the text says.
//! Knows nothing of how a scenario is read. Invariant: a scenario passes only if both exchanges
//! give the same events, the shown ones are those expected, and both end in the state expected.

use engine::Side;

use crate::dsl::{INSTRUMENT, Scenario, render_end, render_events};
use crate::exchange::{Exchange, FastExchange};
use crate::model::Model;
use crate::projection::Books;

/// One line of a file of scenarios.
#[derive(Clone, Debug)]
pub struct Vector {
    pub id: String,
    pub commands: String,
    pub events: String,
    pub end: String,
}

/// Reads a file of lines `id | purpose | commands | events | end`; `#` starts a comment line.
///
/// # Panics
/// On a line that has another number of columns.
#[must_use]
pub fn read_vectors(text: &str) -> Vec<Vector> {
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let read = |line: &str| {
        let columns: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
        match <[String; 5]>::try_from(columns) {
            Ok([id, _purpose, commands, events, end]) => Vector { id, commands, events, end },
            Err(columns) => panic!("{} columns in {line:?}", columns.len()),
        }
    };
    lines.map(read).collect()
}

/// Runs one scenario on the fast engine and on the model.
///
/// # Errors
/// What was expected and what came, for each exchange that disagrees.
pub fn check(vector: &Vector) -> Result<(), String> {
    let scenario = Scenario::parse(&vector.commands);
    let mut fast = FastExchange::default();
    let mut model = Model::default();
    let verdicts = [
        ("engine", run(vector, &scenario, &mut fast)),
        ("model", run(vector, &scenario, &mut model)),
    ];
    let mut faults: Vec<String> = Vec::new();
    for (name, verdict) in verdicts {
        faults.extend(verdict.err().map(|fault| format!("{} in the {name}:\n{fault}", vector.id)));
    }
    faults.extend(compare_streams(&scenario).map(|fault| format!("{}: {fault}", vector.id)));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn run(vector: &Vector, scenario: &Scenario, exchange: &mut impl Exchange) -> Result<(), String> {
    let mut books = Books::default();
    let mut shown = Vec::new();
    for (index, frame) in scenario.frames().iter().enumerate() {
        let events = exchange.apply(frame);
        exchange.assert_invariants();
        events.iter().for_each(|event| books.apply(event));
        if index >= scenario.hidden_frames() {
            shown.extend(render_events(scenario, frame.sequence, &events));
        }
    }
    for side in [Side::Buy, Side::Sell] {
        let seen = books.resting_orders(INSTRUMENT, side);
        let kept = exchange.resting_orders(INSTRUMENT, side);
        assert_eq!(seen, kept, "{}: the events tell of another book", vector.id);
    }
    let end = render_end(scenario, &books, exchange, &vector.end);
    compare("events", &vector.events, &shown.join(", "))
        .and_then(|()| compare("end", &vector.end, &end))
}

fn compare(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("  {what} expected: {expected}\n  {what} found:    {found}"))
}

/// The first command whose events differ in any field, shown or not.
fn compare_streams(scenario: &Scenario) -> Option<String> {
    let (mut fast, mut model) = (FastExchange::default(), Model::default());
    for frame in scenario.frames() {
        let (left, right) = (Exchange::apply(&mut fast, &frame), model.apply(&frame));
        if left != right {
            return Some(format!("{frame:?}\n  engine {left:?}\n  model  {right:?}"));
        }
    }
    None
}
