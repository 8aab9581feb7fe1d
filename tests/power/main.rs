//! Tests of the promise that what was acknowledged lasts: a process that is killed at every system
//! call, disks that lose their power or fail. Each module says in its first lines what belongs
//! there.

mod cuts;
mod device;
mod errors;
mod judgement;
mod lasting;
mod life;
mod money;
mod points;
mod scene;
mod syscalls;

use tests::report::say;

/// Says that a test was left out for want of something; where everything is installed it fails.
fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing");
    say(&format!("SKIPPED: {what} is missing"));
}
