//! Crashes: the worker is gone between two of its steps, at any moment, again and again.

use std::time::Duration;

use engine::TradeId;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use settlement::Class;
use tokio::runtime::{Builder, Runtime};
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, trade_id, until, until_true};

/// One life of the process. Dropping it drops every task where it is; only a write to the file
/// that has begun is finished, as the file system does.
fn life() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Whatever happens in the calls, and whenever the process dies: each trade is settled once.
#[test]
fn every_trade_is_settled_once_whenever_the_process_dies() {
    for seed in 0..12 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bench = life().block_on(Bench::rich(7)).with(|options| {
            options.window = 100;
            options.batch = 8;
        });
        let refused = TradeId(u64::from(random.next_u32() % 300) + 1);
        bench.line.refuse(trade_id(refused.0), Some(WalletError::UserNotFound));
        let mut fates = Xoshiro256PlusPlus::seed_from_u64(seed + 1_000);
        bench.line.fate(move |_| match fates.next_u32() % 8 {
            0 => Fate::Lose(WalletError::Timeout),
            1 => Fate::Fail(WalletError::WalletServiceDown),
            2 => Fate::Fail(WalletError::InvalidResponse("500".to_owned())),
            3 => Fate::Hang,
            _ => Fate::Pass,
        });
        for _ in 0..15 {
            bench.market.trades(20 + random.next_u32() % 20, 7);
            let lifetime = Duration::from_millis(u64::from(random.next_u32() % 4_000));
            life().block_on(async {
                let _desk = bench.start();
                tokio::time::sleep(lifetime).await;
            });
        }
        bench.line.always(Fate::Pass);
        life().block_on(async {
            let desk = bench.start();
            until(&desk, |status| status.dead_letters == 1 && status.window == 0).await;
            bench.drained(&desk).await;
            bench.assert_settled_but(7, &[refused]).await;
            let letters = desk.board().progress().letters;
            assert_eq!(letters.get(refused).map(|letter| letter.class), Some(Class::Terminal));
            assert!(!bench.line.seen().doubled);
        });
    }
}

/// Work in the window and dead letters of every class: all are there after the crash, and those
/// without outcome are tried again by themselves.
#[test]
fn window_and_dead_letters_survive_a_crash() {
    let bench = life().block_on(Bench::rich(7));
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    bench.line.refuse(trade_id(2), Some(WalletError::Conflict("otherwise".to_owned())));
    bench.line.refuse(trade_id(3), Some(WalletError::Timeout));
    bench.market.trades(100, 7);
    life().block_on(async {
        let desk = bench.start();
        until(&desk, |status| status.dead_letters == 3).await;
        // Saved some time later; nobody waits for it.
        let saved = || bench.peek().letters.len() == 3;
        until_true(saved, || "the letters are not saved".to_owned()).await;
        bench.line.always(Fate::Hang);
        bench.market.trades(100, 7);
        until(&desk, |status| status.window == 100).await;
    });
    bench.line.always(Fate::Pass);
    bench.line.refuse(trade_id(3), None);
    life().block_on(async {
        let desk = bench.start();
        bench.drained(&desk).await;
        until(&desk, |status| status.dead_letters == 2).await;
        let classes = [TradeId(1), TradeId(2)]
            .map(|trade| desk.board().progress().letters.get(trade).map(|l| l.class));
        assert_eq!(classes, [Some(Class::Terminal), Some(Class::Impossible)]);
        bench.assert_settled_but(7, &[TradeId(1), TradeId(2)]).await;
    });
}

/// The cursor is never ahead of what the wallet has settled, in any file that a crash leaves.
#[test]
fn the_file_never_says_more_than_the_wallet() {
    let bench = life().block_on(Bench::rich(7)).with(|options| options.batch = 3);
    let mut fates = Xoshiro256PlusPlus::seed_from_u64(7);
    bench.line.fate(move |_| match fates.next_u32() % 3 {
        0 => Fate::Fail(WalletError::Timeout),
        _ => Fate::Pass,
    });
    for millis in [0, 50, 101, 130, 150, 220, 260, 330, 400, 1_000, 3_000] {
        bench.market.trades(40, 7);
        life().block_on(async {
            let _desk = bench.start();
            tokio::time::sleep(Duration::from_millis(millis)).await;
        });
        let progress = bench.peek();
        life().block_on(async {
            use wallet::client::WalletClient;
            for number in 1..=progress.trade.0 {
                let context = crate::harness::context();
                let made = bench.mock().settlement_of_trade(context, trade_id(number)).await;
                let is_letter = progress.letters.get(TradeId(number)).is_some();
                assert!(made.unwrap().is_some() || is_letter, "trade {number} is lost");
            }
        });
    }
    assert!(bench.peek().trade > TradeId(100), "there was something to lose");
}
