//! The real listeners: slow clients, many connections, the drain.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Exchange;

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(address: SocketAddr, path: &str) -> String {
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

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let exchange = Exchange::start().await;
    let path = format!("/{}", "x".repeat(gateway::limits::HEAD_BYTES_MAX));
    let answer = ask(exchange.app.public_address(), &path).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn connections_past_the_bound_wait_their_turn() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = crate::harness::config(directory.path(), "");
    config.server.connections_max = 1;
    config.server.header_read_timeout = std::time::Duration::from_secs(60);
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
