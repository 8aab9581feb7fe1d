//! What belongs here: the end that is asked for. Whatever was taken is finished and answered, and
//! the next start finds a log that was closed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use engine::AccountId;
use tests::app::{App, Asked, Settings};
use tests::http_client::{HttpClient, connect, read_answer};

use crate::desk::{Bound, Customer, Sent, post_order};
use crate::truth;

const EXIT_INTERRUPTED: i32 = 130;
const CLIENTS: u64 = 4;
const ANSWERS_BEFORE: u64 = 300;

/// What one client saw up to the end.
#[derive(Debug, Default)]
struct Seen {
    told: Vec<Bound>,
    keys: BTreeSet<String>,
}

/// Places orders until the exchange is gone.
fn place_until_the_end(
    customer: &Customer,
    client: u64,
    public: &mut HttpClient,
    answers: &AtomicU64,
) -> Seen {
    let mut seen = Seen::default();
    for number in 1.. {
        let key = format!("{client}-{number}");
        match customer.try_order(public, &key, number) {
            Sent::Told(bound) => {
                seen.told.push(bound);
                seen.keys.insert(key);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            // Says that nothing was done; or meets a connection that is being closed, where nothing
            // must have been done.
            Sent::Refused | Sent::Unknown => break,
        }
    }
    seen
}

/// Of the exchange and of its wallet, also behind a snapshot, and once.
#[test]
fn a_start_with_another_configuration_is_seen() {
    let settings = Settings::default();
    let mut app = App::start(&settings);
    let seen = |app: &App| {
        let is_told = |line: &&String| line.contains("another configuration");
        app.remarks().said().warnings.iter().filter(is_told).count()
    };
    assert_eq!(app.terminate().code, Some(0));
    app.restart();
    assert_eq!(seen(&app), 0, "it is the same");
    assert_eq!(app.terminate().code, Some(0));
    app.configure(&settings.clone().with("auth", "leeway_s", "1"));
    app.restart();
    assert_eq!(seen(&app), 2);
    app.kill();
    app.restart();
    assert_eq!(seen(&app), 2, "it is the same again");
    app.kill();
    app.configure(&settings);
    app.restart();
    assert_eq!(seen(&app), 4);
}

#[test]
fn what_was_taken_is_answered_before_the_end() {
    let mut app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    let answers = AtomicU64::new(0);
    let public = app.public();
    let (ended, seen) = thread::scope(|scope| {
        let client = |client| {
            let (customer, answers) = (&customer, &answers);
            scope.spawn(move || {
                place_until_the_end(customer, client, &mut HttpClient::new(public), answers)
            })
        };
        let clients: Vec<_> = (1..=CLIENTS).map(client).collect();
        while answers.load(Ordering::Relaxed) < ANSWERS_BEFORE {
            assert!(app.is_alive());
            thread::yield_now();
        }
        let ended = app.terminate();
        let join = |client: thread::ScopedJoinHandle<'_, Seen>| client.join().expect("a client");
        (ended, clients.into_iter().map(join).collect::<Vec<_>>())
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let stat = app.run_json(&["journal", "stat"]);
    assert_eq!(stat["clean_shutdown"], true, "{stat}");
    let verified = app.run_json(&["journal", "verify"]);
    assert_eq!(verified["tail"], "Clean", "{verified}");

    let before = truth::replay(&app.data_dir()).machine;
    truth::check_event_log(&app.data_dir(), &before.events);
    let told: BTreeSet<_> = seen.iter().flat_map(|seen| seen.keys.iter().cloned()).collect();
    let done: BTreeSet<_> = before
        .by_key
        .keys()
        .map(|(_, key)| String::from_utf8(key.as_bytes().to_vec()).expect("a key"))
        .collect();
    assert_eq!(done, told, "every order that was done was answered, and the other way round");

    app.restart();
    assert_eq!(customer.live_hash(&app), truth::replay(&app.data_dir()).machine.hash());
    for seen in &seen {
        customer.check_repeats(&app, &seen.told);
    }
    let after = truth::replay(&app.data_dir()).machine;
    assert_eq!(after.events[..before.events.len()], before.events[..], "history was kept");
    assert!(after.engine.accounts().get(AccountId(1)).is_some());
    after.engine.assert_invariants();
}

/// An order that the exchange has taken all of but its body.
fn begin(customer: &Customer, server: SocketAddr, body: &str) -> TcpStream {
    let mut stream = connect(server).expect("a connection");
    let request = customer.signed(post_order(body)).encode();
    let (head, _) = request.split_at(request.len() - body.len());
    let head = String::from_utf8_lossy(head).replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1);
    stream.write_all(head.as_bytes()).expect("sent");
    // The exchange says that it waits for the body, so it has taken the request.
    let mut go_on = *b"HTTP/1.1 100 Continue\r\n\r\n";
    stream.read_exact(&mut go_on).expect("an interim answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Waits until an exchange that was asked to end takes no connection any more.
fn wait_until_it_drains(app: &mut App) {
    let server = app.public();
    while connect(server).is_ok() {
        assert!(app.is_alive(), "it does not wait for the request");
        thread::yield_now();
    }
}

/// While the first one's end waits for a request that never comes to its own.
#[test]
fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    const LONG_MS: &str = "600000";
    let settings = Settings::default().with("server", "drain_timeout_ms", LONG_MS).with(
        "server",
        "request_timeout_ms",
        LONG_MS,
    );
    let mut app = App::start(&settings);
    let customer = Customer::of(&app);
    let mut told = Vec::new();
    let rounds = [(Asked::Terminate, Asked::Terminate), (Asked::Interrupt, Asked::Interrupt)];
    for (round, (first, second)) in rounds.into_iter().enumerate() {
        told.extend(customer.place(app.public(), &format!("round-{round}"), 20));
        let body = Customer::order("late", 1);
        let _stream = begin(&customer, app.public(), &body);
        app.ask(first);
        wait_until_it_drains(&mut app);
        app.ask(second);
        let ended = app.wait_for_end();
        assert_eq!(ended.code, Some(EXIT_INTERRUPTED), "{}", ended.stderr);
        let stat = app.run_json(&["journal", "stat"]);
        assert_eq!(stat["clean_shutdown"], false, "{stat}");
        app.restart();
        customer.check_repeats(&app, &told);
    }
    app.ask(Asked::Interrupt);
    assert_eq!(app.wait_for_end().code, Some(0), "one alone ends in order");
    assert_eq!(app.run_json(&["journal", "stat"])["clean_shutdown"], true);
}

#[test]
fn a_request_that_had_begun_is_answered() {
    let mut app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    let told = customer.place(app.public(), "before", 10);
    let body = Customer::order("late", 1);
    let mut stream = begin(&customer, app.public(), &body);
    app.ask_to_end();
    wait_until_it_drains(&mut app);
    stream.write_all(body.as_bytes()).expect("sent");
    let answer = read_answer(&mut stream).expect("an answer");
    assert!([201, 503].contains(&answer.status), "{:?}", answer.json());
    let ended = app.wait_for_end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let orders = truth::replay(&app.data_dir()).machine.orders.len();
    let done = usize::from(answer.status == 201);
    assert_eq!(orders, told.len() + done, "done if and only if the answer says so");
}
