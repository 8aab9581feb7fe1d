//! Tests of the service over HTTP, in process, against a real ledger in a directory of its own.

mod bad_inputs;
mod contract;
mod funding;
mod harness;
mod history;
mod keys;
mod limits;
mod operators;
mod parallel;
mod parties;
mod repeats;
mod reversals;
mod routes;
mod trading;
mod wallets;
