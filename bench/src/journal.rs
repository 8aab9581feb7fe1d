//! Owns `bench journal`: what the log costs over the bytes that it has to move, and over the sync
//! that it has to wait for.
//!
//! Two questions, each with its yardstick in the same run, in turns: how many records a second are
//! appended, against a copy of the same bytes with a checksum into a mapped file; and how long one
//! group takes to be durable, against three ways of writing the same block. The answer is checked:
//! every record is read back, and the log verifies.

mod bare;

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use journal::{JournalReader, JournalWriter, Options, RecordKind, Storing, SyncPolicy};
use serde::Serialize;

use self::bare::{Block, Way};
use crate::place::Place;
use crate::report::{self, Latency};

/// Payloads that make records of 64 and 128 bytes with their headers.
const PAYLOADS: [usize; 2] = [40, 104];
/// Passes of each kind over the same number of records.
const PASSES: usize = 5;
/// What is made durable at once, bytes and in how many records: a command alone, some 100 of them,
/// and some 3,000, which is what a busy pipeline has in a group.
const BLOCKS: [(usize, usize); 3] = [(4_096, 1), (12_288, 1), (262_144, 8)];
/// From this size on there are as many times fewer syncs as the block is larger.
const BYTES_OF_FEWER: u64 = 16_384;
const MACHINE: u32 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Records of each pass.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Records of a group.
    #[arg(long, default_value_t = 64)]
    group: u64,
    /// Rounds of syncs, the ways in turns.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Syncs of each way in a round.
    #[arg(long, default_value_t = 300)]
    syncs: u64,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    appends: Vec<Appends>,
    syncs: Vec<Syncs>,
    /// Bytes that a sync of a few bytes wrote to the device, where that can be told.
    device_bytes_per_sync: Option<u64>,
}

/// Records of one size, a second; medians.
#[derive(Debug, Serialize)]
struct Appends {
    record_bytes: usize,
    /// Into a mapping, and by writes.
    mapped_per_second: u64,
    written_per_second: u64,
    /// The yardstick: the same bytes copied into a mapping, with their checksum.
    bare_per_second: u64,
    mapped_to_bare: f64,
}

/// One block made durable; nanoseconds.
#[derive(Debug, Serialize)]
struct Syncs {
    block_bytes: usize,
    /// The log's own writer, under the policy `group`.
    journal: Latency,
    ways: Vec<WayFigures>,
}

#[derive(Debug, Serialize)]
struct WayFigures {
    way: &'static str,
    latency: Latency,
    journal_p50_to_it: f64,
    journal_p99_to_it: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (data_dir, _temporary) = args.place.folder()?;
    std::fs::create_dir(&data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    let appends =
        PAYLOADS.iter().map(|payload| appends(args, &data_dir, *payload)).collect::<Result<_>>()?;
    let mut device_bytes_per_sync = None;
    let mut syncs = Vec::new();
    for (bytes, records) in BLOCKS {
        let (figures, device_bytes) = measured_syncs(args, &data_dir, bytes, records)?;
        syncs.push(figures);
        device_bytes_per_sync = device_bytes_per_sync.or(device_bytes);
    }
    let report = Report { bench: "journal", appends, syncs, device_bytes_per_sync };
    report::print(&report, args.json)
}

/// Opens a log that is not there yet.
fn fresh(dir: &Path, options: &Options) -> Result<(JournalWriter, Option<u64>)> {
    let (writer, report) = journal::recover::<Infallible>(dir, options, |_| Ok(()))
        .map_err(|error| anyhow::anyhow!("opening {}: {error}", dir.display()))?;
    Ok((writer, report.sync_bytes))
}

fn appends(args: &Args, data_dir: &Path, payload: usize) -> Result<Appends> {
    let record_bytes = payload + bare::RECORD_HEADER;
    let groups = args.records.div_ceil(args.group);
    // Everything fits one segment: how fast others are prepared is another question.
    let bytes = args.records * record_bytes as u64 + groups * 128 + (1 << 20);
    let segment_bytes = bytes.next_multiple_of(1 << 20);
    let mut taken = [const { Vec::new() }; 3];
    for pass in 0..PASSES {
        for (way, taken) in taken.iter_mut().enumerate() {
            let path = data_dir.join(format!("append-{payload}-{pass}-{way}"));
            let storing = if way == 0 { Storing::Mapped } else { Storing::Reserved };
            let elapsed = if way == 2 {
                bare::appended(&path, segment_bytes, args.records, args.group, payload)?
            } else {
                let options = Options {
                    segment_bytes,
                    storing,
                    allow_fs: args.place.allow_fs,
                    ..Options::new(MACHINE, SyncPolicy::Os)
                };
                appended(&path, &options, args, payload)?
            };
            taken.push(report::rate(usize::try_from(args.records)?, elapsed));
            remove(&path)?;
        }
    }
    let [mapped_per_second, written_per_second, bare_per_second] =
        taken.map(|rates| report::median(&rates));
    Ok(Appends {
        record_bytes,
        mapped_per_second,
        written_per_second,
        bare_per_second,
        mapped_to_bare: report::ratio(mapped_per_second, bare_per_second),
    })
}

/// Appends all records in groups, and reads them back.
fn appended(dir: &Path, options: &Options, args: &Args, payload: usize) -> Result<Duration> {
    let (mut writer, _) = fresh(dir, options)?;
    let start = Instant::now();
    for sequence in 1..=args.records {
        append(&mut writer, sequence, payload)?;
        if sequence % args.group == 0 {
            writer.store()?;
        }
    }
    writer.store()?;
    let elapsed = start.elapsed();
    writer.close()?;
    check(dir, args.records, payload)?;
    Ok(elapsed)
}

fn append(writer: &mut JournalWriter, sequence: u64, payload: usize) -> Result<()> {
    writer.append(RecordKind::Command, sequence, sequence, payload, |place| {
        bare::fill(place, sequence);
        payload
    })?;
    Ok(())
}

/// Every record is there with its bytes.
fn check(dir: &Path, records: u64, payload: usize) -> Result<()> {
    let mut expected = vec![0; payload];
    let mut reader = JournalReader::open(dir, MACHINE, 1)?;
    let mut read = 0;
    while let Some(record) = reader.next_record()? {
        read += 1;
        bare::fill(&mut expected, read);
        ensure!(record.seq == read && record.payload == expected, "record {read} is another one");
    }
    ensure!(read == records, "{read} records of {records} were read back");
    let verified = journal::verify(dir)?;
    ensure!(verified.last_seq == records, "the log ends at {}", verified.last_seq);
    Ok(())
}

fn measured_syncs(
    args: &Args,
    data_dir: &Path,
    bytes: usize,
    records: usize,
) -> Result<(Syncs, Option<u64>)> {
    let path = data_dir.join(format!("sync-{bytes}"));
    let options =
        Options { allow_fs: args.place.allow_fs, ..Options::new(MACHINE, SyncPolicy::Group) };
    let (mut writer, device_bytes) = fresh(&path, &options)?;
    // A group that fills the block: all headers are in it.
    let payload = (bytes - bare::GROUP_HEADER) / records - bare::RECORD_HEADER;
    let syncs = (args.syncs * BYTES_OF_FEWER / BYTES_OF_FEWER.max(bytes as u64)).max(1);
    let mut block = Block::prepare(&data_dir.join(format!("block-{bytes}")), bytes)?;
    let mut own = report::histogram()?;
    let mut others = Way::ALL.map(|way| (way, report::histogram()));
    let mut sequence = 0;
    for _ in 0..args.rounds {
        for _ in 0..syncs {
            let start = Instant::now();
            for _ in 0..records {
                sequence += 1;
                append(&mut writer, sequence, payload)?;
            }
            writer.store()?;
            writer.sync()?;
            own.saturating_record(report::nanos(start.elapsed()));
        }
        for (way, histogram) in &mut others {
            let Ok(histogram) = histogram else { anyhow::bail!("no histogram") };
            for _ in 0..syncs {
                let start = Instant::now();
                block.write(*way)?;
                histogram.saturating_record(report::nanos(start.elapsed()));
            }
        }
    }
    writer.close()?;
    check(&path, sequence, payload)?;
    remove(&path)?;
    let journal = Latency::of(&own);
    let ways = others.into_iter().map(|(way, histogram)| {
        let latency = Latency::of(&histogram?);
        Ok(WayFigures {
            way: way.name(),
            latency,
            journal_p50_to_it: report::ratio(journal.p50, latency.p50),
            journal_p99_to_it: report::ratio(journal.p99, latency.p99),
        })
    });
    let ways = ways.collect::<Result<_>>()?;
    Ok((Syncs { block_bytes: bytes, journal, ways }, device_bytes))
}

fn remove(path: &Path) -> Result<()> {
    let removed =
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.with_context(|| format!("removing {}", path.display()))
}
