//! What belongs here: every short sequence of commands over a small alphabet, on engine and model,
//! compared after each command. What random commands meet by luck, this meets for sure, as long as
//! it needs few commands.

use std::env;

use engine::{Command, EngineOptions, Frame};
use tests::differ::{guarded, state_difference};
use tests::dsl::Scenario;
use tests::exchange::{Exchange, FastExchange};
use tests::model::{Defect, Model};
use tests::projection::Books;
use tests::report::say;

/// Length of the sequences; `MATCHRING_EXHAUSTIVE` asks for others.
const LENGTH: usize = 4;
/// Accounts, assets and instruments have no higher ids.
const IDS: u32 = 2;

/// The commands that every place of a sequence tries; `%1` is the order of its first command.
const ALPHABET: [&str; 46] = [
    // Orders that rest, with and without a part that hides.
    "a S 1@10",
    "b S 2@10 d1",
    "a S 2@11 gtd50",
    "a B 1@9 day",
    "b B 2@10 d1",
    "a B 2@10",
    "b B 1@10 po",
    // Takers, and what they do when they meet their own.
    "b B 1@11 ioc",
    "a B 2@11 fok",
    "b S 2@9 fok cm",
    "a B 2@11 dc",
    "b S 2@9 cb",
    "a S 1@mkt ct",
    "b B 2@mkt cm",
    "a B $21@mkt",
    // Stops of every kind.
    "a B 1 stop11",
    "b B 2@10 stop10 d1",
    "b S 1 stop9",
    "a S 1@10 stop10 po",
    "a S 2 stop10 dc",
    "b S 1 tp11",
    "a B 2@9 tp9 fok",
    "b B 2@11 tp10 ioc",
    "a B $21 stop11",
    "b S 2 tr1",
    "a B 1 tr1 day",
    "a S 1 tr100bp",
    // Changes of the first two orders, whoever has them.
    "a m%1 p10",
    "b m%1 q1",
    "a m%1 s10",
    "b m%1 p11 q3",
    "b m%2 p9 q2",
    "a m%2 s11",
    "a x%1",
    "b x%2",
    // What ends many, or lets none in.
    "a x*S",
    "t50",
    "eod",
    "kill b",
    "unkill b",
    "kill *",
    "halt",
    "cxl",
    "open",
    // What changes the rules.
    "set collar 1000",
    "set trig 2",
];

/// A world to begin in: settings and first commands, and how much shorter its sequences are.
struct World {
    text: &'static str,
    shorter: usize,
}

/// A market that has traded, one where every bound of one command is one, and one that is about to
/// move both ways.
const WORLDS: [World; 3] = [
    World { text: "{OWN} b S 1@10; a B 1@10", shorter: 0 },
    World {
        text: "{OWN, trig 1, steps 1} a S 1@11; b S 1@11; b B 1@9; b B 1 stop11; a B 1 stop11; \
            b B 1@11",
        shorter: 1,
    },
    World {
        text: "{OWN, fee 500/1000, collar 1000, band 2000, max_vol 6, ref 10} b S 2@11 d1; \
            a B 2@9; a S 2@10; b B 1@10; a S 1 stop9; b B 2 stop11",
        shorter: 1,
    },
];

const OWN: &str = "a Q1000 B100, b Q1000 B100";

struct Walk {
    /// Each command and how it is written.
    symbols: Vec<(String, Frame<Command>)>,
    length: usize,
    sequences: u64,
}

/// A place in the tree of sequences: both exchanges after the commands so far.
#[derive(Clone)]
struct Node<L, R> {
    left: L,
    right: R,
    books: Books,
    sequence: u64,
}

impl<L: Exchange, R: Exchange> Node<L, R> {
    /// Applies one command; returns how the two differ after it.
    fn step(&mut self, frame: &Frame<Command>) -> Option<String> {
        self.sequence += 1;
        let frame = Frame { sequence: self.sequence, ..*frame };
        let found = guarded(|| (self.left.apply(&frame), self.right.apply(&frame)));
        let Ok((events, others)) = found else { return Some(format!("{found:?}")) };
        if events != others {
            return Some(format!("{events:#?}\n{others:#?}"));
        }
        events.iter().for_each(|event| self.books.apply(event));
        guarded(|| state_difference(&self.left, &self.right, &self.books, IDS)).unwrap_or_else(Some)
    }
}

impl Walk {
    /// Tries every command after those so far, and all that can follow; returns the first
    /// difference and the sequence that shows it.
    fn below<L, R>(&mut self, node: &Node<L, R>, path: &mut Vec<usize>) -> Option<String>
    where
        L: Exchange + Clone,
        R: Exchange + Clone,
    {
        for index in 0..self.symbols.len() {
            path.push(index);
            let mut next = node.clone();
            if let Some(text) = next.step(&self.symbols[index].1) {
                let written = path.iter().map(|index| self.symbols[*index].0.as_str());
                return Some(format!("{}\n{text}", written.collect::<Vec<_>>().join("; ")));
            }
            self.sequences += 1;
            if path.len() < self.length {
                let found = self.below(&next, path);
                if found.is_some() {
                    return found;
                }
            }
            path.pop();
        }
        None
    }
}

/// Every sequence of up to `length` commands in one world: how many, and the first difference.
fn explore<L, R>(world: &World, length: usize, left: L, right: R) -> (u64, Option<String>)
where
    L: Exchange + Clone,
    R: Exchange + Clone,
{
    let prelude = world.text.replace("OWN", OWN);
    let scenario = Scenario::parse(&format!("{prelude} >>"));
    let mut node = Node { left, right, books: Books::default(), sequence: 0 };
    for frame in scenario.frames() {
        if let Some(text) = node.step(&frame) {
            return (0, Some(format!("{prelude}\n{text}")));
        }
    }
    let written = prelude.matches(';').count() + 1;
    let symbol = |text: &&str| {
        let text = text.replace("%1", &(written + 1).to_string());
        let text = text.replace("%2", &(written + 2).to_string());
        let frames = Scenario::parse(&format!("{prelude} >> {text}")).frames();
        (text, *frames.last().expect("a command"))
    };
    let symbols = ALPHABET.iter().map(symbol).collect();
    let mut walk = Walk { symbols, length, sequences: 0 };
    let difference = walk.below(&node, &mut Vec::new());
    let difference = difference.map(|text| format!("{prelude} >> {text}"));
    (walk.sequences, difference)
}

/// An engine with little to copy.
fn copied_often() -> FastExchange {
    FastExchange::new(EngineOptions { direct_order_ids: 64, ..EngineOptions::default() })
}

#[test]
fn engine_and_model_agree_on_every_short_sequence() {
    let asked = env::var("MATCHRING_EXHAUSTIVE").ok();
    let length = asked.map_or(LENGTH, |text| text.parse().expect("a length"));
    for world in &WORLDS {
        let length = length - world.shorter;
        let (fast, model) = (copied_often(), Model::default());
        let (sequences, difference) = explore(world, length, fast, model);
        if let Some(text) = difference {
            panic!("first the engine, then the model: {text}");
        }
        say(&format!("{sequences} sequences of up to {length} commands agree"));
        let wanted = (0..length).fold(0, |below, _| (below + 1) * ALPHABET.len() as u64);
        assert_eq!(sequences, wanted, "{} is not walked through", world.text);
    }
}

#[test]
fn a_mistake_shows_in_a_short_sequence() {
    for defect in [
        Defect::FeesRoundDown,
        Defect::StopsFireByAge,
        Defect::OneStopTooMany,
        Defect::AmendedStopWaits,
        Defect::CapStays,
        Defect::TrailGoesBack,
        Defect::ExpiryAfterInstant,
        Defect::RefreshKeepsPlace,
        Defect::ReserveForgotten,
        Defect::OwnVolumeCountsOnce,
        Defect::KillSparesDormant,
    ] {
        let found = WORLDS.iter().any(|world| {
            let (right, wrong) = (Model::default(), Model::new(Some(defect)));
            explore(world, 3, right, wrong).1.is_some()
        });
        assert!(found, "{defect:?} is in no sequence of three commands");
    }
}
