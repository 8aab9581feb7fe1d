//! Owns what can happen in the world: money that comes and goes, orders, settlements.
//! Knows nothing of the comparison. Invariant: each act is one command of one machine, or none.

use engine::{Command, NewOrder, TransferId};
use wallet::ledger::types::{Account, CreditTo, Description, Reference, UserId, WalletStatus};
use wallet::ledger::{Post, Posting, Postings};

use super::*;
use crate::testing::due;
use crate::trade::{DueTrade, order_key};

const CALLER: UserId = UserId(0xCA11);

impl World {
    pub(in crate::reconcile::tests) fn post(
        &mut self,
        kind: TransactionKind,
        posting: Posting,
    ) -> LedgerCommand {
        self.references += 1;
        LedgerCommand::Post(Post {
            kind,
            caller: CALLER,
            reference: Reference::new(&self.references.to_string()).unwrap(),
            description: Description::EMPTY,
            postings: Postings::new(&[posting]).unwrap(),
            fund: !self.per_order,
            dry_run: false,
        })
    }

    pub(in crate::reconcile::tests) fn deposit(
        &mut self,
        user: u32,
        asset: engine::AssetId,
        amount: u128,
    ) {
        let credit = Account::Available(wallet_of(user, asset));
        let posting = Posting { debit: Account::External(asset), credit, amount };
        let post = self.post(TransactionKind::Deposit, posting);
        self.book(post);
    }

    pub(in crate::reconcile::tests) fn withdraw(
        &mut self,
        user: u32,
        asset: engine::AssetId,
        amount: u128,
    ) {
        let debit = Account::Available(wallet_of(user, asset));
        let posting = Posting { debit, credit: Account::External(asset), amount };
        let post = self.post(TransactionKind::Withdrawal, posting);
        self.book(post);
    }

    pub(in crate::reconcile::tests) fn transfer(
        &mut self,
        from: u32,
        to: u32,
        asset: engine::AssetId,
        amount: u128,
    ) {
        let [debit, credit] = [from, to].map(|user| Account::Available(wallet_of(user, asset)));
        let post = self.post(TransactionKind::Transfer, Posting { debit, credit, amount });
        self.book(post);
    }

    pub(in crate::reconcile::tests) fn set_status(
        &mut self,
        wallet: WalletId,
        status: WalletStatus,
    ) {
        self.book(LedgerCommand::SetWalletStatus { wallet, status });
    }

    /// Trading carries out, or refuses, the oldest movement that the wallet asked for.
    pub(in crate::reconcile::tests) fn move_next(&mut self, refuse: bool) {
        let Some((transaction, event)) = self.requested.pop_front() else { return };
        let is_loan = event.direction == FundingDirection::Fund;
        if refuse && is_loan {
            return self.owed.push(Owed { transaction, granted: false, after: 0 });
        }
        let transfer_id = TransferId(movement_id(&event).as_u128());
        let account = self.engine.accounts().find(event.user_id.as_u128()).unwrap();
        let asset = if event.asset == code(BTC) { BTC } else { USDT };
        let amount = event.amount;
        let events = self.trade(match event.direction {
            FundingDirection::Fund => Command::Credit { transfer_id, account, asset, amount },
            FundingDirection::Recall => Command::Debit { transfer_id, account, asset, amount },
        });
        let granted = matches!(events[..], [Event::TransferApplied { .. }]);
        assert!(granted || !is_loan, "{events:?}");
        if !is_loan {
            let after = self.engine.last_sequence();
            self.owed.push(Owed { transaction, granted, after });
        }
    }

    /// The wallet is told what trading has answered.
    pub(in crate::reconcile::tests) fn conclude(&mut self, place: usize) {
        let Owed { transaction, granted, .. } = self.owed.remove(place);
        let events = self.book(LedgerCommand::ConcludeFunding { transaction, granted });
        assert!(matches!(events[0], LedgerEvent::Committed(_)), "{events:?}");
    }

    pub(in crate::reconcile::tests) fn order(
        &mut self,
        market: u32,
        user: u32,
        side: Side,
        quantity: u64,
        price: i64,
    ) {
        let (instrument, account) = (InstrumentId(market), AccountId(user));
        let (quantity, price) = (engine::Quantity(quantity), engine::Price(price));
        let order = NewOrder::limit(account, instrument, side, quantity, price);
        self.trade(Command::NewOrder(order));
    }

    /// What settles a trade.
    pub(in crate::reconcile::tests) fn settle_of(&self, number: TradeId) -> Settle {
        let Due { trade, sequence, .. } = self.due[&number];
        let maker = (trade.maker_account, trade.maker_order_id, trade.maker_fee);
        let taker = (trade.taker_account, trade.taker_order_id, trade.taker_fee);
        let (buyer, seller) = match trade.taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        Settle {
            trade: ids::encode(ids::Kind::Trade, number.0, sequence * 1_000).as_u128(),
            buyer: UserId(buyer.0.0.into()),
            seller: UserId(seller.0.0.into()),
            buyer_order: order_key(buyer.1).as_u128(),
            seller_order: order_key(seller.1).as_u128(),
            base: BTC,
            quote: USDT,
            base_amount: trade.base,
            quote_amount: trade.quote,
            buyer_fee: buyer.2,
            seller_fee: seller.2,
            credit_to: if self.per_order { CreditTo::Available } else { CreditTo::Reserved },
        }
    }

    /// Settles a trade, if its money is there.
    pub(in crate::reconcile::tests) fn settle(&mut self, number: TradeId) -> bool {
        let events = self.book(LedgerCommand::Settle(self.settle_of(number)));
        let done = events.iter().any(|event| matches!(event, LedgerEvent::Committed(_)));
        if done {
            self.due.remove(&number);
            self.letters.remove(number);
        }
        done
    }

    /// A trade on its way to the wallet.
    pub(in crate::reconcile::tests) fn due_trade(&self, number: TradeId) -> DueTrade {
        let settle = self.settle_of(number);
        let mut trade = due(number.0);
        trade.request.buyer_order_id = Uuid::from_u128(settle.buyer_order);
        trade.request.seller_order_id = Uuid::from_u128(settle.seller_order);
        trade.request.base_amount = settle.base_amount;
        trade.request.quote_amount = settle.quote_amount;
        (trade.request.buyer_fee, trade.request.seller_fee) = (settle.buyer_fee, settle.seller_fee);
        trade.request.credit_to = settle.credit_to;
        trade
    }

    /// Nobody knows what became of a trade.
    pub(in crate::reconcile::tests) fn bury(&mut self, number: TradeId) {
        let Due { event_sequence, .. } = self.due[&number];
        let trade = DueTrade { event_sequence, number, ..due(number.0) };
        self.letters.add(trade, Class::Unknown, "timeout", 0);
    }
}
