//! Owns `bench funding`: an exchange with its wallet as one process, over HTTP on loopback, with
//! group commit. How long after a deposit the money can trade; and what an order costs that is paid
//! from the wallet, beside one that is paid from money lent in advance.
//!
//! Checked: every answer, every balance to the unit, and afterwards both books by the program's own
//! comparison and audit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use crate::load::{Connection, Target};
use crate::process::{Process, Program, Site};
use crate::report::{self, Latency};

/// Users, each with connections and a thread of its own.
const USERS: usize = 16;
/// Whole USDT that each user begins with.
const RICH: u64 = 1_000_000;
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Deposits, then orders, a second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Length of each part.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(flatten)]
    program: Program,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    /// Offered, a second.
    rate: u64,
    /// From due to the wallet's answer, and to the first look at trading balances that shows it.
    deposit_answered_ns: Latency,
    deposit_visible_ns: Latency,
    /// From due to placed, for an order that trades with nobody.
    order_prefunded_ns: Latency,
    order_per_order_ns: Latency,
    /// Medians: an order that is paid from the wallet to one that is not.
    ratio_per_order: f64,
}

/// One user's way into the exchange.
struct User {
    number: u64,
    public: Connection,
    wallet: Connection,
    wallet_id: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.rate > 0 && args.seconds > 0, "nothing to measure");
    let count = args.rate * args.seconds;
    let (answered, visible, prefunded) = with_exchange(args, "prefunded", |users| {
        let deposits = each(users, args.rate, count, deposit)?;
        let [answered, visible] = deposits;
        let [orders] = each(users, args.rate, count, order)?;
        Ok((answered, visible, orders))
    })?;
    let per_order = with_exchange(args, "per_order", |users| {
        let [orders] = each(users, args.rate, count, order)?;
        Ok(orders)
    })?;
    let median = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.5);
    report::print(
        &Report {
            bench: "funding",
            rate: args.rate,
            deposit_answered_ns: Latency::of(&answered),
            deposit_visible_ns: Latency::of(&visible),
            order_prefunded_ns: Latency::of(&prefunded),
            order_per_order_ns: Latency::of(&per_order),
            ratio_per_order: report::ratio(median(&per_order), median(&prefunded)),
        },
        args.json,
    )
}

/// Starts an exchange with rich users, and has its books checked in the end.
fn with_exchange<T>(
    args: &Args,
    funding: &str,
    measure: impl FnOnce(&mut Vec<User>) -> Result<T>,
) -> Result<T> {
    let temporary = tempfile::tempdir().context("making a temporary folder")?;
    let site = Site { program: args.program.path()?, data_dir: temporary.path().join("data") };
    let process = site.start("serve", funding)?;
    let operator = site.token("bench", "wallet,admin")?;
    let users = (0..USERS as u64).map(|number| User::open(&site, &process, &operator, number));
    let mut users = users.collect::<Result<Vec<_>>>()?;
    let measured = measure(&mut users)?;
    drop(users);
    process.stop()?;
    let audit = site.verify()?;
    ensure!(
        audit["transactions"].as_u64() >= Some(USERS as u64),
        "hardly anything happened: {audit}"
    );
    let books = site.reconcile()?;
    ensure!(books["breaches"] == Value::Array(Vec::new()), "the books differ: {books}");
    Ok(measured)
}

impl User {
    fn open(site: &Site, process: &Process, operator: &str, number: u64) -> Result<Self> {
        let name = format!("user-{number}");
        let token = site.token(&name, "read,trade")?;
        let public = Target { address: process.public()?, token: &token };
        let (public, wallet) =
            (Connection::open(&public)?, Target { address: process.wallet, token: operator });
        let mut wallet = Connection::open(&wallet)?;
        let body = format!(r#"{{"userId":"{name}","currency":"USDT"}}"#);
        let (status, opened) = wallet.send("/api/v1/wallets", Some(&body))?;
        let opened: Value = serde_json::from_str(&opened)?;
        let wallet_id =
            opened["walletId"].as_str().with_context(|| format!("{status}: {opened}"))?;
        let mut user = Self { number, public, wallet, wallet_id: wallet_id.to_owned() };
        user.pay_in(RICH, "rich")?;
        user.until_available(RICH)?;
        Ok(user)
    }

    fn pay_in(&mut self, amount: u64, reference: &str) -> Result<()> {
        let body =
            format!(r#"{{"amount":"{amount}","referenceId":"{reference}-{}"}}"#, self.number);
        let path = format!("/api/v1/wallets/{}/deposit", self.wallet_id);
        let (status, answer) = self.wallet.send(&path, Some(&body))?;
        ensure!(status == 200 && answer.contains("COMPLETED"), "a deposit: {status}, {answer}");
        Ok(())
    }

    /// Asks until trading has exactly this much USDT available.
    fn until_available(&mut self, amount: u64) -> Result<()> {
        let begun = Instant::now();
        let wanted = format!(r#""asset":"USDT","available":"{amount}""#);
        loop {
            let (status, balances) = self.public.send("/api/v1/balances", None)?;
            ensure!(status == 200, "balances: {status}, {balances}");
            if balances.contains(&wanted) {
                return Ok(());
            }
            ensure!(begun.elapsed() < VISIBLE_WITHIN, "no {wanted} in {balances}");
        }
    }
}

/// Has all users act in turn at a rate; latencies count from the moment at which an act was due.
fn each<const KINDS: usize>(
    users: &mut [User],
    rate: u64,
    count: u64,
    act: impl Fn(&mut User, u64, Instant) -> Result<[Duration; KINDS]> + Sync,
) -> Result<[Histogram<u64>; KINDS]> {
    let (start, act) = (Instant::now(), &act);
    let lanes: Vec<Result<Vec<[Duration; KINDS]>>> = std::thread::scope(|scope| {
        let lane = |user: &'_ mut User| {
            let mut taken = Vec::new();
            for (round, number) in (1..).zip((user.number..count).step_by(USERS)) {
                let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                taken.push(act(user, round, due)?);
            }
            Ok(taken)
        };
        let lanes: Vec<_> = users.iter_mut().map(|user| scope.spawn(move || lane(user))).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).collect()
    });
    let histograms = (0..KINDS).map(|_| report::histogram()).collect::<Result<Vec<_>>>()?;
    let mut histograms: [Histogram<u64>; KINDS] =
        histograms.try_into().map_err(|_| anyhow::anyhow!("a histogram for each kind"))?;
    for lane in lanes {
        for taken in lane? {
            for (histogram, taken) in histograms.iter_mut().zip(taken) {
                histogram.saturating_record(report::nanos(taken).max(1));
            }
        }
    }
    ensure!(histograms.iter().all(|histogram| histogram.len() == count), "an act is missing");
    Ok(histograms)
}

/// One more USDT: until the wallet has answered, and until trading shows it.
fn deposit(user: &mut User, round: u64, due: Instant) -> Result<[Duration; 2]> {
    user.pay_in(1, &format!("d-{round}"))?;
    let answered = due.elapsed();
    user.until_available(RICH + round)?;
    Ok([answered, due.elapsed()])
}

/// An order that finds nobody to trade with, and closes at once.
fn order(user: &mut User, _: u64, due: Instant) -> Result<[Duration; 1]> {
    const ORDER: &str = r#"{"symbol":"BTC/USDT","side":"BUY","type":"LIMIT",
        "time_in_force":"IOC","quantity":"0.01","price":"50000"}"#;
    let (status, answer) = user.public.send("/api/v1/orders", Some(ORDER))?;
    let taken = due.elapsed();
    ensure!(status == 201 && answer.contains("IOC_REMAINDER"), "an order: {status}, {answer}");
    Ok([taken])
}
