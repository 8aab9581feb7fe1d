//! What belongs here: clients that hold connections without using them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tests::app::{App, Settings};
use tests::http_client::{HttpClient, Request, connect, read_answer};

const HEADER_TIMEOUT_MS: &str = "1500";
const CONNECTIONS_MAX: usize = 4;
/// Long enough for an answer, if there were to be one.
const A_WHILE: Duration = Duration::from_millis(300);

/// Reads until the other end hangs up; what was read.
fn read_to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection was not closed: {error}"),
    }
    bytes
}

fn ask(server: SocketAddr) -> u16 {
    HttpClient::new(server).ask(&Request::get("/health")).status
}

#[test]
fn who_does_not_finish_a_request_is_cut_off() {
    let settings = Settings::default().with("server", "header_read_timeout_ms", HEADER_TIMEOUT_MS);
    let app = App::start(&settings);
    let heads = ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "];
    let servers = [app.public(), app.admin()];
    let pairs = servers.iter().flat_map(|server| heads.map(|head| (*server, head)));
    let streams: Vec<_> = pairs
        .map(|(server, head)| {
            let mut stream = connect(server).expect("a connection");
            stream.write_all(head.as_bytes()).expect("sent");
            (stream, head)
        })
        .collect();
    for (mut stream, head) in streams {
        let answer = read_to_the_end(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{head}: {answer:?}");
    }
    assert_eq!(servers.map(ask), [200, 200], "who does finish is answered");
}

#[test]
fn a_head_that_trickles_in_is_cut_off() {
    let settings = Settings::default().with("server", "header_read_timeout_ms", HEADER_TIMEOUT_MS);
    let app = App::start(&settings);
    let mut stream = connect(app.public()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    stream.write_all(b"GET /health HTTP/1.1\r\nX-Slow: ").expect("sent");
    // A byte now and then would keep it open for a thousand times as long.
    for _ in 0..3_000 {
        let mut answer = [0; 64];
        match (stream.write(b"x"), stream.read(&mut answer)) {
            (Ok(_), Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
    panic!("the connection is still open");
}

fn ask_on(stream: &mut TcpStream) -> u16 {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    read_answer(stream).expect("an answer").status
}

#[test]
fn an_idle_connection_is_closed() {
    let settings = Settings::default().with("server", "idle_timeout_ms", HEADER_TIMEOUT_MS);
    let app = App::start(&settings);
    let mut stream = connect(app.public()).expect("a connection");
    assert_eq!(ask_on(&mut stream), 200);
    assert_eq!(read_to_the_end(&mut stream), b"");
}

/// A pause between requests, longer than a head may take, is none within a head.
#[test]
fn an_idle_connection_has_more_time_than_a_head() {
    let settings = Settings::default().with("server", "header_read_timeout_ms", "1000");
    let app = App::start(&settings);
    let mut idle = connect(app.public()).expect("a connection");
    let mut begun = connect(app.public()).expect("a connection");
    assert_eq!((ask_on(&mut idle), ask_on(&mut begun)), (200, 200));
    begun.write_all(b"GET /hea").expect("sent");
    // The time for a head is over then, and the other connection is older.
    read_to_the_end(&mut begun);
    assert_eq!(ask_on(&mut idle), 200);
}

#[test]
fn connections_are_bounded() {
    let most = CONNECTIONS_MAX.to_string();
    let app = App::start(&Settings::default().with("server", "connections_max", &most));
    let mut clients: Vec<_> = (0..CONNECTIONS_MAX).map(|_| HttpClient::new(app.public())).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&Request::get("/health")).status, 200);
    }
    let mut stream = connect(app.public()).expect("a place in the queue");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let patience = stream.read_timeout().expect("a timeout");
    stream.set_read_timeout(Some(A_WHILE)).expect("a timeout");
    let early = read_answer(&mut stream).map(|answer| answer.status);
    let waits = early.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    assert!(waits, "one connection too many is served: {early:?}");
    stream.set_read_timeout(patience).expect("a timeout");
    drop(clients.pop());
    assert_eq!(read_answer(&mut stream).expect("an answer").status, 200);
}
