//! Owns how a start shows how far its replay has come: a bar where somebody watches, lines in the
//! log where nobody does. Knows nothing of what is replayed.
//! Invariant: a terminal is left as it was, and a short replay shows nothing at all.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use pipeline::{Clock, Listener, Progress, SystemClock};

/// Pause between two looks of the bar, and between two lines of the log.
const DRAW_EVERY: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(2);
/// Characters of the bar.
const BAR: usize = 30;
/// Back to the beginning of the line, and whatever stands there is gone.
const WIPE: &str = "\r\x1b[2K";

/// Whoever is told by the pipeline with this name.
pub(crate) fn shown(pipeline: &'static str) -> Listener {
    let clock = SystemClock::new();
    let to_terminal = io::stderr().is_terminal();
    let last = Mutex::new(Duration::ZERO);
    Listener::new(move |progress| {
        let now = Duration::from_nanos(clock.monotonic_ns());
        // Nothing panics while it is locked.
        let Ok(mut last) = last.lock() else { return };
        let is_over = progress.sequence == progress.until;
        let pause = if to_terminal { DRAW_EVERY } else { LOG_EVERY };
        if is_over && to_terminal && *last > Duration::ZERO {
            draw("");
        }
        if is_over || now.saturating_sub(*last) < pause {
            return;
        }
        *last = now;
        if to_terminal {
            draw(&bar(pipeline, progress, now));
        } else {
            let Progress { sequence, until, .. } = progress;
            let (percent, per_second) = (percent(progress), per_second(progress, now));
            tracing::info!(pipeline, sequence, until, percent, per_second, "replaying");
        }
    })
}

/// Nobody is told that a terminal went away.
fn draw(line: &str) {
    let mut terminal = io::stderr().lock();
    let _ = write!(terminal, "{WIPE}{line}").and_then(|()| terminal.flush());
}

fn bar(pipeline: &str, progress: Progress, elapsed: Duration) -> String {
    let percent = percent(progress);
    let done = BAR * usize::try_from(percent).unwrap_or(100) / 100;
    let bar = format!("{:#<done$}{:.<rest$}", "", "", rest = BAR - done);
    let Progress { sequence, until, .. } = progress;
    let per_second = per_second(progress, elapsed);
    format!(
        "{pipeline}: replaying [{bar}] {percent:>3} %  {sequence} of {until}, {per_second} a second"
    )
}

/// Of what this start has to replay.
fn percent(Progress { sequence, until, replayed }: Progress) -> u64 {
    let begin = sequence - replayed.min(sequence);
    let whole = u128::from((until - begin).max(1));
    u64::try_from(u128::from(replayed) * 100 / whole).unwrap_or(100).min(100)
}

fn per_second(progress: Progress, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(progress.replayed) * 1_000 / milliseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_of_what_this_start_replays() {
        let progress = |sequence, replayed| Progress { sequence, until: 3_000, replayed };
        let line = |progress| bar("exchange", progress, Duration::from_millis(500));
        let empty =
            format!("exchange: replaying [{}]   0 %  1000 of 3000, 0 a second", ".".repeat(30));
        assert_eq!(line(progress(1_000, 0)), empty);
        let half =
            format!("[{}{}]  50 %  2000 of 3000, 2000 a second", "#".repeat(15), ".".repeat(15));
        assert!(line(progress(2_000, 1_000)).ends_with(&half), "{}", line(progress(2_000, 1_000)));
        let full = format!("[{}] 100 %  3000 of 3000", "#".repeat(30));
        assert!(line(progress(3_000, 2_000)).contains(&full));
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let nothing = Progress { sequence: 0, until: 0, replayed: 0 };
        assert_eq!((percent(nothing), per_second(nothing, Duration::ZERO)), (0, 0));
        let all = Progress { sequence: u64::MAX, until: u64::MAX, replayed: u64::MAX };
        assert_eq!(percent(all), 100);
    }
}
