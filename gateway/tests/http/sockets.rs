//! The real listeners: slow clients, many connections, the drain.

use std::net::SocketAddr;

use gateway::limits::{HEADER_BYTES_MAX, HEADERS_MAX, URI_BYTES_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::Exchange;

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

#[tokio::test]
async fn both_listeners_answer() {
    let exchange = Exchange::start().await;
    for address in [exchange.app.public_address(), exchange.app.admin_address()] {
        assert!(address.ip().is_loopback());
        assert!(ask(address, "/health").await.starts_with("HTTP/1.1 200"));
    }
    let public = exchange.app.public_address();
    let admin = ask(public, "/api/v1/admin/state-hash").await;
    assert!(admin.starts_with("HTTP/1.1 404"), "{admin}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let exchange = Exchange::start().await;
    let mut stream = TcpStream::connect(exchange.app.public_address()).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost:").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// What the exchange says to this head of a request.
pub(crate) async fn say(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

#[tokio::test]
async fn a_path_is_bounded() {
    let exchange = Exchange::start().await;
    let address = exchange.app.public_address();
    let path = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    let longest = ask(address, &path(URI_BYTES_MAX)).await;
    assert!(longest.starts_with("HTTP/1.1 404"), "{longest}");
    let longer = ask(address, &path(URI_BYTES_MAX + 1)).await;
    assert!(longer.starts_with("HTTP/1.1 414") && longer.contains("URI_TOO_LONG"), "{longer}");
}

#[tokio::test]
async fn headers_are_bounded_in_bytes() {
    const FIXED: &str = "host: x\r\nconnection: close\r\n";
    let exchange = Exchange::start().await;
    let address = exchange.app.public_address();
    let fixed = "hostx".len() + "connectionclose".len();
    let ask = |bytes: usize| {
        let value = "x".repeat(bytes - fixed - "long".len());
        let head = format!("GET /health HTTP/1.1\r\n{FIXED}long: {value}\r\n\r\n");
        async move { say(address, &head).await }
    };
    let longest = ask(HEADER_BYTES_MAX).await;
    assert!(longest.starts_with("HTTP/1.1 200"), "{longest}");
    let longer = ask(HEADER_BYTES_MAX + 1).await;
    assert!(longer.starts_with("HTTP/1.1 431"), "{longer}");
    assert!(longer.contains("HEADERS_TOO_LARGE"), "{longer}");
}

#[tokio::test]
async fn headers_are_bounded_in_number() {
    let exchange = Exchange::start().await;
    let address = exchange.app.public_address();
    let ask = |count: usize| {
        let more: Vec<_> = (2..count).map(|number| format!("h{number}: x\r\n")).collect();
        let fixed = "host: x\r\nconnection: close\r\n";
        let head = format!("GET /health HTTP/1.1\r\n{fixed}{}\r\n", more.concat());
        async move { say(address, &head).await }
    };
    assert!(ask(HEADERS_MAX).await.starts_with("HTTP/1.1 200"));
    assert!(ask(HEADERS_MAX + 1).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let exchange = Exchange::start().await;
    let address = exchange.app.public_address();
    let refused = say(address, "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("HOST_REQUIRED"), "{refused}");
    assert!(say(address, "GET /health HTTP/1.0\r\n\r\n").await.contains(" 200 "));
}

#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = crate::harness::config(directory.path(), "");
    config.server.connections_max = 1;
    config.server.write_timeout = std::time::Duration::from_millis(100);
    let app = gateway::App::start(config).await.unwrap();
    let address = app.public_address();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = socket.connect(address).await.unwrap();
    let requests = "GET /api/v1/symbols HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let writing =
        tokio::spawn(async move { while deaf.write_all(requests.as_bytes()).await.is_ok() {} });
    writing.await.unwrap();
    assert!(ask(address, "/health").await.starts_with("HTTP/1.1 200"), "its place is free again");
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn connections_past_the_bound_wait_their_turn() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = crate::harness::config(directory.path(), "");
    config.server.connections_max = 1;
    config.server.idle_timeout = std::time::Duration::from_secs(60);
    let app = gateway::App::start(config).await.unwrap();
    let address = app.public_address();
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();

    let mut second = tokio::spawn(ask(address, "/health"));
    let served = tokio::select! {
        biased;
        _ = &mut second => true,
        () = tokio::time::sleep(std::time::Duration::from_millis(100)) => false,
    };
    assert!(!served, "the only place is taken");
    drop(first);
    assert!(second.await.unwrap().starts_with("HTTP/1.1 200"));
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_listener() {
    let exchange = Exchange::start().await;
    let address = exchange.app.public_address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    let stopped = exchange.app.shutdown().await.unwrap();
    read_all(&mut idle).await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(stopped.cursors.acked(), stopped.cursors.written());
}
