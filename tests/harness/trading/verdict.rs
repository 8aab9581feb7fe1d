//! Owns the verdict: what the traders were told, held against what the journal says.
//! Knows nothing of HTTP. Invariant: both ways: nothing that was told is missing, and nothing is
//! there that nobody asked for.

use engine::{AccountId, ClientOrderId, Event};

use super::desk::text;
use super::drafts::Market;
use super::ledger::{Ledger, MassCancel, Order as ToldOrder, has_ended, lots};
use super::shown::{check_view, number};
use super::truth::{End, Truth};

const NS_PER_MS: u64 = 1_000_000;

/// Every order that this trader was told of exists once, as told, and no others do.
pub fn check_ledger(ledger: &Ledger, account: AccountId, truth: &Truth) {
    for order in &ledger.orders {
        check_order(order, account, truth);
    }
    for key in &ledger.barren_keys {
        let made = truth.by_key.get(&(account, client_order_id(key)));
        assert_eq!(made, None, "a refused body made an order under {key}");
    }
    let keyed = |key: &ClientOrderId| !key.is_empty();
    // What nobody decided about was asked for again.
    let own = truth.orders.values().filter(|order| order.request.account == account);
    let made = own.filter(|order| !order.is_undecided());
    let (with_key, without): (Vec<_>, Vec<_>) =
        made.map(|order| order.request.client_order_id).partition(keyed);
    let told_with_key = ledger.orders.iter().filter(|order| order.key.is_some()).count();
    assert_eq!(with_key.len(), told_with_key, "orders of {account} that nobody was told of");
    let told_without = ledger.orders.len() - told_with_key;
    let most = told_without as u64 + ledger.lost_without_key;
    assert!(without.len() as u64 <= most, "{account} has more orders than requests");
    for cancel in &ledger.mass_cancels {
        check_mass_cancel(cancel, account, truth);
    }
}

fn client_order_id(key: &str) -> ClientOrderId {
    ClientOrderId::new(key.as_bytes()).expect("a short key")
}

fn check_order(told: &ToldOrder, account: AccountId, truth: &Truth) {
    let (id, time_ms) = number(&told.id);
    let order = truth.orders.get(&id);
    let order = order.unwrap_or_else(|| panic!("acknowledged and lost: {told:?}"));
    assert_eq!(order.request.account, account, "{told:?}");
    assert_eq!(order.created_ns / NS_PER_MS, time_ms, "{told:?}");
    if let Some(key) = &told.key {
        let made = &truth.by_key[&(account, client_order_id(key))];
        assert_eq!(made[..], [id], "one key, one order: {told:?}");
    }
    let (status, body) = &told.request.first;
    let view = body.get("order").unwrap_or(body);
    if *status != 201 {
        let Some((_, End::Refused(reason))) = order.first.end else { panic!("{told:?} {order:?}") };
        assert_eq!(text(body, "code"), reason.name(), "{told:?}");
    } else if view.get("seq").is_some() {
        check_view(view, order, &order.first);
    } else {
        assert_eq!((text(view, "status"), text(view, "filled_quantity")), ("PENDING", "0"));
    }
    let Some(latest) = &told.latest else { return };
    let filled = lots(latest, "filled_quantity");
    assert!(filled <= order.now.filled.0.into(), "fills were lost: {told:?} {order:?}");
    if has_ended(latest) && latest.get("quantity").is_some() {
        check_view(latest, order, &order.now);
    }
}

fn check_mass_cancel(told: &MassCancel, account: AccountId, truth: &Truth) {
    let closed: Vec<_> = told.closed.iter().map(|id| number(id).0).collect();
    let made = truth.mass_cancels.get(&told.sequence);
    if made.is_none() && closed.is_empty() && told.sequence < registered(account, truth) {
        // Nobody that the engine knows had orders: it was not asked.
        return;
    }
    assert_eq!(Some(&closed), made, "{told:?}");
    let market = told.symbol.map(Market::of);
    let in_scope = truth.orders.range(..told.sequence).filter(|(_, order)| {
        order.request.account == account
            && market.is_none_or(|market| order.request.instrument == market.id)
    });
    for (number, order) in in_scope {
        let ended = order.now.end.is_some_and(|(sequence, _)| sequence <= told.sequence);
        assert!(ended, "{number} outlived {told:?}");
    }
}

/// The sequence with which an account begins.
fn registered(account: AccountId, truth: &Truth) -> u64 {
    let is_its = |event: &Event| match event {
        Event::AccountRegistered { account: new, .. } => *new == account,
        _ => false,
    };
    let said = truth.events.iter().find(|said| is_its(&said.event));
    said.expect("a registered account").sequence
}

/// The account of the user with this UUID.
///
/// # Panics
/// If it is none, or the user was never given money.
#[must_use]
pub fn account_of(user: &str, truth: &Truth) -> AccountId {
    let user = u128::from_str_radix(&user.replace('-', ""), 16).expect("a UUID");
    truth.engine.accounts().find(user).expect("a registered account")
}
