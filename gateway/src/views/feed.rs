//! Owns the publisher's end of the views. Knows nothing of who reads them.
//! Invariant: the publisher's thread alone writes, one command at a time and in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::{Command, Engine, Event, Frame, RestoreError};
use pipeline::Outlet;

use crate::views::{Accounts, Products, Views};

/// The publisher's end of the views.
#[derive(Debug)]
pub struct ViewFeed(pub Arc<Views>);

impl Outlet<Engine> for ViewFeed {
    fn section(&self) -> Option<&'static str> {
        Some("views")
    }

    fn publish(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.0.apply(frame, events);
    }

    fn batch_end(&mut self, acked: u64) {
        self.0.progress.send_replace(acked);
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.0.restore(bytes)
    }
}

impl Views {
    fn apply(&self, frame: &Frame<Command>, events: &[Event]) {
        if !events.is_empty() {
            self.apply_events(frame, events);
        }
        self.reflected.store(frame.sequence, Ordering::Release);
    }

    fn apply_events(&self, frame: &Frame<Command>, events: &[Event]) {
        if events.iter().any(Products::concerns) {
            let mut products = self.products.write();
            let changed = Arc::make_mut(&mut products);
            events.iter().for_each(|event| changed.apply(event));
        }
        if events.iter().any(Accounts::concerns) {
            let mut accounts = self.accounts.write();
            events.iter().for_each(|event| accounts.apply(event));
        }
        if events.iter().any(|event| matches!(event, Event::TransferApplied { .. })) {
            let mut transfers = self.transfers.write();
            events.iter().for_each(|event| transfers.apply(frame.sequence, event));
        }
        if events.iter().any(|event| matches!(event, Event::Trade(_))) {
            self.own_trades.write().apply(frame, events);
        }
        if events.iter().any(|event| matches!(event, Event::KillSwitchChanged { .. })) {
            self.switches.write().apply(frame.sequence, events);
        }
        self.balances.write().apply(frame.sequence, events);
        self.market.write().apply(frame, events);
        let next_moment = {
            let mut orders = self.orders.write();
            let before = orders.next_moment();
            orders.apply(frame, events);
            (before != orders.next_moment()).then(|| orders.next_moment())
        };
        if let Some(next_moment) = next_moment {
            self.next_moment.send_replace(next_moment);
        }
    }
}
