//! Owns what is done to both processes while they are under load, and when. Knows nothing of what
//! must hold. Invariant: a fault counts only once it is proved to have struck.

use std::fmt;
use std::time::{Duration, Instant};

use ::tests::http_client::{HttpClient, Request};
use ::tests::random::Random;
use ::tests::trading::load::Scene;
use ::tests::trading::pair::TRADERS;
use serde_json::json;

use super::watch::Watch;

/// Kinds of faults.
pub(super) const KINDS: [Nemesis; 6] = [
    Nemesis::ExchangeKill,
    Nemesis::ExchangeStop,
    Nemesis::ExchangeTerm,
    Nemesis::WalletKill,
    Nemesis::WalletStop,
    Nemesis::Snapshot,
];
/// From this length on a run has all kinds.
pub(super) const SECONDS_FOR_ALL: u64 = 30;
/// At the end of a run, nearly half of its faults, of so many at least and at most, leave the
/// exchange alive, so that one life is long.
const GENTLE_AT_THE_END: (usize, usize) = (4, 6);
/// How long a process stands still, and the wallet is away, milliseconds.
const STILL_MS: (i64, i64) = (1_000, 2_000);
const AWAY_MS: (i64, i64) = (1_500, 2_500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nemesis {
    /// SIGKILL under load, then a start.
    ExchangeKill,
    /// SIGSTOP under load, later SIGCONT.
    ExchangeStop,
    /// SIGTERM under load, an orderly end, then a start.
    ExchangeTerm,
    /// SIGKILL, and no wallet for a while.
    WalletKill,
    /// SIGSTOP, later SIGCONT.
    WalletStop,
    /// A snapshot of the exchange on request.
    Snapshot,
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExchangeKill => "exchange_kill",
            Self::ExchangeStop => "exchange_stop",
            Self::ExchangeTerm => "exchange_term",
            Self::WalletKill => "wallet_kill",
            Self::WalletStop => "wallet_stop",
            Self::Snapshot => "snapshot",
        })
    }
}

/// The faults of a run with their times from its beginning.
pub(super) fn plan(seed: u64, length: Duration, every: Duration) -> Vec<(Duration, Nemesis)> {
    let mut random = Random::new(seed);
    let at_least = if length.as_secs() >= SECONDS_FOR_ALL { KINDS.len() } else { 1 };
    let every = every.min(length / u32::try_from(at_least).expect("few kinds"));
    let times = (0..).map(|number| every * number + every / 2);
    let times: Vec<_> = times.take_while(|time| *time + every / 2 <= length).collect();
    let mut kinds = KINDS.to_vec();
    shuffle(&mut random, &mut kinds);
    let tail = times.len().saturating_sub(gentle(times.len()));
    let mild = KINDS.into_iter().filter(|kind| !kind.ends_the_exchange()).collect::<Vec<_>>();
    while kinds.len() < times.len() {
        kinds.push(random.pick(if kinds.len() < tail { &KINDS } else { &mild }));
    }
    kinds.truncate(times.len());
    for place in tail..kinds.len() {
        if kinds[place].ends_the_exchange() {
            let gentle = kinds[..place].iter().position(|kind| !kind.ends_the_exchange());
            kinds.swap(place, gentle.unwrap_or(place));
        }
    }
    times.into_iter().zip(kinds).collect()
}

fn gentle(planned: usize) -> usize {
    let (least, most) = GENTLE_AT_THE_END;
    (planned * 5 / 12).clamp(least, most)
}

fn shuffle(random: &mut Random, kinds: &mut [Nemesis]) {
    for last in (1..kinds.len()).rev() {
        let other = random.below(last as u64 + 1);
        kinds.swap(last, usize::try_from(other).expect("an index"));
    }
}

impl Nemesis {
    fn ends_the_exchange(self) -> bool {
        matches!(self, Self::ExchangeKill | Self::ExchangeTerm)
    }

    /// Strikes, and puts everything right again.
    pub(super) fn strike(self, scene: &mut Scene<'_>, watch: &mut Watch) {
        match self {
            Self::ExchangeKill => {
                scene.venue.wait_for_load(1);
                scene.pair.app.kill();
                begin_again(scene, watch);
            }
            Self::ExchangeTerm => {
                scene.pair.app.ask_to_end();
                let ended = scene.pair.app.wait_for_end();
                assert_eq!(ended.code, Some(0), "an orderly end: {}", ended.stderr);
                begin_again(scene, watch);
            }
            Self::ExchangeStop => stop_exchange(scene),
            Self::WalletKill => {
                scene.pair.wallet.kill();
                let away = drawn(scene, AWAY_MS);
                watch.live(scene, away, false);
                let status = scene.pair.admin_get("/api/v1/admin/settlements");
                let waits = status["lag"] != json!(0) || status["window"] != json!(0);
                assert!(waits, "nobody missed the wallet: {status}");
                scene.pair.wallet.restart();
            }
            Self::WalletStop => {
                scene.pair.wallet.freeze();
                let still = drawn(scene, STILL_MS);
                watch.live(scene, still, false);
                scene.pair.wallet.thaw();
            }
            Self::Snapshot => snapshot(scene),
        }
    }
}

fn drawn(scene: &mut Scene<'_>, (low, high): (i64, i64)) -> Duration {
    Duration::from_millis(scene.random.between(low, high).unsigned_abs())
}

/// Starts the exchange once nobody waits for an answer of the one before.
fn begin_again(scene: &mut Scene<'_>, watch: &mut Watch) {
    scene.venue.close();
    scene.venue.wait_for_silence(TRADERS);
    let started = Instant::now();
    scene.pair.app.restart();
    watch.begin_life(started.elapsed());
    scene.open();
}

/// The system says that it stands still, and every trader is left without an answer.
fn stop_exchange(scene: &mut Scene<'_>) {
    scene.pair.app.freeze();
    scene.venue.wait_for_load(TRADERS);
    std::thread::sleep(drawn(scene, STILL_MS));
    scene.pair.app.thaw();
}

fn snapshot(scene: &mut Scene<'_>) {
    let request = Request::post("/api/v1/admin/snapshot", "");
    let mut operator = HttpClient::new(scene.pair.app.admin());
    let answer = operator.ask(&request.with_token(&scene.pair.parties.operator));
    let said = answer.json();
    let taken = answer.status == 200 && said["exchange"]["sequence"].as_u64() > Some(0);
    assert!(taken || answer.status == 202, "{said}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(seed: u64, length: u64, every: u64) -> Vec<(Duration, Nemesis)> {
        plan(seed, Duration::from_secs(length), Duration::from_secs(every))
    }

    #[test]
    fn a_run_of_half_a_minute_has_every_kind_and_ends_gently() {
        for seed in 0..200 {
            for (length, every) in [(30, 5), (30, 60), (60, 5), (90, 5), (600, 30)] {
                let plan = planned(seed, length, every);
                for kind in KINDS {
                    assert!(plan.iter().any(|(_, k)| *k == kind), "{seed}: {kind} is missing");
                }
                let last = &plan[plan.len() - gentle(plan.len())..];
                assert!(last.iter().all(|(_, kind)| !kind.ends_the_exchange()), "{seed}: {plan:?}");
                assert!(plan.iter().all(|(time, _)| *time < Duration::from_secs(length)));
            }
        }
    }

    #[test]
    fn a_seed_gives_one_plan() {
        assert_eq!(planned(1, 60, 5), planned(1, 60, 5));
        assert_ne!(planned(1, 60, 5), planned(2, 60, 5));
        assert_eq!(planned(1, 60, 5).len(), 12);
        assert_eq!(planned(1, 10, 5).len(), 2);
    }
}
