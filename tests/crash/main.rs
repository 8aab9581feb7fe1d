//! Tests of the binary as its users run it: real processes, real connections, SIGKILL. Each module
//! says in its first lines what belongs there.

mod bystanders;
mod connections;
mod damage;
mod full_disk;
mod late_disk;
mod offline;
mod orderly_end;
mod overload;
mod promise;
mod refusals;

use tests::report::{say, seed};
use tests::trading::{desk, truth};
