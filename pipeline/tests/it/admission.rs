//! Belongs here: what is refused, exactly where the bounds say, and that a refusal leaves nothing.

use std::sync::{Arc, Mutex, OnceLock};

use engine::{Frame, Usage};
use journal::SyncPolicy;
use pipeline::{
    Ingress, Instance, Lane, ManualClock, Options, Outlet, Stepped, SubmitError, recover,
};

use crate::harness::{Desk, Ticket, bare, journal_records, options, stepped};
use crate::toy::{Command, Event, Sum};

/// Submits until refused; returns how many were accepted.
fn fill(stepped: &Stepped<Sum, Ticket>, lane: Lane, desk: &Desk) -> (u64, SubmitError) {
    let ingress = stepped.ingress();
    let mut accepted = 0;
    loop {
        match ingress.try_submit(Command::Add(1), desk.ticket(), lane) {
            Ok(_) => accepted += 1,
            Err(error) => return (accepted, error),
        }
    }
}

#[test]
fn each_lane_ends_at_its_share_of_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { input_slots: 64, ..options(dir.path(), SyncPolicy::Os) };
    let mut stepped = stepped(&options, &Arc::new(ManualClock::new(1)));
    let desk = Desk::new(stepped.cursors());
    for round in 0..3 {
        assert_eq!(stepped.ingress().depth(), (0, 64), "round {round}");
        assert_eq!(fill(&stepped, Lane::Order, &desk), (51, SubmitError::RingFull));
        assert_eq!(fill(&stepped, Lane::Cancel, &desk), (9, SubmitError::RingFull));
        assert_eq!(fill(&stepped, Lane::Control, &desk), (4, SubmitError::RingFull));
        assert_eq!(stepped.ingress().depth(), (64, 64), "round {round}");
        assert_eq!(fill(&stepped, Lane::Order, &desk), (0, SubmitError::RingFull));
        stepped.step_all();
        assert_eq!(desk.ready().len(), 64, "everything accepted is answered");
    }
    assert_eq!(stepped.counters().ingress.ring_full.get(), 12);
    let stopped = stepped.shutdown();
    assert_eq!(stopped.machine.total, 3 * 64);
    assert_eq!(journal_records(dir.path()).len(), 3 * 64 + 1, "nothing refused is journaled");
}

/// Submits on each lane until refused, amid a batch of which it has seen some.
struct Greedy {
    ingress: Arc<OnceLock<Ingress<Sum, Ticket>>>,
    seen: u64,
    accepted: Arc<Mutex<Vec<u64>>>,
}

impl Outlet<Sum> for Greedy {
    fn section(&self) -> Option<&'static str> {
        None
    }

    fn publish(&mut self, _: &Frame<Command>, _: &[Event]) {
        let Some(ingress) = self.ingress.get() else { return };
        self.seen += 1;
        if self.seen == 30 {
            for lane in [Lane::Order, Lane::Cancel, Lane::Control] {
                let submit = || ingress.try_submit(Command::Add(1), None, lane).ok();
                let accepted = std::iter::from_fn(submit).count() as u64;
                self.accepted.lock().unwrap().push(accepted);
            }
        }
    }
}

/// Slots come back at the end of a batch, when its first commands are long answered.
#[test]
fn each_lane_has_its_share_amid_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { input_slots: 64, ..options(dir.path(), SyncPolicy::Os) };
    let ingress: Arc<OnceLock<Ingress<Sum, Ticket>>> = Arc::default();
    let accepted: Arc<Mutex<Vec<u64>>> = Arc::default();
    let recovered = recover(&options, || {
        let (ingress, accepted) = (Arc::clone(&ingress), Arc::clone(&accepted));
        Instance { outlets: vec![Box::new(Greedy { ingress, seen: 0, accepted })], ..bare() }
    });
    let clock = Arc::new(ManualClock::new(1));
    let mut stepped = Stepped::<Sum, Ticket>::new(recovered.unwrap(), &options, clock).unwrap();
    let desk = Desk::new(stepped.cursors());
    assert_eq!(fill(&stepped, Lane::Order, &desk), (51, SubmitError::RingFull));
    assert!(ingress.set(stepped.ingress()).is_ok());
    stepped.step_all();
    assert_eq!(*accepted.lock().unwrap(), [0, 9, 4], "orders, cancels, controls");
    assert_eq!(desk.ready().len(), 51);
    assert_eq!(stepped.shutdown().machine.total, 64);
}

#[test]
fn replies_end_at_their_bound() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { replies_max: 3, ..options(dir.path(), SyncPolicy::Os) };
    let mut stepped = stepped(&options, &Arc::new(ManualClock::new(1)));
    let desk = Desk::new(stepped.cursors());
    for _ in 0..3 {
        assert_eq!(fill(&stepped, Lane::Order, &desk), (3, SubmitError::RepliesExhausted));
        let ingress = stepped.ingress();
        assert!(ingress.try_submit(Command::Add(1), None, Lane::Order).is_ok(), "needs no place");
        stepped.step_all();
        assert_eq!(desk.ready().len(), 3);
    }
    assert_eq!(stepped.counters().ingress.replies_exhausted.get(), 3);
    assert_eq!(stepped.shutdown().machine.total, 12);
}

#[test]
fn a_refusal_gives_the_reply_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let base = options(dir.path(), SyncPolicy::Os);
    let options = Options { input_slots: 64, replies_max: 65, ..base };
    let mut stepped = stepped(&options, &Arc::new(ManualClock::new(1)));
    let desk = Desk::new(stepped.cursors());
    let (accepted, _) = fill(&stepped, Lane::Control, &desk);
    assert_eq!(accepted, 64);
    // Refused by the share, before a place is taken, then closed, after one is taken.
    assert_eq!(fill(&stepped, Lane::Control, &desk), (0, SubmitError::RingFull));
    stepped.step_all();
    assert_eq!(desk.ready().len(), 64);
    let ingress = stepped.ingress();
    drop(stepped.shutdown());
    for _ in 0..66 {
        let refused = ingress.try_submit(Command::Add(1), desk.ticket(), Lane::Order);
        assert_eq!(refused, Err(SubmitError::Closed), "a lost place would end in exhaustion");
    }
}

#[test]
fn any_number_of_producers_works() {
    for producers in [1, 64] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { producers, ..options(dir.path(), SyncPolicy::Os) };
        let mut stepped = stepped(&options, &Arc::new(ManualClock::new(1)));
        let desk = Desk::new(stepped.cursors());
        let sequences: Vec<u64> = (0..200)
            .map(|_| {
                let ingress = stepped.ingress();
                ingress.try_submit(Command::Add(1), desk.ticket(), Lane::Order).unwrap()
            })
            .collect();
        assert!(sequences.iter().copied().eq(2..202));
        stepped.step_all();
        assert_eq!(desk.ready().len(), 200);
    }
}

#[test]
fn it_is_shown_how_full_everything_is() {
    let dir = tempfile::tempdir().unwrap();
    let base = options(dir.path(), SyncPolicy::Os);
    let options = Options { input_slots: 64, output_slots: 128, replies_max: 65, ..base };
    let mut stepped = stepped(&options, &Arc::new(ManualClock::new(1)));
    let desk = Desk::new(stepped.cursors());
    let ingress = stepped.ingress();
    let expect = |used: [u64; 4]| {
        let names = ["input_slots", "output_slots", "reply_places", "total"];
        let usage = names.iter().zip(used).zip([64, 128, 65, u64::MAX]);
        let usage: Vec<_> = usage.map(|((name, used), max)| Usage { name, used, max }).collect();
        assert_eq!(ingress.usage(), usage);
    };
    expect([0, 0, 0, 0]);
    for _ in 0..3 {
        ingress.try_submit(Command::Add(2), desk.ticket(), Lane::Order).unwrap();
    }
    ingress.try_submit(Command::Add(2), None, Lane::Order).unwrap();
    expect([4, 0, 3, 0]);
    while stepped.step_core() {}
    expect([4, 4, 3, 8]);
    stepped.step_all();
    expect([0, 0, 0, 8]);
}
