//! The process dies at any step of a deposit or a withdrawal.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use tokio::runtime::{Builder, Runtime};

use super::*;

fn life() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Deposits and withdrawals of four users while everything fails and the process dies: in the end
/// wallet and trading agree to the unit, and each movement was made once.
#[test]
fn every_movement_is_made_once_whenever_the_process_dies() {
    for seed in 0..10 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let house = House::new();
        let mut moods = Xoshiro256PlusPlus::seed_from_u64(seed + 1_000);
        house.accounts.moods(move |_| match moods.next_u32() % 6 {
            0 => Mood::Silent,
            1 => Mood::Forgetful,
            2 => Mood::Gone,
            _ => Mood::Fine,
        });
        let (mut deposits, mut deposited) = (0, 0);
        for _ in 0..15 {
            for fault in [Fault::Down, Fault::LostReply, Fault::Duplicate, Fault::ServerError] {
                let times = random.next_u32() as usize % 3;
                house.bench.mock().fail(Some(Method::ConcludeFunding), fault, times);
                house.bench.mock().fail(Some(Method::FundingEvents), fault, times);
            }
            let lifetime = Duration::from_millis(u64::from(random.next_u32() % 3_000));
            life().block_on(async {
                for _ in 0..5 {
                    let number = random.next_u32() % 4 + 1;
                    let amount = u128::from(random.next_u32() % 100) + 1;
                    if random.next_u32() % 3 == 0 && deposits > 10 {
                        // Of somebody who may not have it, or not be known yet.
                        drop(house.bench.mock().recall(user(number), code("USDT"), amount));
                    } else {
                        deposits += 1;
                        deposited += amount;
                        house.deposit(number, "USDT", amount, deposits).await;
                    }
                }
                let desk = house.bench.start();
                let _funding = house.open(&desk);
                let_pass(lifetime).await;
            });
        }
        house.accounts.moods(|_| Mood::Fine);
        house.bench.mock().clear_faults();
        life().block_on(async {
            let desk = house.bench.start();
            let _funding = house.open(&desk);
            for number in 1..=4 {
                let agree = || house.accounts.balance(number, "USDT");
                for _ in 0..10_000 {
                    if house.lent(number, "USDT").await == agree() {
                        break;
                    }
                    let_pass(Duration::from_millis(20)).await;
                }
            }
            let_pass(Duration::from_secs(30)).await;
            let mut left = 0;
            for number in 1..=4 {
                let traded = house.accounts.balance(number, "USDT");
                assert_eq!(house.lent(number, "USDT").await, traded, "user {number}, seed {seed}");
                left += traded;
            }
            assert!(left < deposited && left > 0, "{left} of {deposited}: something was paid out");
            assert_eq!(house.bench.mock().total(code("USDT")), 0);
        });
    }
}
