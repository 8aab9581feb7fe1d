//! Both machines, driven by hand: what may differ between them, and what may not.

use engine::{Engine, EventBuffer, StateMachine};
use wallet::ledger::Ledger;

use super::checks::check_engine;
use super::*;
use crate::dead_letters::DeadLetters;
use crate::limits::SPAN_MAX;
use crate::outcome::Class;
use crate::progress::Progress;

mod funded;
mod market;
mod planted;
mod world;

use world::{USERS, World};

/// What an integrity check says by panicking is a breach.
#[test]
fn a_panic_of_the_engines_check_is_rec3() {
    let mut breaches = Vec::new();
    check_engine(|| {}, &mut breaches);
    assert_eq!(breaches, []);
    let held = 5;
    check_engine(|| panic!("held {held} without an order"), &mut breaches);
    let what = "held 5 without an order".to_owned();
    assert_eq!(breaches, [Breach { rule: "REC3", asset: None, what }]);
}

#[test]
fn breaches_are_bounded() {
    let mut breaches = Vec::new();
    for number in 0..=BREACHES_MAX {
        report(&mut breaches, "REC4", None, || number.to_string());
    }
    assert_eq!(breaches.len(), BREACHES_MAX);
}
