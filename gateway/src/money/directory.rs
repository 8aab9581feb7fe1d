//! Owns the names that settlement asks for. Knows nothing of trades.
//! Invariant: a name is that of the views, which are built from the same events.

use std::sync::Arc;

use engine::{AccountId, AssetCode, AssetId, InstrumentId, Price, TradeId};
use rust_decimal::Decimal;
use settlement::{Directory, Pair};
use uuid::Uuid;

use crate::ids::Id;
use crate::views::Views;

/// The read models as a directory.
pub(super) struct ListedNames(pub(super) Arc<Views>);

impl Directory for ListedNames {
    fn user(&self, account: AccountId) -> Option<Uuid> {
        self.0.user(account)
    }

    fn asset(&self, asset: AssetId) -> Option<AssetCode> {
        Some(self.0.products().asset(asset)?.code)
    }

    fn pair(&self, instrument: InstrumentId) -> Option<Pair> {
        let products = self.0.products();
        let listed = products.instrument(instrument)?;
        Some(Pair { base: listed.base.code, quote: listed.quote.code })
    }

    fn price(&self, instrument: InstrumentId, price: Price) -> Option<Decimal> {
        let products = self.0.products();
        let engine::decimal::Decimal { mut units, scale } =
            products.instrument(instrument)?.price(price);
        // Trailing zeros are taken off: the largest prices do not fit with them.
        let mut scale = u32::from(scale);
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        Decimal::try_from_i128_with_scale(units, scale).ok()
    }

    fn trade_id(&self, trade: TradeId, timestamp_ns: u64) -> Uuid {
        Id::trade(trade, timestamp_ns).uuid()
    }
}
