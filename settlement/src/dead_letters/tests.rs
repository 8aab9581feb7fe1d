//! Tests of the dead letters: pauses, bounds, what comes back from a file.

use super::*;
use crate::limits::DEAD_LETTERS_MAX;
use crate::progress::{Progress, ProgressFile, peek};
use crate::testing::due;

fn discarded(number: u64, reason: &str) -> Discarded {
    Discarded {
        trade: TradeId(number),
        trade_id: u128::MAX,
        at_ns: 8,
        operator: 9,
        reason: bounded(reason, REASON_BYTES_MAX),
        correction: 10,
        shares: [(11, 12), (0, 0)],
    }
}

#[test]
fn pauses_double_from_half_a_minute_to_an_hour() {
    let pauses = [1, 2, 3, 7, 8, 100].map(|attempt| pause(attempt).as_secs());
    assert_eq!(pauses, [30, 60, 120, 1_920, 3_600, 3_600]);
}

#[test]
fn only_unknown_outcomes_are_tried_again_by_themselves() {
    let mut letters = DeadLetters::default();
    letters.add(due(1), Class::Unknown, "timeout", 5);
    letters.add(due(2), Class::Terminal, "user not found", 5);
    let retries: Vec<_> = letters.iter().map(|letter| letter.next_retry_ns).collect();
    assert_eq!(retries, [Some(5 + 30_000_000_000), None]);
    assert_eq!(letters.due(u64::MAX).count(), 1);
    assert!(letters.try_at(TradeId(2), 7) && !letters.try_at(TradeId(3), 7));
    assert_eq!(letters.due(6).count(), 0);
    assert_eq!(letters.due(7).collect::<Vec<_>>(), [TradeId(2)]);
    letters.add(due(2), Class::Terminal, "user not found", 8);
    assert_eq!(letters.due(u64::MAX).collect::<Vec<_>>(), [TradeId(1)], "nobody asked again");
    letters.remove(TradeId(1));
    assert_eq!((letters.due(u64::MAX).count(), letters.len()), (0, 1));
}

#[test]
fn history_and_reasons_are_bounded() {
    let mut letters = DeadLetters::default();
    let long = "x".repeat(REASON_BYTES_MAX + 1);
    for at_ns in 0..=HISTORY_MAX as u64 {
        letters.add(due(1), Class::Unknown, &long, at_ns);
    }
    let letter = letters.get(TradeId(1)).unwrap();
    assert_eq!((letter.attempts as usize, letter.history.len()), (HISTORY_MAX + 1, HISTORY_MAX));
    let oldest = letter.history.front().unwrap();
    assert_eq!((oldest.at_ns, oldest.reason.len()), (1, PAST_REASON_BYTES_MAX));
    assert_eq!((letter.reason.len(), letter.first_ns), (REASON_BYTES_MAX, 0));
    assert_eq!(bounded("a\u{e9}", 2), "a", "no half characters");
}

#[test]
fn letters_come_back_from_a_file() {
    let mut letters = DeadLetters::default();
    letters.add(due(1), Class::Unknown, "timeout", 5);
    letters.add(due(1), Class::Unknown, "timeout", 6);
    letters.add(due(2), Class::Impossible, "conflict", 7);
    letters.discard(discarded(2, "moved by hand"));
    let restored = DeadLetters::restore(letters.store()).unwrap();
    assert_eq!(restored, letters);
    assert_eq!((restored.len(), restored.discarded().count()), (1, 1));
    assert!(restored.has_taken(TradeId(1)) && restored.has_taken(TradeId(2)));
    assert!(!restored.has_taken(TradeId(3)));
}

/// As many letters as there may be, each as large as it may be, are one state file.
#[test]
fn a_full_file_can_be_saved() {
    let mut letters = DeadLetters::default();
    let long = "x".repeat(REASON_BYTES_MAX);
    let most = (DEAD_LETTERS_MAX + DISCARDED_MAX) as u64;
    for number in 1..=DISCARDED_MAX as u64 {
        letters.discard(discarded(number, &long));
    }
    for number in DISCARDED_MAX as u64 + 1..=most {
        assert!(letters.has_room(DEAD_LETTERS_MAX));
        for attempt in 0..HISTORY_MAX as u64 {
            letters.add(due(number), Class::Unknown, &long, u64::MAX - attempt);
        }
    }
    assert!(!letters.has_room(DEAD_LETTERS_MAX), "one past the bound");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settlement.state");
    let (mut file, _) = ProgressFile::open(&path).unwrap();
    let progress = Progress { letters, ..Progress::default() };
    file.save(&progress).unwrap();
    assert!(peek(&path).unwrap() == progress);
}

#[test]
fn what_was_discarded_takes_room_of_its_own_first() {
    let mut letters = DeadLetters::default();
    for number in 1..=DISCARDED_MAX as u64 + 1 {
        assert!(letters.has_room(2));
        letters.add(due(number), Class::Terminal, "x", 0);
        letters.discard(discarded(number, "x"));
    }
    letters.add(due(20_001), Class::Terminal, "x", 0);
    assert!(!letters.has_room(2), "nothing is forgotten to make room");
    assert!(letters.discarded_of(TradeId(1)).is_some());
}

/// User 1 buys with USDT from user 2 in trade 1: it brings BTC to user 1 and USDT to user 2.
#[test]
fn only_an_earlier_letter_that_brings_the_asset_excuses() {
    let mut letters = DeadLetters::default();
    letters.add(due(5), Class::Terminal, "x", 0);
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let other = Uuid::from_u128(3);
    let trade = |buyer_id, seller_id| SettleRequest { buyer_id, seller_id, ..due(6).request };
    for (buyer, seller, excused) in [
        (two, other, true),
        (other, one, true),
        (one, two, false),
        (one, other, false),
        (other, two, false),
    ] {
        let request = trade(buyer, seller);
        assert_eq!(letters.may_bring(TradeId(6), &request), excused, "{buyer} {seller}");
        assert!(!letters.may_bring(TradeId(5), &request), "itself");
        assert!(!letters.may_bring(TradeId(4), &request), "a later one");
    }
    let (usdt, btc) = (due(5).request.quote, due(5).request.base);
    assert!(letters.concern(one, usdt) && letters.concern(one, btc) && letters.concern(two, btc));
    assert!(!letters.concern(other, usdt));
    assert!(!letters.concern(one, AssetCode::new("ETH").unwrap()));
}
