//! Owns what settlement can be told. Knows nothing of where the values come from.
//! Invariant: every value is checked, and all that is wrong is said at once.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;

/// What happens to a trade that finds the window full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It stays in the log: the cursor waits.
    #[default]
    Backpressure,
    /// It becomes a dead letter, which is retried by itself.
    DeadLetter,
}

/// How a trade is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all.
    pub attempts: u32,
    /// Pause after the first try; doubles with each further one.
    pub wait: Duration,
    pub wait_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: limits::ATTEMPTS_DEFAULT,
            wait: limits::RETRY_WAIT_DEFAULT,
            wait_max: limits::RETRY_WAIT_MAX_DEFAULT,
        }
    }
}

impl RetryPolicy {
    /// # Errors
    /// One sentence for each value outside its bounds.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        if !(1..=limits::ATTEMPTS_MAX).contains(&self.attempts) {
            let max = limits::ATTEMPTS_MAX;
            wrong.push(format!("retry_attempts = {}: expected 1 to {max}", self.attempts));
        }
        if self.wait.is_zero() || self.wait > self.wait_max {
            wrong.push("retry_wait: expected more than 0 and at most retry_wait_max".to_owned());
        }
        if self.wait_max > limits::TIME_MAX {
            wrong.push(format!("retry_wait_max: expected at most {:?}", limits::TIME_MAX));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Pause after the try with this number (from 1), without jitter.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.wait.saturating_mul(factor).min(self.wait_max)
    }
}

/// Everything that settlement is told.
#[derive(Clone, Debug)]
pub struct SettlementOptions {
    /// Holds the cursors and the dead letters.
    pub directory: PathBuf,
    pub workers: usize,
    pub window: usize,
    pub batch: usize,
    pub retry: RetryPolicy,
    pub call_timeout: Duration,
    pub stop_timeout: Duration,
    pub overflow: Overflow,
    pub dead_letters_max: usize,
    /// Begin without settling, until an operator says so. For tests and repairs.
    pub paused: bool,
}

impl SettlementOptions {
    /// Defaults for one directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            workers: limits::WORKERS_DEFAULT,
            window: limits::WINDOW_DEFAULT,
            batch: limits::BATCH_DEFAULT,
            retry: RetryPolicy::default(),
            call_timeout: limits::CALL_TIMEOUT_DEFAULT,
            stop_timeout: limits::STOP_TIMEOUT_DEFAULT,
            overflow: Overflow::default(),
            dead_letters_max: limits::DEAD_LETTERS_MAX,
            paused: false,
        }
    }

    /// # Errors
    /// One sentence for each value outside its bounds.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        for (name, value, max) in [
            ("workers", self.workers, limits::WORKERS_MAX),
            ("window", self.window, limits::WINDOW_MAX),
            ("batch", self.batch, limits::BATCH_MAX),
            ("dead_letters_max", self.dead_letters_max, limits::DEAD_LETTERS_MAX),
        ] {
            if !(1..=max).contains(&value) {
                wrong.push(format!("{name} = {value}: expected 1 to {max}"));
            }
        }
        wrong.extend(self.retry.check().err().into_iter().flatten());
        if self.call_timeout.is_zero() || self.call_timeout > limits::TIME_MAX {
            let max = limits::TIME_MAX;
            wrong.push(format!("call_timeout: expected more than 0 and at most {max:?}"));
        }
        if self.stop_timeout > limits::TIME_MAX {
            wrong.push(format!("stop_timeout: expected at most {:?}", limits::TIME_MAX));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_met_and_not_passed() {
        type Set = fn(&mut SettlementOptions, usize);
        let table: [(Set, usize); 4] = [
            (|o, v| o.workers = v, 256),
            (|o, v| o.window = v, 65_536),
            (|o, v| o.batch = v, 64),
            (|o, v| o.dead_letters_max = v, 10_000),
        ];
        for (set, max) in table {
            let fits = |value| {
                let mut options = SettlementOptions::new("unused");
                set(&mut options, value);
                options.check().is_ok()
            };
            assert_eq!([fits(0), fits(1), fits(max), fits(max + 1)], [false, true, true, false]);
        }
    }

    #[test]
    fn times_and_attempts_are_bounded() {
        type Set = fn(&mut SettlementOptions, Duration);
        let table: [Set; 3] =
            [|o, v| o.retry.wait_max = v, |o, v| o.call_timeout = v, |o, v| o.stop_timeout = v];
        for set in table {
            let fits = |value| {
                let mut options = SettlementOptions::new("unused");
                set(&mut options, value);
                options.check().is_ok()
            };
            let max = Duration::from_secs(3_600);
            assert_eq!([fits(max), fits(max + Duration::from_nanos(1))], [true, false]);
        }
        let attempts = [0, 1, 100, 101];
        let checked = attempts
            .map(|attempts| RetryPolicy { attempts, ..RetryPolicy::default() }.check().is_ok());
        assert_eq!(checked, [false, true, true, false]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let retry = RetryPolicy { attempts: 0, wait: Duration::ZERO, ..RetryPolicy::default() };
        let call_timeout = Duration::ZERO;
        let options =
            SettlementOptions { workers: 0, retry, call_timeout, ..SettlementOptions::new("x") };
        assert_eq!(options.check().unwrap_err().len(), 4);
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let retry = RetryPolicy::default();
        let pauses = [1, 2, 3, 6, 7, 40].map(|attempt| retry.pause(attempt).as_millis());
        assert_eq!(pauses, [100, 200, 400, 3_200, 5_000, 5_000]);
    }
}
