//! What belongs here: what an order does to the market and to money, told as examples: scenarios in
//! text, the precedence of refusals, golden numbers, orders whose funds are reserved elsewhere, and
//! one sweep through a deep book. Each example is checked on the fast engine and on the model.

mod bounds;
mod desk;
mod funded;
mod money;
mod precedence;
mod sweep;

use tests::check::{check, read_vectors};

/// Runs every scenario of a file and reports all that fail.
fn check_file(text: &str) -> usize {
    let vectors = read_vectors(text);
    let faults: Vec<String> = vectors.iter().filter_map(|vector| check(vector).err()).collect();
    assert!(faults.is_empty(), "{} scenarios fail:\n{}", faults.len(), faults.join("\n"));
    vectors.len()
}

#[test]
fn scenarios_shared_with_other_exchanges_hold() {
    assert_eq!(check_file(include_str!("vectors/shared.txt")), 99);
}

#[test]
fn scenarios_of_this_exchange_hold() {
    assert_eq!(check_file(include_str!("vectors/own.txt")), 178);
}

#[test]
fn a_scenario_that_does_not_hold_is_reported_for_both() {
    let text = "X1 | - | a S 5@100 >> b B 5@100 | T2/1 5@101 | empty\n\
        X2 | - | a S 5@100 >> b B 4@100 | T2/1 4@100 | ask 100 1:2\n\
        X3 | - | {a Q0 B5} a S 5@100 >> b B 5@100 | T2/1 5@100 | empty; a Q499";
    for vector in read_vectors(text) {
        let fault = check(&vector).expect_err("the scenario is wrong");
        assert!(fault.contains("in the engine") && fault.contains("in the model"), "{fault}");
    }
}
