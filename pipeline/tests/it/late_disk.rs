//! Belongs here: what is refused while a sync hangs, and what is not. Time passes inside the sync.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use journal::SyncPolicy;
use pipeline::limits::{IDLE_GROUP_NS, SYNC_AGE_MAX_NS};
use pipeline::{Ingress, Lane, ManualClock, Stepped, SubmitError, recover};

use crate::harness::{Desk, Ticket, bare, before_syncs, options, submit};
use crate::toy::{Command, Sum};

const NOW_NS: u64 = 1 << 60;
const HOUR_NS: u64 = 3_600_000_000_000;

type During = Box<dyn FnOnce() + Send>;

struct Scene {
    stepped: Stepped<Sum, Ticket>,
    clock: Arc<ManualClock>,
    desk: Desk,
    during: Arc<Mutex<Option<During>>>,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new(sync: SyncPolicy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), sync);
        let during = Arc::new(Mutex::new(None::<During>));
        let mut recovered = recover(&options, bare).unwrap();
        let taken = Arc::clone(&during);
        before_syncs(&mut recovered, move || {
            let during = taken.lock().unwrap().take();
            if let Some(during) = during {
                during();
            }
        });
        let clock = Arc::new(ManualClock::new(NOW_NS));
        let stepped = Stepped::new(recovered, &options, Arc::clone(&clock) as _).unwrap();
        let desk = Desk::new(stepped.cursors());
        Self { stepped, clock, desk, during, _dir: dir }
    }

    /// The next sync takes this long; what lanes then answer.
    fn hang(&self, ns: u64) -> Arc<Mutex<Vec<Verdict>>> {
        let (ingress, clock) = (self.stepped.ingress(), Arc::clone(&self.clock));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        *self.during.lock().unwrap() = Some(Box::new(move || {
            pass(&clock, ns);
            heard.lock().unwrap().push(verdict(&ingress));
            pass(&clock, 1);
            heard.lock().unwrap().push(verdict(&ingress));
            clock.set_wall_ns(NOW_NS - HOUR_NS);
            heard.lock().unwrap().push(verdict(&ingress));
        }));
        seen
    }

    fn submit(&self) {
        submit(&self.stepped.ingress(), Command::Add(1), &self.desk);
    }

    fn age(&self) -> Duration {
        self.stepped.ingress().sync_age()
    }
}

fn pass(clock: &ManualClock, ns: u64) {
    use pipeline::Clock;
    clock.advance_ns(ns);
    clock.set_wall_ns(clock.wall_ns() + ns);
}

/// The age, and what a new order, a cancel and a control are told.
type Verdict = (u64, [Option<SubmitError>; 3]);

fn verdict(ingress: &Ingress<Sum, Ticket>) -> Verdict {
    let told = [Lane::Order, Lane::Cancel, Lane::Control]
        .map(|lane| ingress.try_submit(Command::Add(1), None, lane).err());
    (u64::try_from(ingress.sync_age().as_nanos()).unwrap(), told)
}

const TAKEN: [Option<SubmitError>; 3] = [None, None, None];
const DELAYED: [Option<SubmitError>; 3] = [Some(SubmitError::SyncDelayed), None, None];

/// At the bound, one past it, and with a wall clock that was set back in the meantime.
fn at_the_bound_and_past_it() -> Vec<Verdict> {
    let past = SYNC_AGE_MAX_NS + 1;
    vec![(SYNC_AGE_MAX_NS, TAKEN), (past, DELAYED), (past, DELAYED)]
}

#[test]
fn a_sync_that_hangs_refuses_new_orders_and_nothing_else_until_it_returns() {
    let mut scene = Scene::new(SyncPolicy::Group);
    let seen = scene.hang(SYNC_AGE_MAX_NS);
    scene.submit();
    assert_eq!(scene.age(), Duration::ZERO, "not with the journaler yet");
    assert!(scene.stepped.step_journaler());
    assert_eq!(*seen.lock().unwrap(), at_the_bound_and_past_it());
    assert_eq!(scene.age(), Duration::ZERO, "the sync has returned");
    assert_eq!(verdict(&scene.stepped.ingress()), (0, TAKEN));
    assert_eq!(scene.stepped.counters().ingress.sync_delayed.get(), 2);
    scene.stepped.step_all();
    let total = scene.stepped.shutdown().machine.total;
    assert_eq!(total, 1 + 3 + 2 + 2 + 3, "what was refused was not done");
}

#[test]
fn what_waited_for_one_sync_is_as_old_in_the_next() {
    let mut scene = Scene::new(SyncPolicy::Group);
    let (ingress, clock) = (scene.stepped.ingress(), Arc::clone(&scene.clock));
    *scene.during.lock().unwrap() = Some(Box::new(move || {
        ingress.try_submit(Command::Add(1), None, Lane::Order).unwrap();
        pass(&clock, SYNC_AGE_MAX_NS);
    }));
    scene.submit();
    assert!(scene.stepped.step_journaler());
    let seen = scene.hang(0);
    assert!(scene.stepped.step_journaler());
    assert_eq!(*seen.lock().unwrap(), at_the_bound_and_past_it());
}

/// Nothing waits for the sync that proves a group, but what comes while it hangs does.
#[test]
fn a_sync_of_a_pause_that_hangs_refuses_too() {
    let mut scene = Scene::new(SyncPolicy::Group);
    scene.submit();
    scene.stepped.step_all();
    pass(&scene.clock, IDLE_GROUP_NS);
    let seen = scene.hang(SYNC_AGE_MAX_NS);
    assert!(!scene.stepped.step_journaler());
    assert_eq!(*seen.lock().unwrap(), at_the_bound_and_past_it());
    assert_eq!(scene.age(), Duration::ZERO);
}

/// What was stored has been answered; what comes while the sync hangs is not even stored.
#[test]
fn under_interval_the_sync_that_is_due_counts() {
    let mut scene = Scene::new(SyncPolicy::Interval { ms: 5 });
    scene.submit();
    scene.stepped.step_all();
    pass(&scene.clock, 5_000_000);
    let seen = scene.hang(SYNC_AGE_MAX_NS);
    assert!(!scene.stepped.step_journaler());
    assert_eq!(*seen.lock().unwrap(), at_the_bound_and_past_it());
    assert_eq!(verdict(&scene.stepped.ingress()), (0, TAKEN));
}

#[test]
fn under_os_nobody_asks_how_late_the_disk_is() {
    let mut scene = Scene::new(SyncPolicy::Os);
    scene.submit();
    pass(&scene.clock, HOUR_NS);
    assert_eq!(verdict(&scene.stepped.ingress()), (0, TAKEN));
    scene.stepped.step_all();
    let seen = scene.hang(SYNC_AGE_MAX_NS + 1);
    drop(scene.stepped.shutdown());
    let ends = seen.lock().unwrap();
    assert!(ends.iter().all(|(age, _)| *age == 0), "{ends:?}");
    assert_eq!(ends.len(), 3, "the end syncs");
}
