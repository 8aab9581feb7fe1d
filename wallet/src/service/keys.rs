//! Owns the name under which a request is made once: the caller's `referenceId`, or what the
//! `Idempotency-Key` header stands for. Knows nothing of what is named.
//! Invariant: a name is a function of what the caller sent, so the ledger's own keys carry it: it
//! survives a restart, is never forgotten, and there is no second store that could disagree.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::fields;
use super::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use crate::ledger::RejectReason;
use crate::ledger::types::Reference;

pub(super) const HEADER: &str = "Idempotency-Key";
/// Of the names that headers stand for.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d61_7463_6872_696e_672e_6964_656d_706f);

/// What a request says of its own name.
#[derive(Debug)]
pub(super) struct RequestKey {
    /// The header's text, and the name that it stands for on this route.
    header: Option<(String, Reference)>,
}

/// A request's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) reference: Reference,
    /// Whether it is the header alone that names it.
    pub(super) by_header: bool,
}

impl RequestKey {
    fn read(headers: &HeaderMap, route: &str) -> Result<Self, ApiError> {
        let mut lines = headers.get_all(HEADER).iter();
        let Some(line) = lines.next() else { return Ok(Self { header: None }) };
        let text = line.to_str().ok().filter(|text| {
            let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len()) && printable
        });
        let (Some(text), None) = (text, lines.next()) else {
            let text = format!(
                "{HEADER} must be given once, with 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable \
                 ASCII characters"
            );
            return Err(ApiError::invalid(HEADER, text));
        };
        // The ledger puts the caller beside it; a template has no line break.
        let name = Uuid::new_v5(&NAMESPACE, format!("{route}\n{text}").as_bytes());
        let reference = Reference::new(&format!("idem-{name}")).ok_or(ErrorCode::InternalError)?;
        Ok(Self { header: Some((text.to_owned(), reference)) })
    }

    /// The request's name, if its body has this `referenceId`.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`: there is none, or it is malformed. `IDEMPOTENCY_MISMATCH`: there are two
    /// different ones, of which each could stand for another request.
    pub(super) fn name(&self, reference: Option<&str>) -> Result<Name, ApiError> {
        match (&self.header, reference) {
            (None, None) => {
                let text = format!("referenceId or the header {HEADER} is required");
                Err(ApiError::invalid("referenceId", text))
            }
            (None, Some(given)) => {
                Ok(Name { reference: fields::reference(given)?, by_header: false })
            }
            (Some((_, reference)), None) => Ok(Name { reference: *reference, by_header: true }),
            (Some((header, _)), Some(given)) if header == given => {
                Ok(Name { reference: fields::reference(given)?, by_header: false })
            }
            (Some(_), Some(_)) => {
                let text = format!("referenceId and {HEADER} differ: send one of them");
                Err(ApiError::field(ErrorCode::IdempotencyMismatch, "referenceId", text))
            }
        }
    }
}

impl Name {
    /// Why the ledger refuses a request of this name: the same thing in the word that fits.
    pub(super) fn refusal(&self, reason: RejectReason) -> ApiError {
        match reason {
            RejectReason::DuplicateReference if self.by_header => {
                ErrorCode::IdempotencyMismatch.into()
            }
            reason => reason.into(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Self::read(&parts.headers, route)
    }
}

/// On a path where asking twice sets the same thing twice, perhaps after it was changed in between:
/// who relies on the header there would be let down.
#[derive(Debug)]
pub(super) struct NoKey;

impl<S: Send + Sync> FromRequestParts<S> for NoKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if parts.headers.contains_key(HEADER) {
            return Err(ApiError::invalid(HEADER, format!("{HEADER} is not taken here")));
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(route: &str, values: &[&str]) -> Result<RequestKey, ErrorCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RequestKey::read(&headers, route).map_err(|error| error.code())
    }

    fn name(route: &str, header: &[&str], reference: Option<&str>) -> Result<Name, ErrorCode> {
        read(route, header)?.name(reference).map_err(|error| error.code())
    }

    #[test]
    fn keys_are_bounded_plain_and_given_once() {
        let longest = "k".repeat(IDEMPOTENCY_KEY_CHARS_MAX);
        for good in ["k", "a key: \"1\"", &longest] {
            assert!(read("/r", &[good]).is_ok(), "{good}");
        }
        let longer = format!("{longest}k");
        for bad in [&["\u{e4}"][..], &["k\tk"], &[""], &[&longer], &["k", "k"]] {
            assert_eq!(read("/r", bad).unwrap_err(), ErrorCode::ValidationError, "{bad:?}");
        }
    }

    #[test]
    fn a_header_stands_for_another_name_on_another_route() {
        let one = name("/r", &["k"], None).unwrap();
        assert_eq!(name("/r", &["k"], None), Ok(one));
        assert!(one.by_header && one.reference.to_text().starts_with("idem-"));
        assert!(fields::reference(&one.reference.to_text()).is_ok(), "it can be shown and given");
        assert_ne!(name("/s", &["k"], None), Ok(one));
        assert_ne!(name("/r", &["l"], None), Ok(one));
    }

    #[test]
    fn two_names_must_be_the_same() {
        let own = Name { reference: Reference::new("ref").unwrap(), by_header: false };
        assert_eq!(name("/r", &[], Some("ref")), Ok(own));
        assert_eq!(name("/r", &["ref"], Some("ref")), Ok(own));
        assert_eq!(name("/r", &["other"], Some("ref")), Err(ErrorCode::IdempotencyMismatch));
        assert_eq!(name("/r", &[], None), Err(ErrorCode::ValidationError));
        assert_eq!(name("/r", &["a b"], Some("a b")), Err(ErrorCode::ValidationError));
    }

    #[test]
    fn names_are_frozen() {
        let route = "/api/v1/wallets/{id}/deposit";
        let name = name(route, &["key-1"], None).unwrap();
        assert_eq!(name.reference.to_text(), "idem-1339b42c-38d2-5033-9db3-97e2b5579ef2");
    }
}
