//! What is taken, what is refused, and which source wins.

use std::collections::BTreeSet;

use super::*;
use crate::limits::SYMBOL_CHARS_MAX;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::from_sources(text, variables, Overrides::default()).map_err(|error| error.to_string())
}

fn instrument(change: &str) -> String {
    let mut keys = vec![
        ("id", "1"),
        ("base", "\"BTC\""),
        ("quote", "\"USDT\""),
        ("tick", "\"0.01\""),
        ("lot", "\"0.000001\""),
        ("max_quantity", "\"100\""),
        ("max_price", "\"10000000\""),
    ];
    if let Some((key, value)) = change.split_once('=') {
        keys.retain(|(known, _)| *known != key);
        keys.push((key, value));
    }
    let lines: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("[[instruments]]\n{}\n", lines.join("\n"))
}

#[test]
fn nothing_configured_is_a_working_exchange() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.journal.sync, SyncPolicy::Group);
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    let [btc, eth] = &config.products.instruments[..] else { panic!("two instruments") };
    assert_eq!((btc.symbol.as_str(), eth.symbol.as_str()), ("BTC/USDT", "ETH/USDT"));
    assert_eq!((btc.spec.base_per_lot, btc.spec.quote_per_tick_lot), (100, 1));
    assert_eq!(btc.spec.max_price.0, 1_000_000_000);
    assert_eq!((btc.spec.min_quantity.0, btc.spec.max_quantity.0), (1, 100_000_000));
    assert_eq!(eth.spec.max_quantity.0, 1_000_000_000);
    assert_eq!((btc.spec.maker_fee_ppm, btc.spec.taker_fee_ppm), (1_000, 2_000));
    assert_eq!((btc.spec.price_band_bps, btc.spec.market_collar_bps), (1_000, 500));
}

#[test]
fn unknown_keys_are_refused_by_name() {
    for (text, key) in [
        ("lissten = 1", "lissten"),
        ("[server]\nlissten = \"x\"", "lissten"),
        ("[journal]\nsinc = \"os\"", "sinc"),
        ("[[assets]]\nid = 1\ncode = \"BTC\"\nscale = 8\ncolour = 1", "colour"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
    let error = load("", &[("MATCHRING__SERVER__LISSTEN", "x")]).unwrap_err();
    assert!(error.contains("lissten"), "{error}");
    let error = load(&format!("{}colour = 1\n", instrument("")), &[]).unwrap_err();
    assert!(error.contains("colour"), "{error}");
}

#[test]
fn later_sources_win() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\n";
    let variables = [
        ("MATCHRING__SERVER__LISTEN", "127.0.0.1:3"),
        ("MATCHRING__SERVER__CONNECTIONS_MAX", "7"),
        ("MATCHRING__JOURNAL__ALLOW_FS", "true"),
        ("MATCHRING__PROFILE", "production"),
        ("PATH", "/bin"),
    ];
    let config = load(file, &variables).unwrap();
    assert_eq!((config.server.listen.port(), config.server.admin_listen.port()), (3, 2));
    assert_eq!(config.server.connections_max, 7);
    assert!(config.journal.allow_fs);
    assert_eq!(config.profile, Profile::Production);
    let listen = Some("127.0.0.1:4".to_owned());
    let overrides = Overrides { listen, ..Overrides::default() };
    let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let config = Config::from_sources(file, variables, overrides).unwrap();
    assert_eq!(config.server.listen.port(), 4);
}

#[test]
fn a_foreign_variable_may_hold_anything_and_ours_is_text() {
    use std::os::unix::ffi::OsStringExt;
    let binary = || OsString::from_vec(vec![b'x', 0xFF]);
    let own = |pairs: Vec<(OsString, OsString)>| {
        own_variables(pairs.into_iter()).map_err(|error| error.to_string())
    };
    let listen = OsString::from("MATCHRING__SERVER__LISTEN");
    let found = own(vec![(binary(), binary()), (listen.clone(), "x".into())]).unwrap();
    assert_eq!(found, HashMap::from([("MATCHRING__SERVER__LISTEN".into(), "x".into())]));
    let error = own(vec![(listen, binary())]).unwrap_err();
    assert!(error.contains("MATCHRING__SERVER__LISTEN"), "{error}");
    let name = OsString::from_vec([b"matchring__".as_slice(), &[0xFF]].concat());
    assert!(own(vec![(name, "x".into())]).is_err());
}

#[test]
fn symbols_that_no_client_could_write_are_refused() {
    let listed = |quote: &str| {
        let asset = |id, code| format!("[[assets]]\nid = {id}\ncode = \"{code}\"\nscale = 8\n");
        let assets = [asset(1, "ABCDEFGHIJKL"), asset(2, quote)].concat();
        let text = instrument("quote=\"Q\"").replace("BTC", "ABCDEFGHIJKL").replace("Q", quote);
        load(&format!("{assets}{text}"), &[])
    };
    let longest = "X".repeat(SYMBOL_CHARS_MAX - "ABCDEFGHIJKL/".len());
    assert!(listed(&longest).is_ok(), "at the bound");
    let error = listed(&format!("{longest}X")).unwrap_err();
    assert!(error.contains("20 characters"), "one past it: {error}");
}

#[test]
fn production_does_not_run_on_hope() {
    let os = "[journal]\nsync = \"os\"\n";
    assert!(load(os, &[]).is_ok());
    let error = load(&format!("profile = \"production\"\n{os}"), &[]).unwrap_err();
    assert!(error.contains("journal.sync"), "{error}");
}

#[test]
fn bounds_are_met_and_not_passed() {
    for (section, key, low, high) in [
        ("server", "connections_max", 1, CONNECTIONS_MAX),
        ("server", "body_bytes_max", 1, BODY_BYTES_MAX),
        ("server", "worker_threads", 1, WORKER_THREADS_MAX),
        ("server", "request_timeout_ms", 1, 600_000),
        ("server", "header_read_timeout_ms", 1, 600_000),
        ("server", "idle_timeout_ms", 1, 600_000),
        ("server", "write_timeout_ms", 1, 600_000),
        ("journal", "segment_mib", 1, 1024),
        ("journal", "scrub_every_s", 0, 30 * 24 * 3600),
        ("auth", "leeway_s", 0, 60),
    ] {
        let verdict = |value: usize| load(&format!("[{section}]\n{key} = {value}"), &[]).is_ok();
        assert!(verdict(low) && verdict(high), "{key}");
        assert!(!verdict(high + 1) && (low == 0 || !verdict(low - 1)), "{key}");
    }
    assert!(load("[server]\nlisten = \"8080\"", &[]).unwrap_err().contains("server.listen"));
    assert!(load("[pipeline]\nwait = \"sleep\"", &[]).unwrap_err().contains("pipeline.wait"));
    assert!(load("[journal]\nsync = \"never\"", &[]).unwrap_err().contains("journal.sync"));
}

#[test]
fn what_changes_answers_has_another_name() {
    let hash = |text: &str| load(text, &[]).unwrap().hash();
    let plain = hash("");
    for same in [
        "data_dir = \"elsewhere\"",
        "[server]\nlisten = \"127.0.0.1:1\"\nworker_threads = 3",
        "[log]\njson = true",
        "[journal]\nsync = \"group\"",
    ] {
        assert_eq!(hash(same), plain, "{same}");
    }
    let others = [
        "profile = \"production\"",
        "[journal]\nsync = \"os\"",
        "[auth]\nleeway_s = 1",
        "[wallet]\namount_min = \"0.02\"",
        "[wallet]\nfunding = \"per_order\"",
        "[limits]\nreports = 3",
        &instrument(""),
        &instrument("taker_fee_ppm=2001"),
    ];
    let names: BTreeSet<_> = others.iter().map(|text| hash(text).to_string()).collect();
    assert_eq!(names.len(), others.len());
    assert!(!names.contains(&plain.to_string()));
}

#[test]
fn instruments_are_exact_or_refused() {
    assert!(load(&instrument(""), &[]).is_ok());
    for (change, problem) in [
        ("tick=\"0.001\"", "tick times lot"),
        ("lot=\"0.0000001\"", "tick times lot"),
        ("lot=\"0.000000001\"", "lot has more than 8"),
        ("tick=\"0\"", "must be greater than 0"),
        ("tick=\"1e-2\"", "not a decimal"),
        ("max_price=\"0.015\"", "max_price"),
        ("max_quantity=\"0\"", "out of bounds"),
        ("max_quantity=\"99999999999\"", "out of bounds"),
        ("quote=\"EUR\"", "not a listed asset"),
        ("quote=\"BTC\"", "out of bounds"),
        ("min_notional=\"-1\"", "negative"),
        ("taker_fee_ppm=100001", "out of bounds"),
        ("max_iceberg_parts=0", "out of bounds"),
        ("max_daily_volume=\"0.0000001\"", "max_daily_volume"),
    ] {
        let error = load(&instrument(change), &[]).expect_err(change);
        assert!(error.contains(problem), "{change}: {error}");
    }
    let twice = format!("{}{}", instrument(""), instrument(""));
    assert!(load(&twice, &[]).unwrap_err().contains("listed twice"));
}

#[test]
fn threads_follow_the_cores() {
    assert_eq!([1, 2, 4, 8, 64].map(worker_threads), [1, 1, 2, 4, 4]);
}
