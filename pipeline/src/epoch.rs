//! Owns what a start records of itself, and what it tells people of how it differs from the last
//! one. Knows nothing of how it is stored. Invariant: nothing of it changes what a replay comes to.

use crate::limits::CLOCK_BEHIND_MAX_NS;
use crate::options::Options;
use crate::recovery::ReplayReport;
use crate::slot::Control;
use crate::stages::Shared;

/// Says what the start found; returns the first input of the process, whose number is `epoch`.
/// `clock_floor_ns` is the time that the log ends with.
pub(crate) fn begin(
    epoch: u64,
    clock_floor_ns: u64,
    report: &ReplayReport,
    shared: &Shared,
    options: &Options,
) -> Control {
    report.count(&shared.counters.replay);
    let (data_dir, before) = (options.data_dir.display(), report.configuration);
    let (configuration, wall_ns) = (options.configuration, shared.clock.wall_ns());
    if configuration.differs(before) {
        let now = configuration;
        tracing::warn!(%data_dir, %before, %now, "another configuration than at the last start");
    }
    if is_behind(clock_floor_ns, wall_ns) {
        let behind_ms = (clock_floor_ns - wall_ns) / 1_000_000;
        tracing::warn!(%data_dir, behind_ms, "the clock is behind the log: its time stands still");
    }
    Control::EpochStart { epoch, clock_floor_ns, configuration }
}

const fn is_behind(clock_floor_ns: u64, wall_ns: u64) -> bool {
    clock_floor_ns.saturating_sub(wall_ns) > CLOCK_BEHIND_MAX_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_behind() {
        let floor_ns = 1 << 60;
        assert!(!is_behind(floor_ns, floor_ns + CLOCK_BEHIND_MAX_NS * 2), "it is ahead");
        assert!(!is_behind(floor_ns, floor_ns - CLOCK_BEHIND_MAX_NS), "at the bound");
        assert!(is_behind(floor_ns, floor_ns - CLOCK_BEHIND_MAX_NS - 1), "one past it");
    }
}
