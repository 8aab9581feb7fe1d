//! What belongs here: the exchange ends in every place between two steps of what moves money:
//! settlement, funding, reservations and their releases, under load, and again and again. In the
//! end each trade is settled once, each reservation is exact, and no unit is lost or doubled.

use std::path::Path;

use journal::fail_point::OF_MONEY;
use tests::app::{Settings, binary};
use tests::report::say;
use tests::trading::load::Scene;
use tests::trading::pair::{Pair, TRADERS, settings};

/// Places of one way to the wallet, or of both; and the times at which they are tried: first of
/// all, which is mostly what the life before has left, and amid the load.
const BUSY: [u64; 2] = [1, 12];
const ONCE: [u64; 1] = [1];
/// Each file is taken over at the start, and saved again and again.
const FILES: [u64; 4] = [1, 2, 3, 5];

const SETTLEMENT: [(&str, &[u64]); 7] = [
    ("settlement-before-call", &BUSY),
    ("settlement-called", &BUSY),
    ("settlement-noted", &BUSY),
    ("settlement-before-save", &ONCE),
    ("settlement-saved", &ONCE),
    ("state-drafted", &FILES),
    ("state-renamed", &FILES),
];
const FUNDING: [(&str, &[u64]); 10] = [
    ("credit-before", &ONCE),
    ("transfer-answered", &BUSY),
    ("credit-made", &ONCE),
    ("debit-before", &ONCE),
    ("debit-made", &ONCE),
    ("funding-noted", &BUSY),
    ("conclusion-before-call", &ONCE),
    ("conclusion-called", &ONCE),
    ("cursor-before-save", &ONCE),
    ("cursor-saved", &ONCE),
];
/// A start gives up what waits only where the life before has left something.
const PER_ORDER: [(&str, &[u64]); 10] = [
    ("order-announced", &BUSY),
    ("reserve-before-call", &BUSY),
    ("reserve-called", &BUSY),
    ("order-given-up", &ONCE),
    ("order-ended", &BUSY),
    ("release-before-call", &BUSY),
    ("release-called", &BUSY),
    ("release-noted", &BUSY),
    ("cursor-before-save", &ONCE),
    ("cursor-saved", &ONCE),
];

/// Places that are tried while there is no wallet: what nobody has done is not lost with whoever
/// was to have it done. Late enough for a cursor to be saved meanwhile.
const WALLET_AWAY: [(&str, &[u64]); 1] = [("settlement-called", &[6])];
const WALLET_AWAY_PER_ORDER: [(&str, &[u64]); 2] =
    [("reserve-called", &[3]), ("order-ended", &[3])];

/// A life that ends in a place.
#[derive(Clone, Debug)]
struct Life {
    name: &'static str,
    nth: u64,
    /// Whether there is no wallet in it.
    is_alone: bool,
}

fn lives(places: &[(&'static str, &[u64])], is_alone: bool) -> Vec<Life> {
    let of = |(name, times): &(&'static str, &[u64])| {
        let name = *name;
        times.iter().map(|nth| Life { name, nth: *nth, is_alone }).collect::<Vec<_>>()
    };
    places.iter().flat_map(of).collect()
}

impl Life {
    fn live(&self, scene: &mut Scene<'_>) {
        let Self { name, nth, is_alone } = self;
        if *is_alone {
            scene.pair.wallet.kill();
        }
        scene.pair.app.end_in(Some(format!("{name}:{nth}")));
        scene.pair.app.spawn();
        // Some end before they are.
        if scene.pair.app.is_ready_at_last() {
            scene.open();
        }
        let ended = scene.pair.app.wait_for_end();
        assert_eq!(ended.code, None, "{self:?}: {}", ended.stderr);
        let said = scene.pair.app.remarks().said().errors;
        let fired = format!("fail point {name} fired");
        assert!(said.last().is_some_and(|line| *line == fired), "{self:?}: {said:?}");
        if *is_alone {
            scene.pair.wallet.restart();
        }
        scene.venue.close();
        scene.venue.wait_for_silence(TRADERS);
    }
}

fn in_every_place(settings: Settings, lives: &[Life]) {
    binary::take(Path::new(env!("CARGO_BIN_EXE_mortal")));
    let mut pair = Pair::open(settings, false);
    let evidence = pair.under_load(|scene| {
        scene.pair.app.kill();
        scene.venue.close();
        scene.venue.wait_for_silence(TRADERS);
        lives.iter().for_each(|life| life.live(scene));
        scene.pair.app.end_in(None);
        scene.pair.app.restart();
        scene.open();
    });
    let trades = pair.verdict(&evidence);
    say(&format!("ended {} times; {trades} trades, {:?}", lives.len(), evidence.tally));
    assert!(trades > lives.len(), "hardly anything traded");
    assert!(evidence.tally.unknown > 0, "the ends hit nobody");
}

#[test]
fn prefunded_trading_ends_in_every_place() {
    let with_wallet = lives(&[&SETTLEMENT[..], &FUNDING].concat(), false);
    in_every_place(settings(), &[with_wallet, lives(&WALLET_AWAY, true)].concat());
}

#[test]
fn trading_that_reserves_for_each_order_ends_in_every_place() {
    let settings = settings().with("wallet", "funding", "\"per_order\"");
    let with_wallet = lives(&[&PER_ORDER[..], &SETTLEMENT].concat(), false);
    in_every_place(settings, &[with_wallet, lives(&WALLET_AWAY_PER_ORDER, true)].concat());
}

#[test]
fn no_place_is_left_out() {
    let listed = [&SETTLEMENT[..], &FUNDING, &PER_ORDER].concat();
    for name in OF_MONEY {
        assert!(listed.iter().any(|(listed, _)| *listed == name), "{name}");
    }
}
