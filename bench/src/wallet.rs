//! Owns `bench wallet`: the wallet as a process of its own, asked over HTTP on loopback at a rate,
//! with group commit; and the same movements of money by PostgreSQL on the same disk.
//!
//! Checked: every answer, every balance of the past that is asked for, every final balance to the
//! unit, and afterwards the logs, by the wallet's own audit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use uuid::Uuid;

use crate::bank;
use crate::load::{Call, Driven, Plan, Target, drive};
use crate::postgres::{self, Postgres};
use crate::process::{Program, Site};
use crate::report::{self, Latency};

/// Wallets that money moves between.
const WALLETS: u32 = 1_000;
/// What each of them begins with, whole USDT.
const RICH: u64 = 1_000_000;
/// Units of a whole USDT.
const ONE: u128 = 100_000_000;
/// What a deposit brings; a withdrawal and a transfer take one.
const DEPOSITED: u64 = 2;
/// Connections at a rate, so many that one slow answer delays few others.
const CONNECTIONS: usize = 32;
/// Connections in a closed loop, here and to PostgreSQL.
const CLOSED_LOOP: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Requests a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Length of each part.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Balances of the past that are there before the load begins, all of one wallet.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    #[command(flatten)]
    program: Program,
    /// Folder of PostgreSQL's programs; left out if there are none.
    #[arg(long, default_value = "/usr/lib/postgresql/15/bin")]
    postgres_bin: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    /// Offered, requests a second.
    rate: u64,
    entries: u64,
    /// From due to answered; deposits, withdrawals and transfers in turn.
    deposit_ns: Latency,
    withdraw_ns: Latency,
    transfer_ns: Latency,
    balance_ns: Latency,
    as_of_ns: Latency,
    /// Yardstick: the cheapest answer, at the same rate.
    health_ns: Latency,
    /// Yardstick: a bare write of 4 KiB with its fdatasync, mean.
    fdatasync_ns: u64,
    /// The movements in a closed loop.
    closed_loop_connections: usize,
    closed_loop_per_second: u64,
    closed_loop_ns: Latency,
    postgres: Postgres,
    /// Closed loops: the wallet's to PostgreSQL's.
    ratio_to_postgres: Option<f64>,
}

/// What is in the ledger before the process starts.
struct Prefill {
    wallets: Vec<Uuid>,
    /// Has one more USDT after each command from `first_sequence` on.
    old_wallet: Uuid,
    first_sequence: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.rate > 0 && args.seconds > 0 && args.entries > 0, "nothing to measure");
    let program = args.program.path()?;
    let temporary = tempfile::tempdir().context("making a temporary folder")?;
    let site = Site { program, data_dir: temporary.path().join("data") };
    let fdatasync_ns = bank::fdatasync_ns(temporary.path())?;
    let prefill = fill(&site.data_dir.join("wallet"), args.entries)?;
    let process = site.start("wallet", "per_order")?;
    let token = site.token("bench", "wallet,admin")?;
    let target = Target { address: process.wallet, token: &token };

    let requests = args.rate * args.seconds;
    let kind = |kinds| Plan { connections: CONNECTIONS, rate: args.rate, requests, kinds };
    let health = drive(&target, &kind(1), |_| get("/health".to_owned(), ""))?;
    let moved = drive(&target, &kind(3), |number| movement(&prefill.wallets, number))?;
    let balances = drive(&target, &kind(1), |number| {
        let place = number % u64::from(WALLETS);
        let wallet = prefill.wallets[usize::try_from(place).unwrap_or(0)];
        get(format!("/api/v1/wallets/{wallet}/balance"), "\"balance\":")
    })?;
    let as_of = drive(&target, &kind(1), |number| past(&prefill, args.entries, number))?;
    let plan = Plan { connections: CLOSED_LOOP, rate: 0, requests, kinds: 3 };
    let closed = drive(&target, &plan, |number| movement(&prefill.wallets, requests + number))?;
    check_balances(&target, &prefill.wallets, 2 * requests)?;
    process.stop()?;
    let audit = site.verify()?;
    let made = 2 * requests + u64::from(WALLETS) + args.entries;
    ensure!(audit["transactions"] == made, "{made} transactions were made, not {audit}");
    drop(std::fs::remove_dir_all(&site.data_dir));

    let postgres = postgres::measure(&args.postgres_bin, args.rate, args.seconds, CLOSED_LOOP)?;
    let closed_loop_per_second = report::rate(usize::try_from(requests)?, closed.taken);
    let [deposit_ns, withdraw_ns, transfer_ns] = [0, 1, 2].map(|kind| of(&moved, kind));
    let report = Report {
        bench: "wallet",
        rate: args.rate,
        entries: args.entries,
        deposit_ns,
        withdraw_ns,
        transfer_ns,
        balance_ns: of(&balances, 0),
        as_of_ns: of(&as_of, 0),
        health_ns: of(&health, 0),
        fdatasync_ns,
        closed_loop_connections: CLOSED_LOOP,
        closed_loop_per_second,
        closed_loop_ns: Latency::of(&together(&closed)?),
        ratio_to_postgres: postgres.rate().map(|rate| report::ratio(closed_loop_per_second, rate)),
        postgres,
    };
    report::print(&report, args.json)
}

fn of(driven: &Driven, kind: usize) -> Latency {
    Latency::of(&driven.latencies[kind])
}

fn together(driven: &Driven) -> Result<Histogram<u64>> {
    let mut all = report::histogram()?;
    for latencies in &driven.latencies {
        all.add(latencies)?;
    }
    Ok(all)
}

/// Fills a ledger before a process takes it over.
fn fill(directory: &Path, entries: u64) -> Result<Prefill> {
    let bank = bank::open(directory)?;
    let (teller, asset) = (bank.teller(), bank::asset("USDT")?);
    let opened = bank::open_wallets(&teller, asset, WALLETS + 1)?;
    let (old, rich) = opened.split_last().context("no wallets")?;
    let deposits = rich.iter().map(|wallet| {
        let amount = u128::from(RICH) * ONE;
        bank::deposit(asset, *wallet, amount, &format!("rich-{}", wallet.0), false)
    });
    bank::submit(&teller, deposits.collect::<Result<Vec<_>>>()?, |_| ())?;
    let (mut first, mut last) = (None, 0);
    let ones = (0..entries)
        .map_while(|number| bank::deposit(asset, *old, ONE, &format!("one-{number}"), false).ok());
    bank::submit(&teller, ones, |answered| {
        first.get_or_insert(answered.sequence);
        last = answered.sequence;
    })?;
    let first_sequence = first.context("no entries")?;
    ensure!(last - first_sequence + 1 == entries, "the entries do not follow each other");
    let view = |wallet| {
        let view = teller.views().wallet(wallet).value.context("no such wallet")?;
        Ok::<_, anyhow::Error>(view.uuid())
    };
    let wallets = rich.iter().map(|wallet| view(*wallet)).collect::<Result<Vec<_>>>()?;
    let old_wallet = view(*old)?;
    let stopped = bank.close();
    stopped.machine.check().map_err(|breaches| anyhow::anyhow!(breaches.join("; ")))?;
    Ok(Prefill { wallets, old_wallet, first_sequence })
}

fn get(path: String, contains: &str) -> Call {
    Call { kind: 0, path, body: None, contains: contains.to_owned() }
}

/// Places of the wallets that the movement with this number concerns.
fn places(number: u64) -> [usize; 2] {
    let place = |number| usize::try_from(number % u64::from(WALLETS)).unwrap_or(0);
    [place(number), place(number + 1)]
}

/// A deposit, a withdrawal or a transfer to the next wallet, in turn.
fn movement(wallets: &[Uuid], number: u64) -> Call {
    let [from, to] = places(number).map(|place| wallets[place]);
    let (kind, what, body) = match number % 3 {
        0 => (0, "deposit", format!(r#"{{"amount":"{DEPOSITED}","referenceId":"b-{number}"}}"#)),
        1 => (1, "withdraw", format!(r#"{{"amount":"1","referenceId":"b-{number}"}}"#)),
        _ => {
            let transfer = format!(
                r#"{{"destinationWalletId":"{to}","amount":"1","referenceId":"b-{number}"}}"#
            );
            (2, "transfer", transfer)
        }
    };
    let path = format!("/api/v1/wallets/{from}/{what}");
    Call { kind, path, body: Some(body), contains: r#""status":"COMPLETED""#.to_owned() }
}

/// What the old wallet had after one of its entries, all over its history.
fn past(prefill: &Prefill, entries: u64, number: u64) -> Call {
    const STRIDE: u64 = 7_368_787;
    let entry = number.wrapping_mul(STRIDE) % entries;
    let (wallet, sequence) = (prefill.old_wallet, prefill.first_sequence + entry);
    let path = format!("/api/v1/wallets/{wallet}/balance/historical?asOfSeq={sequence}");
    get(path, &format!(r#""balance":"{}""#, entry + 1))
}

/// What each wallet has after the first `movements`, whole USDT.
fn expected(movements: u64) -> Vec<u64> {
    let mut balances = vec![RICH; WALLETS as usize];
    for number in 0..movements {
        let [from, to] = places(number);
        match number % 3 {
            0 => balances[from] += DEPOSITED,
            1 => balances[from] -= 1,
            _ => {
                balances[from] -= 1;
                balances[to] += 1;
            }
        }
    }
    balances
}

/// Every wallet has exactly what the movements come to.
fn check_balances(target: &Target<'_>, wallets: &[Uuid], movements: u64) -> Result<()> {
    let expected = expected(movements);
    let requests = u64::from(WALLETS);
    let plan = Plan { connections: 1, rate: 0, requests, kinds: 1 };
    drive(target, &plan, |number| {
        let [place, _] = places(number);
        let path = format!("/api/v1/wallets/{}/balance", wallets[place]);
        get(path, &format!(r#""balance":"{}""#, expected[place]))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movements_come_to_what_they_say() {
        let balances = expected(4);
        let changed: Vec<_> = balances.iter().map(|b| i128::from(*b) - i128::from(RICH)).collect();
        assert_eq!(changed[..5], [2, -1, -1, 3, 0]);
        assert_eq!(expected(1_001)[0] - RICH, 1, "the round begins again: 1000 takes one");
    }
}
