//! Owns what every request has: an id, a bounded head, a version, a line in the log.
//! Knows nothing of resources. Invariant: this outermost layer writes every refusal, so each
//! carries the id of its request, and a log line never holds a token or a body.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::limits::{HEADER_BYTES_MAX, HEADERS_MAX, REQUEST_ID_CHARS_MAX, URI_BYTES_MAX};
use super::state::ServiceState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_VERSION: HeaderName = HeaderName::from_static("api-version");
/// The version that is served.
const VERSION: HeaderValue = HeaderValue::from_static("1");
const NS_PER_US: u64 = 1_000;

/// The caller's id of the request if it is short and plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = given
        .filter(|text| (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(legal));
    usable.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Gives the request its id, writes refusals, logs one line.
pub(super) async fn envelope(
    State(state): State<ServiceState>,
    request: Request,
    next: Next,
) -> Response {
    let started_ns = state.monotonic_ns();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("", MatchedPath::as_str);
    let _under_way = state.traffic().begin();
    let mut response = match check_head(&request) {
        Ok(()) => next.run(request).await,
        Err(code) => ApiError::new(code).into_response(),
    };
    if let Some(refusal) = response.extensions_mut().remove::<ApiError>() {
        state.traffic().refused(refusal.code().name());
        match refusal.code() {
            ErrorCode::IdempotencyMismatch => {
                tracing::error!(request_id = id, route, "a known key came with another request");
            }
            ErrorCode::InternalError => tracing::error!(request_id = id, route, "internal error"),
            _ => {}
        }
        let mut answer = refusal.into_answer(&id);
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        response = answer;
    }
    let headers = response.headers_mut();
    headers.insert(API_VERSION, VERSION);
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    let latency_us = state.monotonic_ns().saturating_sub(started_ns) / NS_PER_US;
    let template = matched.as_ref().map(MatchedPath::as_str);
    state.traffic().answered(&method, template, response.status(), latency_us);
    let status = response.status().as_u16();
    tracing::debug!(request_id = id, %method, route, status, latency_us, "wallet request");
    response
}

/// Refuses a head that is longer than any caller needs.
fn check_head(request: &Request) -> Result<(), ErrorCode> {
    let headers = request.headers();
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let path = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    let authority = request.uri().authority().map_or(0, |text| text.as_str().len());
    if path + authority > URI_BYTES_MAX {
        Err(ErrorCode::UriTooLong)
    } else if headers.len() > HEADERS_MAX
        || headers.iter().map(line).sum::<usize>() > HEADER_BYTES_MAX
    {
        Err(ErrorCode::HeadersTooLarge)
    } else if request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST) {
        Err(ErrorCode::HostRequired)
    } else {
        Ok(())
    }
}

/// What a handler that panicked is answered with; its message stays inside.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<Body> {
    ApiError::new(ErrorCode::InternalError).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(value).unwrap());
        request_id(&headers)
    }

    fn head(uri_bytes: usize, lines: usize, value_bytes: usize) -> Result<(), ErrorCode> {
        let uri = format!("/{}", "u".repeat(uri_bytes - 1));
        let mut request = Request::builder().uri(uri).header(header::HOST, "");
        for line in 1..lines {
            request = request.header(format!("h{line:02}"), "");
        }
        let mut request = request.body(Body::empty()).unwrap();
        let value = HeaderValue::from_str(&"v".repeat(value_bytes)).unwrap();
        if value_bytes > 0 {
            request.headers_mut().insert("host", value);
        }
        check_head(&request)
    }

    #[test]
    fn plain_ids_are_taken_over_and_others_replaced() {
        let longest = "x".repeat(REQUEST_ID_CHARS_MAX);
        for good in ["abc-1.2_3", &longest] {
            assert_eq!(id_of(good), good);
        }
        for bad in ["", "a b", "a\"b", "<a>", &format!("{longest}x")] {
            let id = id_of(bad);
            assert_ne!(id, bad);
            assert!(Uuid::try_parse(&id).is_ok());
        }
    }

    #[test]
    fn heads_are_bounded() {
        assert_eq!(head(URI_BYTES_MAX, 1, 0), Ok(()));
        assert_eq!(head(URI_BYTES_MAX + 1, 1, 0), Err(ErrorCode::UriTooLong));
        assert_eq!(head(1, HEADERS_MAX, 0), Ok(()));
        assert_eq!(head(1, HEADERS_MAX + 1, 0), Err(ErrorCode::HeadersTooLarge));
        assert_eq!(head(1, 1, HEADER_BYTES_MAX - 4), Ok(()));
        assert_eq!(head(1, 1, HEADER_BYTES_MAX - 3), Err(ErrorCode::HeadersTooLarge));
    }

    #[test]
    fn a_host_is_required() {
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert_eq!(check_head(&request), Err(ErrorCode::HostRequired));
    }
}
