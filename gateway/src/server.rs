//! Owns a listener: the bound on connections, the times for a head, for an answer and for idleness,
//! the drain.
//! Knows nothing of paths. Invariant: no connection is held for longer than a timeout by a client
//! that neither sends a request nor takes its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use engine::Usage;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config::ServerConfig;
use crate::head_timer::HeadTimer;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::write_timeout::WriteTimeout;

/// How long to wait after the system refused a connection, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// A bound socket and what it serves.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    header_read_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    drain_timeout: Duration,
    connections: Arc<Semaphore>,
    connections_max: usize,
}

impl Server {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The system refuses the address.
    pub async fn bind(
        address: SocketAddr,
        router: Router,
        config: &ServerConfig,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            router,
            header_read_timeout: config.header_read_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            drain_timeout: config.drain_timeout,
            connections: Arc::new(Semaphore::new(config.connections_max)),
            connections_max: config.connections_max,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are served.
    pub fn usage(&self) -> impl Fn() -> Usage + Send + Sync + 'static {
        let (connections, max) = (Arc::clone(&self.connections), self.connections_max);
        move || Usage::new("connections", max - connections.available_permits().min(max), max)
    }

    /// Serves until `stop` is set, then lets requests in flight finish, up to the deadline.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        loop {
            // Who does not get a permit waits in the listener's queue.
            let next = async {
                let permit = Arc::clone(&self.connections).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                (permit, accepted) = next => match (permit, accepted) {
                    (Ok(permit), Ok((stream, _))) => self.start(stream, permit, &graceful),
                    (_, Err(error)) => {
                        tracing::warn!(%error, "accepting a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    (Err(_), _) => unreachable!("the semaphore is never closed"),
                },
            }
        }
        drop(self.listener);
        if tokio::time::timeout(self.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests in flight were cut off at the drain deadline");
        }
    }

    fn start(&self, stream: TcpStream, permit: OwnedSemaphorePermit, graceful: &GracefulShutdown) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection closed before its first request");
            return;
        }
        let stream = WriteTimeout::new(stream, self.write_timeout);
        let timer = HeadTimer::new(self.header_read_timeout, stream.arrived());
        let stream = TokioIo::new(stream);
        let connection = http1::Builder::new()
            .timer(timer)
            .header_read_timeout(self.idle_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(stream, TowerToHyperService::new(self.router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has nothing more to serve for, either.
    drop(stop.wait_for(|stopped| *stopped).await);
}
