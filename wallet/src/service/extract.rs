//! Owns how the parts of a request are read: JSON body, query, path.
//! Knows nothing of what they mean. Invariant: a name that nobody asked for is refused, so a
//! misspelt field never passes silently.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::fields;
use super::state::ServiceState;
use crate::wire::sanitised;

/// A JSON body.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ServiceState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServiceState) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        from_json(&whole_body(request, state).await?).map(Self)
    }
}

/// The body of a path that takes none: nothing, or an empty object.
#[derive(Debug)]
pub(super) struct NoBody;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

impl FromRequest<ServiceState> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServiceState) -> Result<Self, ApiError> {
        let body = whole_body(request, state).await?;
        if !body.is_empty() {
            let Empty {} = from_json(&body)?;
        }
        Ok(Self)
    }
}

/// The body within its bound, if it arrives in time.
async fn whole_body(request: Request, state: &ServiceState) -> Result<Bytes, ApiError> {
    let body = Bytes::from_request(request, state);
    let body = tokio::time::timeout(state.teller().timeout(), body);
    let body = body.await.map_err(|_| ErrorCode::RequestTimeout)?;
    body.map_err(|rejection| {
        let too_large = matches!(
            rejection,
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))
        );
        if too_large { ErrorCode::PayloadTooLarge.into() } else { ErrorCode::InvalidJson.into() }
    })
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A list would be taken as the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ErrorCode::InvalidJson.into());
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => {
            let text = sanitised(&error.to_string(), ErrorCode::ValidationError.text());
            ApiError::saying(ErrorCode::ValidationError, text)
        }
        Category::Io | Category::Syntax | Category::Eof => ErrorCode::InvalidJson.into(),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
}

/// The parameters of a query.
#[derive(Debug)]
pub(super) struct QueryOf<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|rejection| {
            let text = sanitised(&rejection.body_text(), ErrorCode::ValidationError.text());
            ApiError::saying(ErrorCode::ValidationError, text)
        })
    }
}

/// The query of a path that takes no parameter.
#[derive(Debug)]
pub(super) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        QueryOf::<Empty>::from_request_parts(parts, state).await.map(|_| Self)
    }
}

/// The one place of a path, as text.
#[derive(Debug)]
pub(super) struct PathText(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| ErrorCode::NotFound.into())
    }
}

/// The one place of a path, an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathId(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathText(text) = PathText::from_request_parts(parts, state).await?;
        fields::uuid("id", &text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::wire::ConcludeBody;

    fn code(body: &str) -> Option<ErrorCode> {
        from_json::<ConcludeBody>(body.as_bytes()).err().map(|error| error.code())
    }

    #[test]
    fn json_is_taken_whole_or_refused() {
        assert_eq!(code(r#"{"granted":true}"#), None);
        assert_eq!(code(" \n{\"granted\":true}"), None);
        for bad in [
            "",
            " ",
            "{",
            "x",
            "[]",
            "[true]",
            "1",
            "{\"granted\":true}x",
            "{\"granted\":}",
            "\u{0}",
        ] {
            assert_eq!(code(bad), Some(ErrorCode::InvalidJson), "{bad:?}");
        }
        let deep = format!("{{\"granted\":{}", "[".repeat(10_000));
        assert_eq!(code(&deep), Some(ErrorCode::ValidationError), "no stack is used up");
        for bad in [
            "{}",
            r#"{"granted":1}"#,
            r#"{"granted":true,"granted":true}"#,
            r#"{"granted":true,"more":1}"#,
        ] {
            assert_eq!(code(bad), Some(ErrorCode::ValidationError), "{bad}");
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
