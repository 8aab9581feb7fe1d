//! Owns who is asking and what they may do, from a signed token and nothing else.
//! Knows nothing of accounts. Invariant: the algorithm is pinned, and signature, expiry, issuer,
//! audience and user are all checked before a claim is believed; every failure reads the same.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{ApiError, ErrorCode};
use crate::hs256;
use crate::limits::{SECRET_BYTES, TOKEN_CLOCK_SKEW_S};
use crate::state::AppState;

/// Names the parties of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    pub issuer: String,
    pub audience: String,
    /// How long an expired token is still taken, seconds.
    pub leeway_s: u64,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Own orders and balances.
    Read,
    /// Placing, changing and cancelling own orders.
    Trade,
    /// Everything on the admin listener.
    Admin,
    /// Moving money on the wallet's listener; reading there takes it, too.
    Wallet,
}

impl Scope {
    pub const ALL: &[Self] = &[Self::Read, Self::Trade, Self::Admin, Self::Wallet];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Admin => "admin",
            Self::Wallet => "wallet",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    scope: ScopeClaim,
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
}

/// `"read trade"` or `["read", "trade"]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ScopeClaim {
    Text(String),
    List(Vec<String>),
}

impl ScopeClaim {
    fn allows(&self, scope: Scope) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|word| word == scope.name()),
            Self::List(words) => words.iter().any(|word| word == scope.name()),
        }
    }
}

/// Whoever sent a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Never nil.
    pub user: Uuid,
    scope: ScopeClaim,
}

impl Caller {
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scope.allows(scope)
    }

    /// # Errors
    /// `FORBIDDEN` if the token does not carry `scope`.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scope.allows(scope) { Ok(()) } else { Err(ErrorCode::Forbidden.into()) }
    }
}

macro_rules! scoped_callers {
    ($($(#[$doc:meta])* $name:ident = $scope:ident),+ $(,)?) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub struct $name(pub Caller);

        impl FromRequestParts<AppState> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(
                parts: &mut Parts,
                state: &AppState,
            ) -> Result<Self, ApiError> {
                let caller = Caller::from_request_parts(parts, state).await?;
                caller.require(Scope::$scope)?;
                Ok(Self(caller))
            }
        })+
    };
}

// A handler that names one of these cannot forget its scope, and refuses before it reads a body.
scoped_callers! {
    /// Whoever may see own orders and balances.
    Reader = Read,
    /// Whoever may place, change and cancel own orders.
    Trader = Trade,
    /// Whoever may do everything on the admin listener.
    Operator = Admin,
}

/// Checks and signs tokens with the exchange's secret.
pub struct Authenticator {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    options: TokenOptions,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Authenticator {
    #[must_use]
    pub fn new(secret: &[u8; SECRET_BYTES], options: TokenOptions) -> Self {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&options.issuer]);
        validation.set_audience(&[&options.audience]);
        validation.leeway = options.leeway_s;
        validation.validate_nbf = true;
        Self {
            signing: hs256::encoding_key(secret),
            verifying: hs256::decoding_key(secret),
            validation,
            options,
        }
    }

    /// Signs a token for `user`, valid for `ttl` from `now_s` (seconds since the Unix epoch).
    /// `None` if the claims cannot be signed.
    #[must_use]
    pub fn sign(&self, user: Uuid, scopes: &[Scope], now_s: u64, ttl: Duration) -> Option<String> {
        let words: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
        let claims = Claims {
            sub: user,
            scope: ScopeClaim::Text(words.join(" ")),
            iss: self.options.issuer.clone(),
            aud: self.options.audience.clone(),
            iat: now_s,
            exp: now_s.saturating_add(ttl.as_secs()),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()
    }

    /// Whoever this token was signed for; `None` if any check fails. `now_s` bounds the time at
    /// which it says it was signed.
    #[must_use]
    pub fn verify(&self, token: &str, now_s: u64) -> Option<Caller> {
        let claims: Claims = decode(token, &self.verifying, &self.validation).ok()?.claims;
        let signed_in_time = claims.iat <= now_s.saturating_add(TOKEN_CLOCK_SKEW_S);
        let valid = signed_in_time && !claims.sub.is_nil();
        valid.then_some(Caller { user: claims.sub, scope: claims.scope })
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let known = parts.extensions.get::<Self>().cloned();
        let caller = known.or_else(|| caller_of(&parts.headers, state));
        caller.ok_or_else(|| ErrorCode::Unauthorized.into())
    }
}

/// Whoever the request's token was signed for; a token that does not verify is as good as none.
pub(crate) fn caller_of(headers: &HeaderMap, state: &AppState) -> Option<Caller> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = header?.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())?;
    state.authenticator.verify(token, state.now_s())
}

#[cfg(test)]
mod tests;
