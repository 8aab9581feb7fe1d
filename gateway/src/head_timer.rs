//! Owns for how long a connection may wait for a request, and a request for the rest of its head.
//! Knows nothing of HTTP but that its server asks for a new timer whenever it begins to wait for a
//! head. Invariant: from the first byte on that comes while a head is waited for, the time for a
//! head runs, and no further byte prolongs it; a connection that has said nothing yet has no more
//! than that. Who sends the beginning of a head before it is waited for, behind the request before,
//! has the time of an idle connection until its next byte.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// Bytes that a connection has brought; both ends of one connection see the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<AtomicU64>);

impl Arrived {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The timer of one connection, whose server waits for as long as a connection may be idle.
#[derive(Debug)]
pub(crate) struct HeadTimer {
    head_timeout: Duration,
    arrived: Arrived,
    /// A request has been waited for.
    waited: AtomicBool,
}

impl HeadTimer {
    pub(crate) fn new(head_timeout: Duration, arrived: Arrived) -> Self {
        Self { head_timeout, arrived, waited: AtomicBool::new(false) }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, idle_until: Instant) -> Pin<Box<dyn Sleep>> {
        let is_first = !self.waited.swap(true, Ordering::Relaxed);
        let mut wait = Wait {
            until: Box::pin(tokio::time::sleep_until(idle_until.into())),
            head_timeout: self.head_timeout,
            arrived: self.arrived.clone(),
            seen: self.arrived.get(),
            in_head: false,
        };
        if is_first {
            wait.begin_head();
        }
        Box::pin(wait)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// Ends when a connection has waited long enough.
#[derive(Debug)]
struct Wait {
    until: Pin<Box<tokio::time::Sleep>>,
    head_timeout: Duration,
    arrived: Arrived,
    /// Bytes that had arrived when it began.
    seen: u64,
    in_head: bool,
}

impl Wait {
    fn begin_head(&mut self) {
        self.in_head = true;
        self.until.as_mut().reset(tokio::time::Instant::now() + self.head_timeout);
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.in_head && self.arrived.get() > self.seen {
            self.begin_head();
        }
        self.until.as_mut().poll(context)
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(30);
    const STEP: Duration = Duration::from_secs(1);

    /// How long a wait lasts of which a byte arrives every second, from `first_byte` on.
    async fn lasts(timer: &HeadTimer, first_byte: Duration) -> Duration {
        let begun = tokio::time::Instant::now();
        let mut wait = timer.sleep(IDLE);
        while !poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_ready())).await {
            tokio::time::advance(STEP).await;
            if begun.elapsed() >= first_byte {
                timer.arrived.add(1);
            }
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_and_idleness_another() {
        let timer = HeadTimer::new(HEAD, Arrived::default());
        let never = IDLE * 2;
        assert_eq!(lasts(&timer, never).await, HEAD, "nothing was ever said");
        assert_eq!(lasts(&timer, never).await, IDLE, "between two requests");
        assert_eq!(lasts(&timer, STEP * 5).await, STEP * 5 + HEAD, "from the first byte on");
        assert_eq!(lasts(&timer, STEP * 25).await, STEP * 25 + HEAD, "whenever that is");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_no_more_for_all_its_bytes() {
        let timer = HeadTimer::new(HEAD, Arrived::default());
        assert_eq!(lasts(&timer, STEP * 5).await, HEAD);
    }
}
