//! What belongs here: the examples of the wallet's client do what they say, with the wallet in
//! memory and with a real one.

use std::process::Command;

use tests::app::{App, Settings, binary};

const EXAMPLES: [&str; 4] = ["order_lifecycle", "order_cancellation", "error_handling", "rollback"];

/// Runs an example, and gives what it printed. It fails by itself if money is not where it belongs.
fn run(example: &str, arguments: &[&str]) -> String {
    let output = Command::new(binary::examples().join(example)).args(arguments).output();
    let output = output.expect("an example starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_examples_run_with_the_wallet_in_memory() {
    for example in EXAMPLES {
        assert!(!run(example, &[]).is_empty(), "{example} says nothing");
    }
}

#[test]
fn the_examples_run_with_a_real_wallet() {
    let app = App::start(&Settings::default().with("wallet", "funding", "\"per_order\""));
    let (url, token) = (format!("http://{}", app.wallet()), app.token("payments", "wallet,admin"));
    for example in EXAMPLES {
        // Twice: nothing is left behind that a second run could meet.
        for _ in 0..2 {
            run(example, &["--url", &url, "--token", &token]);
        }
    }
}
