//! Owns how full everything is that has a bound, as a scrape and the log show it. Knows nothing of
//! what is bounded. Invariant: whoever has a bound says both numbers itself, when it is asked.

use std::fmt;
use std::sync::Arc;

use engine::Usage;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Page;

type Ask = Box<dyn Fn() -> Vec<Usage> + Send + Sync>;

/// Those who have bounds, each with the word that their names begin with.
#[derive(Default)]
pub struct Limits(Mutex<Vec<(&'static str, Ask)>>);

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    /// From here on shows these, too.
    pub(crate) fn watch(
        &self,
        owner: &'static str,
        ask: impl Fn() -> Vec<Usage> + Send + Sync + 'static,
    ) {
        self.0.lock().push((owner, Box::new(ask)));
    }

    /// Names, used and bounds, as they are now.
    fn read(&self) -> Vec<(String, u64, u64)> {
        let named = |owner: &str, Usage { name, used, max }| (format!("{owner}_{name}"), used, max);
        let watched = self.0.lock();
        let each = watched.iter().map(|(owner, ask)| (owner, ask()));
        each.flat_map(|(owner, all)| all.into_iter().map(|one| named(owner, one))).collect()
    }

    /// Tells the log every bound.
    pub(crate) fn log(&self) {
        tracing::info!(limits = self.text(), "bounded");
    }

    fn text(&self) -> String {
        let each = self.read().into_iter().map(|(name, _, max)| format!("{name}={max}"));
        each.collect::<Vec<_>>().join(" ")
    }
}

/// The page of them.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Limits>);

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let all = self.0.read();
        page.gauges(
            "limit_used",
            "How much of a bound is used.",
            all.iter().map(|(name, used, _)| ([("limit", name.as_str())], *used)),
        )?;
        page.gauges(
            "limit_max",
            "The bound.",
            all.iter().map(|(name, _, max)| ([("limit", name.as_str())], *max)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_bounds_is_asked_each_time() {
        let limits = Limits::default();
        let used = Arc::new(Mutex::new(1));
        let seen = Arc::clone(&used);
        limits.watch("some", move || vec![Usage::new("places", *seen.lock(), 5)]);
        limits.watch("other", || vec![Usage::new("names", 2, 7), Usage::new("keys", 3, 8)]);
        *used.lock() = 4;
        let read = limits.read();
        let read: Vec<_> = read.iter().map(|(name, used, max)| (&**name, *used, *max)).collect();
        assert_eq!(read, [("some_places", 4, 5), ("other_names", 2, 7), ("other_keys", 3, 8)]);
        assert_eq!(limits.text(), "some_places=5 other_names=7 other_keys=8");
    }
}
