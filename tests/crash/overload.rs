//! What belongs here: more load than there is room for, by one who does not stop. Whoever asks for
//! no more than a share is served as ever, and everything that is refused is refused by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tests::app::{App, Settings};
use tests::http_client::{Answer, HttpClient, Outcome, Request};
use tests::late_disk::LateDisk;

use crate::desk::{post_credit, post_order, text};
use crate::truth;

/// The smallest ring; orders may fill 80 % of it.
const SLOTS: &str = "64";
const ROOM: usize = 51;
/// How long every sync takes, so that the room is what there is too little of. Two of them are less
/// than the disk may be late.
const SYNC: Duration = Duration::from_millis(80);
const MODEST: [&str; 8] = ["ann", "bea", "cleo", "dora", "eva", "fay", "gia", "hope"];
const MODEST_ORDERS: usize = 4;
/// Twice what there is room for, and ten times.
const LOADS: [usize; 2] = [2 * ROOM, 10 * ROOM];

fn order(key: &str, time_in_force: &str) -> String {
    let body = json!({
        "symbol": "BTC/USDT", "side": "BUY", "type": "LIMIT", "price": "40000",
        "quantity": "0.001", "time_in_force": time_in_force, "client_order_id": key,
    });
    body.to_string()
}

/// Answers by what they say: 201 by nothing, refusals by their code.
type Count = BTreeMap<String, usize>;

/// One connection of who does not stop: sends orders that leave nothing in the book.
fn press(server: SocketAddr, token: &str, name: &str, is_over: &AtomicBool) -> Count {
    let mut client = HttpClient::new(server);
    let mut count = Count::new();
    for number in 0.. {
        let body = order(&format!("{name}-{number}"), "IOC");
        let answer = match client.send(&post_order(&body).with_token(token)) {
            Outcome::Answered(answer) => answer,
            other => panic!("{name}: {other:?}"),
        };
        if answer.status != 201 {
            assert_eq!(answer.header("retry-after"), Some("1"), "{:?}", answer.json());
        }
        *count.entry(code(&answer)).or_default() += 1;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    count
}

fn code(answer: &Answer) -> String {
    match answer.status {
        201 => String::new(),
        status => format!("{status} {}", text(&answer.json(), "code")),
    }
}

/// Places an order and cancels it, again and again; the next one only when that is answered.
fn trade(server: SocketAddr, token: &str, name: &str) {
    let mut client = HttpClient::new(server);
    for number in 0..MODEST_ORDERS {
        let body = order(&format!("{name}-{number}"), "GTC");
        let placed = client.ask(&post_order(&body).with_token(token));
        assert_eq!(placed.status, 201, "{name}: {:?}", placed.json());
        let path = format!("/api/v1/orders/{}", text(&placed.json(), "id"));
        let cancel = Request { method: "DELETE", ..Request::get(&path) }.with_token(token);
        let Outcome::Answered(cancelled) = client.send(&cancel) else {
            panic!("{name}: no answer")
        };
        assert_eq!(cancelled.status, 200, "{name}: {:?}", cancelled.json());
    }
}

/// What became of the orders of one who presses over so many connections, all of which begin at the
/// same moment, while the others trade.
fn pressed(app: &App, tokens: &BTreeMap<&str, String>, round: usize, load: usize) -> Count {
    let (server, is_over, together) = (app.public(), AtomicBool::new(false), Barrier::new(load));
    let (is_over, together) = (&is_over, &together);
    thread::scope(|scope| {
        let hot = |number: usize| {
            scope.spawn(move || {
                together.wait();
                press(server, &tokens["hot"], &format!("{round}-{number}"), is_over)
            })
        };
        let pressing: Vec<_> = (0..load).map(hot).collect();
        let trading = MODEST.map(|name| {
            scope.spawn(move || trade(server, &tokens[name], &format!("{round}-{name}")))
        });
        // Whatever comes of them, the others are told to stop.
        let traded = trading.map(thread::ScopedJoinHandle::join);
        is_over.store(true, Ordering::Relaxed);
        let mut count = Count::new();
        for connection in pressing {
            for (code, more) in connection.join().expect("a connection") {
                *count.entry(code).or_default() += more;
            }
        }
        assert!(traded.iter().all(Result::is_ok), "whoever is modest is served");
        count
    })
}

#[test]
fn who_presses_is_refused_by_name_and_nobody_else_is() {
    let app = App::start(&Settings::default().with("pipeline", "input_slots", SLOTS));
    let operator = app.token("operator", "admin");
    let tokens: BTreeMap<&str, String> =
        MODEST.iter().chain(["hot"].iter()).map(|name| (*name, app.token(name, "trade"))).collect();
    let mut admin = HttpClient::new(app.admin());
    for name in tokens.keys() {
        let body = json!({"user": name, "asset": "USDT", "amount": "50000", "reference": name});
        let body = body.to_string();
        let credited = admin.ask(&post_credit(&body).with_token(&operator));
        assert_eq!(credited.status, 201, "{:?}", credited.json());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = LateDisk::throughout(app.pid(), "matchring-jrnl", SYNC, folder.path());
    let Some(disk) = disk else { return };
    let mut accepted = 0;
    for (round, load) in LOADS.into_iter().enumerate() {
        let mut count = pressed(&app, &tokens, round, load);
        accepted += count.remove("").expect("some are taken") + MODEST.len() * MODEST_ORDERS;
        let by_share = count.remove("429 FAIR_SHARE_EXCEEDED").expect("it has more than its share");
        let by_room = count.remove("503 OVERLOADED").unwrap_or(0);
        assert!(by_share > by_room, "its share comes before the room: {by_share}, {by_room}");
        // A machine on which much is tested at once may be that slow.
        count.remove("503 SYNC_DELAYED");
        assert!(count.is_empty(), "{count:?}");
    }
    assert!(disk.delayed() > 2 * MODEST_ORDERS);
    drop(disk);
    let mut app = app;
    app.kill();
    let machine = truth::replay(&app.data_dir()).machine;
    assert_eq!(machine.orders.len(), accepted, "those that were taken, and no other");
    truth::check_event_log(&app.data_dir(), &machine.events);
}
