//! What the settings may be, case by case.

use serde_json::json;

use super::*;

fn defaults() -> WalletClientOptions {
    WalletClientOptions::default()
}

fn ms(ms: i64) -> SignedDuration {
    SignedDuration::from_millis(ms)
}

/// The keys that are complained about.
fn refused(options: &WalletClientOptions) -> Vec<String> {
    let errors = options.validate().unwrap_err();
    errors.iter().map(|error| error.split_once(": ").unwrap().0.to_owned()).collect()
}

#[test]
fn config_01_defaults_are_valid_and_documented() {
    assert_eq!(defaults().validate(), Ok(()));
    assert_eq!(defaults().validate_for_production(), Ok(()));
    let settings = defaults().checked().unwrap();
    assert_eq!(settings.base_url, "http://localhost:3002");
    assert_eq!(settings.timeout, Duration::from_secs(5));
    assert_eq!(settings.connect_timeout, Duration::from_secs(1));
    let (wait, wait_max) = (Duration::from_millis(100), Duration::from_secs(2));
    assert_eq!(settings.retry, RetrySettings { retries: 3, wait, wait_max });
    let breaker = BreakerSettings {
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(30),
        probes: 3,
        calls_min: 3,
        ratio: 0.6,
        consecutive: 0,
    };
    assert_eq!(settings.breaker, Some(breaker));
    assert_eq!((settings.idle_connections, settings.idle_timeout.as_secs()), (10, 90));
    assert_eq!(settings.calls_per_second, None);
    assert_eq!((defaults().max_idle_conns, defaults().rate_limit_rps), (100, 100));
    assert!(!defaults().use_mock);
}

#[test]
fn config_02_empty_base_url() {
    let options = WalletClientOptions { base_url: String::new(), ..defaults() };
    assert_eq!(options.validate(), Err(vec!["base_url: must not be empty".to_owned()]));
}

#[test]
fn config_03_base_url_that_is_no_http_address() {
    for (text, problem) in [
        ("localhost:3002", "must begin with http://"),
        ("::", "is not a URL"),
        ("http://", "is not a URL"),
        ("https://wallet", "must begin with http://"),
        ("ftp://wallet", "must begin with http://"),
        ("http://user:word@wallet", "must hold no credentials"),
        ("http://wallet?x=1", "must hold no query and no fragment"),
        ("http://wallet#x", "must hold no query and no fragment"),
    ] {
        let options = WalletClientOptions { base_url: text.to_owned(), ..defaults() };
        assert_eq!(options.validate(), Err(vec![format!("base_url: {problem}")]), "{text}");
    }
    let options = WalletClientOptions { base_url: "http://wallet/api/".to_owned(), ..defaults() };
    assert_eq!(options.checked().unwrap().base_url, "http://wallet/api");
}

#[test]
fn config_04_timeout_zero_or_negative() {
    for timeout in [ms(0), ms(-1)] {
        assert_eq!(refused(&WalletClientOptions { timeout, ..defaults() }), ["timeout"]);
        let options = WalletClientOptions { connect_timeout: timeout, ..defaults() };
        assert_eq!(refused(&options), ["connect_timeout"]);
        let options = WalletClientOptions { idle_conn_timeout: timeout, ..defaults() };
        assert_eq!(refused(&options), ["idle_conn_timeout"]);
    }
    let longest = SignedDuration::try_from(TIME_MAX).unwrap();
    assert!(WalletClientOptions { timeout: longest, ..defaults() }.validate().is_ok());
    let options = WalletClientOptions { timeout: longest + ms(1), ..defaults() };
    assert_eq!(options.validate(), Err(vec!["timeout: more than 600 s".to_owned()]));
}

#[test]
fn config_05_negative_max_retries() {
    assert_eq!(refused(&WalletClientOptions { max_retries: -1, ..defaults() }), ["max_retries"]);
    let most = i64::from(RETRIES_MAX);
    assert!(WalletClientOptions { max_retries: most, ..defaults() }.validate().is_ok());
    let options = WalletClientOptions { max_retries: most + 1, ..defaults() };
    assert_eq!(refused(&options), ["max_retries"]);
    assert!(WalletClientOptions { max_retries: 0, ..defaults() }.validate().is_ok());
}

#[test]
fn config_06_negative_wait() {
    let options = WalletClientOptions { retry_wait_time: ms(-1), ..defaults() };
    assert_eq!(options.validate(), Err(vec!["retry_wait_time: must not be negative".to_owned()]));
    assert!(WalletClientOptions { retry_wait_time: ms(0), ..defaults() }.validate().is_ok());
}

#[test]
fn config_07_max_wait_below_wait() {
    let options = WalletClientOptions { retry_max_wait_time: ms(99), ..defaults() };
    assert_eq!(refused(&options), ["retry_max_wait_time"]);
    assert!(WalletClientOptions { retry_max_wait_time: ms(100), ..defaults() }.validate().is_ok());
}

#[test]
fn config_08_ratio_outside_zero_to_one() {
    for ratio in [-0.1, 0.0, 1.1, f64::NAN, f64::INFINITY] {
        let options = WalletClientOptions { circuit_breaker_failure_ratio: ratio, ..defaults() };
        assert_eq!(refused(&options), ["circuit_breaker_failure_ratio"], "{ratio}");
    }
    let options = WalletClientOptions { circuit_breaker_failure_ratio: 1.0, ..defaults() };
    assert!(options.validate().is_ok());
}

#[test]
fn config_09_breaker_without_probes_window_or_pause() {
    let options = WalletClientOptions { circuit_breaker_max_requests: 0, ..defaults() };
    assert_eq!(refused(&options), ["circuit_breaker_max_requests"]);
    let options = WalletClientOptions { circuit_breaker_min_requests: 0, ..defaults() };
    assert_eq!(refused(&options), ["circuit_breaker_min_requests"]);
    let options = WalletClientOptions { circuit_breaker_interval: ms(0), ..defaults() };
    assert_eq!(refused(&options), ["circuit_breaker_interval"]);
    let options = WalletClientOptions { circuit_breaker_timeout: ms(-5), ..defaults() };
    assert_eq!(refused(&options), ["circuit_breaker_timeout"]);
    let options = WalletClientOptions { circuit_breaker_consecutive_failures: -1, ..defaults() };
    assert_eq!(refused(&options), ["circuit_breaker_consecutive_failures"]);
    let options = WalletClientOptions { circuit_breaker_enabled: false, ..defaults() };
    assert_eq!(options.checked().unwrap().breaker, None);
}

#[test]
fn config_10_negative_idle_connections() {
    let options = WalletClientOptions { max_idle_conns: -1, ..defaults() };
    assert_eq!(refused(&options), ["max_idle_conns"]);
    let options = WalletClientOptions { max_idle_conns_per_host: -1, ..defaults() };
    assert_eq!(refused(&options), ["max_idle_conns_per_host"]);
    let options = WalletClientOptions { max_idle_conns: 4, ..defaults() };
    assert_eq!(options.checked().unwrap().idle_connections, 4, "the lower of the two holds");
    let options = WalletClientOptions { max_idle_conns: 65_537, ..defaults() };
    assert_eq!(refused(&options), ["max_idle_conns"]);
}

#[test]
fn config_11_rate_limit_without_a_rate() {
    for rate in [0, -1, 1_000_001] {
        let off = WalletClientOptions { rate_limit_rps: rate, ..defaults() };
        assert!(off.validate().is_ok(), "it is off");
        let on = WalletClientOptions { rate_limit_enabled: true, ..off };
        assert_eq!(refused(&on), ["rate_limit_rps"]);
    }
    let on = WalletClientOptions { rate_limit_enabled: true, ..defaults() };
    assert_eq!(on.checked().unwrap().calls_per_second, Some(100));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let options = WalletClientOptions {
        base_url: String::new(),
        token: Some(Secret::new("two words")),
        timeout: ms(0),
        max_retries: -1,
        circuit_breaker_failure_ratio: 2.0,
        rate_limit_enabled: true,
        rate_limit_rps: 0,
        use_mock: true,
        ..defaults()
    };
    let keys = [
        "base_url",
        "token",
        "timeout",
        "max_retries",
        "circuit_breaker_failure_ratio",
        "rate_limit_rps",
    ];
    assert_eq!(refused(&options), keys);
    assert_eq!(options.validate_for_production().unwrap_err().len(), keys.len() + 1);
}

#[test]
fn d38_mock_refused_in_production() {
    let options = WalletClientOptions { use_mock: true, ..defaults() };
    assert_eq!(options.validate(), Ok(()));
    let errors = options.validate_for_production().unwrap_err();
    assert_eq!(errors, ["use_mock: not allowed in production"]);
}

#[test]
fn settings_are_read_with_durations_as_text() {
    let read = |value| serde_json::from_value::<WalletClientOptions>(value);
    let options = read(json!({
        "base_url": "http://wallet:3002", "timeout": "1500ms", "retry_wait_time": "50ms",
        "idle_conn_timeout": "1m 30s", "max_retries": 5, "token": "secret-word",
    }));
    let options = options.unwrap();
    assert_eq!(options.timeout, ms(1_500));
    assert_eq!(options.retry_wait_time, ms(50));
    assert_eq!(options.idle_conn_timeout, ms(90_000));
    assert_eq!(options.max_retries, 5);
    assert_eq!(options.retry_max_wait_time, ms(2_000), "what is not said keeps its default");
    assert_eq!(read(json!({"timeout": "-1s"})).unwrap().timeout, ms(-1_000));
    assert_eq!(read(json!({})).unwrap(), defaults());
    for bad in [
        json!({"timeouts": "5s"}),
        json!({"timeout": 5}),
        json!({"timeout": "5"}),
        json!({"timeout": ""}),
        json!({"max_retries": "many"}),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let options = WalletClientOptions { token: Some(Secret::new("hush-hush")), ..defaults() };
    assert!(!format!("{options:?} {:?}", options.checked()).contains("hush"));
    assert_eq!(options.token.as_ref().map(Secret::expose), Some("hush-hush"));
    for bad in ["", "two words", "line\nbreak", "\u{e9}"] {
        let options = WalletClientOptions { token: Some(Secret::new(bad)), ..defaults() };
        let errors = options.validate().unwrap_err();
        assert_eq!(errors, ["token: must be printable characters without spaces"]);
    }
}
