//! Says whether this build of the engine gives, byte for byte, what every other one gives. Knows
//! nothing but that.

use std::process::ExitCode;

use tests::report::say;

fn main() -> ExitCode {
    match tests::streams::check() {
        Ok(()) => {
            say("the streams are those of every build");
            ExitCode::SUCCESS
        }
        Err(difference) => {
            say(&difference);
            ExitCode::FAILURE
        }
    }
}
