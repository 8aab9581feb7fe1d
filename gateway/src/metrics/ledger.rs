//! Owns how the wallet's ledger is shown: operations, money moved, how much there is of each thing.
//! Knows nothing of the rules. Invariant: money is summed in the ledger's own units and shown as an
//! integer number of millionths of the asset, cut off, so that no float ever holds it.

use std::fmt;
use std::sync::Arc;

use engine::Amount;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use wallet::bank::Teller;
use wallet::durations::{Durations, DurationsSnapshot};
use wallet::ledger::types::TransactionKind;
use wallet::limits::REQUEST_BOUNDS_US;
use wallet::traffic::{RouteSnapshot, Traffic};
use wallet::views::{Moved, Tally};

use super::page::Page;

/// Decimal places of money in a scrape.
const SHOWN_SCALE: u32 = 6;

#[derive(Debug)]
pub(super) struct LedgerSide {
    pub(super) teller: Teller,
    pub(super) traffic: Arc<Traffic>,
}

impl Collector for LedgerSide {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let tally = self.teller.views().tally();
        let routes = self.traffic.routes();
        operations(&mut page, &tally, &routes)?;
        durations(&mut page, &routes)?;
        self.money(&mut page, &tally)?;
        page.gauge("wallet_total_count", "Wallets.", tally.wallets)?;
        page.counter(
            "wallet_transactions",
            "Transactions since the journal began, refused ones that used their key included.",
            tally.transactions,
        )?;
        page.gauge(
            "wallet_read_only",
            "1 while only queries are answered.",
            u64::from(self.teller.is_read_only()),
        )
    }
}

fn operations(page: &mut Page<'_>, tally: &Tally, routes: &[RouteSnapshot]) -> fmt::Result {
    let queries = of(routes, is_query).count();
    for (name, help, n) in [
        ("wallet_operations_created", "Wallets opened since the journal began.", tally.wallets),
        (
            "wallet_operations_deposits",
            "Deposits since the journal began.",
            tally.completed(TransactionKind::Deposit),
        ),
        (
            "wallet_operations_withdrawals",
            "Withdrawals since the journal began.",
            tally.completed(TransactionKind::Withdrawal),
        ),
        (
            "wallet_operations_transfers",
            "Transfers since the journal began.",
            tally.completed(TransactionKind::Transfer),
        ),
        ("wallet_operations_queries", "Queries answered since the start.", queries),
    ] {
        page.counter(name, help, n)?;
    }
    page.counters(
        "wallet_operations_failed",
        "Requests that the ledger refused, by reason, since the journal began.",
        tally.refused.iter().map(|(reason, n)| ([("reason", reason.name())], *n)),
    )
}

/// Whether a request to this method and route is of the operation.
type Selects = fn(&RouteSnapshot) -> bool;

fn posts_to(route: &RouteSnapshot, end: &str) -> bool {
    route.method == "POST"
        && route.route.starts_with("/api/v1/wallets")
        && route.route.ends_with(end)
}

fn is_query(route: &RouteSnapshot) -> bool {
    route.method == "GET" && route.route.starts_with("/api/")
}

const OPERATIONS: [(&str, &str, Selects); 5] = [
    ("wallet_operations_creation_duration_seconds", "Time to open a wallet, seconds.", |route| {
        posts_to(route, "/wallets")
    }),
    ("wallet_operations_deposit_duration_seconds", "Time of a deposit, seconds.", |route| {
        posts_to(route, "/deposit")
    }),
    ("wallet_operations_withdrawal_duration_seconds", "Time of a withdrawal, seconds.", |route| {
        posts_to(route, "/withdraw")
    }),
    ("wallet_operations_transfer_duration_seconds", "Time of a transfer, seconds.", |route| {
        posts_to(route, "/transfer")
    }),
    ("wallet_operations_query_duration_seconds", "Time of a query, seconds.", is_query),
];

fn durations(page: &mut Page<'_>, routes: &[RouteSnapshot]) -> fmt::Result {
    for (name, help, selects) in OPERATIONS {
        page.durations(name, help, &of(routes, selects))?;
    }
    Ok(())
}

fn of(routes: &[RouteSnapshot], selects: Selects) -> DurationsSnapshot {
    let mut all = Durations::new(&REQUEST_BOUNDS_US).snapshot();
    routes.iter().filter(|route| selects(route)).for_each(|route| all.add(&route.durations));
    all
}

/// One of the sums of an asset.
type Sum = fn(&Moved) -> Amount;

impl LedgerSide {
    fn money(&self, page: &mut Page<'_>, tally: &Tally) -> fmt::Result {
        let assets = self.teller.views().assets();
        let moved: [(_, _, Sum); 3] = [
            (
                "wallet_money_deposited",
                "Money deposited since the journal began, millionths of the asset.",
                |moved| moved.deposited,
            ),
            (
                "wallet_money_withdrawn",
                "Money withdrawn since the journal began, millionths of the asset.",
                |moved| moved.withdrawn,
            ),
            (
                "wallet_money_transferred",
                "Money transferred since the journal began, millionths of the asset.",
                |moved| moved.transferred,
            ),
        ];
        for (name, help, amount) in moved {
            let samples = assets.iter().map(|asset| {
                let units = tally.moved.get(&asset.id).map_or(0, amount);
                ([("asset", asset.code.as_str())], millionths(units, asset.scale))
            });
            page.counters(name, help, samples)?;
        }
        Ok(())
    }
}

/// Units of 10^-`scale` in millionths, cut off; what the format cannot hold is its largest number.
fn millionths(units: Amount, scale: u8) -> u64 {
    let scale = u32::from(scale);
    let shown = match scale.checked_sub(SHOWN_SCALE) {
        Some(fewer) => units / 10u128.pow(fewer),
        None => units.saturating_mul(10u128.pow(SHOWN_SCALE - scale)),
    };
    u64::try_from(shown).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_in_millionths_of_the_asset() {
        assert_eq!(millionths(7_515_000_000_199, 8), 75_150_000_001);
        assert_eq!(millionths(75_150, 0), 75_150_000_000);
        assert_eq!(millionths(75_150, 6), 75_150);
        assert_eq!(millionths(u128::from(u64::MAX) * 1_000_000_000_000, 18), u64::MAX);
        assert_eq!(millionths(u128::MAX, 0), u64::MAX);
    }
}
