//! Owns the signing of a token on the command line. Knows nothing of logs and servers.
//! Invariant: nothing is signed where the process says that it runs in production.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pipeline::{Clock, SystemClock};

use crate::auth::{Authenticator, Scope};
use crate::config::{Config, Overrides, environment_is_production};
use crate::convert::NS_PER_S;
use crate::ids;
use crate::limits::TOKEN_TTL_MAX_S;
use crate::offline::OfflineError;
use crate::token_key;

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// A name, or a UUID.
    #[arg(long)]
    user: String,
    /// Any of read, trade, admin, wallet, separated by commas.
    #[arg(long)]
    scope: String,
    /// How long it is valid: a number and s, m, h or d.
    #[arg(long, default_value = "24h")]
    ttl: String,
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn token(arguments: &TokenArguments) -> Result<String, OfflineError> {
    if environment_is_production() {
        return Err(OfflineError::Production);
    }
    let refuse = |argument, text: &str, problem| OfflineError::Argument {
        argument,
        text: text.to_owned(),
        problem,
    };
    let user = ids::user(&arguments.user)
        .ok_or_else(|| refuse("user", &arguments.user, "expected a name or a UUID"))?;
    let scopes = scopes(&arguments.scope).ok_or_else(|| {
        refuse("scope", &arguments.scope, "expected read, trade, admin or wallet")
    })?;
    let ttl = ttl(&arguments.ttl)
        .ok_or_else(|| refuse("ttl", &arguments.ttl, "expected for example 30m, 24h or 7d"))?;
    let overrides = Overrides { data_dir: arguments.data_dir.clone(), ..Overrides::default() };
    let config = Config::load(arguments.config.as_deref(), overrides)?;
    let secret = token_key::load_or_create(&config.data_dir)?;
    let now_s = SystemClock::new().wall_ns() / NS_PER_S;
    let token = Authenticator::new(&secret, config.auth).sign(user, &scopes, now_s, ttl);
    token.ok_or(OfflineError::Sign)
}

fn scopes(text: &str) -> Option<Vec<Scope>> {
    let scope = |word: &str| Scope::ALL.iter().copied().find(|scope| scope.name() == word);
    text.split(',').map(scope).collect()
}

/// A time like `90s`, `30m`, `24h` or `7d`, at most a year.
fn ttl(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=TOKEN_TTL_MAX_S).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(ttl(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert!(ttl("366d").is_some());
        for text in ["", "h", "0s", "24", "24x", "-1h", "1.5h", "367d", "99999999999999999999d"] {
            assert_eq!(ttl(text), None, "{text}");
        }
    }

    #[test]
    fn scopes_are_known_words() {
        assert_eq!(scopes("read,trade"), Some(vec![Scope::Read, Scope::Trade]));
        assert_eq!(scopes("admin"), Some(vec![Scope::Admin]));
        for text in ["", "read,", "write", "read trade"] {
            assert_eq!(scopes(text), None, "{text:?}");
        }
    }
}
