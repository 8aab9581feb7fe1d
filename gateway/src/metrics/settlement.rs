//! Owns how the money side of the exchange is shown: settlement, funding, the comparison of the
//! books, the wallet's client. Knows nothing of how they work.
//! Invariant: what is money is shown in whole units, as an integer.

use std::fmt;
use std::sync::Arc;

use pipeline::Clock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use settlement::DeskStatus;
use wallet::client::metrics::{BreakerState, DURATION_BOUNDS_US, MetricsSnapshot};
use wallet::durations::DurationsSnapshot;

use super::page::{Page, seconds};
use crate::state::MoneyState;

const NS_PER_US: u64 = 1_000;

#[derive(Debug)]
pub(super) struct MoneySide {
    pub(super) money: Arc<MoneyState>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Collector for MoneySide {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let board = self.money.desk.board();
        let status = board.status();
        self.jobs(&mut page, &status)?;
        self.gauges(&mut page, &status)?;
        page.durations(
            "settlement_duration_seconds",
            "Time from a trade to its settlement, seconds.",
            &board.delays(),
        )?;
        self.funds(&mut page)?;
        self.reconciliation(&mut page)?;
        let clients =
            [("settlement", Some(&self.money.client)), ("orders", self.money.orders.as_ref())];
        let counted =
            clients.into_iter().filter_map(|(name, client)| Some((name, client?.counted()?)));
        let counted: Vec<_> = counted.collect();
        if counted.is_empty() { Ok(()) } else { wallet_clients(&mut page, &counted) }
    }
}

impl MoneySide {
    fn jobs(&self, page: &mut Page<'_>, status: &DeskStatus) -> fmt::Result {
        let counts = status.counts;
        page.counters(
            "settlements",
            "Trades settled, and trades that became dead letters.",
            [("settled", counts.settled), ("failed", counts.dead_lettered)]
                .map(|(status, n)| ([("status", status)], n)),
        )?;
        let processed = counts.settled + counts.dead_lettered;
        for (name, help, n) in [
            ("settlements_failed", "Trades that became dead letters.", counts.dead_lettered),
            ("settlement_jobs_submitted", "Trades taken up.", counts.submitted),
            ("settlement_jobs_processed", "Trades done with.", processed),
            ("settlement_jobs_failed", "Tries without success.", counts.failed_tries),
            ("settlement_calls", "Calls to the wallet.", counts.calls),
            ("settlement_waits", "Times that no wallet answered.", counts.waits),
        ] {
            page.counter(name, help, n)?;
        }
        Ok(())
    }

    fn gauges(&self, page: &mut Page<'_>, status: &DeskStatus) -> fmt::Result {
        let now_ns = self.clock.wall_ns();
        let age = |since_ns: Option<u64>| {
            seconds(since_ns.map_or(0, |since| now_ns.saturating_sub(since)) / NS_PER_US)
        };
        for (name, help, n) in [
            ("settlement_dlq_size", "Dead letters.", status.dead_letters as u64),
            ("settlement_window", "Trades under way.", status.window as u64),
            ("settlement_in_flight", "Calls under way.", status.in_flight as u64),
            ("settlement_cursor", "Event up to which all is done.", status.cursor),
            (
                "settlement_cursor_lag",
                "Events that were read and are not done with.",
                status.head.saturating_sub(status.cursor),
            ),
            ("settlement_paused", "1 while an operator holds it.", status.paused.into()),
            (
                "settlement_halted",
                "1 if it has ended by itself and does nothing more.",
                status.halted.is_some().into(),
            ),
        ] {
            page.gauge(name, help, n)?;
        }
        page.gauge(
            "settlement_dlq_oldest_seconds",
            "Age of the oldest dead letter, seconds; 0 if there is none.",
            age(status.oldest_dead_letter_ns),
        )?;
        page.gauge(
            "settlement_oldest_unsettled_seconds",
            "Age of the oldest trade under way, seconds; 0 if there is none.",
            age(status.oldest_unsettled_ns),
        )
    }

    fn funds(&self, page: &mut Page<'_>) -> fmt::Result {
        if let Some(funding) = self.money.funds.funding() {
            page.gauge(
                "settlement_funding_cursor",
                "Sequence of the wallet up to which trading accounts were funded.",
                funding.cursor(),
            )?;
        }
        let Some(releases) = self.money.funds.releases() else { return Ok(()) };
        let status = releases.status();
        page.counter("settlement_releases", "Orders whose rest was given back.", status.released)?;
        for (name, help, n) in [
            ("settlement_releases_cursor", "Event up to which ends were read.", status.cursor),
            (
                "settlement_releases_owed",
                "Ends that the wallet has not heard of.",
                status.owed as u64,
            ),
            (
                "settlement_releases_halted",
                "1 if nothing is given back any more.",
                status.halted.is_some().into(),
            ),
        ] {
            page.gauge(name, help, n)?;
        }
        Ok(())
    }

    fn reconciliation(&self, page: &mut Page<'_>) -> fmt::Result {
        let status = self.money.reconciliation.status();
        page.counter("ledger_reconcile_runs", "Comparisons of the books.", status.runs)?;
        page.counter("ledger_reconcile_breaches", "Differences found.", status.breaches)?;
        let report = status.report.as_ref();
        page.gauge(
            "ledger_reconcile_last_seq",
            "Sequence of the exchange at the last comparison; 0 before the first.",
            report.map_or(0, |report| report.sequence),
        )?;
        page.gauge(
            "ledger_reconcile_open_breaches",
            "Differences found by the last comparison.",
            report.map_or(0, |report| report.breaches.len()),
        )?;
        page.gauge(
            "ledger_reconcile_failed",
            "1 if the last comparison could not be made.",
            u64::from(status.error.is_some()),
        )?;
        let sums = report.iter().flat_map(|report| &report.unbalanced);
        page.gauges(
            "ledger_unbalanced_units",
            "Units by which an asset of the ledger is off zero.",
            sums.map(|(asset, units)| ([("asset", asset.as_str())], within_i64(*units))),
        )
    }
}

/// The nearest number that the format can hold; every sound ledger shows 0.
fn within_i64(units: i128) -> i64 {
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}

/// Every client by its name: what settles, and, to a wallet elsewhere, what reserves for orders.
fn wallet_clients<'a>(
    page: &mut Page<'_>,
    clients: &'a [(&'static str, MetricsSnapshot)],
) -> fmt::Result {
    let of = |(name, counted): &'a (&'static str, MetricsSnapshot)| {
        let name = *name;
        counted.methods.iter().map(move |method| (name, method))
    };
    let methods = || clients.iter().flat_map(of);
    page.counters(
        "wallet_client_requests",
        "Calls to the wallet, by how they ended.",
        methods().flat_map(|(client, method)| {
            let of = method.requests.iter().filter(|(status, n)| *n > 0 || *status == "ok");
            of.map(move |(status, n)| {
                let method = method.method.name();
                ([("client", client), ("method", method), ("status", *status)], *n)
            })
        }),
    )?;
    page.counters(
        "wallet_client_retries",
        "Tries after the first.",
        methods().map(|(client, m)| ([("client", client), ("method", m.method.name())], m.retries)),
    )?;
    let durations = methods().map(|(client, method)| {
        let (buckets, sum_us) = (method.duration_buckets.clone(), method.duration_us_sum);
        let durations = DurationsSnapshot { bounds_us: &DURATION_BOUNDS_US, buckets, sum_us };
        ([("client", client), ("method", method.method.name())], durations)
    });
    let durations: Vec<_> = durations.collect();
    page.durations_by(
        "wallet_client_request_duration_seconds",
        "Time of a call with its pauses and tries, seconds.",
        durations.iter().map(|(labels, durations)| (*labels, durations)),
    )?;
    connections(page, clients)
}

fn connections(page: &mut Page<'_>, clients: &[(&'static str, MetricsSnapshot)]) -> fmt::Result {
    let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
    page.gauges(
        "wallet_client_circuit_breaker_state",
        "1 for the state that the breaker is in.",
        clients.iter().flat_map(|(client, counted)| {
            states.map(|state| {
                let labels = [("client", *client), ("state", state.name())];
                (labels, u64::from(state == counted.breaker_state))
            })
        }),
    )?;
    page.counters(
        "wallet_client_circuit_breaker_openings",
        "Times that the breaker opened.",
        clients.iter().map(|(client, n)| ([("client", *client)], n.breaker_openings)),
    )?;
    page.gauges(
        "wallet_client_pool_connections",
        "Connections that carry a request.",
        clients.iter().map(|(client, counted)| {
            ([("client", *client), ("state", "active")], counted.connections_active)
        }),
    )?;
    page.gauges(
        "wallet_client_in_flight",
        "Calls under way.",
        clients.iter().map(|(client, counted)| ([("client", *client)], counted.in_flight)),
    )?;
    page.gauges(
        "wallet_client_in_flight_max",
        "Calls that may be under way at once; further ones wait.",
        clients.iter().map(|(client, counted)| ([("client", *client)], counted.in_flight_max)),
    )
}
