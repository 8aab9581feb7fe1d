//! What belongs here: a disk that is full. Orders are refused by name, cancels go on, and trading
//! too as soon as somebody makes room, without a restart.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::app::{App, Settings};
use tests::http_client::{Answer, HttpClient, Request};
use tests::loop_disk::LoopDisk;

use crate::desk::{Customer, post_order, text};

/// Room for the segments of four logs, in use and spare, and a little more.
const DISK_BYTES: u64 = 40 << 20;
/// More orders than the segments that lie ready have room for.
const ORDERS_MAX: u64 = 4_000;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Takes all the space that is left.
fn fill(disk: &LoopDisk) -> PathBuf {
    let path = disk.path().join("filler");
    let mut file = File::create_new(&path).expect("a file");
    for piece in [64 << 10, 512] {
        let block = vec![1; piece];
        while file.write_all(&block).is_ok() {}
    }
    // What cannot be written back is not written: only the space counts.
    let _ = file.sync_all();
    path
}

/// A resting order that nobody meets.
fn resting() -> String {
    let body = json!({
        "symbol": "BTC/USDT", "side": "BUY", "type": "LIMIT", "price": "40000", "quantity": "0.001",
    });
    body.to_string()
}

#[test]
fn a_full_disk_refuses_orders_takes_cancels_and_heals() {
    let Some(disk) = LoopDisk::mount(DISK_BYTES) else { return };
    let mut app = App::prepare_below(disk.path(), &Settings::default());
    app.restart();
    let customer = Customer::of(&app);
    let mut public = HttpClient::new(app.public());
    let rests = resting();
    let first = public.ask(&customer.signed(post_order(&rests)));
    assert_eq!(first.status, 201, "{:?}", first.json());
    let id = text(&first.json(), "id").to_owned();
    let mut place = |number: u64| -> Answer {
        let body = Customer::order(&format!("order-{number}"), number);
        public.ask(&customer.signed(post_order(&body)))
    };

    let filler = fill(&disk);
    let mut placed = 1;
    let refused = loop {
        let answer = place(placed);
        if answer.status != 201 {
            break answer;
        }
        placed += 1;
        assert!(placed < ORDERS_MAX, "the disk is never full");
    };
    assert_eq!((refused.status, text(&refused.json(), "code")), (503, "NO_SPACE"));

    let path = format!("/api/v1/orders/{id}");
    let mut other = HttpClient::new(app.public());
    let cancelled =
        other.ask(&customer.signed(Request { method: "DELETE", ..Request::get(&path) }));
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.json());
    assert_eq!(place(placed).status, 503, "a cancel makes no room");

    fs::remove_file(filler).expect("the filler goes");
    let freed = Instant::now();
    while place(placed).status != 201 {
        assert!(freed.elapsed() < PATIENCE, "room was made, and orders are still refused");
        thread::sleep(POLL);
    }
    assert!(app.is_alive(), "nothing was restarted");
    let metrics = HttpClient::new(app.admin()).ask(&Request::get("/metrics"));
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let goes_on = metrics.lines().any(|line| line == "settlement_halted 0");
    assert!(goes_on, "settlement has given up");
    let live = customer.live_hash(&app);
    app.kill();
    app.restart();
    let replayed = app.run_json(&["journal", "verify"]);
    assert!(replayed["records"].as_u64() >= Some(live.sequence), "{replayed} {live:?}");
    let body = Customer::order(&format!("order-{placed}"), placed);
    let again = HttpClient::new(app.public()).ask(&customer.signed(post_order(&body)));
    assert_eq!(again.status, 201, "{:?}", again.json());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}
