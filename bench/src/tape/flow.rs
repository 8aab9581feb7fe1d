//! Owns the kinds of order flow: their parameters, the way of a crashing mid, and which instrument
//! is next. Knows nothing of orders. Invariant: whole numbers and one seed decide everything, so a
//! flow is the same on every machine.

use super::numbers::Numbers;

/// Parameters of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) seed: u64,
    /// Commands after the prefill.
    pub(crate) commands: usize,
    /// Resting orders aimed at, both sides together; also the length of the prefill.
    pub(crate) orders: usize,
    /// Furthest distance of a passive order from the mid, ticks.
    pub(crate) depth: u32,
    /// Exponent of that distance: 1 is uniform, 2 is denser near the mid.
    pub(crate) skew: f64,
    pub(crate) base_price: u32,
    /// The mid stays within the base price plus or minus this.
    pub(crate) walk: u32,
    /// Commands between two steps of the mid, on average.
    pub(crate) step_every: u64,
    /// Where the mid crashes and recovers, how.
    pub(crate) crash: Option<Crash>,
    /// Books of their own, with `orders` resting orders each, the busiest first.
    pub(crate) instruments: u16,
    /// Weights: new and cancel together, IOC, move, reduce.
    pub(crate) weights: [u64; 4],
}

/// A mid that slides down, stays, and is back at a stroke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// Ticks from the height to the bottom.
    pub(crate) fall: u32,
    /// Commands between two recoveries: half of them until the bottom is reached, half there.
    pub(crate) every: u64,
    /// Commands that the slide takes; at most half of `every`.
    pub(crate) slide: u64,
}

impl Crash {
    /// How far the mid is below its height before a command.
    pub(crate) fn depth(&self, command: u64) -> i64 {
        let begin = self.every / 2 - self.slide;
        let slid = (command % self.every).saturating_sub(begin).min(self.slide);
        i64::from(self.fall) * slid.cast_signed() / self.slide.cast_signed()
    }
}

/// Draws instruments by Zipf's law with exponent 1: the n-th is n times less busy than the first.
pub(crate) struct Draw {
    numbers: Numbers,
    /// Sum of the weights up to each instrument.
    sums: Vec<u64>,
}

impl Draw {
    const HIGHEST_WEIGHT: u64 = 1 << 32;

    pub(crate) fn new(flow: &Flow) -> Self {
        let weights = (1..=u64::from(flow.instruments)).map(|rank| Self::HIGHEST_WEIGHT / rank);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { numbers: Numbers::new(!flow.seed), sums: sums.collect() }
    }

    /// Place of the next instrument.
    pub(crate) fn next(&mut self) -> usize {
        let drawn = self.numbers.below(self.sums.last().copied().unwrap_or(0));
        self.sums.partition_point(|sum| *sum <= drawn)
    }
}

/// Names of the presets.
pub(crate) const PRESETS: [&str; 5] = ["small", "deep", "ecmix", "flash", "many"];

/// A flow by name, one of [`PRESETS`].
pub(crate) fn preset(name: &str) -> Option<Flow> {
    let small = Flow {
        seed: 1,
        commands: 3_000_000,
        orders: 1_000,
        depth: 250,
        skew: 2.0,
        base_price: 50_000,
        walk: 1_000,
        step_every: 150,
        crash: None,
        instruments: 1,
        weights: [67, 6, 22, 5],
    };
    match name {
        "small" => Some(small),
        "deep" => Some(Flow {
            seed: 2,
            orders: 100_000,
            depth: 1_000,
            skew: 1.0,
            walk: 2_000,
            step_every: 500,
            ..small
        }),
        "ecmix" => Some(Flow { seed: 3, weights: [15, 3, 82, 0], ..small }),
        "flash" => Some(Flow {
            seed: 4,
            base_price: 100_000,
            crash: Some(Crash { fall: 60_000, every: 20_000, slide: 5_000 }),
            ..small
        }),
        "many" => Some(Flow { seed: 5, instruments: 200, ..small }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_slides_stays_and_is_over() {
        let crash = Crash { fall: 60_000, every: 20_000, slide: 5_000 };
        let depths =
            [0, 5_000, 5_001, 7_500, 9_999, 10_000, 19_999, 20_000].map(|c| crash.depth(c));
        assert_eq!(depths, [0, 0, 12, 30_000, 59_988, 60_000, 60_000, 0]);
    }

    #[test]
    fn the_first_instrument_is_as_busy_as_its_rank_says() {
        let flow = Flow { instruments: 4, ..preset("many").unwrap() };
        let mut draw = Draw::new(&flow);
        let mut drawn = [0; 4];
        for _ in 0..25_000 {
            drawn[draw.next()] += 1;
        }
        // 12, 6, 4 and 3 in 25.
        for (count, expected) in drawn.into_iter().zip([12_000, 6_000, 4_000, 3_000]) {
            assert!((expected - 300..=expected + 300).contains(&count), "{drawn:?}");
        }
    }
}
