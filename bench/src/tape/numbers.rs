//! Owns the random numbers of the generator: SplitMix64 (Steele, Lea, Flood, 2014), so that a seed
//! names the same tape on every machine.

pub(crate) struct Numbers(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ GOLDEN)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Uniform below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Uniform in 0 to 1, 1 excluded, with 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
