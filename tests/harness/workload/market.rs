//! Owns the shape of one random market: how many of each thing, how large, how narrow.
//! Knows nothing of commands. Invariant: the first specs of a market are valid.

use engine::command::EngineConfig;
use engine::{Amount, AssetId, InstrumentId, InstrumentSpec, Price, Quantity};

use crate::random::Random;

#[derive(Clone, Debug)]
pub(super) struct Market {
    pub(super) accounts: u32,
    /// Group of each account, 0 for none.
    pub(super) groups: Vec<u32>,
    pub(super) assets: u32,
    pub(super) specs: Vec<InstrumentSpec>,
    /// Prices lie around this one, all but few within `spread` of it.
    center: i64,
    spread: i64,
    /// Orders have up to this many lots.
    lots: u64,
    /// Whether the idempotency tables are small.
    narrow: bool,
    /// Whether the bounds of one command are small.
    brief: bool,
    /// Whether there is money and room for most orders, so that books fill.
    easy: bool,
    /// How many of 1,000 commands may stop an account, a book or all.
    pub(super) stoppers: u64,
    /// How many of 100 orders wait for a price, and how many of those that may show a part do.
    pub(super) stops: u64,
    pub(super) parts: u64,
    /// Engine time after the first commands: early on a day, or shortly before its end.
    pub(super) opens_at_ns: u64,
}

impl Market {
    pub(super) fn new(random: &mut Random) -> Self {
        let assets = random.pick(&[2, 2, 3, 4]);
        let huge = random.chance(10);
        let (center, spread, lots) = if huge {
            ((1 << 47) - 4, 3, 1 << 47)
        } else {
            let center = random.pick(&[3, 8, 40, 100, 10_000]);
            (center, random.between(1, (center - 1).min(5)), random.pick(&[1, 4, 12, 1_000]))
        };
        let accounts = random.pick(&[1, 2, 3, 4]);
        let easy = random.chance(60);
        let mut market = Self {
            accounts,
            groups: (0..accounts).map(|_| random.pick(&[0, 0, 1, 1, 2])).collect(),
            assets,
            specs: Vec::new(),
            center,
            spread,
            lots,
            narrow: !easy && random.chance(60),
            brief: random.chance(60),
            easy,
            stoppers: random.pick(&[0, 0, 1, 10]),
            stops: random.pick(&[0, 15, 40, 40, 70]),
            parts: random.pick(&[0, 15, 50]),
            opens_at_ns: random.pick(&[0, 86_400_000_000_000 - 300]),
        };
        for id in 1..=random.pick(&[1, 2, 3]) {
            let spec = market.spec(random, InstrumentId(id), huge);
            market.specs.push(spec);
        }
        market
    }

    fn spec(&self, random: &mut Random, id: InstrumentId, huge: bool) -> InstrumentSpec {
        let assets = u64::from(self.assets);
        let base = random.below(assets);
        let quote = (base + 1 + random.below(assets - 1)) % assets;
        let asset = |index: u64| AssetId(u32::try_from(index + 1).expect("few assets"));
        let taker_fee_ppm = random.pick(&[0, 1, 1_000, 2_000, 77_777, 100_000]);
        let maker_fee_ppm = random.pick(&[0, 1, 1_000, taker_fee_ppm, -taker_fee_ppm, 100_000]);
        let bounded = !self.easy && random.chance(30);
        let typical = self.center.unsigned_abs() * self.lots.min(1 << 16);
        InstrumentSpec {
            base_per_lot: if huge { 1 << 49 } else { random.pick(&[1, 3, 100]) },
            quote_per_tick_lot: if huge { 4 } else { random.pick(&[1, 1, 7, 50]) },
            max_price: Price(if huge { 1 << 47 } else { self.center + 2 * self.spread }),
            min_quantity: Quantity(if bounded { self.lots.div_ceil(4) } else { 1 }),
            max_quantity: Quantity(self.lots),
            min_notional: if bounded { Amount::from(typical / 4) } else { 0 },
            max_notional: if bounded && !huge { Amount::from(typical * 20) } else { 0 },
            maker_fee_ppm,
            taker_fee_ppm,
            price_band_bps: if self.easy {
                random.pick(&[0, 0, self.tight_band()])
            } else {
                random.pick(&[0, 0, 0, 0, 1, 300, 2_000, 5_000, 9_999])
            },
            market_collar_bps: random.pick(&[1, 100, 2_000, 10_000, 100_000]),
            reference_price: Price(random.pick(&[0, self.center])),
            max_open_orders: if self.easy { 200 } else { random.pick(&[1, 4, 12, 200]) },
            max_book_orders: if self.easy { 80 } else { random.pick(&[3, 10, 30, 1_000]) },
            max_daily_volume: random.pick(&[0, 0, 0, 20, 100]) * self.lots,
            max_iceberg_parts: random.pick(&[1, 2, 3, 100]),
            ..InstrumentSpec::open(id, asset(base), asset(quote))
        }
    }

    /// A band that leaves about half of the prices out.
    fn tight_band(&self) -> u32 {
        let bps = (10_000 * self.spread / self.center).clamp(1, 9_999);
        u32::try_from(bps).expect("just clamped")
    }

    /// Settings that are wide, or so narrow that every bound is met; rarely none at all.
    pub(super) fn config(&self, random: &mut Random) -> EngineConfig {
        let mut config = EngineConfig::default();
        if self.narrow || random.chance(20) {
            config.client_id_capacity = random.pick(&[1, 2, 5, 1_000]);
            config.client_ids_per_account = random.pick(&[1, 2, 3, 10_000]);
            config.dedup_window_ns = random.pick(&[1, 10, 100]);
            config.transfer_capacity = random.pick(&[10, 40, 1_000]);
            config.transfer_window_ns = random.pick(&[1, 10, 100]);
        }
        if self.brief || random.chance(20) {
            config.max_steps_per_order = random.pick(&[1, 2, 3, 10, 10_000]);
            config.max_triggers_per_command = random.pick(&[1, 1, 2, 3, 1_000]);
        }
        match random.below(100) {
            0..4 => config.max_steps_per_order = 0,
            4 => config.max_triggers_per_command = 0,
            5 => config.client_id_capacity = u32::MAX,
            6 => config.transfer_window_ns = 0,
            _ => {}
        }
        config
    }

    pub(super) fn price(&self, random: &mut Random) -> Price {
        let spread = if random.chance(10) { 3 * self.spread } else { self.spread };
        Price((self.center + random.between(-spread, spread)).max(1))
    }

    pub(super) fn quantity(&self, random: &mut Random) -> Quantity {
        let most = if random.chance(3) { self.lots + 1 } else { self.lots };
        Quantity(1 + random.below(most))
    }

    /// The quote value of a typical order.
    pub(super) fn value(&self, random: &mut Random, spec: &InstrumentSpec) -> Amount {
        let quantity = self.quantity(random);
        let ticks = Amount::from(self.center.unsigned_abs());
        ticks * Amount::from(quantity.0) * Amount::from(spec.quote_per_tick_lot)
    }

    /// Offset of a trailing stop: about as far as prices go.
    pub(super) fn trail_ticks(&self, random: &mut Random) -> i64 {
        random.between(1, self.spread + 1)
    }

    /// Nothing, or the value of up to eight typical orders (or many more), or one unit.
    pub(super) fn amount(&self, random: &mut Random, asset: AssetId) -> Amount {
        let orders = if self.easy { 200 } else { 8 };
        let mut amount = 1;
        for spec in self.specs.clone() {
            if spec.quote_asset == asset {
                amount = amount.max(self.value(random, &spec) * Amount::from(random.below(orders)));
            }
            if spec.base_asset == asset {
                let lots = self.quantity(random).0 * random.below(orders);
                amount = amount.max(Amount::from(lots) * Amount::from(spec.base_per_lot));
            }
        }
        amount
    }
}
