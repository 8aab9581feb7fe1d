//! Owns how the process is shown: which build it is, since when it runs, what it takes up.
//! Knows nothing of what it does. Invariant: what the system does not say is left out.

use std::fmt;
use std::fs;

use pipeline::Clock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use tokio::runtime::Handle;

use super::page::{Page, seconds};

const NS_PER_US: u64 = 1_000;
const BYTES_PER_KIB: u64 = 1_024;

#[derive(Debug)]
pub(super) struct Process {
    started_us: u64,
}

impl Process {
    pub(super) fn starting_now(clock: &dyn Clock) -> Self {
        Self { started_us: clock.wall_ns() / NS_PER_US }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.gauges(
            "matchring_build_info",
            "The build that runs, always 1.",
            [([("version", env!("CARGO_PKG_VERSION"))], 1u64)],
        )?;
        let started = seconds(self.started_us);
        page.gauge("process_start_time_seconds", "Start, seconds since 1970.", started)?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(kib) = field(&status, "VmRSS:") {
            let bytes = kib.saturating_mul(BYTES_PER_KIB);
            page.gauge("process_resident_memory_bytes", "Memory in use, bytes.", bytes)?;
        }
        if let Some(threads) = field(&status, "Threads:") {
            page.gauge("process_threads", "Threads.", threads)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            page.gauge("process_open_fds", "Open file descriptors.", open.count())?;
        }
        if let Ok(runtime) = Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            page.gauge("process_async_tasks", "Tasks that have not ended.", tasks)?;
        }
        Ok(())
    }
}

/// The number behind a name in the text of a status file.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_is_read_by_names() {
        let status = "Name:\tmatchring\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (Some(1234), Some(7)));
        assert_eq!((field(status, "VmSwap:"), field(status, "Name:")), (None, None));
    }
}
