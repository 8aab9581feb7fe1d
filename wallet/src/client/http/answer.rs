//! Owns what an answer over HTTP means. Knows nothing of connections.
//! Invariant: the body's code decides; where there is none the status says as little as it safely
//! can; an answer that cannot be read leaves the outcome unknown.

use std::time::Duration;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::error::WalletError;
use crate::client::resilience::TryFailure;
use crate::wire::{error_of, sanitised};

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// The parts of any answer that say whether it is a refusal.
#[derive(Debug, Default)]
struct Verdict<'a> {
    success: Option<bool>,
    code: &'a str,
    /// Why the wallet refused, for people.
    text: &'a str,
}

impl<'a> Verdict<'a> {
    /// Of a body that may be anything: a part of another type is as good as none.
    fn of(body: &'a Value) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
        Self {
            success: body.get("success").and_then(Value::as_bool),
            code: text("code").unwrap_or_default(),
            text: text("message").or_else(|| text("error")).unwrap_or_default(),
        }
    }

    fn error(&self, retry_after: Option<Duration>) -> Option<WalletError> {
        error_of(self.code, self.text, retry_after)
    }

    /// Takes a success for what it says: `success: false` and a code of ours are refusals.
    fn accept(&self) -> Result<(), WalletError> {
        match (self.success, self.error(None)) {
            (Some(true), _) | (None, None) => Ok(()),
            (_, Some(error)) => Err(error),
            (Some(false), None) => {
                Err(WalletError::InvalidRequest(sanitised(self.text, "refused")))
            }
        }
    }
}

impl Reply {
    /// Reads the answer. A token that the wallet does not take says nothing of the request, so it
    /// counts as not executed; but another try would go no better.
    pub(super) fn into_result<T>(
        self,
        read: impl Fn(&Self) -> Result<T, WalletError>,
    ) -> Result<T, TryFailure> {
        read(&self).map_err(|error| match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TryFailure::last(error),
            _ => error.into(),
        })
    }

    /// The answer's body.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, WalletError> {
        let body = self.body();
        self.accept(&body)?;
        T::deserialize(body).map_err(unreadable)
    }

    /// The answer's body, `None` if it is a refusal with the code `absent`.
    pub(super) fn read_unless<T: DeserializeOwned>(
        &self,
        absent: &str,
    ) -> Result<Option<T>, WalletError> {
        let body = self.body();
        match self.accept(&body) {
            Err(_) if Verdict::of(&body).code == absent => Ok(None),
            Err(error) => Err(error),
            Ok(()) => T::deserialize(body).map(Some).map_err(unreadable),
        }
    }

    /// Whether the wallet did what it was asked, whatever else it answers.
    pub(super) fn accepted(&self) -> Result<(), WalletError> {
        self.accept(&self.body())
    }

    /// Null if it is not JSON: no answer of ours is.
    fn body(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn accept(&self, body: &Value) -> Result<(), WalletError> {
        let verdict = Verdict::of(body);
        if self.status.is_success() {
            return verdict.accept();
        }
        Err(verdict.error(self.retry_after).unwrap_or_else(|| self.error_of_status(&verdict)))
    }

    fn error_of_status(&self, verdict: &Verdict) -> WalletError {
        let text = || sanitised(verdict.text, &format!("status {}", self.status.as_u16()));
        match self.status.as_u16() {
            401 | 403 => WalletError::WalletServiceDown,
            408 => WalletError::Timeout,
            409 | 422 => WalletError::Conflict(text()),
            429 => WalletError::RateLimited { retry_after: self.retry_after },
            400..=499 => WalletError::InvalidRequest(text()),
            _ => WalletError::InvalidResponse(text()),
        }
    }
}

/// One item of a batch.
pub(super) fn read_value<T: DeserializeOwned>(value: &Value) -> Result<T, WalletError> {
    let verdict = Verdict::of(value);
    verdict.accept()?;
    if verdict.success.is_none() && !verdict.code.is_empty() {
        // A refusal with a code of the wallet's own making.
        return Err(WalletError::InvalidRequest(sanitised(verdict.text, verdict.code)));
    }
    T::deserialize(value).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unreadable(error: serde_json::Error) -> WalletError {
    WalletError::InvalidResponse(sanitised(&error.to_string(), "body"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::CallOutcome;
    use crate::wire::ConcludeAnswer;

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, retry_after: Some(Duration::from_secs(7)), body: body.into() }
    }

    fn refusal(status: u16, body: &str) -> WalletError {
        reply(status, body).read::<ConcludeAnswer>().unwrap_err()
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn d14_code_decides_not_status() {
        let coded = |code: &str| format!(r#"{{"error":"x","code":"{code}","message":"why"}}"#);
        let limited = WalletError::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        for status in [400, 404, 409, 422, 429, 500, 503] {
            for (code, error) in [
                ("INSUFFICIENT_BALANCE", WalletError::InsufficientBalance),
                ("INVALID_REQUEST", WalletError::InvalidRequest(text("why"))),
                ("USER_NOT_FOUND", WalletError::UserNotFound),
                ("RESERVATION_NOT_FOUND", WalletError::ReservationNotFound),
                ("SERVICE_DOWN", WalletError::WalletServiceDown),
                ("CAPTURE_PENDING", WalletError::CapturePending),
                ("READ_ONLY_MODE_ACTIVE", WalletError::ReadOnly),
                ("RATE_LIMITED", limited.clone()),
                ("INTERNAL_ERROR", WalletError::InvalidResponse(text("why"))),
            ] {
                assert_eq!(refusal(status, &coded(code)), error, "{status} {code}");
            }
        }
    }

    #[test]
    fn without_a_known_code_the_status_says_as_little_as_it_can() {
        let limited = WalletError::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        for (status, error) in [
            (400, WalletError::InvalidRequest(text("status 400"))),
            (401, WalletError::WalletServiceDown),
            (403, WalletError::WalletServiceDown),
            (404, WalletError::InvalidRequest(text("status 404"))),
            (408, WalletError::Timeout),
            (409, WalletError::Conflict(text("status 409"))),
            (422, WalletError::Conflict(text("status 422"))),
            (429, limited),
            (302, WalletError::InvalidResponse(text("status 302"))),
            (500, WalletError::InvalidResponse(text("status 500"))),
            (502, WalletError::InvalidResponse(text("status 502"))),
            (503, WalletError::InvalidResponse(text("status 503"))),
        ] {
            for body in ["", "<html>", "{}", "[]", r#"{"code":"OTHER_WORD"}"#, r#"{"code":1}"#] {
                assert_eq!(refusal(status, body), error, "{status} {body}");
            }
        }
        let error = refusal(404, r#"{"error":"no such\npath"}"#);
        assert_eq!(error, WalletError::InvalidRequest(text("no such?path")));
    }

    #[test]
    fn d13_success_false_is_a_refusal() {
        let error = refusal(200, r#"{"success":false,"code":"INSUFFICIENT_BALANCE"}"#);
        assert_eq!(error, WalletError::InsufficientBalance);
        let error = refusal(200, r#"{"success":false,"message":"not today"}"#);
        assert_eq!(error, WalletError::InvalidRequest(text("not today")));
        let error = refusal(200, r#"{"success":false,"completed":true,"code":1,"error":null}"#);
        assert_eq!(error.outcome(), CallOutcome::Refused, "whatever else it says");
        let error = refusal(200, r#"{"error":"x","code":"USER_NOT_FOUND"}"#);
        assert_eq!(error, WalletError::UserNotFound);
    }

    #[test]
    fn a_success_that_cannot_be_read_is_unknown() {
        for body in ["", "{", "null", "[]", "{}", r#"{"success":true}"#, "\u{0}"] {
            assert_eq!(refusal(200, body).outcome(), CallOutcome::Unknown, "{body}");
        }
        let answer: ConcludeAnswer =
            reply(201, r#"{"success":true,"completed":false,"more":1}"#).read().unwrap();
        assert!(!answer.completed);
    }

    #[test]
    fn only_the_named_code_means_absent() {
        let read = |status, body: &str| {
            reply(status, body).read_unless::<ConcludeAnswer>("SETTLEMENT_NOT_FOUND")
        };
        let absent = r#"{"error":"x","code":"SETTLEMENT_NOT_FOUND"}"#;
        assert_eq!(read(404, absent), Ok(None));
        assert!(read(404, r#"{"error":"x","code":"NOT_FOUND"}"#).is_err(), "an unknown path");
        assert!(read(404, "").is_err());
        let found = read(200, r#"{"success":true,"completed":true}"#);
        assert_eq!(found, Ok(Some(ConcludeAnswer { success: true, completed: true })));
    }

    #[test]
    fn an_item_of_a_batch_is_an_answer_or_a_refusal() {
        let item = |value: Value| read_value::<ConcludeAnswer>(&value);
        assert!(item(json!({"success": true, "completed": true})).is_ok());
        let refused = item(json!({"error": "x", "code": "RESERVATION_SPENT"}));
        assert_eq!(refused, Err(WalletError::Conflict(text("x"))));
        let refused = item(json!({"error": "x", "code": "ODD"})).unwrap_err();
        assert_eq!(refused, WalletError::InvalidRequest(text("x")));
        for odd in [json!(null), json!(1), json!({}), json!([])] {
            assert_eq!(item(odd).unwrap_err().outcome(), CallOutcome::Unknown);
        }
    }

    #[test]
    fn a_token_that_is_not_taken_is_not_tried_again() {
        let failure = |status| {
            reply(status, "").into_result(|reply| reply.read::<ConcludeAnswer>()).unwrap_err()
        };
        for status in [401, 403, 400, 404, 409] {
            assert!(!failure(status).again, "{status}");
        }
        for status in [429, 500, 503] {
            assert!(failure(status).again, "{status}");
        }
        assert_eq!(failure(401).error.outcome(), CallOutcome::NotExecuted);
    }
}
