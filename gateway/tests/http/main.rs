//! The gateway as its clients meet it, in process: one binary, one module per concern.

mod consumers;
mod errors;
mod harness;
mod icebergs;
mod idempotency;
mod lifecycle;
mod lifetimes;
mod limits;
mod limits_admin;
mod market;
mod metrics;
mod money;
mod overload;
mod own_trades;
mod per_order;
mod recv_window;
mod restart;
mod scrape;
mod self_trade;
mod shapes;
mod snapshots;
mod sockets;
mod stops;
mod switches;
