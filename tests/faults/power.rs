//! What belongs here: exchange and wallet on disks of their own, one of which loses its power, or
//! both. Whatever either has done for the other stays done: no trade is settled that the exchange
//! does not know, and every one that it knows is settled in the end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use engine::{Engine, Event};
use pipeline::Shadow;
use serde_json::json;
use tests::app::Settings;
use tests::drive::Script;
use tests::http_client::{HttpClient, Outcome};
use tests::loop_disk::LoopDisk;
use tests::power::Last;
use tests::random::Random;
use tests::report::{say, seed};
use tests::trading::books::check_books;
use tests::trading::desk::post_order;
use tests::trading::trader::Identity;
use wallet::ledger::Ledger;
use wallet::ledger::types::{TransactionKind, TransactionStatus};

use tests::trading::load::Scene;
use tests::trading::pair::{Pair, TRADERS, settings};

/// Cuts of the exchange's disk, of the wallet's, and of both.
const CUTS_OF_EACH: usize = 4;
const DISK_BYTES: u64 = 128 << 20;
/// Answers of the exchange between two cuts.
const ANSWERS_PER_LIFE: (i64, i64) = (20, 200);
/// How long the others go on, at most, microseconds.
const AFTER_US_MAX: u64 = 20_000;
/// Cuts of a disk that is synced now and then, and longest life of an exchange on it, microseconds.
const LOSSES: usize = 6;
const LIFE_US_MAX: u64 = 500_000;
/// Requests that must be under way when a disk is cut off.
const LOAD_MIN: usize = TRADERS / 2;

/// The disks of the two processes.
struct Disks {
    exchange: LoopDisk,
    wallet: LoopDisk,
}

impl Disks {
    /// `None` where there cannot be any.
    fn mount() -> Option<Self> {
        let [exchange, wallet] = [(); 2].map(|()| LoopDisk::mount(DISK_BYTES));
        let disks = exchange.zip(wallet).map(|(exchange, wallet)| Self { exchange, wallet });
        assert!(disks.is_some() || std::env::var_os("CI").is_none(), "no disk to cut off");
        disks
    }

    /// Exchange and wallet, each on its disk.
    fn pair(&self, settings: Settings) -> Pair {
        let settings = settings.with("journal", "allow_fs", "false");
        Pair::open_on(settings, false, |data_dir| {
            let [of_exchange, of_wallet] =
                [&self.exchange, &self.wallet].map(|disk| disk.path().join("data"));
            fs::create_dir(&of_exchange).expect("a folder");
            fs::create_dir(&of_wallet).expect("a folder");
            symlink(&of_exchange, data_dir).expect("a link");
            symlink(&of_wallet, of_exchange.join("wallet")).expect("a link");
        })
    }
}

/// Between two lives: the wallet has settled no more than the exchange still knows. Returns the
/// trades that it has settled.
fn check_between(pair: &Pair) -> usize {
    let (data_dir, mut traded, mut settled) = (pair.app.data_dir(), 0, 0);
    let mut engine = Shadow::open(&data_dir, Engine::fresh()).expect("a journal");
    engine
        .advance(u64::MAX, |_, events| {
            traded += events.iter().filter(|event| matches!(event, Event::Trade(_))).count();
        })
        .expect("a sound journal");
    let mut ledger = Shadow::open(&data_dir.join("wallet"), Ledger::default()).expect("a journal");
    let is_settlement = |event: &&wallet::ledger::Event| match event {
        wallet::ledger::Event::Committed(committed) => {
            committed.kind == TransactionKind::Settlement
                && committed.status == TransactionStatus::Completed
        }
        _ => false,
    };
    ledger
        .advance(u64::MAX, |_, events| settled += events.iter().filter(is_settlement).count())
        .expect("a sound journal");
    assert!(settled <= traded, "{settled} trades are settled, and {traded} are known");
    settled
}

fn cut(scene: &mut Scene<'_>, disks: &mut Disks, [exchange, wallet]: [bool; 2]) {
    let (low, high) = ANSWERS_PER_LIFE;
    let answers = scene.random.between(low, high).unsigned_abs();
    scene.trade(answers);
    scene.venue.wait_for_load(LOAD_MIN);
    if exchange {
        disks.exchange.cut(Last::Nothing);
    }
    if wallet {
        disks.wallet.cut(Last::Nothing);
    }
    thread::sleep(Duration::from_micros(scene.random.below(AFTER_US_MAX)));
    // A disk is free only when nobody has a file open, and each process looks at both.
    scene.pair.app.bury();
    scene.pair.wallet.bury();
    scene.venue.close();
    scene.venue.wait_for_silence(TRADERS);
    if exchange {
        disks.exchange.power_on();
    }
    if wallet {
        disks.wallet.power_on();
    }
    check_between(scene.pair);
    scene.pair.wallet.spawn();
    scene.pair.app.restart();
    scene.pair.wallet.wait_until_ready();
    scene.open();
}

#[test]
fn the_power_of_one_disk_or_of_both_loses_nothing() {
    let Some(mut disks) = Disks::mount() else { return };
    let mut pair = disks.pair(settings());
    let evidence = pair.under_load(|scene| {
        for _ in 0..CUTS_OF_EACH {
            for of in [[true, false], [false, true], [true, true]] {
                cut(scene, &mut disks, of);
            }
        }
    });
    let trades = pair.verdict(&evidence);
    let doubts: u64 = evidence.payments.iter().map(|payment| payment.doubts).sum();
    say(&format!("{trades} trades, {doubts} payments in doubt, {:?}", evidence.tally));
    assert!(trades > CUTS_OF_EACH, "hardly anything traded");
    assert!(evidence.tally.unknown >= 3 * CUTS_OF_EACH as u64, "the cuts hit nobody");
    // The disks go after whoever writes to them.
    drop(pair);
}

/// Places orders that meet each other until the exchange is gone; how many were answered.
fn orders_until_gone(server: SocketAddr, identities: &[Identity]) -> u64 {
    let mut public = HttpClient::new(server);
    let sides = ["SELL", "BUY"].map(|side| {
        let body = json!({
            "symbol": "BTC/USDT", "side": side, "type": "LIMIT",
            "price": "40000", "quantity": "0.001",
        });
        body.to_string()
    });
    let mut answered = 0;
    for (body, identity) in sides.iter().zip(identities).cycle() {
        match public.send(&post_order(body).with_token(&identity.token)) {
            Outcome::Answered(answer) if answer.status == 201 => answered += 1,
            _ => break,
        }
    }
    answered
}

/// Where orders are answered before they are synced, a cut takes some of them back. Settlement
/// waits for the disk, whatever the answers do.
#[test]
fn what_is_settled_was_synced() {
    let Some(mut disks) = Disks::mount() else { return };
    let settings =
        settings().with("journal", "sync", "\"interval\"").with("journal", "interval_ms", "150");
    let mut pair = disks.pair(settings);
    let seed = seed();
    say(&format!("MATCHRING_SEED={seed}"));
    let mut random = Random::new(seed);
    let (mut answered, mut lost, mut settled) = (0, 0, 0);
    for _ in 0..LOSSES {
        let stored = thread::scope(|scope| {
            let (server, identities) = (pair.app.public(), &pair.parties.identities);
            let orders = scope.spawn(move || orders_until_gone(server, identities));
            thread::sleep(Duration::from_micros(random.below(LIFE_US_MAX)));
            let stored = journal::stat(&pair.app.data_dir().join("journal")).expect("a journal");
            disks.exchange.cut(Last::Nothing);
            answered += orders.join().expect("orders");
            stored.last_seq
        });
        pair.app.bury();
        pair.wallet.bury();
        disks.exchange.power_on();
        settled = check_between(&pair);
        let kept = journal::stat(&pair.app.data_dir().join("journal")).expect("a journal");
        lost += stored.saturating_sub(kept.last_seq);
        pair.wallet.spawn();
        pair.app.restart();
        pair.wallet.wait_until_ready();
    }
    pair.wait_until_drained();
    for ended in [pair.app.terminate(), pair.wallet.terminate()] {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let trades = check_between(&pair);
    check_books(&pair.app, trades);
    say(&format!("{answered} orders, {lost} inputs lost, {settled} and then {trades} trades"));
    assert!(lost > 0, "no cut took anything back");
    assert!(trades > 0 && settled > 0, "nothing was settled");
    drop(pair);
}
