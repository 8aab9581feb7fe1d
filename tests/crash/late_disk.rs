//! What belongs here: a disk that answers late. New orders and new movements of money are refused
//! by name while it does, cancels are not, and what was accepted is done.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::app::{App, Settings};
use tests::http_client::{Answer, HttpClient, Outcome, Request};
use tests::late_disk::LateDisk;

use crate::desk::{Customer, post_credit, post_order, text};

/// How late it is: long enough to be seen on a busy machine, and less than a request may wait.
const LATE: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// The first answer, whatever it is.
fn once(server: SocketAddr, request: &Request<'_>) -> Answer {
    match HttpClient::new(server).send(request) {
        Outcome::Answered(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// Waits until commands of both pipelines have waited for longer than new ones are taken.
fn wait_until_late(admin: SocketAddr) {
    let mut admin = HttpClient::new(admin);
    let asked = Instant::now();
    loop {
        let page = String::from_utf8(admin.ask(&Request::get("/metrics")).body).expect("text");
        let is_late = |pipeline: &str| {
            let name = format!("journal_sync_age_seconds{{pipeline=\"{pipeline}\"}} ");
            let age = page.lines().find_map(|line| line.strip_prefix(&name));
            age.expect("an age").parse::<f64>().expect("a number") > 0.26
        };
        if is_late("exchange") && is_late("wallet") {
            return;
        }
        assert!(asked.elapsed() < PATIENCE, "the disk is not late:\n{page}");
        thread::sleep(POLL);
    }
}

fn credit(admin: SocketAddr, operator: &str, reference: &str) -> Answer {
    let body = json!({
        "user": "customer", "asset": "BTC", "amount": "1", "reference": reference,
    });
    let body = body.to_string();
    once(admin, &post_credit(&body).with_token(operator))
}

fn rests(key: &str) -> String {
    let body = json!({
        "symbol": "BTC/USDT", "side": "BUY", "type": "LIMIT", "price": "40000",
        "quantity": "0.001", "client_order_id": key,
    });
    body.to_string()
}

#[test]
fn a_disk_that_is_late_gets_no_new_orders_and_all_cancels() {
    let mut app = App::prepare(&Settings::default());
    app.restart();
    let (customer, operator) = (Customer::of(&app), app.token("operator", "admin"));
    let (public, admin) = (app.public(), app.admin());
    let place = |key: &str| {
        let body = rests(key);
        once(public, &customer.signed(post_order(&body)))
    };
    let body = rests("first");
    let first = HttpClient::new(public).ask(&customer.signed(post_order(&body)));
    assert_eq!(first.status, 201, "{:?}", first.json());
    let path = format!("/api/v1/orders/{}", text(&first.json(), "id"));

    let folder = tempfile::tempdir().expect("a folder");
    let disk = LateDisk::of(app.pid(), "matchring-jrnl", LATE, folder.path());
    let Some(disk) = disk else { return };
    thread::scope(|scope| {
        let order = scope.spawn(|| place("under way"));
        let deposit = scope.spawn(|| credit(admin, &operator, "under way"));
        wait_until_late(admin);
        for refused in [place("late"), credit(admin, &operator, "late")] {
            assert!(refused.finds_the_disk_late(), "{}", refused.status);
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        let cancel = customer.signed(Request { method: "DELETE", ..Request::get(&path) });
        let cancelled = once(public, &cancel);
        assert_eq!(cancelled.status, 200, "{:?}", cancelled.json());
        for accepted in [order, deposit] {
            let accepted = accepted.join().expect("a client");
            assert_eq!(accepted.status, 201, "{:?}", accepted.json());
        }
    });
    assert_eq!(disk.delayed(), 2, "both journals");
    assert_eq!(place("late").status, 201, "the disk answers again");
    assert_eq!(credit(admin, &operator, "late").status, 201);
    drop(disk);
    assert!(app.is_alive(), "nothing was restarted");
}
