//! Owns the settlement of a trade: one balanced transaction for both sides and the fees.
//! Knows nothing of matching. Invariant: a trade is settled once or not at all; a refusal is not
//! remembered, because what is missing may still come.

use engine::Amount;

use super::books::Leg;
use super::command::{Command, Settle};
use super::event::Event;
use super::post::Legs;
use super::reject::RejectReason;
use super::transactions::Key;
use super::types::{Account, CreditTo, TransactionId, TransactionKind, UsedUp, UserId, WalletId};
use super::{Checked, Draft, Events, Ledger, fingerprint};

/// What the parties of a trade pay and receive, units.
struct Dues {
    /// Quote: price and fee, less a rebate.
    buyer_pays: Amount,
    seller_receives: Amount,
    /// To the exchange, or, if negative, from it.
    fees: i128,
}

impl Dues {
    fn of(settle: &Settle) -> Checked<Self> {
        let quote = i128::try_from(settle.quote_amount).map_err(|_| RejectReason::InvalidAmount)?;
        let unsigned = |sum: Option<i128>| {
            let sum = sum.and_then(|sum| Amount::try_from(sum).ok());
            sum.ok_or(RejectReason::InvalidAmount)
        };
        let fees = settle.buyer_fee.checked_add(settle.seller_fee);
        Ok(Self {
            buyer_pays: unsigned(quote.checked_add(settle.buyer_fee))?,
            seller_receives: unsigned(quote.checked_sub(settle.seller_fee))?,
            fees: fees.ok_or(RejectReason::InvalidAmount)?,
        })
    }
}

/// Where the money of a trade comes from and goes to.
#[derive(Clone, Copy)]
struct Parties {
    /// Wallets that pay; where the user has none, there is nothing to pay from.
    buyer_quote: WalletId,
    seller_base: WalletId,
    /// The orders' reservations; absent where the pool pays.
    captured: Option<[TransactionId; 2]>,
}

impl Ledger {
    pub(super) fn settle(&mut self, settle: &Settle, events: &mut Events) -> Checked<()> {
        let body = fingerprint(&Command::Settle(*settle));
        let key = Key::settlement(settle.trade);
        if let Some(transaction) = self.known(key, body)? {
            self.repeat(transaction, events);
            return Ok(());
        }
        let dues = self.check_trade(settle)?;
        self.has_room()?;
        let parties = self.parties(settle, &dues)?;
        let receiving = [(settle.buyer, settle.base), (settle.seller, settle.quote)];
        if self.missing_wallets(&receiving) > self.free_wallets() {
            return Err(RejectReason::CapacityExhausted);
        }
        // They stay open even if the trade is refused now: it may come again.
        let buyer_base = self.wallet_for(settle.buyer, settle.base, events);
        let seller_quote = self.wallet_for(settle.seller, settle.quote, events);
        let legs = legs(settle, &dues, parties, buyer_base, seller_quote);
        self.books.apply(legs.as_slice())?;
        let draft = Draft {
            key: Some(key),
            fingerprint: body,
            subject: settle.trade,
            used_up: self.used_up(settle, &dues, parties),
            ..Draft::new(TransactionKind::Settlement, parties.buyer_quote, settle.quote_amount)
        };
        self.record(&draft, legs.as_slice(), events);
        if let Some([buyer, seller]) = parties.captured {
            self.capture(buyer, dues.buyer_pays, events);
            self.capture(seller, settle.base_amount, events);
        }
        Ok(())
    }

    fn check_trade(&self, settle: &Settle) -> Checked<Dues> {
        for asset in [settle.base, settle.quote] {
            self.books.asset(asset).ok_or(RejectReason::UnknownAsset)?;
        }
        if settle.trade == 0 || settle.base == settle.quote {
            return Err(RejectReason::InvalidRequest);
        }
        if settle.base_amount == 0 || settle.quote_amount == 0 {
            return Err(RejectReason::InvalidAmount);
        }
        for user in [settle.buyer, settle.seller] {
            if user == UserId(0) || !self.books.knows(user) {
                return Err(RejectReason::UnknownUser);
            }
        }
        Dues::of(settle)
    }

    /// Checks that what the parties owe is there: afterwards only the fees can be short.
    fn parties(&self, settle: &Settle, dues: &Dues) -> Checked<Parties> {
        let paying =
            |user, asset| self.books.wallet_of(user, asset).ok_or(RejectReason::ReservedShort);
        let buyer_quote = paying(settle.buyer, settle.quote)?;
        let seller_base = paying(settle.seller, settle.base)?;
        let captured = match settle.credit_to {
            CreditTo::Available => {
                let buyer = self.capturable(settle.buyer_order, buyer_quote, dues.buyer_pays)?;
                let base = settle.base_amount;
                Some([buyer, self.capturable(settle.seller_order, seller_base, base)?])
            }
            CreditTo::Reserved => {
                let pool = |wallet| self.books.wallet(wallet).map_or(0, |wallet| wallet.pool);
                let quote_there = pool(buyer_quote) >= dues.buyer_pays;
                if !quote_there || pool(seller_base) < settle.base_amount {
                    return Err(RejectReason::ReservedShort);
                }
                None
            }
        };
        Ok(Parties { buyer_quote, seller_base, captured })
    }

    /// The reservation of an order, if it has `amount` left.
    fn capturable(&self, order: u128, wallet: WalletId, amount: Amount) -> Checked<TransactionId> {
        let asset = self.books.wallet(wallet).map(|wallet| wallet.asset);
        let id = asset.and_then(|asset| self.reservations.find(order, asset));
        let id = id.ok_or(RejectReason::UnknownReservation)?;
        let reservation = self.reservations.get(id).expect("found");
        if reservation.wallet != wallet {
            return Err(RejectReason::UnknownReservation);
        }
        if !reservation.is_active() || reservation.remaining < amount {
            return Err(RejectReason::ReservationSpent);
        }
        Ok(id)
    }

    fn used_up(&self, settle: &Settle, dues: &Dues, parties: Parties) -> UsedUp {
        let takes_all = |id, amount| {
            self.reservations.get(id).is_some_and(|reservation| reservation.remaining == amount)
        };
        parties.captured.map_or(UsedUp::default(), |[buyer, seller]| UsedUp {
            buyer: takes_all(buyer, dues.buyer_pays),
            seller: takes_all(seller, settle.base_amount),
        })
    }

    fn capture(&mut self, id: TransactionId, amount: Amount, events: &mut Events) {
        let reservation = self.reservations.get_mut(id).expect("checked");
        reservation.remaining -= amount;
        events.push(Event::ReservationChanged(reservation.state(id)));
    }
}

fn legs(
    settle: &Settle,
    dues: &Dues,
    parties: Parties,
    buyer_base: WalletId,
    seller_quote: WalletId,
) -> Legs {
    let pooled = settle.credit_to == CreditTo::Reserved;
    let credited = |wallet| match settle.credit_to {
        CreditTo::Available => Account::Available(wallet),
        CreditTo::Reserved => Account::Reserved(wallet),
    };
    let (buyer, seller) = (Account::Reserved(parties.buyer_quote), credited(seller_quote));
    let fees = Account::Fees(settle.quote);
    let amount = dues.fees.unsigned_abs();
    let mut legs = Legs::new();
    // A rebate comes first: it may be part of what the buyer pays the seller.
    if dues.fees < 0 {
        legs.push(Leg { debit: fees, credit: buyer, amount, pooled });
    }
    legs.push(Leg { debit: buyer, credit: seller, amount: dues.seller_receives, pooled });
    if dues.fees > 0 {
        legs.push(Leg { debit: buyer, credit: fees, amount, pooled });
    }
    let (debit, credit) = (Account::Reserved(parties.seller_base), credited(buyer_base));
    legs.push(Leg { debit, credit, amount: settle.base_amount, pooled });
    legs
}
