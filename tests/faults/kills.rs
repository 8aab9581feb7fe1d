//! What belongs here: SIGKILL of either process, or both, again and again under load. What was
//! acknowledged is there in the end, once; what was not, once or never.

use std::thread;
use std::time::Duration;

use tests::app::Settings;
use tests::random::Random;
use tests::report::say;

use tests::trading::load::Scene;
use tests::trading::pair::{Pair, TRADERS, settings};

/// Kills of each process; half of them hit both at once, or one while the other is away.
const KILLS: usize = 100;
/// The same where orders wait for the wallet and everything takes longer, unless the environment
/// says how many.
const KILLS_PER_ORDER: usize = 30;
const KILLS_VARIABLE: &str = "MATCHRING_KILLS";
/// Answers of the exchange between two kills.
const ANSWERS_PER_LIFE: (i64, i64) = (10, 100);
/// Requests that must be under way when the exchange is killed.
const LOAD_MIN: usize = TRADERS / 2;
/// Longest life of a start that is to be killed, microseconds.
const START_US_MAX: u64 = 60_000;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Exchange,
    Wallet,
    Both,
}

#[test]
fn no_kill_of_either_process_loses_or_repeats_anything() {
    prove("prefunded", settings(), KILLS);
}

/// Each order has a reservation of its own: announced, reserved, placed, released, and either side
/// may die between any two of them.
#[test]
fn no_kill_loses_or_repeats_anything_where_each_order_is_reserved_for() {
    let kills = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let settings = settings().with("wallet", "funding", "\"per_order\"");
    prove("per_order", settings, kills.unwrap_or(KILLS_PER_ORDER));
}

/// Kills each process so often, and holds everything against everything; `settings` say how orders
/// get their funds.
fn prove(funding: &str, settings: Settings, kills: usize) {
    let mut pair = Pair::open(settings, false);
    let mut starts_killed = 0;
    let evidence = pair.under_load(|scene| {
        for victim in victims(&mut scene.random, kills) {
            live(scene);
            match victim {
                Victim::Exchange => {
                    kill_exchange(scene);
                    starts_killed += restart_exchange(scene);
                }
                Victim::Wallet => {
                    scene.pair.wallet.kill();
                    if scene.random.chance(30) {
                        // Trading needs no wallet.
                        live(scene);
                    }
                    starts_killed += kill_a_start_of_the_wallet(scene);
                    scene.pair.wallet.restart();
                }
                Victim::Both => starts_killed += kill_both(scene),
            }
        }
        live(scene);
    });
    let trades = pair.verdict(&evidence);
    let payments = &evidence.payments;
    let done = payments.iter().filter(|payment| payment.done_unanswered).count();
    let doubts: u64 = payments.iter().map(|payment| payment.doubts).sum();
    let orders_done: u64 = evidence.ledgers.iter().map(|ledger| ledger.done_unanswered).sum();
    let tally = evidence.tally;
    say(&format!("{funding}: {kills} kills of each, {starts_killed} of starts, {tally:?}"));
    say(&format!("{trades} trades, {} payments, {doubts} tries unanswered", payments.len()));
    say(&format!("{done} payments and {orders_done} orders done unanswered"));
    assert!(trades > kills, "hardly anything traded");
    assert!(evidence.tally.unknown >= kills as u64, "the kills of the exchange hit nobody");
    assert!(doubts > 0, "the kills of the wallet hit nobody");
}

/// Who is to be killed, one after the other.
fn victims(random: &mut Random, kills: usize) -> Vec<Victim> {
    let of_both = kills / 2;
    let alone = kills - of_both;
    let mut victims = vec![Victim::Both; of_both];
    victims.extend(vec![Victim::Exchange; alone]);
    victims.extend(vec![Victim::Wallet; alone]);
    for last in (1..victims.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).expect("an index");
        victims.swap(last, other);
    }
    victims
}

/// Lets everybody trade for a random while.
fn live(scene: &mut Scene<'_>) {
    let (low, high) = ANSWERS_PER_LIFE;
    let answers = scene.random.between(low, high).unsigned_abs();
    scene.trade(answers);
    thread::sleep(Duration::from_micros(scene.random.below(3_000)));
}

fn kill_exchange(scene: &mut Scene<'_>) {
    scene.venue.wait_for_load(LOAD_MIN);
    scene.pair.app.kill();
    scene.venue.close();
    scene.venue.wait_for_silence(TRADERS);
}

/// Now and then the first start is killed as well; how many were.
fn restart_exchange(scene: &mut Scene<'_>) -> u32 {
    let killed = u32::from(scene.random.chance(20));
    if killed > 0 {
        scene.pair.app.spawn();
        thread::sleep(Duration::from_micros(scene.random.below(START_US_MAX)));
        scene.pair.app.kill();
    }
    scene.pair.app.restart();
    scene.open();
    killed
}

fn kill_a_start_of_the_wallet(scene: &mut Scene<'_>) -> u32 {
    let killed = u32::from(scene.random.chance(20));
    if killed > 0 {
        scene.pair.wallet.spawn();
        thread::sleep(Duration::from_micros(scene.random.below(START_US_MAX)));
        scene.pair.wallet.kill();
    }
    killed
}

fn kill_both(scene: &mut Scene<'_>) -> u32 {
    match scene.random.below(3) {
        // Together; who is up first is left to chance.
        0 => {
            scene.venue.wait_for_load(LOAD_MIN);
            scene.pair.wallet.kill();
            kill_exchange(scene);
            scene.pair.wallet.spawn();
            let killed = restart_exchange(scene);
            scene.pair.wallet.wait_until_ready();
            killed
        }
        // The exchange dies, starts and trades while the wallet is away.
        1 => {
            scene.pair.wallet.kill();
            live(scene);
            kill_exchange(scene);
            let killed = restart_exchange(scene);
            live(scene);
            scene.pair.wallet.restart();
            killed
        }
        // The wallet dies and comes back while the exchange is away.
        _ => {
            kill_exchange(scene);
            scene.pair.wallet.kill();
            let killed = kill_a_start_of_the_wallet(scene);
            scene.pair.wallet.restart();
            killed + restart_exchange(scene)
        }
    }
}
