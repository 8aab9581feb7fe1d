//! Every way in which a token can be wrong.

use super::*;

const NOW_S: u64 = 4_000_000_000;

fn options() -> TokenOptions {
    TokenOptions { issuer: "matchring".into(), audience: "matchring".into(), leeway_s: 0 }
}

fn authenticator(secret: u8) -> Authenticator {
    Authenticator::new(&[secret; SECRET_BYTES], options())
}

fn user() -> Uuid {
    Uuid::from_u128(7)
}

fn token_with(change: impl FnOnce(&mut Claims)) -> String {
    let mut claims = Claims {
        sub: user(),
        scope: ScopeClaim::List(vec!["read".into(), "trade".into()]),
        iss: "matchring".into(),
        aud: "matchring".into(),
        iat: NOW_S,
        exp: NOW_S + 60,
    };
    change(&mut claims);
    let authenticator = authenticator(1);
    encode(&Header::new(Algorithm::HS256), &claims, &authenticator.signing).unwrap()
}

fn accepted(token: &str) -> bool {
    authenticator(1).verify(token, NOW_S).is_some()
}

#[test]
fn a_signed_token_says_who_and_what() {
    let authenticator = authenticator(1);
    let hour = Duration::from_secs(3600);
    let token = authenticator.sign(user(), &[Scope::Read, Scope::Trade], NOW_S, hour).unwrap();
    let caller = authenticator.verify(&token, NOW_S).unwrap();
    assert_eq!(caller.user, user());
    assert!(caller.require(Scope::Read).is_ok() && caller.require(Scope::Trade).is_ok());
    assert_eq!(caller.require(Scope::Admin).unwrap_err().code(), ErrorCode::Forbidden);
}

#[test]
fn scopes_are_whole_words_of_a_text_or_a_list() {
    assert!(accepted(&token_with(|_| {})));
    for (claim, read) in [("read", true), ("reader", false), ("trade,read", false), ("", false)] {
        let token = token_with(|claims| claims.scope = ScopeClaim::Text(claim.into()));
        let caller = authenticator(1).verify(&token, NOW_S).unwrap();
        assert_eq!(caller.require(Scope::Read).is_ok(), read, "{claim:?}");
    }
}

#[test]
fn each_claim_is_checked() {
    assert!(!accepted(&token_with(|claims| claims.iss = "somebody".into())));
    assert!(!accepted(&token_with(|claims| claims.aud = "somewhere".into())));
    assert!(!accepted(&token_with(|claims| claims.sub = Uuid::nil())));
    assert!(!accepted(&token_with(|claims| claims.exp = 1_000)), "expired");
    assert!(accepted(&token_with(|claims| claims.iat = NOW_S + TOKEN_CLOCK_SKEW_S)));
    assert!(!accepted(&token_with(|claims| claims.iat = NOW_S + TOKEN_CLOCK_SKEW_S + 1)));
}

#[test]
fn another_secret_is_another_exchange() {
    assert!(authenticator(2).verify(&token_with(|_| {}), NOW_S).is_none());
}

#[test]
fn a_missing_claim_is_refused() {
    let key = &authenticator(1).signing;
    let all = ["sub", "scope", "iss", "aud", "iat", "exp"];
    for missing in all {
        let mut claims = serde_json::json!({
            "sub": user(), "scope": "read", "iss": "matchring", "aud": "matchring",
            "iat": NOW_S, "exp": NOW_S + 60,
        });
        claims.as_object_mut().unwrap().remove(missing).unwrap();
        let token = encode(&Header::new(Algorithm::HS256), &claims, key).unwrap();
        assert!(!accepted(&token), "{missing}");
    }
}

/// `{"alg":"none","typ":"JWT"}` and `{"alg":"HS512","typ":"JWT"}` in base64.
#[test]
fn the_algorithm_is_pinned() {
    let good = token_with(|_| {});
    let (_, rest) = good.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let hs512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
    assert!(!accepted(&format!("{none}.{claims}.")));
    assert!(!accepted(&format!("{none}.{rest}")));
    assert!(!accepted(&format!("{hs512}.{rest}")));
}

#[test]
fn a_changed_token_is_refused() {
    let good = token_with(|_| {});
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        // The last character of a part carries bits that decode to nothing.
        let decodes_alike = changed.len() == index + 1;
        assert!(decodes_alike || !accepted(&changed), "at {index}");
    }
    for text in ["", ".", "..", "a.b.c", "fake-jwt-token"] {
        assert!(!accepted(text), "{text}");
    }
}
