//! A saved model comes back whole: it says and becomes what the one that was never saved does, and
//! bytes that are none are refused.

use engine::{ClientOrderId, Command, InstrumentId, OrderId, TransferId};
use pipeline::Outlet;
use uuid::Uuid;

use super::*;
use crate::limits::REJECTED_ORDERS_PER_ACCOUNT_MAX;
use crate::views::tests::{Both, Numbers, command};
use crate::views::{Ended, ViewFeed};

fn saved(feed: &ViewFeed) -> Vec<u8> {
    let mut bytes = Vec::new();
    feed.save(&mut bytes);
    bytes
}

fn restored(bytes: &[u8]) -> Result<ViewFeed, RestoreError> {
    let mut feed = ViewFeed(Arc::new(Views::default()));
    feed.restore(bytes).map(|()| feed)
}

/// Everything that readers can see of the orders of up to `last` commands.
fn shown(views: &Views, last: u64) -> Vec<String> {
    let mut all = vec![
        format!("{:?}", (views.products(), views.sequence(), *views.next_moment().borrow())),
        format!("{:?}", views.orders(|orders| (orders.waiting(), orders.has_announced()))),
        format!("{:?} {}", views.orders(Orders::live), views.has_credits()),
        format!("{:?}", views.switches(Switches::venue)),
        format!("{:?}", views.switches(|on| on.instruments().collect::<Vec<_>>())),
        format!("{:?}", views.switches(|on| on.accounts().collect::<Vec<_>>())),
    ];
    for account in (0..=5).map(engine::AccountId) {
        let uuid = Uuid::from_u128(account.0.into());
        all.push(format!("{:?} {:?}", views.user(account), views.account(uuid)));
        all.push(format!("{:?}", views.balances(account)));
        views.visit_orders(account, |record| {
            all.push(format!("{record:?}"));
            true
        });
        for key in 0..500 {
            let key = ClientOrderId::new(key.to_string().as_bytes()).unwrap();
            let id = views.orders(|orders| orders.by_client_id(account, key).map(|r| r.id));
            all.push(format!("{id:?}"));
        }
    }
    for instrument in (1..=3).map(InstrumentId) {
        let market = views.market(|m| (m.depth(instrument, 1_000), m.trades(instrument, 1_000)));
        all.push(format!("{market:?}"));
    }
    for id in 0..=last {
        all.push(format!("{:?}", views.own_trades(OrderId(id), None, 1_000)));
        all.push(format!("{:?}", views.transfer(TransferId((1_000 + id).into()))));
    }
    all
}

/// How many closed and how many refused orders of an account are kept.
fn ended(views: &Views, account: engine::AccountId) -> [usize; 2] {
    let (mut closed, mut refused) = (0, 0);
    views.visit_orders(account, |record| {
        closed += usize::from(matches!(record.state.ended, Some(Ended::Closed(_))));
        refused += usize::from(matches!(record.state.ended, Some(Ended::Rejected(_))));
        true
    });
    [closed, refused]
}

#[test]
fn restored_views_say_and_become_what_the_saved_ones_do() {
    const CHECKED: [u64; 8] = [0, 1, 30, 300, 2_000, 6_000, 12_000, 26_000];
    const FOLLOWED: u64 = 300;
    for seed in 1..=2 {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
        let mut both = Both::new();
        let mut twin = ViewFeed(Arc::new(Views::default()));
        for count in 0..=CHECKED[CHECKED.len() - 1] + FOLLOWED {
            if CHECKED.contains(&count) {
                let bytes = saved(&both.feed);
                twin = restored(&bytes).unwrap();
                assert!(saved(&twin) == bytes, "other bytes after {count} commands");
                let (one, other) = (&both.feed.0, &twin.0);
                assert_eq!(shown(other, both.sequence), shown(one, both.sequence), "{count}");
            }
            let next = command(&mut numbers, both.sequence);
            let frame = both.apply(next);
            twin.publish(&frame, both.events.as_slice());
            twin.batch_end(frame.sequence);
            if CHECKED.iter().any(|checked| count == checked + FOLLOWED) {
                assert!(saved(&twin) == saved(&both.feed), "other bytes at {count}");
                let (one, other) = (&both.feed.0, &twin.0);
                assert_eq!(shown(other, both.sequence), shown(one, both.sequence), "{count}");
            }
        }
        let [_, refused] = ended(&both.feed.0, engine::AccountId(1));
        assert_eq!(refused, REJECTED_ORDERS_PER_ACCOUNT_MAX, "enough for some to be forgotten");
    }
}

#[test]
fn views_that_were_shown_nothing_come_back() {
    let bytes = saved(&ViewFeed(Arc::default()));
    assert_eq!(saved(&restored(&bytes).unwrap()), bytes);
}

#[tokio::test]
async fn who_waits_for_what_was_saved_waits_no_longer() {
    let both = Both::new();
    let views = Arc::new(Views::default());
    let waiting = tokio::spawn({
        let (views, sequence) = (Arc::clone(&views), both.sequence);
        async move { views.reach(sequence).await }
    });
    ViewFeed(Arc::clone(&views)).restore(&saved(&both.feed)).unwrap();
    let long = std::time::Duration::from_secs(10);
    tokio::time::timeout(long, waiting).await.unwrap().unwrap();
    assert_eq!(views.sequence(), both.sequence);
}

/// Few commands, and something in every list.
fn small() -> Vec<u8> {
    (1..=40).map(with_all).min_by_key(Vec::len).unwrap()
}

fn with_all(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
    let mut both = Both::new();
    let is_full = |both: &Both| {
        let views = &both.feed.0;
        let has_ended = !ended(views, engine::AccountId(1)).contains(&0);
        let has_traded = !views.market(|m| m.trades(InstrumentId(1), 1)).value.is_empty();
        let is_on = views.switches(|on| on.accounts().len() > 0).value;
        has_ended && has_traded && is_on
    };
    let (scope, id, on) = (engine::KillSwitchScope::Account, 3, true);
    both.apply(Command::SetKillSwitch { scope, id, on });
    while !is_full(&both) {
        let next = command(&mut numbers, both.sequence);
        both.apply(next);
    }
    saved(&both.feed)
}

#[test]
fn a_flipped_bit_is_refused_or_comes_back_as_it_is() {
    let bytes = small();
    assert!(bytes.len() < 12_000, "{} bytes are not few", bytes.len());
    let (mut refused, mut taken) = (0, 0);
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            match restored(&flipped) {
                Ok(feed) => {
                    assert!(saved(&feed) == flipped, "bit {bit} of byte {place}");
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0 && taken > 0, "{refused} refused, {taken} taken");
}

#[test]
fn what_is_cut_short_is_refused_and_changes_nothing() {
    let bytes = small();
    let mut feed = ViewFeed(Arc::default());
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
