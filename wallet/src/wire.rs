//! Owns the JSON of the wallet's paths: bodies, answers, codes, and how money is written in them.
//! Knows nothing of connections, servers or rules. Invariant: client and service use the same
//! types, so neither can drift; a request with an unknown field is refused, an answer may grow.

mod answers;
mod assets;
mod bodies;
mod codes;
mod money;
pub mod paths;

pub use answers::{
    BalanceAnswer, BatchAnswer, BatchResult, ConcludeAnswer, ErrorBody, FreezeAnswer,
    FundingEventItem, FundingEventsAnswer, ReleaseAnswer, ReservationAnswer, ReservationStatus,
    ReserveAnswer, SettleAnswer,
};
pub use assets::{Assets, WireError};
pub use bodies::{
    BatchBody, ConcludeBody, FreezeBody, FundingEventsQuery, OrderQuery, ReleaseBody, ReserveBody,
    SettleBody,
};
pub(crate) use codes::sanitised;
pub use codes::{code_of, error_of, error_of_rejection};
pub use money::quote_of;
