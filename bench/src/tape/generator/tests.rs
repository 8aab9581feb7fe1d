//! Tapes are reproducible and obey their own format.

use std::collections::BTreeSet;

use super::*;
use crate::tape::flow::{PRESETS, preset};
use crate::tape::oracle::Live;

fn short(seed: u64) -> Flow {
    Flow { seed, commands: 20_000, orders: 500, ..preset("small").unwrap() }
}

#[test]
fn same_flow_same_bytes_and_they_are_read_back() {
    let (tape, book) = generate(&short(7));
    let mut bytes = Vec::new();
    tape.write(&mut bytes).unwrap();
    let mut again = Vec::new();
    generate(&short(7)).0.write(&mut again).unwrap();
    assert_eq!(bytes, again);
    let read = Tape::read(&mut bytes.as_slice()).unwrap();
    let mut replayed = SlowBooks::new(read.instruments);
    read.records.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.summary(), book.summary());
}

/// The bytes of a tape are part of every published figure: this pins them.
#[test]
fn a_seed_names_one_tape_for_ever() {
    let (_, book) = generate(&short(7));
    assert_eq!(book.summary().to_text(), include_str!("short-7.oracle.txt"));
}

#[test]
fn commands_of_every_preset_say_what_the_book_says() {
    for name in PRESETS {
        let flow = preset(name).unwrap();
        let orders = if flow.instruments == 1 { 500 } else { 20 };
        commands_say_what_the_book_says(&generate(&Flow { commands: 20_000, orders, ..flow }).0);
    }
}

fn commands_say_what_the_book_says(tape: &Tape) {
    let mut books = SlowBooks::new(tape.instruments);
    let mut last_ids = vec![0; tape.instruments.into()];
    for record in &tape.records {
        let instrument = usize::from(record.instrument);
        let (book, last_id) = (&mut books.0[instrument], &mut last_ids[instrument]);
        assert!((tape.min_price..=tape.max_price).contains(&record.price));
        if let Kind::NewGtc | Kind::NewIoc = record.kind {
            assert_eq!(record.id, *last_id + 1);
            *last_id = record.id;
            assert!(record.quantity > 0 && record.left == 0);
        } else {
            let order = book.live(record.id).unwrap();
            let said = (record.side, record.old_price, record.left, record.owner);
            assert_eq!((order.side, order.price, order.left, order.owner), said);
            assert_eq!(record.kind == Kind::Move, record.price != record.old_price);
            assert!(record.kind != Kind::Reduce || (1..record.left).contains(&record.quantity));
        }
        book.apply(record);
    }
    assert_eq!(last_ids.into_iter().max(), Some(tape.max_id));
}

/// The orders of before the crash, or of before the recovery, stand far from the others for long.
#[test]
fn a_flash_crash_spreads_the_book_and_comes_back() {
    let (tape, _) = generate(&Flow { commands: 30_000, ..preset("flash").unwrap() });
    let (prefill, measured) = tape.records.split_at(tape.prefill);
    let mut book = SlowBook::new();
    prefill.iter().for_each(|record| book.apply(record));
    let (lowest, bid) = bids(&book, &tape);
    assert!(bid > 98_000 && bid - lowest < 1_000, "{lowest} to {bid}");
    measured[..7_500].iter().for_each(|record| book.apply(record));
    let (_, bid) = bids(&book, &tape);
    assert!((60_000..90_000).contains(&bid), "{bid} before the bottom");
    measured[7_500..12_000].iter().for_each(|record| book.apply(record));
    let asks = live(&book, &tape).filter(|order| order.side == TapeSide::Ask);
    let (lowest, highest) = ends(asks);
    assert!(lowest < 42_000 && highest > 98_000, "asks from {lowest} to {highest}");
    measured[12_000..22_000].iter().for_each(|record| book.apply(record));
    let (lowest, bid) = bids(&book, &tape);
    assert!(bid > 98_000 && lowest < 42_000, "bids from {lowest} to {bid} after the recovery");
}

fn live<'a>(book: &'a SlowBook, tape: &Tape) -> impl Iterator<Item = &'a Live> {
    (1..=tape.max_id).filter_map(|id| book.live(id))
}

fn ends<'a>(orders: impl Iterator<Item = &'a Live>) -> (u32, u32) {
    orders.fold((u32::MAX, 0), |(low, high), order| (low.min(order.price), high.max(order.price)))
}

fn bids(book: &SlowBook, tape: &Tape) -> (u32, u32) {
    ends(live(book, tape).filter(|order| order.side == TapeSide::Bid))
}

#[test]
fn instruments_have_books_of_their_own() {
    let flow = Flow { commands: 20_000, orders: 20, ..preset("many").unwrap() };
    let (tape, books) = generate(&flow);
    let count = |instrument| tape.records.iter().filter(|r| r.instrument == instrument).count();
    assert!(count(0) > 20 * count(199) && count(199) > 20);
    let hashes: BTreeSet<u64> = books.summaries().iter().map(|each| each.state_hash).collect();
    assert_eq!(hashes.len(), 200, "the flows of instruments are copies of one another");
    let alone: Vec<Record> =
        tape.records.iter().filter(|record| record.instrument == 7).copied().collect();
    let mut book = SlowBook::new();
    alone.iter().for_each(|record| book.apply(record));
    assert_eq!(book.summary(), books.summaries()[7]);
}

#[test]
fn a_tape_of_several_instruments_is_read_back_and_says_that_it_is_one() {
    let flow = Flow { commands: 5_000, orders: 20, instruments: 3, ..preset("many").unwrap() };
    let (tape, books) = generate(&flow);
    let mut bytes = Vec::new();
    tape.write(&mut bytes).unwrap();
    let read = Tape::read(&mut bytes.as_slice()).unwrap();
    let mut replayed = SlowBooks::new(read.instruments);
    read.records.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.summaries(), books.summaries());
    let mut as_one = bytes.clone();
    as_one[..8].copy_from_slice(b"OBTAPE01");
    assert!(Tape::read(&mut as_one.as_slice()).is_err(), "a tape of one that names three");
    bytes[64 + 26] = 3;
    assert!(Tape::read(&mut bytes.as_slice()).is_err(), "an instrument that is not there");
}

#[test]
fn damaged_tapes_are_refused() {
    let mut bytes = Vec::new();
    generate(&short(9)).0.write(&mut bytes).unwrap();
    assert!(Tape::read(&mut &b"short"[..]).is_err());
    assert!(Tape::read(&mut &bytes[..bytes.len() - 1]).is_err());
    let prefill_past_the_end: Vec<u8> =
        [&bytes[..16], &u64::MAX.to_le_bytes(), &bytes[24..]].concat();
    assert!(Tape::read(&mut prefill_past_the_end.as_slice()).is_err());
    bytes[64 + 24] = 5;
    assert!(Tape::read(&mut bytes.as_slice()).is_err(), "unknown kind");
}
