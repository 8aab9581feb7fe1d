//! Owns one request and its answer on a connection of the pool.
//! Knows nothing of tries and meanings. Invariant: an answer is read up to its bound, and the token
//! is in no text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde::Serialize;

use super::answer::Reply;
use crate::client::error::WalletError;
use crate::client::limits::ANSWER_BYTES_MAX;
use crate::client::options::Settings;

/// A request, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// With its query, from the base on.
    path: String,
    body: Option<Vec<u8>>,
}

impl Outgoing {
    pub(super) fn get(path: String) -> Self {
        Self { path, body: None }
    }

    pub(super) fn post(path: String, body: &impl Serialize) -> Result<Self, WalletError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| WalletError::InvalidRequest(error.to_string()))?;
        Ok(Self { path, body: Some(body) })
    }
}

/// The connections to one wallet.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    base_url: String,
    /// Number of the next request, its span id in the caller's trace.
    next_span: AtomicU64,
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(settings.idle_connections)
            .pool_idle_timeout(settings.idle_timeout)
            .tcp_nodelay(true)
            // A redirected POST would arrive elsewhere, or as a GET.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        let base_url = settings.base_url.clone();
        Ok(Self { client, base_url, next_span: AtomicU64::new(1) })
    }

    /// Sends the request once and reads the whole answer.
    pub(super) async fn send(
        &self,
        outgoing: &Outgoing,
        trace_id: u128,
    ) -> Result<Reply, WalletError> {
        let url = format!("{}{}", self.base_url, outgoing.path);
        let mut request = match &outgoing.body {
            None => self.client.get(url),
            Some(body) => {
                self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.clone())
            }
        };
        if trace_id != 0 {
            let span_id = self.next_span.fetch_add(1, Ordering::Relaxed);
            request =
                request.header("traceparent", format!("00-{trace_id:032x}-{span_id:016x}-01"));
        }
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = whole_body(response).await?;
        Ok(Reply { status, retry_after, body })
    }
}

async fn whole_body(mut response: Response) -> Result<Vec<u8>, WalletError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(WalletError::InvalidResponse("answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds that the wallet asks to wait; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Only a connection that never came about proves that nothing was done.
fn failure(error: &reqwest::Error) -> WalletError {
    if error.is_connect() {
        WalletError::WalletServiceDown
    } else if error.is_builder() {
        WalletError::InvalidRequest("request cannot be written".to_owned())
    } else if error.is_timeout() {
        WalletError::Timeout
    } else {
        WalletError::InvalidResponse("connection broke".to_owned())
    }
}
