//! The test harness of the exchange: a slow reference exchange, the notation that scenarios are
//! written in, random commands, and the comparison of the fast engine with all of these; beside
//! them `app` and `http_client`, which run and ask the real binary, `proxy`, which stands between
//! two of them, `trading`, which loads them; `loop_disk`, a disk that nobody else writes to, with
//! `power`, which cuts it off, `failing_disk`, of which parts fail, and `late_disk`, which takes
//! its time; `drive` and `oracle`, what a process says that is killed again and again, and the
//! judgement on what it left behind; `sim`, the same on one thread over a disk of its own,
//! thousands of times.
//! Nothing but those knows of HTTP, processes or disks. Invariant: everything else is a function of
//! its input: the same seed or text gives the same commands, events and verdict.

pub mod alloc;
pub mod app;
pub mod check;
pub mod differ;
pub mod drive;
pub mod dsl;
pub mod exchange;
pub mod failing_disk;
pub mod fuzzing;
pub mod http_client;
pub mod late_disk;
pub mod loop_disk;
pub mod model;
pub mod oracle;
pub mod power;
pub mod projection;
pub mod proxy;
pub mod random;
pub mod report;
pub mod sim;
pub mod snapshot_fuzzing;
pub mod streams;
pub mod trading;
pub mod workload;
