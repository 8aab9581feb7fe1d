//! Saved views come back whole: they say and become what those that were never saved do, and bytes
//! that are none are refused.

use std::sync::Arc;

use engine::{AssetId, EventBuffer, Frame, StateMachine};
use pipeline::Outlet;

use super::*;
use crate::ledger::tests::snapshots::frames;
use crate::ledger::types::{TransactionId, TransactionKind, TransactionStatus, UserId, WalletId};
use crate::ledger::{Command, Committed, Event, Ledger};
use crate::limits::FUNDING_EVENTS_KEPT;
use crate::views::{Until, ViewFeed};

/// Few enough that balances are forgotten.
const HISTORY: usize = 300;

fn fresh() -> ViewFeed {
    ViewFeed(Arc::new(Views::new(HISTORY)))
}

fn saved(feed: &ViewFeed) -> Vec<u8> {
    let mut bytes = Vec::new();
    feed.save(&mut bytes);
    bytes
}

fn restored(bytes: &[u8]) -> Result<ViewFeed, RestoreError> {
    let mut feed = fresh();
    feed.restore(bytes).map(|()| feed)
}

/// Commands with what the ledger says to them.
fn told(seed: u64, count: usize) -> Vec<(Frame<Command>, Vec<Event>)> {
    let (mut ledger, mut events) = (Ledger::default(), EventBuffer::default());
    let tell = |frame: Frame<Command>| {
        events.clear();
        ledger.apply(&frame, &mut events);
        (frame, events.as_slice().to_vec())
    };
    frames(seed, count).into_iter().map(tell).collect()
}

fn show(feed: &mut ViewFeed, told: &[(Frame<Command>, Vec<Event>)]) {
    for (frame, events) in told {
        feed.publish(frame, events);
        feed.batch_end(frame.sequence);
    }
}

/// Everything that readers can see of up to `last` commands.
fn seen(views: &Views, last: u64) -> Vec<String> {
    let mut all = vec![
        format!("{:?} {:?} {}", views.assets(), views.tally(), views.sequence()),
        format!("{:?}", views.funding(0, last, FUNDING_EVENTS_KEPT)),
        format!("{:?}", views.wallets_after(WalletId(0), 1_000)),
    ];
    for user in (0..=5).map(UserId) {
        all.push(format!("{:?} {}", views.wallets_of(user), views.knows(user)));
        all.push(format!("{:?}", views.wallet_of(user, AssetId(1))));
    }
    for wallet in (0..=9).map(WalletId) {
        all.push(format!("{:?}", views.wallet(wallet)));
        all.push(format!("{:?}", views.transactions_of(wallet, None, 2_000)));
        for at in 0..=last {
            all.push(format!("{:?}", views.past(wallet, Until::Sequence(at))));
            all.push(format!("{:?}", views.past(wallet, Until::Time(at * 10))));
        }
    }
    for id in 0..=last {
        let transaction = TransactionId(id);
        all.push(format!("{:?}", views.transaction(transaction)));
        all.push(format!("{:?}", views.begun_ns(transaction)));
        all.push(format!("{:?}", views.reservation(transaction)));
        all.push(format!("{:?}", views.reservation_of_order(id.into())));
        all.push(format!("{:?}", views.settlement(id.into())));
    }
    all
}

#[test]
fn restored_views_say_and_become_what_the_saved_ones_do() {
    const COUNT: usize = 2_000;
    const FOLLOWED: usize = 200;
    for seed in 1..=3 {
        let told = told(seed, COUNT);
        for count in [0, 1, 3, 40, 200, 900, COUNT - FOLLOWED] {
            let mut one = fresh();
            show(&mut one, &told[..count]);
            let bytes = saved(&one);
            let mut other = restored(&bytes).unwrap_or_else(|error| panic!("{count}: {error}"));
            assert!(saved(&other) == bytes, "seed {seed}: other bytes after {count}");
            let last = (count + FOLLOWED) as u64;
            assert_eq!(seen(&other.0, last), seen(&one.0, last), "seed {seed}, {count}");
            for next in &told[count..count + FOLLOWED] {
                show(&mut one, std::slice::from_ref(next));
                show(&mut other, std::slice::from_ref(next));
                assert!(saved(&one) == saved(&other), "seed {seed}: other bytes at {next:?}");
            }
            assert_eq!(seen(&other.0, last), seen(&one.0, last), "seed {seed}, {count}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_what_was_saved_waits_no_longer() {
    let mut feed = fresh();
    show(&mut feed, &told(1, 20));
    let mut other = fresh();
    let waiting = tokio::spawn({
        let views = Arc::clone(&other.0);
        async move { views.reach(20).await }
    });
    other.restore(&saved(&feed)).unwrap();
    let long = std::time::Duration::from_secs(10);
    tokio::time::timeout(long, waiting).await.unwrap().unwrap();
    assert_eq!(other.0.sequence(), 20);
}

fn is_settled(head: &Committed) -> bool {
    head.kind == TransactionKind::Settlement && head.status == TransactionStatus::Completed
}

/// Few commands, and something in every list.
fn small() -> Vec<u8> {
    let with_all = |seed| {
        let told = told(seed, 600);
        let begins = |wanted: fn(&Event) -> bool| {
            told.iter().position(|(_, events)| events.iter().any(wanted))
        };
        let funded = begins(|event| matches!(event, Event::FundingRequested { .. }))?;
        let ended = begins(|event| matches!(event, Event::ReservationChanged(r) if r.ended))?;
        let settled = begins(|event| matches!(event, Event::Committed(head) if is_settled(head)))?;
        let mut feed = fresh();
        show(&mut feed, &told[..=funded.max(ended).max(settled)]);
        Some(saved(&feed))
    };
    (1..=40).filter_map(with_all).min_by_key(Vec::len).unwrap()
}

#[test]
fn a_flipped_bit_is_refused_or_comes_back_as_it_is() {
    let mut bytes = small();
    assert!(bytes.len() < 12_000, "{} bytes are not few", bytes.len());
    let (mut refused, mut taken) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match restored(&bytes) {
            Ok(feed) => {
                assert!(saved(&feed) == bytes, "bit {bit}");
                taken += 1;
            }
            Err(_) => refused += 1,
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 0 && taken > 0, "{refused} refused, {taken} taken");
}

#[test]
fn what_is_cut_short_is_refused_and_changes_nothing() {
    let bytes = small();
    let mut feed = fresh();
    let untouched = saved(&feed);
    for len in 0..bytes.len() {
        assert!(feed.restore(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(feed.restore(&longer).is_err(), "one byte too many");
    assert_eq!(saved(&feed), untouched);
    feed.restore(&bytes).unwrap();
    assert_eq!(saved(&feed), bytes);
}
