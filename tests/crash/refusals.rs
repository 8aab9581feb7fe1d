//! What belongs here: starts that must not happen, and that change nothing by not happening.

use tests::app::{App, Settings};

use crate::desk::{Customer, settled_files};

const EXIT_LOCKED: i32 = 75;
const EXIT_CONFIGURATION: i32 = 78;

#[test]
fn a_second_process_leaves_the_directory_to_the_first() {
    let mut app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    let orders = customer.place(app.public(), "before", 20);
    let before = settled_files(&app);
    let ended = app.refused_start();
    assert_eq!(ended.code, Some(EXIT_LOCKED), "{}", ended.stderr);
    assert!(ended.stderr.contains("held by another process"), "{}", ended.stderr);
    assert!(settled_files(&app) == before, "the second process changed something");
    assert!(app.is_alive());
    customer.check_repeats(&app, &orders);
    customer.place(app.public(), "after", 20);
    assert_eq!(app.terminate().code, Some(0));
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let settings = Settings::default();
    let app = App::prepare(&settings.with("journal", "sinc", "\"group\""));
    let ended = app.refused_start();
    assert_eq!(ended.code, Some(EXIT_CONFIGURATION), "{}", ended.stderr);
    assert!(ended.stderr.contains("sinc"), "{}", ended.stderr);
    assert!(!app.data_dir().exists(), "something was made before the configuration was checked");
}

#[test]
fn a_configuration_that_renames_money_is_refused() {
    let settings = Settings::default();
    let mut app = App::start(&settings);
    assert_eq!(app.terminate().code, Some(0));
    let before = app.run_json(&["journal", "verify"]);
    let assets = "[{ id = 1, code = \"XBT\", scale = 8 }]";
    app.configure(&settings.clone().with("", "assets", assets).with("", "instruments", "[]"));
    let ended = app.refused_start();
    assert_eq!(ended.code, Some(EXIT_CONFIGURATION), "{}", ended.stderr);
    assert!(ended.stderr.contains("asset XBT"), "{}", ended.stderr);
    assert_eq!(app.run_json(&["journal", "verify"])["records"], before["records"]);
    app.configure(&settings);
    app.restart();
}
