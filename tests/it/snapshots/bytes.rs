//! What belongs here: bytes that are no snapshot, or no longer one.

use std::collections::BTreeSet;

use engine::{AccountId, OrderId, RestoreError, RestoreFault, StateMachine, limits};
use tests::exchange::{Exchange, FastExchange};
use tests::random::Random;
use tests::snapshot_fuzzing::run;
use tests::workload::{frames, workload};

use super::floor::everything;
use super::{fresh, snapshot};

fn refusal(bytes: &[u8]) -> Option<RestoreError> {
    fresh().engine.restore(bytes).err()
}

#[test]
fn each_flipped_bit_is_refused_or_is_in_the_state() {
    let bytes = everything().snapshot();
    let mut flipped = bytes.clone();
    let (mut refused, mut kept) = (BTreeSet::new(), 0);
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        match fresh().engine.restore(&flipped) {
            Err(error) => {
                assert!(error.offset <= bytes.len(), "{error}");
                refused.insert(error.field);
            }
            Ok(engine) => {
                engine.assert_invariants();
                let exchange = FastExchange::with(engine);
                assert!(snapshot(&exchange) == flipped, "bit {bit} is gone");
                kept += 1;
            }
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    let missing: Vec<&str> = FIELDS.into_iter().filter(|f| !refused.contains(f)).collect();
    assert!(missing.is_empty(), "{missing:?} were never refused");
    assert!(kept * 5 < bytes.len() * 8, "{kept} of {} bits", bytes.len() * 8);
}

/// What a single bit can break.
const FIELDS: [&str; 40] = [
    "format",
    "configuration",
    "order of assets",
    "asset",
    "supply",
    "uuid of an account",
    "order of accounts",
    "account",
    "balance",
    "asset of a balance",
    "lots traded",
    "instrument of lots traded",
    "order of instruments",
    "spec of an instrument",
    "assets of an instrument",
    "status of an instrument",
    "switch of the venue",
    "id of an order",
    "account of an order",
    "state of a live order",
    "entry of a live order",
    "end of a live order",
    "terms of a live order",
    "prices of a live order",
    "quantities of a live order",
    "fees of a live order",
    "hold of a live order",
    "order of dormant orders",
    "trigger of a dormant order",
    "key of a live order",
    "owner of a live key",
    "order of retired keys",
    "order of a client order id",
    "refusal of a key",
    "order of an intent",
    "key of an intent",
    "funds of an intent",
    "id of a funded order",
    "sum of an asset",
    "sum of the holds of an account",
];

/// Where a live order's record begins.
fn place_of(bytes: &[u8], id: OrderId, account: AccountId) -> usize {
    let head = [&id.0.to_le_bytes()[..], &account.0.to_le_bytes()].concat();
    let found = bytes.windows(head.len()).position(|window| window == head);
    found.unwrap_or_else(|| panic!("no record of {id}"))
}

/// Behind the id, the account and six bytes of codes.
const PRICE: usize = 18;
/// Behind the price and the trigger.
const LIMIT: usize = PRICE + 16;

/// A sell that holds the same whatever its price, moved to another one.
fn moved(bytes: &[u8], sell: OrderId, account: AccountId, price: i64) -> Vec<u8> {
    let (mut bytes, at) = (bytes.to_vec(), place_of(bytes, sell, account));
    for at in [at + PRICE, at + LIMIT] {
        assert_ne!(bytes[at..at + 8], price.to_le_bytes());
        bytes[at..at + 8].copy_from_slice(&price.to_le_bytes());
    }
    bytes
}

#[test]
fn a_book_out_of_order_is_refused() {
    let floor = everything();
    let bytes = floor.snapshot();
    let refused = |bytes: &[u8]| refusal(bytes).map(|error| error.field);
    let [best, .., worst] = floor.sells()[..] else { panic!("several sells") };
    let higher = moved(&bytes, worst.0, worst.1, 111);
    assert_eq!(refused(&higher), None, "a worse price at the end");
    let lower = moved(&bytes, worst.0, worst.1, 109);
    assert_eq!(refused(&lower), Some("order of resting orders"));
    let crossing = moved(&bytes, best.0, best.1, 95);
    assert_eq!(refused(&crossing), Some("best prices of a book"));
    let touching = moved(&bytes, best.0, best.1, 96);
    assert_eq!(refused(&touching), None, "a tick above the best bid");
}

#[test]
fn an_order_that_is_there_twice_is_refused() {
    let floor = everything();
    let mut bytes = floor.snapshot();
    let [one, other, ..] = floor.sells()[..] else { panic!("several sells") };
    let at = place_of(&bytes, other.0, other.1);
    bytes[at..at + 8].copy_from_slice(&one.0.0.to_le_bytes());
    let error = refusal(&bytes).expect("twice");
    assert_eq!((error.field, error.offset), ("id of an order", at));
}

#[test]
fn a_snapshot_that_is_cut_short_is_refused_at_every_length() {
    let bytes = everything().snapshot();
    for len in 0..bytes.len() {
        let error = refusal(&bytes[..len]).unwrap_or_else(|| panic!("{len} bytes are enough"));
        assert!(error.offset <= len, "{error}");
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let mut bytes = everything().snapshot();
    let len = bytes.len();
    bytes.push(0);
    let error = refusal(&bytes).expect("too long");
    assert_eq!((error.field, error.offset), ("end", len));
}

#[test]
fn no_count_is_past_its_bound() {
    let bytes = snapshot(&fresh());
    let counts = [
        limits::ASSETS_MAX,
        limits::ACCOUNTS_MAX as usize,
        limits::INSTRUMENTS_MAX,
        limits::IDEMPOTENCY_CAPACITY_MAX as usize,
        limits::IDEMPOTENCY_CAPACITY_MAX as usize,
        limits::IDEMPOTENCY_CAPACITY_MAX as usize,
        limits::ORDER_INTENTS_MAX,
        limits::LIVE_ORDERS_MAX as usize,
    ];
    // The counts of an empty state are all that follows its settings, but for the venue's switch.
    let head = bytes.len() - counts.len() * size_of::<u64>() - 1;
    let most = counts.into_iter().max().expect("counts");
    let mut long = bytes.clone();
    long.resize(bytes.len() + most + 1, 0);
    for (place, most) in counts.into_iter().enumerate() {
        let at = head + place * size_of::<u64>() + usize::from(place >= 3);
        let mut with = |count: u64| {
            long[at..at + size_of::<u64>()].copy_from_slice(&count.to_le_bytes());
            refusal(&long).expect("zeros are no list")
        };
        let most = most as u64;
        let is_count = |error: &RestoreError| matches!(error.fault, RestoreFault::TooMany { .. });
        assert!(!is_count(&with(most)), "count {place} at its bound");
        for count in [most + 1, u64::MAX] {
            let error = with(count);
            assert_eq!((error.offset, error.fault), (at, RestoreFault::TooMany { count, most }));
        }
        with(0);
    }
}

#[test]
fn a_list_is_never_longer_than_the_bytes() {
    let mut bytes = snapshot(&fresh());
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&1u64.to_le_bytes());
    let fault = RestoreFault::TooMany { count: 1, most: 0 };
    let field = "number of funded orders";
    assert_eq!(refusal(&bytes), Some(RestoreError { field, offset: end - 8, fault }));
}

/// What the fuzzer does, with blunter changes.
#[test]
fn changed_snapshots_never_break_the_engine() {
    let bytes = everything().snapshot();
    let mut random = Random::new(7);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut changed = bytes.clone();
        for _ in 0..1 + random.below(3) {
            change(&mut changed, &mut random);
        }
        accepted += usize::from(run(&changed));
    }
    assert!(accepted > 0, "no change is small enough");
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len() as u64;
    let place = |random: &mut Random| usize::try_from(random.below(len - 16)).expect("an index");
    let (at, from) = (place(random), place(random));
    match random.below(6) {
        0 => bytes[at] = random.pick(&[0, 1, 2, 0x7f, 0x80, 0xff]),
        1 => bytes[at] = bytes[at].wrapping_add(1),
        2 => bytes[at] = bytes[at].wrapping_sub(1),
        3 => bytes.copy_within(from..from + 8, at),
        4 => bytes[at..at + 16].fill(random.pick(&[0, 0xff])),
        _ => _ = bytes.drain(at..at + 8),
    }
}

#[test]
fn the_fuzzer_begins_with_snapshots() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/snapshot");
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus is part of the project") {
        let path = entry.expect("a file").path();
        let accepted = run(&std::fs::read(&path).expect("readable"));
        seeds += usize::from(accepted);
    }
    assert!(seeds >= 3, "{seeds} snapshots");
}

/// To be run by hand when the encoding has changed: `--ignored the_fuzzers_seeds_are_written`.
#[test]
#[ignore = "writes into the source tree"]
fn the_fuzzers_seeds_are_written() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/snapshot");
    std::fs::create_dir_all(corpus).expect("a folder");
    let mut busy = fresh();
    for frame in &frames(&workload(1, 300)) {
        busy.apply(frame);
    }
    for (number, bytes) in
        [snapshot(&fresh()), everything().snapshot(), snapshot(&busy)].into_iter().enumerate()
    {
        std::fs::write(format!("{corpus}/{number:02}.seed"), bytes).expect("written");
    }
}
