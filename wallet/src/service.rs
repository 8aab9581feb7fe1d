//! Owns the wallet's HTTP interface: what callers send, what they are answered, who may do what.
//! Knows nothing of sockets and tokens: whoever serves the router says who is calling.
//! Invariant: what is malformed or not allowed is refused before anything enters the ledger, and
//! a write that has no known outcome is never answered like one that has.

mod answers;
mod bodies;
mod caller;
mod envelope;
mod error;
mod extract;
mod fields;
mod funding;
mod history;
mod keys;
mod limited;
pub mod limits;
mod lookups;
mod movements;
mod openapi;
mod operators;
mod postings;
mod reports;
mod router;
mod routes;
mod state;
mod trading;
mod trading_requests;
mod transactions;
mod wallets;

pub use caller::Caller;
pub use openapi::document;
pub use router::{router, router_with};
pub use state::{ServiceOptions, ServiceState};

#[cfg(test)]
mod tests;
