//! Owns the random orders: mostly sound ones around a mid price, so that they often cross, some
//! that the engine refuses, some that are no orders at all. Knows nothing of answers. Invariant: a
//! body is a function of the random numbers; a broken one says how it must be refused.

use crate::random::Random;
use engine::decimal::Decimal;
use serde_json::{Map, Value, json};

/// Decimal places of a price in ticks, and of a quantity in lots.
pub const TICK_SCALE: u8 = 2;
pub const LOT_SCALE: u8 = 6;

/// One instrument and where its orders lie.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    pub symbol: &'static str,
    /// The symbol as paths take it.
    pub path: &'static str,
    pub id: engine::InstrumentId,
    mid_ticks: i64,
    step_ticks: i64,
    lots_max: i64,
}

const BTC: Market = Market {
    symbol: "BTC/USDT",
    path: "BTC-USDT",
    id: engine::InstrumentId(1),
    mid_ticks: 5_000_000,
    step_ticks: 500,
    lots_max: 50_000,
};

const ETH: Market = Market {
    symbol: "ETH/USDT",
    path: "ETH-USDT",
    id: engine::InstrumentId(2),
    mid_ticks: 300_000,
    step_ticks: 30,
    lots_max: 800_000,
};

/// What an exchange lists unless it is told otherwise.
pub const MARKETS: [Market; 2] = [BTC, ETH];

/// So many of [`MANY`], from the first on, are hot: most orders are for them.
pub const HOT: usize = 3;

/// What an exchange lists that was told to.
pub const MANY: [Market; 7] = [
    BTC,
    ETH,
    Market::coin(3, "SOL/USDT", "SOL-USDT", 20_000),
    Market::coin(4, "ADA/USDT", "ADA-USDT", 10_000),
    Market::coin(5, "DOT/USDT", "DOT-USDT", 12_000),
    Market::coin(6, "LTC/USDT", "LTC-USDT", 11_000),
    Market::coin(7, "XRP/USDT", "XRP-USDT", 15_000),
];

/// A body that is no order, with the status and the code that refuse it.
#[derive(Debug)]
pub struct Broken {
    pub body: String,
    pub refusal: (u16, &'static str),
}

fn decimal(units: i64, scale: u8) -> String {
    Decimal { units: units.into(), scale }.to_string()
}

impl Market {
    const fn coin(id: u32, symbol: &'static str, path: &'static str, mid_ticks: i64) -> Self {
        let (step_ticks, lots_max) = (mid_ticks / 1_000, 1_000_000);
        Self { symbol, path, id: engine::InstrumentId(id), mid_ticks, step_ticks, lots_max }
    }

    /// The market of this symbol.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn of(symbol: &str) -> &'static Self {
        MANY.iter().find(|market| market.symbol == symbol).expect("a known symbol")
    }

    /// What is traded there.
    #[must_use]
    pub fn base(&self) -> &'static str {
        self.symbol.split_once('/').expect("two assets").0
    }

    /// Up to six steps on the far side of the mid, up to twenty on the near one.
    fn price(&self, random: &mut Random, buys: bool) -> String {
        let away = random.between(-6, 20) * self.step_ticks;
        let ticks = if buys { self.mid_ticks - away } else { self.mid_ticks + away };
        decimal(ticks, TICK_SCALE)
    }

    fn quantity(&self, random: &mut Random) -> String {
        decimal(random.between(self.lots_max / 100, self.lots_max), LOT_SCALE)
    }
}

/// An order of [`MANY`] that rests on its side of the mid unless somebody has gone beyond it, or
/// that goes beyond it and takes what it finds there.
pub fn plain(random: &mut Random, key: &str, crosses: bool) -> String {
    let hot = random.chance(80);
    let market = random.pick(if hot { &MANY[..HOT] } else { &MANY[HOT..] });
    let buys = random.chance(50);
    let steps = if crosses { -random.between(1, 6) } else { random.between(1, 20) };
    let away = steps * market.step_ticks;
    let ticks = if buys { market.mid_ticks - away } else { market.mid_ticks + away };
    let order = json!({
        "symbol": market.symbol, "side": if buys { "BUY" } else { "SELL" }, "type": "LIMIT",
        "price": decimal(ticks, TICK_SCALE), "quantity": market.quantity(random),
        "time_in_force": if crosses { "IOC" } else { "GTC" }, "client_order_id": key,
    });
    order.to_string()
}

/// The body of a sound order under this key, or without one.
pub fn sound(random: &mut Random, key: Option<&str>) -> String {
    let market = random.pick(&MARKETS);
    let buys = random.chance(50);
    let mut fields = Map::new();
    let symbol = if random.chance(10) { market.path } else { market.symbol };
    fields.insert("symbol".into(), symbol.into());
    fields.insert("side".into(), if buys { "BUY" } else { "SELL" }.into());
    let kind = random.below(100);
    let is_market = (80..92).contains(&kind);
    fields.insert("type".into(), if is_market { "MARKET" } else { "LIMIT" }.into());
    let by_budget = is_market && buys && random.chance(40);
    if by_budget {
        let cents = random.between(100, 200_000);
        fields.insert("quote_quantity".into(), decimal(cents, 2).into());
    } else {
        fields.insert("quantity".into(), market.quantity(random).into());
    }
    if !is_market {
        fields.insert("price".into(), market.price(random, buys).into());
    }
    match kind {
        0..10 => fields.insert("time_in_force".into(), "IOC".into()),
        10..16 => fields.insert("time_in_force".into(), "FOK".into()),
        16..26 => fields.insert("post_only".into(), true.into()),
        90..92 if !by_budget => fields.insert("time_in_force".into(), "FOK".into()),
        26..40 => fields.insert("time_in_force".into(), "GTC".into()),
        _ => None,
    };
    // Mostly met by other people's orders; a trader's own are met often enough.
    let policy = random.below(8);
    if policy < 4 && !(policy == 3 && by_budget) {
        let policies = ["CANCEL_TAKER", "CANCEL_MAKER", "CANCEL_BOTH", "DECREMENT"];
        let policy = policies[usize::try_from(policy).expect("an index")];
        fields.insert("stp".into(), policy.into());
    }
    match random.below(20) {
        0..3 => fields.insert("response_type".into(), "FULL".into()),
        3..5 => fields.insert("response_type".into(), "ACK".into()),
        5 => fields.insert("response_type".into(), "RESULT".into()),
        _ => None,
    };
    match random.below(100) {
        // More than anybody has, more than anybody may, further away than anybody may.
        0 if !is_market => fields.insert("quantity".into(), "99".into()),
        1 if !is_market => fields.insert("quantity".into(), "1001".into()),
        2 if !is_market => fields.insert("price".into(), "9000000".into()),
        _ => None,
    };
    if let Some(key) = key {
        fields.insert("client_order_id".into(), key.into());
    }
    Value::Object(fields).to_string()
}

/// A body that must be refused for its shape.
pub fn broken(random: &mut Random, key: &str) -> Broken {
    const BREAKS: [(&str, &str, u16, &str); 12] = [
        ("quantity", "\"0\"", 400, "INVALID_QUANTITY"),
        ("quantity", "\"-1.5\"", 400, "INVALID_QUANTITY"),
        ("quantity", "\"0.0000001\"", 400, "INVALID_QUANTITY"),
        ("quantity", "1.5", 400, "INVALID_QUANTITY"),
        ("price", "\"5e4\"", 400, "INVALID_PRICE"),
        ("price", "\"50000.001\"", 400, "INVALID_PRICE"),
        ("price", "null", 400, "INVALID_PRICE"),
        ("side", "\"HOLD\"", 400, "INVALID_SIDE"),
        ("type", "\"ICEBERG\"", 400, "INVALID_ORDER_TYPE"),
        ("time_in_force", "\"GTX\"", 400, "INVALID_TIME_IN_FORCE"),
        ("symbol", "\"DOGE/USDT\"", 404, "SYMBOL_NOT_FOUND"),
        ("colour", "\"red\"", 400, "UNKNOWN_FIELD"),
    ];
    let whole = json!({
        "symbol": "BTC/USDT", "side": "BUY", "type": "LIMIT", "price": "50000",
        "quantity": "0.001", "client_order_id": key,
    });
    if random.chance(8) {
        let text = whole.to_string();
        let body = text[..text.len() - 1].to_owned();
        return Broken { body, refusal: (400, "INVALID_JSON") };
    }
    let (field, text, status, code) = random.pick(&BREAKS);
    let mut fields = whole;
    fields[field] = serde_json::from_str(text).expect("a JSON value");
    Broken { body: fields.to_string(), refusal: (status, code) }
}

/// The same key with another quantity.
pub fn contradiction(body: &str) -> String {
    let mut fields: Value = serde_json::from_str(body).expect("a sound body");
    let by_budget = fields.get("quote_quantity").is_some();
    let field = if by_budget { "quote_quantity" } else { "quantity" };
    fields[field] = "7.654321".into();
    fields.to_string()
}

/// A new price, a new quantity, or both.
pub fn amendment(random: &mut Random, symbol: &str, buys: bool) -> String {
    let market = Market::of(symbol);
    let mut fields = Map::new();
    let kind = random.below(3);
    if kind != 0 {
        fields.insert("price".into(), market.price(random, buys).into());
    }
    if kind != 1 {
        fields.insert("quantity".into(), market.quantity(random).into());
    }
    Value::Object(fields).to_string()
}
