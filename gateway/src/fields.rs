//! Owns the reading of named values: the fields of a JSON body, the parameters of a query.
//! Knows nothing of what they mean. Invariant: each name occurs once, and a name that nobody asked
//! for is refused, so a misspelt field never passes silently.

use std::fmt;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{ApiError, ErrorCode};
use crate::limits::FIELDS_MAX;

/// Characters of a name that are repeated in an answer.
const NAME_CHARS_SHOWN: usize = 64;

/// A value as far as any field of the API needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Null,
    Flag(bool),
    Text(String),
    /// A number, an array or an object: no field takes one.
    Other,
}

/// Named values that have not been taken yet.
#[derive(Debug)]
pub struct Fields {
    values: Vec<(String, Value)>,
    /// The code of a name that is left over.
    left_over: ErrorCode,
}

impl Fields {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// `INVALID_JSON` if it is none, or too large a one; `VALIDATION_ERROR` for a name given twice.
    pub fn from_json(body: &[u8]) -> Result<Self, ApiError> {
        let object: Object =
            serde_json::from_slice(body).map_err(|_| ApiError::new(ErrorCode::InvalidJson))?;
        Self::unique(object.0, ErrorCode::UnknownField)
    }

    fn unique(values: Vec<(String, Value)>, left_over: ErrorCode) -> Result<Self, ApiError> {
        for (index, (name, _)) in values.iter().enumerate() {
            if values.iter().take(index).any(|(earlier, _)| earlier == name) {
                let text = "this field is given twice";
                return Err(ApiError::field(ErrorCode::ValidationError, &shown(name), text));
            }
        }
        Ok(Self { values, left_over })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.values.iter().position(|(field, _)| field == name)?;
        match self.values.swap_remove(place).1 {
            Value::Null => None,
            value => Some(value),
        }
    }

    /// The text of a field; `Err` if it is there and no text.
    #[expect(clippy::result_unit_err, reason = "the caller knows the field's code")]
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ()> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(()),
        }
    }

    /// A parameter of a query, which is always text.
    pub fn parameter(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(Value::Text(text)) => Some(text),
            None => None,
            Some(_) => unreachable!("a query holds text"),
        }
    }

    /// The text of a field; `error` if it is there and no text.
    ///
    /// # Errors
    /// `error`.
    pub fn text_or(&mut self, name: &str, error: ApiError) -> Result<Option<String>, ApiError> {
        self.text(name).map_err(|()| error)
    }

    /// The text of a field that must be there.
    ///
    /// # Errors
    /// `code`, saying that the field is required, or with the code's own text if it is no text.
    pub fn required(&mut self, name: &str, code: ErrorCode) -> Result<String, ApiError> {
        let text = self.text_or(name, ApiError::field(code, name, code.text()))?;
        text.ok_or_else(|| ApiError::field(code, name, format!("{name} is required")))
    }

    /// A flag, false if it is not there.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` if it is neither true nor false.
    pub fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Flag(flag)) => Ok(flag),
            Some(_) => {
                let text = "must be true or false";
                Err(ApiError::field(ErrorCode::ValidationError, name, text))
            }
        }
    }

    /// A flag that must be there.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` if it is not there, or neither true nor false.
    pub fn required_flag(&mut self, name: &str) -> Result<bool, ApiError> {
        let text = match self.take(name) {
            Some(Value::Flag(flag)) => return Ok(flag),
            None => format!("{name} is required"),
            Some(_) => "must be true or false".to_owned(),
        };
        Err(ApiError::field(ErrorCode::ValidationError, name, text))
    }

    /// Whether a field is there, whatever it holds.
    pub fn is_given(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    /// A whole number within `bounds`, `default` if it is not there.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for anything else.
    pub fn number(
        &mut self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ApiError> {
        let refused = || {
            let (low, high) = (bounds.start(), bounds.end());
            let text = format!("{name} must be a number from {low} to {high}");
            ApiError::field(ErrorCode::ValidationError, name, text)
        };
        let Some(text) = self.text(name).map_err(|()| refused())? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && bounds.contains(number));
        number.ok_or_else(refused)
    }

    /// As [`Self::number`], for what is counted in memory.
    ///
    /// # Errors
    /// As [`Self::number`].
    pub fn count(
        &mut self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<usize, ApiError> {
        let number = self.number(name, default, bounds)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Refuses what nobody has taken.
    ///
    /// # Errors
    /// `UNKNOWN_FIELD` of a body, `VALIDATION_ERROR` of a query.
    pub fn finish(self) -> Result<(), ApiError> {
        match self.values.first() {
            None => Ok(()),
            Some((name, _)) => {
                let text = match self.left_over {
                    ErrorCode::UnknownField => ErrorCode::UnknownField.text(),
                    _ => "unknown query parameter",
                };
                Err(ApiError::field(self.left_over, &shown(name), text))
            }
        }
    }
}

/// A name of the client's, cut to a length that may be repeated.
fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_SHOWN).collect()
}

/// The parameters of a query.
impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::new(ErrorCode::ValidationError))?;
        if pairs.len() > FIELDS_MAX {
            return Err(ApiError::new(ErrorCode::ValidationError));
        }
        let values = pairs.into_iter().map(|(name, text)| (name, Value::Text(text))).collect();
        Self::unique(values, ErrorCode::ValidationError)
    }
}

/// The query of a path that takes no parameter.
#[derive(Debug)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Fields::from_request_parts(parts, state).await?.finish().map(|()| Self)
    }
}

struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                    fields.push(entry);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
                Ok(Value::Flag(flag))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> ErrorCode {
        Fields::from_json(body.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn values_are_taken_once() {
        let body = br#"{"a":"x","b":true,"c":null,"d":1.5,"e":[1,{"x":2}],"f":{"y":[]}}"#;
        let mut fields = Fields::from_json(body).unwrap();
        assert_eq!(fields.text("a"), Ok(Some("x".to_owned())));
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.flag("b").ok(), Some(true));
        assert_eq!((fields.flag("b").ok(), fields.required_flag("b").ok()), (Some(false), None));
        assert_eq!(fields.text("c"), Ok(None), "null is absent");
        assert_eq!(fields.text("d"), Err(()), "a number is no text");
        assert!(fields.is_given("e"));
        let error = fields.finish().unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnknownField);
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in ["", "x", "[]", "1", "\"x\"", "{", "{\"a\":1}x", "{\"a\":}", "null"] {
            assert_eq!(code(body), ErrorCode::InvalidJson, "{body}");
        }
        assert_eq!(code(&format!("{{\"a\":{}}}", "[".repeat(1000))), ErrorCode::InvalidJson);
        assert_eq!(code("{\"a\":1,\"a\":2}"), ErrorCode::ValidationError);
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let body = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!("\"f{n}\":null")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(Fields::from_json(body(FIELDS_MAX).as_bytes()).is_ok());
        assert_eq!(code(&body(FIELDS_MAX + 1)), ErrorCode::InvalidJson);
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let number = |text: &str| {
            let mut fields = Fields::from_json(format!("{{\"n\":\"{text}\"}}").as_bytes()).unwrap();
            fields.number("n", 50, 1..=100).map_err(|error| error.code())
        };
        assert_eq!((number("1"), number("100")), (Ok(1), Ok(100)));
        for bad in ["0", "101", "", "-1", "+1", "x", "1.5", "99999999999999999999999"] {
            assert_eq!(number(bad), Err(ErrorCode::ValidationError), "{bad:?}");
        }
        assert_eq!(Fields::from_json(b"{}").unwrap().number("n", 50, 1..=100).ok(), Some(50));
    }
}
