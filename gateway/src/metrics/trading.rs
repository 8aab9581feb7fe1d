//! Owns how trading is shown: commands, orders, trades. Knows nothing of HTTP.
//! Invariant: labels are reasons, types of orders and listed symbols.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Page;
use super::tally::Tally;
use crate::convert;
use crate::exchange::Exchange;
use crate::views::Views;

#[derive(Debug)]
pub(super) struct Trading {
    pub(super) tally: Arc<Tally>,
    pub(super) views: Arc<Views>,
    pub(super) exchange: Arc<Exchange>,
}

impl Collector for Trading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let (counts, products) = (self.tally.counts(), self.views.products());
        page.counter(
            "exchange_commands_accepted",
            "Commands done as asked, since the journal began.",
            counts.accepted,
        )?;
        page.counters(
            "exchange_commands_refused",
            "Commands refused by the engine, by reason, since the journal began.",
            counts.refused.iter().map(|(reason, n)| ([("reason", reason.name())], *n)),
        )?;
        page.counters(
            "exchange_orders_accepted",
            "Orders accepted, by type, since the journal began.",
            counts.orders().into_iter().map(|(word, n)| ([("type", word)], n)),
        )?;
        page.counters(
            "exchange_orders_closed",
            "Orders that have ended, by reason, since the journal began.",
            counts
                .closed
                .iter()
                .map(|(reason, n)| ([("reason", convert::close_reason_word(*reason))], *n)),
        )?;
        page.gauge("exchange_orders_open", "Orders that have not ended.", counts.open())?;
        page.counters(
            "exchange_trades",
            "Trades since the journal began.",
            counts.trades.iter().filter_map(|(instrument, n)| {
                let symbol = products.instrument(*instrument)?.symbol.as_str();
                Some(([("symbol", symbol)], *n))
            }),
        )?;
        page.gauge(
            "exchange_draining",
            "1 while the exchange refuses new commands to end.",
            u64::from(self.exchange.is_draining()),
        )
    }
}
