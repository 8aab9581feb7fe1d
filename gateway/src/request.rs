//! Owns what every request has: an id, a bounded JSON body, path text; and the line in the log.
//! Knows nothing of resources. Invariant: the outermost layer writes every refusal, so each carries
//! the id of its request, and a log line never holds a token or a body.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use uuid::Uuid;
use wallet::traffic::Traffic;

use crate::error::{ApiError, ErrorCode};
use crate::fields::Fields;
use crate::limits::{HEADER_BYTES_MAX, HEADERS_MAX, REQUEST_ID_CHARS_MAX, URI_BYTES_MAX};
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const NS_PER_US: u64 = 1_000;

/// Names one request in answers and logs.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    /// The client's id if it is short and plain, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let usable = given.filter(|text| {
            (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(legal)
        });
        Self(usable.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<Self>().cloned();
        id.ok_or_else(|| ErrorCode::InternalError.into())
    }
}

/// When the head of a request had come, nanoseconds since the Unix epoch, by the clock that stamps
/// commands. The first thing that a handler asks for: its body may still be on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenIn(pub(crate) u64);

impl FromRequestParts<AppState> for TakenIn {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self(state.clock.wall_ns()))
    }
}

/// The outermost layer: gives the request its id, writes refusals, logs one line.
pub async fn envelope(
    State((state, traffic)): State<(AppState, Arc<Traffic>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let _under_way = traffic.begin();
    let started_ns = state.clock.monotonic_ns();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(id.clone());
    let mut response = match check_head(&request) {
        Ok(()) => next.run(request).await,
        Err(code) => ApiError::new(code).into_response(),
    };
    if response.extensions_mut().remove::<Panicked>().is_some() {
        tracing::error!(request_id = id.0, "a handler panicked");
    }
    if let Some(refusal) = response.extensions_mut().remove::<ApiError>() {
        traffic.refused(refusal.code().name());
        let mut answer = refusal.into_answer(&id.0);
        for name in [header::ALLOW, REPLAYED] {
            if let Some(value) = response.headers_mut().remove(&name) {
                answer.headers_mut().insert(name, value);
            }
        }
        response = answer;
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let latency_us = (state.clock.monotonic_ns() - started_ns) / NS_PER_US;
    let template = route.as_ref().map(MatchedPath::as_str);
    traffic.answered(&method, template, response.status(), latency_us);
    tracing::debug!(
        request_id = id.0,
        %method,
        route = template.unwrap_or_default(),
        status = response.status().as_u16(),
        latency_us,
        "request"
    );
    response
}

/// Refuses a head that is longer than any client of the API needs.
fn check_head(request: &Request) -> Result<(), ErrorCode> {
    let headers = request.headers();
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    if uri_bytes(request.uri()) > URI_BYTES_MAX {
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

fn uri_bytes(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |text| text.as_str().len())
}

/// Marks an answer that was given before.
pub(crate) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Marks the answer of a handler that panicked, for the layer that knows the request id.
#[derive(Clone, Copy, Debug)]
struct Panicked;

/// What a handler that panicked is answered with; the message stays inside.
#[must_use]
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let mut response = ApiError::new(ErrorCode::InternalError).into_response();
    response.extensions_mut().insert(Panicked);
    response
}

/// The fields of a JSON body.
#[derive(Debug)]
pub struct JsonFields(pub Fields);

impl FromRequest<AppState> for JsonFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        let body = Limited::new(request.into_body(), state.bounds.body_bytes).collect();
        let body = tokio::time::timeout(state.exchange.timeout(), body)
            .await
            .map_err(|_| ErrorCode::RequestTimeout)?
            .map_err(|error| {
                let too_long = error.downcast_ref::<LengthLimitError>().is_some();
                if too_long { ErrorCode::PayloadTooLarge } else { ErrorCode::InvalidJson }
            })?;
        Fields::from_json(&body.to_bytes()).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
}

/// The one parameter of a path, percent-decoded.
#[derive(Debug)]
pub struct PathText(pub String);

impl FromRequestParts<AppState> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| ErrorCode::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(value).unwrap());
        RequestId::of(&headers).0
    }

    #[test]
    fn a_plain_id_is_taken_over() {
        assert_eq!(id_of("abc-1.2_3"), "abc-1.2_3");
        let longest = "x".repeat(REQUEST_ID_CHARS_MAX);
        assert_eq!(id_of(&longest), longest);
    }

    #[test]
    fn any_other_id_is_replaced() {
        for bad in ["", "a b", "a\"b", "<a>", &"x".repeat(REQUEST_ID_CHARS_MAX + 1)] {
            let id = id_of(bad);
            assert_ne!(id, bad);
            assert!(Uuid::try_parse(&id).is_ok());
        }
    }

    #[test]
    fn json_is_recognised_by_its_media_type() {
        let json = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            is_json(&headers)
        };
        assert!(json("application/json") && json("Application/JSON; charset=utf-8"));
        assert!(!json("text/plain") && !json("application/jsonx") && !json(""));
        assert!(!is_json(&HeaderMap::new()));
    }
}
