//! Owns the checks of the section that says how much clients may ask for.
//! Knows nothing of who enforces it. Invariant: production is limited unless it is told not to be.

use wallet::rates::RateOptions;
use wallet::service::limits::REPORTS_MAX;

use super::file::{LimitsSection, Profile};
use super::{ConfigError, bounded};
use crate::limits::{RATE_MAX, RATE_OF_ALL_PRODUCTION, RATE_OF_ONE_PRODUCTION};

/// What clients may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Of the public listener, and of the wallet's.
    pub rates: RateOptions,
    /// Reports of the wallet at once.
    pub reports: usize,
}

pub(super) fn check_limits(
    file: &LimitsSection,
    profile: Profile,
) -> Result<LimitsConfig, ConfigError> {
    let (all, one) = match profile {
        Profile::Development => (0, 0),
        Profile::Production => (RATE_OF_ALL_PRODUCTION, RATE_OF_ONE_PRODUCTION),
    };
    let rate =
        |key, given: Option<u32>, default| bounded(key, given.unwrap_or(default), 0, RATE_MAX);
    let (all_key, one_key) =
        ("limits.requests_per_second", "limits.requests_per_second_per_caller");
    Ok(LimitsConfig {
        rates: RateOptions {
            per_second: rate(all_key, file.requests_per_second, all)?,
            per_second_per_caller: rate(one_key, file.requests_per_second_per_caller, one)?,
        },
        reports: bounded("limits.reports", file.reports, 1, REPORTS_MAX)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(file: &LimitsSection, profile: Profile) -> Option<(u32, u32)> {
        let limits = check_limits(file, profile).ok()?;
        Some((limits.rates.per_second, limits.rates.per_second_per_caller))
    }

    #[test]
    fn production_is_limited_unless_told_otherwise() {
        let none = LimitsSection::default();
        assert_eq!(rates(&none, Profile::Development), Some((0, 0)));
        let production = Some((RATE_OF_ALL_PRODUCTION, RATE_OF_ONE_PRODUCTION));
        assert_eq!(rates(&none, Profile::Production), production);
        let off = LimitsSection {
            requests_per_second: Some(0),
            requests_per_second_per_caller: Some(7),
            ..none
        };
        assert_eq!(rates(&off, Profile::Production), Some((0, 7)));
    }

    #[test]
    fn limits_have_bounds() {
        let with = |rate, reports| LimitsSection {
            requests_per_second: Some(rate),
            requests_per_second_per_caller: Some(rate),
            reports,
        };
        for reports in [1, REPORTS_MAX] {
            assert!(check_limits(&with(RATE_MAX, reports), Profile::Development).is_ok());
        }
        for wrong in [with(RATE_MAX + 1, 1), with(1, 0), with(1, REPORTS_MAX + 1)] {
            assert!(check_limits(&wrong, Profile::Development).is_err(), "{wrong:?}");
        }
    }
}
