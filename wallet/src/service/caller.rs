//! Owns who is asking and what they may do. Knows nothing of tokens: whoever serves the router
//! has verified them. Invariant: a handler that names a caller cannot forget its role, and refuses
//! before it reads a body.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use crate::ledger::types::UserId;

/// Whoever sent a request; the server puts it into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Never nil.
    pub user: Uuid,
    /// Whether they may change anything.
    pub may_write: bool,
    /// Whether they may see and move the money of all users.
    pub is_operator: bool,
}

impl Caller {
    pub(super) fn id(&self) -> UserId {
        UserId(self.user.as_u128())
    }

    /// Whether they may see what this user has.
    pub(super) fn may_see(&self, user: UserId) -> bool {
        self.is_operator || self.id() == user
    }
}

/// What a path asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Anyone,
    /// A token.
    Reader,
    /// A token that allows changes.
    Writer,
    /// A token of an operator.
    Operator,
    /// A token of an operator that allows changes.
    OperatorWriter,
}

impl Role {
    /// Whether a caller, if there is one, has the role.
    pub(super) fn check(self, caller: Option<&Caller>) -> Result<(), ErrorCode> {
        let Some(caller) = caller.filter(|caller| !caller.user.is_nil()) else {
            return if self == Self::Anyone { Ok(()) } else { Err(ErrorCode::Unauthorized) };
        };
        let allowed = match self {
            Self::Anyone | Self::Reader => true,
            Self::Writer => caller.may_write,
            Self::Operator => caller.is_operator,
            Self::OperatorWriter => caller.is_operator && caller.may_write,
        };
        if allowed { Ok(()) } else { Err(ErrorCode::Forbidden) }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Anyone => "Needs no token.",
            Self::Reader => "Needs a token; shows what is the caller's own, to operators all.",
            Self::Writer => "Needs a token that allows changes; moves what is the caller's own.",
            Self::Operator => "Needs an operator's token.",
            Self::OperatorWriter => "Needs an operator's token that allows changes.",
        }
    }
}

/// The caller, if they have the role.
fn caller(parts: &Parts, role: Role) -> Result<Caller, ApiError> {
    let caller = parts.extensions.get::<Caller>();
    role.check(caller)?;
    caller.copied().ok_or_else(|| ErrorCode::Unauthorized.into())
}

macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $name(pub(super) Caller);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                caller(parts, Role::$name).map(Self)
            }
        })+
    };
}

callers! {
    /// A caller with a token.
    Reader,
    /// A caller who may change what is their own.
    Writer,
    /// A caller who may change everything.
    OperatorWriter,
}

/// A caller who may see everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator;

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        caller(parts, Role::Operator).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_ask_for_what_they_say() {
        use ErrorCode::{Forbidden, Unauthorized};
        let caller =
            |may_write, is_operator| Caller { user: Uuid::from_u128(1), may_write, is_operator };
        let [reader, writer] = [caller(false, false), caller(true, false)];
        let [operator, both] = [caller(false, true), caller(true, true)];
        let nobody = Caller { user: Uuid::nil(), ..both };
        for (role, verdicts) in [
            (Role::Anyone, [None; 6]),
            (Role::Reader, [Some(Unauthorized), Some(Unauthorized), None, None, None, None]),
            (
                Role::Writer,
                [
                    Some(Unauthorized),
                    Some(Unauthorized),
                    Some(Forbidden),
                    None,
                    Some(Forbidden),
                    None,
                ],
            ),
            (
                Role::Operator,
                [
                    Some(Unauthorized),
                    Some(Unauthorized),
                    Some(Forbidden),
                    Some(Forbidden),
                    None,
                    None,
                ],
            ),
            (
                Role::OperatorWriter,
                [
                    Some(Unauthorized),
                    Some(Unauthorized),
                    Some(Forbidden),
                    Some(Forbidden),
                    Some(Forbidden),
                    None,
                ],
            ),
        ] {
            let callers =
                [None, Some(nobody), Some(reader), Some(writer), Some(operator), Some(both)];
            let found = callers.map(|caller| role.check(caller.as_ref()).err());
            assert_eq!(found, verdicts, "{role:?}");
        }
    }

    #[test]
    fn others_see_nothing_but_operators_see_all() {
        let caller =
            |is_operator| Caller { user: Uuid::from_u128(1), may_write: true, is_operator };
        assert!(caller(false).may_see(UserId(1)) && !caller(false).may_see(UserId(2)));
        assert!(caller(true).may_see(UserId(2)));
    }
}
