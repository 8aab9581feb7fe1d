//! Owns the wallet behind HTTP. Knows nothing of ledgers.
//! Invariant: a request is written once, so every try carries the same key and the same bytes; what
//! the answer's code says decides, never its status alone.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::limits::BATCH_MAX;
use super::metrics::{Method, WalletClientMetrics};
use super::options::WalletClientOptions;
use super::resilience::{Call, Resilience};
use super::{CallContext, WalletError};
use crate::wire::{Assets, BatchAnswer, BatchBody, WireError};

mod answer;
mod calls;
mod transport;

use answer::Reply;
use transport::{Outgoing, Transport};

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("wallet client settings: {}", .0.join("; "))]
    Settings(Vec<String>),
    #[error("making the wallet's HTTP client")]
    Http(#[source] reqwest::Error),
}

/// A wallet that is spoken to over HTTP.
#[derive(Debug)]
pub struct HttpWalletClient {
    transport: Transport,
    assets: Assets,
    resilience: Resilience,
    timeout: Duration,
}

impl HttpWalletClient {
    /// A client of the wallet at `options.base_url`; `assets` must list every asset whose money is
    /// spoken of. Connects to nobody yet.
    ///
    /// # Errors
    /// The settings are not valid, or the HTTP client cannot be made of them.
    pub fn new(options: &WalletClientOptions, assets: Assets) -> Result<Self, ClientError> {
        let settings = options.checked().map_err(ClientError::Settings)?;
        Ok(Self {
            transport: Transport::new(&settings).map_err(ClientError::Http)?,
            assets,
            resilience: Resilience::new(&settings),
            timeout: settings.timeout,
        })
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<WalletClientMetrics> {
        self.resilience.metrics()
    }

    /// Sends a request until `read` makes something of an answer.
    async fn call<T>(
        &self,
        call: Call,
        outgoing: Outgoing,
        read: impl Fn(&Reply) -> Result<T, WalletError>,
    ) -> Result<T, WalletError> {
        let metrics = self.resilience.metrics();
        let attempt = || async {
            let _connection = metrics.connection_taken();
            let reply = self.transport.send(&outgoing, call.context.trace_id).await?;
            reply.into_result(&read)
        };
        self.resilience.run(call, attempt).await
    }

    fn plain(&self, method: Method, context: CallContext) -> Call {
        Call { method, context, timeout: self.timeout }
    }

    /// Sends the items together; the results come in the same order.
    async fn batch<I, B: Serialize, A: DeserializeOwned, T>(
        &self,
        call: Call,
        path: &'static str,
        items: &[I],
        body_of: impl Fn(&I, &Assets) -> Result<B, WireError>,
        read: impl Fn(&I, &A) -> Result<T, WireError>,
    ) -> Result<Vec<Result<T, WalletError>>, WalletError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        if items.len() > BATCH_MAX {
            let text = format!("more than {BATCH_MAX} items in a batch");
            return Err(WalletError::InvalidRequest(text));
        }
        let bodies: Result<Vec<B>, _> =
            items.iter().map(|item| body_of(item, &self.assets)).collect();
        let body = BatchBody { items: bodies.map_err(unsendable)? };
        let outgoing = Outgoing::post(path.to_owned(), &body)?;
        self.call(call, outgoing, |reply| {
            let answer: BatchAnswer<Value> = reply.read()?;
            if answer.results.len() != items.len() {
                return Err(unreadable("results", "are not as many as items"));
            }
            let results = items.iter().zip(&answer.results);
            let each = |(item, value): (&I, &Value)| {
                let answer = answer::read_value(value)?;
                read(item, &answer).map_err(unreadable_field)
            };
            Ok(results.map(each).collect())
        })
        .await
    }
}

/// A request that cannot be written was not sent.
fn unsendable(error: WireError) -> WalletError {
    WalletError::InvalidRequest(error.to_string())
}

/// An answer that cannot be read says nothing of what happened.
fn unreadable_field(error: WireError) -> WalletError {
    WalletError::InvalidResponse(error.to_string())
}

fn unreadable(what: &str, problem: &str) -> WalletError {
    WalletError::InvalidResponse(format!("{what} {problem}"))
}

#[cfg(test)]
mod tests;
