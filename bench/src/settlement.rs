//! Owns `bench settlement`: trades in, settled trades out, with a real wallet in this process whose
//! every group is synced before it is answered.
//!
//! The delay of a trade runs from the moment it was due to the moment at which it and all trades
//! before it are known to be settled. Checked each time: all trades are settled, each once, none is
//! refused, and the wallet's books add up to zero.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use engine::{EventBuffer, Frame, StateMachine};
use hdrhistogram::Histogram;
use pipeline::{Clock, Stopped, SystemClock};
use serde::Serialize;
use settlement::{Alarm, Board, DeadLetter, Desk, Parts, SettlementOptions, WallClock};
use tokio::runtime::Runtime;
use wallet::bank::Bank;
use wallet::client::{
    CallContext, EmbeddedWallet, MockWallet, SettleRequest, WalletClient, WalletError,
};
use wallet::ledger::types::{CreditTo, UserId};
use wallet::ledger::{Command, Ledger, Settle};
use wallet::wire::Assets;

use crate::bank;
use crate::report::{self, Latency};

mod market;

use market::{FEES, Names, Schedule, Tape, USERS};

/// Units of each asset that a user has lent to trading.
const RICH: u128 = 1_000_000_000_000_000;
/// How often progress is looked at: a delay is overstated by at most this.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Between the start of settlement and the first trade at a rate.
const LEAD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Trades of each pass that is flat out.
    #[arg(long, default_value_t = 500_000)]
    trades: u64,
    /// Trades a second of the pass that takes delays.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Length of that pass.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    trades: u64,
    /// Desk and durable wallet, flat out.
    settlements_per_second: u64,
    /// Yardstick: the wallet's batch call in as many tasks, without a desk.
    bare_wallet_per_second: u64,
    ratio_to_bare: f64,
    /// The desk alone, with a wallet that says yes at once; mean for a trade.
    desk_ns_per_trade: u64,
    /// The ledger alone: applying one settlement, no pipeline.
    ledger_ns: Latency,
    /// Offered, trades a second.
    rate: u64,
    settled_at_rate_per_second: u64,
    /// From due to settled, at the rate.
    delay_ns: Latency,
    /// Trades in one synced group, mean: flat out and at the rate.
    group_flat_out: u64,
    group_at_rate: u64,
    /// One sync of the wallet's journal at the rate, mean.
    sync_ns_mean: u64,
    /// Yardstick: a bare write of 4 KiB with its fdatasync, mean.
    fdatasync_ns: u64,
}

/// Nothing is refused here: the check of the counts tells.
struct Silent;

impl Alarm for Silent {
    fn raise(&self, _: &DeadLetter) {}
}

/// What a pass of the desk came to.
struct Pass {
    taken: Duration,
    delays: Histogram<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.trades > 0 && args.rate > 0 && args.seconds > 0, "nothing to measure");
    let temporary = tempfile::tempdir().context("making a temporary folder")?;
    let at = |name| temporary.path().join(name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let fdatasync_ns = bank::fdatasync_ns(temporary.path())?;

    let (bare, stopped) = bare_wallet(&runtime, &at("bare"), args.trades)?;
    let ledger = ledger_alone(stopped.machine, args.trades)?;
    let desk = desk_alone(&runtime, &at("desk"), args.trades)?;
    let (flat, flat_stopped) = embedded(&runtime, &at("flat"), args.trades, 0)?;
    let offered = args.rate * args.seconds;
    let (paced, paced_stopped) = embedded(&runtime, &at("paced"), offered, args.rate)?;

    let count = usize::try_from(args.trades)?;
    let (flat_out, bare) = (report::rate(count, flat.taken), report::rate(count, bare));
    let group = |stopped: &Stopped<Ledger>| {
        let journaler = &stopped.counters.journaler;
        let commands = &journaler.group_commands;
        commands.sum() / (commands.count() + journaler.idle_groups.get()).max(1)
    };
    let journaler = &paced_stopped.counters.journaler;
    let report = Report {
        bench: "settlement",
        trades: args.trades,
        settlements_per_second: flat_out,
        bare_wallet_per_second: bare,
        ratio_to_bare: report::ratio(flat_out, bare),
        desk_ns_per_trade: report::nanos(desk.taken) / args.trades,
        ledger_ns: Latency::of(&ledger),
        rate: args.rate,
        settled_at_rate_per_second: report::rate(usize::try_from(offered)?, paced.taken),
        delay_ns: Latency::of(&paced.delays),
        group_flat_out: group(&flat_stopped),
        group_at_rate: group(&paced_stopped),
        sync_ns_mean: journaler.sync_ns.sum() / journaler.sync_ns.count().max(1),
        fdatasync_ns,
    };
    report::print(&report, args.json)
}

/// A durable wallet whose users have lent all their money to trading.
fn rich_bank(directory: &Path) -> Result<Bank> {
    let bank = bank::open(directory)?;
    for code in ["BTC", "USDT"] {
        let asset = bank::asset(code)?;
        let wallets = bank::open_wallets(&bank.teller(), asset, USERS)?;
        let deposits = wallets.iter().map(|wallet| {
            bank::deposit(asset, *wallet, RICH, &format!("{code}-{}", wallet.0), true)
        });
        bank::submit(&bank.teller(), deposits.collect::<Result<Vec<_>>>()?, |_| ())?;
    }
    Ok(bank)
}

/// All trades are settled, each once, and the books add up.
fn check(ledger: &Ledger, trades: u64) -> Result<()> {
    ledger.check().map_err(|breaches| anyhow::anyhow!(breaches.join("; ")))?;
    let made = ledger.transactions().len() as u64;
    let expected = trades + 2 * u64::from(USERS);
    ensure!(made == expected, "{made} transactions instead of {expected}");
    let quote = ledger.books().asset(bank::asset("USDT")?).context("no quote asset")?;
    ensure!(quote.fees == FEES * i128::from(trades), "the fees are {}", quote.fees);
    Ok(())
}

/// The same batches in as many tasks as the desk has calls under way.
fn bare_wallet(
    runtime: &Runtime,
    directory: &Path,
    trades: u64,
) -> Result<(Duration, Stopped<Ledger>)> {
    let bank = rich_bank(directory)?;
    let client = Arc::new(EmbeddedWallet::new(bank.teller()));
    let (options, names) = (SettlementOptions::new(directory), Names::new()?);
    let mut shares = vec![Vec::new(); options.workers];
    let requests = (1..=trades).map(|number| market::request(number, &names));
    let requests = requests.collect::<Result<Vec<SettleRequest>>>()?;
    for (place, batch) in requests.chunks(options.batch).enumerate() {
        shares[place % options.workers].push(batch.to_vec());
    }
    let start = Instant::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for share in shares {
            let client = Arc::clone(&client);
            tasks.spawn(async move {
                for batch in share {
                    let context = CallContext::within(PATIENCE).once();
                    let results = client.settle_batch(context, &batch).await?;
                    results.into_iter().collect::<Result<Vec<_>, WalletError>>()?;
                }
                Ok::<_, WalletError>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let taken = start.elapsed();
    drop(client);
    let stopped = bank.close();
    check(&stopped.machine, trades)?;
    Ok((taken, stopped))
}

/// Applies as many settlements again to a ledger that has settled `trades`, without a pipeline.
fn ledger_alone(mut ledger: Ledger, trades: u64) -> Result<Histogram<u64>> {
    let (names, mut events) = (Names::new()?, EventBuffer::with_capacity(64));
    let (base, quote) = (bank::asset("BTC")?, bank::asset("USDT")?);
    let (sequence, timestamp_ns) = (ledger.last_sequence(), ledger.last_timestamp_ns());
    let mut histogram = report::histogram()?;
    let timer = report::timer_ns();
    for offset in 1..=trades {
        let asked = market::request(trades + offset, &names)?;
        let command = Command::Settle(Settle {
            trade: asked.trade_id.as_u128(),
            buyer: UserId(asked.buyer_id.as_u128()),
            seller: UserId(asked.seller_id.as_u128()),
            buyer_order: asked.buyer_order_id.as_u128(),
            seller_order: asked.seller_order_id.as_u128(),
            base,
            quote,
            base_amount: asked.base_amount,
            quote_amount: asked.quote_amount,
            buyer_fee: asked.buyer_fee,
            seller_fee: asked.seller_fee,
            credit_to: CreditTo::Reserved,
        });
        let frame = Frame { sequence: sequence + offset, timestamp_ns, command };
        events.clear();
        let start = Instant::now();
        ledger.apply(&frame, &mut events);
        let taken = report::nanos(start.elapsed()).saturating_sub(timer);
        histogram.saturating_record(taken.max(1));
    }
    check(&ledger, 2 * trades)?;
    Ok(histogram)
}

/// Settles at a wallet that keeps nothing.
fn desk_alone(runtime: &Runtime, directory: &Path, trades: u64) -> Result<Pass> {
    let assets = Assets::new([(bank::code("BTC")?, 8), (bank::code("USDT")?, 8)]);
    let client = Arc::new(MockWallet::permissive(assets.context("two assets")?));
    settle(runtime, directory, client, trades, 0)
}

/// Settles at a durable wallet.
fn embedded(
    runtime: &Runtime,
    directory: &Path,
    trades: u64,
    rate: u64,
) -> Result<(Pass, Stopped<Ledger>)> {
    let bank = rich_bank(&directory.join("wallet"))?;
    let client = Arc::new(EmbeddedWallet::new(bank.teller()));
    let pass = settle(runtime, directory, client, trades, rate)?;
    let stopped = bank.close();
    check(&stopped.machine, trades)?;
    Ok((pass, stopped))
}

/// Has a desk settle trades, and watches it.
fn settle(
    runtime: &Runtime,
    directory: &Path,
    client: Arc<dyn WalletClient>,
    trades: u64,
    rate: u64,
) -> Result<Pass> {
    let clock = Arc::new(SystemClock::new());
    let lead = if rate == 0 { Duration::ZERO } else { LEAD };
    let (start, start_ns) = (Instant::now() + lead, clock.wall_ns() + report::nanos(lead));
    let schedule = Schedule { count: trades, rate, start, start_ns };
    let wall_clock: WallClock = Arc::new(move || clock.wall_ns());
    let directory_of_names = Arc::new(Names::new()?);
    let options = SettlementOptions::new(directory.join("settlement"));
    let entered = runtime.enter();
    let desk = Desk::start(options, |from| {
        Ok(Parts {
            source: Box::new(Tape { schedule, shown: from - 1 }),
            directory: directory_of_names,
            client,
            alarm: Arc::new(Silent),
            clock: wall_clock,
            credit_to: CreditTo::Reserved,
        })
    })?;
    drop(entered);
    let pass = watch(&desk.board(), &schedule);
    runtime.block_on(desk.stop());
    let counts = desk.board().counts();
    ensure!(counts.settled == trades && counts.submitted == trades, "wrong counts: {counts:?}");
    let troubles = counts.failed_tries + counts.dead_lettered + counts.waits;
    ensure!(troubles == 0, "the wallet did not take every trade at once: {counts:?}");
    pass
}

/// Takes down when each trade and all before it are settled.
fn watch(board: &Board, schedule: &Schedule) -> Result<Pass> {
    let mut delays = report::histogram()?;
    let (mut seen, mut moved) = (0, Instant::now());
    while seen < schedule.count {
        let through = board.settled_through().min(schedule.count);
        let now = Instant::now();
        for number in seen + 1..=through {
            let delay = now.saturating_duration_since(schedule.due(number));
            delays.saturating_record(report::nanos(delay).max(1));
        }
        if through > seen {
            (seen, moved) = (through, now);
        }
        ensure!(now - moved < PATIENCE, "settlement stands still: {:?}", board.status());
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(Pass { taken: moved - schedule.start, delays })
}
