//! Settlement as others use it: against a wallet that fails in every way, over crashes and stops.
//! Nothing here waits for real time; the clock is stopped and jumps from timer to timer.

mod crash;
mod dead_letters;
mod defects;
mod faults;
mod funding;
mod harness;
mod instances;
mod overflow;
mod pool;
mod releases;
mod scenarios;
mod service;
mod short;
mod stopping;
