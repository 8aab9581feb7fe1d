//! Owns the reading of a scenario's settings and the splitting of its commands.
//! Knows nothing of single orders (`orders` does). Invariant: what is not understood is a panic
//! that quotes it, never a default.

use engine::command::EngineConfig;
use engine::{
    AccountId, Amount, AssetCode, AssetId, Command, InstrumentSpec, OrderId, TradingStatus,
    TransferId,
};

use super::{BASE, INSTRUMENT, QUOTE, SECOND, Scenario, orders};

/// What each account owns unless the settings say otherwise.
const DEFAULT_FUNDS: Amount = 1_000_000_000_000_000;

/// Thirteen orders of account m that many scenarios start from.
const THIRTEEN_ORDERS: &str = "m S 100@81600; m S 50@81599; m S 25@81599; m B 40@81593; \
    m B 20@81590; m B 1@81590; m B 20@81200; m S 28@201000; m S 32@201000; m S 10@200954; \
    m B 12@10000; m B 1@10000; m B 2@9136";

struct Settings {
    spec: InstrumentSpec,
    config: EngineConfig,
    money: bool,
    second_book: bool,
    /// Letter, quote units, base units.
    funds: Vec<(char, Amount, Amount)>,
    /// Letters of each group; the first is group 1.
    groups: Vec<Vec<char>>,
}

/// The number that `text` is, all of it.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number that fits here"))
}

pub(super) fn letter(text: &str) -> char {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(letter), None) if letter.is_ascii_lowercase() => letter,
        _ => panic!("{text:?} is not an account letter"),
    }
}

pub(super) fn scenario(text: &str) -> Scenario {
    let (settings, commands) = match text.trim().strip_prefix('{') {
        Some(rest) => rest.split_once('}').expect("settings end with }"),
        None => ("", text),
    };
    let settings = read_settings(settings);
    let (setup, tested) = commands.split_once(">>").expect("a scenario has a >>");
    let setup = split_commands(setup);
    let hidden = setup.len();
    let texts: Vec<String> = setup.into_iter().chain(split_commands(tested)).collect();

    let mut letters: Vec<char> = settings.funds.iter().map(|(letter, ..)| *letter).collect();
    letters.extend(settings.groups.iter().flatten());
    letters.extend(texts.iter().filter_map(|text| orders::account_letter(text)));
    letters.sort_unstable();
    letters.dedup();
    let implied = implied_commands(&settings, &letters);
    let Settings { money, spec, config, .. } = settings;
    let numbered = Vec::new();
    let mut scenario = Scenario { implied, numbered, hidden, letters, money, spec, config };
    for text in &texts {
        let numbered = timed_command(&mut scenario, text);
        scenario.numbered.push(numbered);
    }
    scenario
}

/// The commands of one half, repetitions written out.
fn split_commands(half: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for text in half.split(';').map(str::trim).filter(|t| !t.is_empty()) {
        if text == "EC" {
            texts.extend(split_commands(THIRTEEN_ORDERS));
            continue;
        }
        let repeated = text.rsplit_once(" *").filter(|(_, times)| !times.is_empty());
        let (text, times) = repeated.map_or((text, 1), |(text, times)| (text, number(times)));
        texts.extend(std::iter::repeat_n(text.trim().to_owned(), times));
    }
    texts
}

fn timed_command(scenario: &mut Scenario, text: &str) -> (u64, Command) {
    let timed = text.strip_prefix('t').and_then(|rest| rest.split_once(':'));
    match timed {
        Some((time, rest)) => (number(time), orders::command(scenario, rest.trim())),
        None => match text.strip_prefix('t').and_then(|time| time.parse().ok()) {
            Some(time) => (time, Command::Tick),
            None => (0, orders::command(scenario, text)),
        },
    }
}

fn read_settings(text: &str) -> Settings {
    let mut settings = Settings {
        spec: InstrumentSpec::open(INSTRUMENT, BASE, QUOTE),
        config: EngineConfig::default(),
        money: false,
        second_book: false,
        funds: Vec::new(),
        groups: Vec::new(),
    };
    for setting in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        let words: Vec<&str> = setting.split_whitespace().collect();
        match words[..] {
            ["money"] => settings.money = true,
            ["books", "2"] => settings.second_book = true,
            ["grp", ref accounts @ ..] => {
                settings.groups.push(accounts.iter().map(|account| letter(account)).collect());
            }
            [name, value] if value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                set_one(&mut settings.spec, &mut settings.config, name, value);
            }
            [account, ref amounts @ ..] => {
                let mut funds = (letter(account), 0, 0);
                for amount in amounts {
                    match read_amount(amount) {
                        (QUOTE, units) => funds.1 = units,
                        (_, units) => funds.2 = units,
                    }
                }
                settings.funds.push(funds);
            }
            [] => unreachable!("empty settings were dropped"),
        }
    }
    settings
}

pub(super) fn set_one(
    spec: &mut InstrumentSpec,
    config: &mut EngineConfig,
    name: &str,
    value: &str,
) {
    match name {
        "k" => spec.quote_per_tick_lot = number(value),
        "bpl" => spec.base_per_lot = number(value),
        "collar" => spec.market_collar_bps = number(value),
        "band" => spec.price_band_bps = number(value),
        "ref" => spec.reference_price.0 = number(value),
        "min_qty" => spec.min_quantity.0 = number(value),
        "max_qty" => spec.max_quantity.0 = number(value),
        "min_not" => spec.min_notional = number(value),
        "max_not" => spec.max_notional = number(value),
        "max_open" => spec.max_open_orders = number(value),
        "max_book" => spec.max_book_orders = number(value),
        "max_vol" => spec.max_daily_volume = number(value),
        "max_price" => spec.max_price.0 = number(value),
        "parts" => spec.max_iceberg_parts = number(value),
        "trig" => config.max_triggers_per_command = number(value),
        "steps" => config.max_steps_per_order = number(value),
        "keys" => config.client_id_capacity = number(value),
        "fee" => {
            let (maker, taker) = value.split_once('/').expect("fee is maker/taker");
            spec.maker_fee_ppm = 100 * number::<i32>(maker);
            spec.taker_fee_ppm = 100 * number::<i32>(taker);
        }
        _ => panic!("unknown setting {name:?}"),
    }
}

/// `Q5` or `B6`.
pub(super) fn read_amount(text: &str) -> (AssetId, Amount) {
    match text.split_at_checked(1) {
        Some(("Q", units)) => (QUOTE, number(units)),
        Some(("B", units)) => (BASE, number(units)),
        _ => panic!("{text:?} is not an amount"),
    }
}

fn implied_commands(settings: &Settings, letters: &[char]) -> Vec<Command> {
    let code = |text| AssetCode::new(text).expect("a legal code");
    let mut commands = vec![
        Command::Configure(settings.config),
        Command::AddAsset { asset: BASE, code: code("BASE"), scale: 0 },
        Command::AddAsset { asset: QUOTE, code: code("QUOTE"), scale: 0 },
        Command::AddInstrument(settings.spec),
        Command::SetTradingStatus { instrument: INSTRUMENT, status: TradingStatus::Trading },
    ];
    if settings.second_book {
        let status = TradingStatus::Trading;
        commands.extend([
            Command::AddInstrument(InstrumentSpec { instrument: SECOND, ..settings.spec }),
            Command::SetTradingStatus { instrument: SECOND, status },
        ]);
    }
    for (letter, account) in letters.iter().zip(1..) {
        let grouped = settings.groups.iter().zip(1..).find(|(group, _)| group.contains(letter));
        let (uuid, stp_group) = (u128::from(account), grouped.map_or(0, |(_, number)| number));
        commands.push(Command::RegisterAccount { uuid, stp_group });
        let listed = settings.funds.iter().find(|(l, ..)| l == letter);
        let (_, quote, base) = listed.copied().unwrap_or((*letter, DEFAULT_FUNDS, DEFAULT_FUNDS));
        for (asset, amount) in [(QUOTE, quote), (BASE, base)] {
            if amount != 0 {
                let transfer_id = implied_transfer(commands.len());
                let account = AccountId(account);
                commands.push(Command::Credit { transfer_id, account, asset, amount });
            }
        }
    }
    commands
}

/// Keys of implied transfers stay clear of the small ones that a scenario may write.
pub(super) fn implied_transfer(index: usize) -> TransferId {
    TransferId(1_000_000 + index as u128)
}

/// The id of the order that the command numbered `text` created.
pub(super) fn order_id(scenario: &Scenario, text: &str) -> OrderId {
    OrderId(scenario.sequence(number(text)))
}
