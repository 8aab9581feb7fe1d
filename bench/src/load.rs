//! Owns the load on an HTTP server: keep-alive connections, one thread each, requests at their
//! times. Knows nothing of wallets. Invariant: a latency counts from the moment at which the
//! request was due, whether or not its connection was free by then, and every answer is looked at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use crate::report;

/// Between the last connection and the first request.
const LEAD: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const BODY_BYTES_MAX: usize = 1 << 20;
/// Code of the refusal of new load while syncs take too long, and how long the disk is left alone.
const DISK_IS_LATE: &str = "SYNC_DELAYED";
const DISK_PAUSE: Duration = Duration::from_millis(10);

/// One request.
pub(crate) struct Call {
    /// Which histogram it belongs to.
    pub(crate) kind: usize,
    pub(crate) path: String,
    /// JSON of a POST; a GET without.
    pub(crate) body: Option<String>,
    /// What the body of the answer, which has status 200, must contain.
    pub(crate) contains: String,
}

pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// Requests a second; 0 is each as soon as its connection has the answer before.
    pub(crate) rate: u64,
    pub(crate) requests: u64,
    pub(crate) kinds: usize,
}

pub(crate) struct Driven {
    pub(crate) taken: Duration,
    /// Of each kind.
    pub(crate) latencies: Vec<Histogram<u64>>,
}

/// Where the requests go, and what lets them in.
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) token: &'a str,
}

/// Sends the requests that `make` gives for 0, 1, 2 and so on.
pub(crate) fn drive(
    target: &Target<'_>,
    plan: &Plan,
    make: impl Fn(u64) -> Call + Sync,
) -> Result<Driven> {
    let connect = |_| Connection::open(target);
    let connections = (0..plan.connections).map(connect).collect::<Result<Vec<_>>>()?;
    let start = Instant::now() + LEAD;
    let make = &make;
    let lanes = thread::scope(|scope| {
        let lanes: Vec<_> = (0u64..)
            .zip(connections)
            .map(|(first, connection)| {
                scope.spawn(move || lane(connection, plan, start, first, make))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).collect()
    });
    let lanes: Vec<Result<Vec<Histogram<u64>>>> = lanes;
    let taken = start.elapsed();
    let mut latencies = histograms(plan.kinds)?;
    for lane in lanes {
        for (sum, part) in latencies.iter_mut().zip(lane?) {
            sum.add(part)?;
        }
    }
    let answered: u64 = latencies.iter().map(Histogram::len).sum();
    ensure!(answered == plan.requests, "{answered} of {} answers", plan.requests);
    Ok(Driven { taken, latencies })
}

fn histograms(kinds: usize) -> Result<Vec<Histogram<u64>>> {
    (0..kinds).map(|_| report::histogram()).collect()
}

/// Every so-manieth request, beginning with `first`.
fn lane(
    mut connection: Connection,
    plan: &Plan,
    start: Instant,
    first: u64,
    make: &(impl Fn(u64) -> Call + Sync),
) -> Result<Vec<Histogram<u64>>> {
    let mut latencies = histograms(plan.kinds)?;
    thread::sleep(start.saturating_duration_since(Instant::now()));
    for number in (first..plan.requests).step_by(plan.connections) {
        let call = make(number);
        let due = match plan.rate {
            0 => Instant::now(),
            rate => start + Duration::from_nanos(number * 1_000_000_000 / rate),
        };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.ask(&call)?;
        let taken = report::nanos(Instant::now().saturating_duration_since(due));
        latencies[call.kind].saturating_record(taken.max(1));
    }
    Ok(latencies)
}

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// Header lines of every request.
    headers: String,
}

impl Connection {
    pub(crate) fn open(target: &Target<'_>) -> Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let Target { address, token } = target;
        let headers = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
        Ok(Self { stream: BufReader::new(stream), headers })
    }

    fn ask(&mut self, call: &Call) -> Result<()> {
        let Call { path, contains, .. } = call;
        let (status, body) = self.send(path, call.body.as_deref())?;
        let right = status == 200 && body.contains(contains);
        ensure!(right, "{path}: status {status}, {body}, without {contains}");
        Ok(())
    }

    /// One request, a POST if it has a body, and its answer. A disk that is late is waited for: the
    /// time counts, and nothing has happened.
    pub(crate) fn send(&mut self, path: &str, body: Option<&str>) -> Result<(u16, String)> {
        loop {
            let (status, answer) = self.send_once(path, body)?;
            if status != 503 || !answer.contains(DISK_IS_LATE) {
                return Ok((status, answer));
            }
            thread::sleep(DISK_PAUSE);
        }
    }

    fn send_once(&mut self, path: &str, body: Option<&str>) -> Result<(u16, String)> {
        let headers = &self.headers;
        let request = match body {
            None => format!("GET {path} HTTP/1.1\r\n{headers}\r\n"),
            Some(body) => format!(
                "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<(u16, String)> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("no status in {line:?}"))?;
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let length = length.context("an answer without its length")?;
        ensure!(length <= BODY_BYTES_MAX, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body)?))
    }
}
