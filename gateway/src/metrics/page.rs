//! Owns how numbers become lines of a scrape. Knows nothing of where they come from.
//! Invariant: a family is written once with its help and type; money comes in as integers and is
//! never turned into anything else.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
    MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use wallet::durations::DurationsSnapshot;

const US_PER_S: f64 = 1e6;

/// The text under way.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(self.0.encode_descriptor(name, help, None, kind)?)
    }

    /// Something that only grows; the sample's name gets `_total`.
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        n: u64,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |to| ConstCounter::new(n).encode(to))
    }

    pub(super) fn counters<L: EncodeLabelSet, N: EncodeCounterValue>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |mut to| {
            for (labels, n) in samples {
                ConstCounter::new(n).encode(to.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }

    /// Something that goes up and down.
    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &'static str,
        help: &'static str,
        value: V,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut to| to.encode_gauge(&value))
    }

    pub(super) fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut to| {
            for (labels, value) in samples {
                to.encode_family(&labels)?.encode_gauge(&value)?;
            }
            Ok(())
        })
    }

    /// Durations, in seconds.
    pub(super) fn durations(
        &mut self,
        name: &'static str,
        help: &'static str,
        durations: &DurationsSnapshot,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, |to| Sizes::from(durations).write(to))
    }

    pub(super) fn sizes_by<L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (L, Sizes)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, |mut to| {
            for (labels, sizes) in samples {
                sizes.write(to.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }

    pub(super) fn durations_by<'a, L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (L, &'a DurationsSnapshot)>,
    ) -> fmt::Result {
        let sizes = |(labels, durations)| (labels, Sizes::from(durations));
        self.sizes_by(name, help, samples.into_iter().map(sizes))
    }
}

/// How many of something were how large.
pub(super) struct Sizes {
    /// Upper bounds, inclusive, ascending up to infinity, each with how many lie below it and above
    /// the one before.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Sizes {
    fn write(&self, mut to: MetricEncoder<'_>) -> fmt::Result {
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        to.encode_histogram::<NoLabelSet>(self.sum, count, &self.buckets, None)
    }
}

impl From<&DurationsSnapshot> for Sizes {
    fn from(durations: &DurationsSnapshot) -> Self {
        let bounds = durations.bounds_us.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
        let buckets = bounds.zip(durations.buckets.iter().copied()).collect();
        Self { buckets, sum: seconds(durations.sum_us) }
    }
}

/// Time, not money: a float is what the format has for it.
#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries are exact")]
pub(super) fn seconds(us: u64) -> f64 {
    us as f64 / US_PER_S
}
