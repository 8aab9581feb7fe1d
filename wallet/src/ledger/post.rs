//! Owns deposits, withdrawals, transfers, batches and adjustments.
//! Knows nothing of orders and trades. Invariant: all movements of a request are made, or none; a
//! reference is used once, refusals included, and the same request again changes nothing.

use engine::Amount;

use super::books::Leg;
use super::command::{Command, Post, Posting};
use super::event::Event;
use super::reject::RejectReason;
use super::transactions::{Funding, Key};
use super::types::{
    Account, FundingDirection, Text, TransactionId, TransactionKind, TransactionStatus, UserId,
    WalletId,
};
use super::{Checked, Draft, Events, Ledger, fingerprint};
use crate::limits::{LEGS_MAX, NOTE_BYTES_MAX};

/// Movements in the making; those of nothing and those that go nowhere are dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Legs {
    list: [Leg; LEGS_MAX],
    len: usize,
}

impl Legs {
    pub(super) fn new() -> Self {
        let nowhere = Account::default();
        let nothing = Leg { debit: nowhere, credit: nowhere, amount: 0, pooled: false };
        Self { list: [nothing; LEGS_MAX], len: 0 }
    }

    pub(super) fn push(&mut self, leg: Leg) {
        if leg.amount > 0 && leg.debit != leg.credit {
            self.list[self.len] = leg;
            self.len += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[Leg] {
        &self.list[..self.len]
    }
}

/// What a posting does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Movement {
    In(WalletId),
    Out(WalletId),
    Between(WalletId, WalletId),
}

impl Movement {
    pub(super) fn of(posting: &Posting) -> Checked<Self> {
        match (posting.debit, posting.credit) {
            (Account::External(_), Account::Available(to)) => Ok(Self::In(to)),
            (Account::Available(from), Account::External(_)) => Ok(Self::Out(from)),
            (Account::Available(from), Account::Available(to)) => Ok(Self::Between(from, to)),
            _ => Err(RejectReason::InvalidRequest),
        }
    }

    pub(super) fn source(self) -> Option<WalletId> {
        match self {
            Self::In(_) => None,
            Self::Out(from) | Self::Between(from, _) => Some(from),
        }
    }

    pub(super) fn destination(self) -> Option<WalletId> {
        match self {
            Self::Out(_) => None,
            Self::In(to) | Self::Between(_, to) => Some(to),
        }
    }

    /// The wallet that a request with this movement is about.
    fn subject(self) -> WalletId {
        match self {
            Self::In(wallet) | Self::Out(wallet) | Self::Between(wallet, _) => wallet,
        }
    }
}

impl Ledger {
    pub(super) fn post(&mut self, post: &Post, events: &mut Events) -> Checked<()> {
        let body = fingerprint(&Command::Post(Post { dry_run: false, ..*post }));
        let key = Key::reference(post.caller, post.reference.as_bytes());
        match self.known(key, body) {
            Ok(None) => {}
            Ok(Some(transaction)) => {
                self.repeat(transaction, events);
                return Ok(());
            }
            // A caller's own name for a request is not an attack, so it has a reason of its own.
            Err(_) => return Err(RejectReason::DuplicateReference),
        }
        let (wallet, amount) = self.check_shape(post)?;
        self.has_room_for_requests()?;
        let draft = Draft {
            key: Some(key),
            fingerprint: body,
            caller: post.caller,
            reference: post.reference,
            ..Draft::new(post.kind, wallet, amount)
        };
        match self.check_allowed(post) {
            Err(reason) => self.refuse(post, &draft, reason, events),
            Ok(()) => self.make(post, draft, events),
        }
    }

    /// Whether every posting is well-formed; gives the wallet and the units that it is about.
    fn check_shape(&self, post: &Post) -> Checked<(WalletId, Amount)> {
        use TransactionKind::{Adjustment, Batch, Deposit, Transfer, Withdrawal};
        let postings = post.postings.as_slice();
        let first = postings.first().ok_or(RejectReason::InvalidRequest)?;
        let head = Movement::of(first)?;
        let fits = match (post.kind, head) {
            (Batch, _) => true,
            (Deposit, Movement::In(_)) | (Withdrawal, Movement::Out(_)) => postings.len() == 1,
            (Transfer, Movement::Between(..)) => postings.len() == 1,
            (Adjustment, Movement::In(_) | Movement::Out(_)) => postings.len() == 1,
            _ => false,
        };
        if post.reference.is_empty() || post.caller == UserId(0) || !fits {
            return Err(RejectReason::InvalidRequest);
        }
        for posting in postings {
            self.check_posting(post.kind, posting)?;
        }
        // A loan is known by its transaction and its wallet.
        if post.fund && lends_twice(postings) {
            return Err(RejectReason::InvalidRequest);
        }
        Ok((head.subject(), first.amount))
    }

    fn check_posting(&self, kind: TransactionKind, posting: &Posting) -> Checked<()> {
        let movement = Movement::of(posting)?;
        for wallet in [movement.source(), movement.destination()].into_iter().flatten() {
            self.books.wallet(wallet).ok_or(RejectReason::UnknownWallet)?;
        }
        let asset = |account| self.books.asset_of(account).ok_or(RejectReason::UnknownAsset);
        let (from, to) = (asset(posting.debit)?, asset(posting.credit)?);
        if from != to || posting.debit == posting.credit {
            return Err(RejectReason::InvalidTransfer);
        }
        let book = self.books.asset(from).ok_or(RejectReason::UnknownAsset)?;
        // An operator's correction may be of any size.
        let allowed = match kind {
            TransactionKind::Adjustment => 1..=crate::limits::OWNED_MAX,
            _ => book.amount_min..=book.amount_max,
        };
        if !allowed.contains(&posting.amount) {
            return Err(RejectReason::InvalidAmount);
        }
        Ok(())
    }

    /// Refusals that are the outcome of the key for good, but for the money.
    fn check_allowed(&self, post: &Post) -> Checked<()> {
        post.postings.as_slice().iter().try_for_each(|posting| self.may_move(post.kind, posting))
    }

    /// Whether wallets and asset let money move as a posting says; what operators correct moves
    /// even where a wallet is frozen.
    pub(super) fn may_move(&self, kind: TransactionKind, posting: &Posting) -> Checked<()> {
        let is_correction = matches!(kind, TransactionKind::Adjustment | TransactionKind::Reversal);
        let movement = Movement::of(posting)?;
        for wallet in [movement.source(), movement.destination()].into_iter().flatten() {
            match self.check_active(wallet) {
                // Proceeds of trades may reach a closed wallet: operators must get them out.
                Err(RejectReason::WalletFrozen | RejectReason::WalletClosed) if is_correction => {}
                verdict => verdict?,
            }
        }
        let asset = self.books.asset_of(posting.debit).and_then(|id| self.books.asset(id));
        let frozen = asset.is_some_and(|asset| asset.withdrawals_frozen);
        if frozen && !is_correction && matches!(movement, Movement::Out(_)) {
            return Err(RejectReason::WithdrawalsFrozen);
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        post: &Post,
        draft: &Draft,
        reason: RejectReason,
        events: &mut Events,
    ) -> Checked<()> {
        if post.dry_run || !reason.is_final() {
            return Err(reason);
        }
        let id = self.record(&draft.failed(reason), &[], events);
        note(id, post, events);
        Ok(())
    }

    /// Makes the movements, or asks trading for the money first.
    fn make(&mut self, post: &Post, draft: Draft, events: &mut Events) -> Checked<()> {
        let postings = post.postings.as_slice();
        if let [posting] = postings
            && post.fund
            && self.is_short(posting)
        {
            return self.recall(post, draft, *posting, events);
        }
        let mut legs = Legs::new();
        for posting in postings {
            push_legs(&mut legs, posting, post.fund);
        }
        if let Err(reason) = self.books.apply(legs.as_slice()) {
            return self.refuse(post, &draft, reason, events);
        }
        if post.dry_run {
            let (wallet, new_balance) = (draft.wallet, self.total(draft.wallet));
            for leg in legs.as_slice().iter().rev() {
                self.books.apply(&[leg.reversed()]).expect("what came can go back");
            }
            events.push(Event::WouldCommit { wallet, new_balance });
            return Ok(());
        }
        let funding = if post.fund { Funding::Funded } else { Funding::None };
        let id = self.record(&Draft { funding, ..draft }, legs.as_slice(), events);
        note(id, post, events);
        if post.fund {
            for posting in postings {
                self.lend(id, posting, events);
            }
        }
        Ok(())
    }

    /// Whether an active wallet pays and has too little available.
    fn is_short(&self, posting: &Posting) -> bool {
        let Account::Available(source) = posting.debit else { return false };
        self.books.wallet(source).is_some_and(|wallet| wallet.available < posting.amount)
    }

    /// Tells trading of money that a posting brought, which its movements have put into the pool.
    pub(super) fn lend(&self, id: TransactionId, posting: &Posting, events: &mut Events) {
        let Account::Available(place) = posting.credit else { return };
        let wallet = self.books.wallet(place).expect("checked: the wallet exists");
        events.push(Event::FundingRequested {
            transaction: id,
            direction: FundingDirection::Fund,
            wallet: place,
            user: wallet.user,
            asset: wallet.asset,
            amount: posting.amount,
            begun_ns: self.begun_ns(id),
        });
    }

    /// Keeps the request until trading has answered.
    fn recall(
        &mut self,
        post: &Post,
        draft: Draft,
        posting: Posting,
        events: &mut Events,
    ) -> Checked<()> {
        if self.pending.len() >= self.capacity.pending {
            return Err(RejectReason::CapacityExhausted);
        }
        let source = draft.wallet;
        if post.dry_run {
            let new_balance = self.total(source).saturating_sub(posting.amount);
            let enough = self.total(source) >= posting.amount;
            return match enough {
                true => {
                    events.push(Event::WouldCommit { wallet: source, new_balance });
                    Ok(())
                }
                false => Err(RejectReason::InsufficientFunds),
            };
        }
        let draft =
            Draft { status: TransactionStatus::Pending, funding: Funding::Recalled, ..draft };
        let id = self.record(&draft, &[], events);
        note(id, post, events);
        self.ask_back(id, source, posting, events);
        Ok(())
    }

    pub(super) fn ask_back(
        &mut self,
        id: TransactionId,
        source: WalletId,
        posting: Posting,
        events: &mut Events,
    ) {
        self.pending.insert(id, posting);
        let begun_ns = self.begun_ns(id);
        let wallet = self.books.wallet_mut(source).expect("checked: the wallet exists");
        wallet.pending += 1;
        events.push(Event::FundingRequested {
            transaction: id,
            direction: FundingDirection::Recall,
            wallet: source,
            user: wallet.user,
            asset: wallet.asset,
            amount: posting.amount,
            begun_ns,
        });
    }

    pub(super) fn begun_ns(&self, id: TransactionId) -> u64 {
        self.transactions.get(id).map_or(0, |transaction| transaction.timestamp_ns)
    }
}

/// Whether two postings bring money to one wallet.
pub(super) fn lends_twice(postings: &[Posting]) -> bool {
    let credited = |at: usize| match postings[at].credit {
        Account::Available(wallet) => Some(wallet),
        _ => None,
    };
    let all = 0..postings.len();
    all.clone().any(|at| {
        credited(at).is_some_and(|wallet| (0..at).any(|earlier| credited(earlier) == Some(wallet)))
    })
}

/// The movements of one posting: what a user receives goes on to the pool where that is so.
pub(super) fn push_legs(legs: &mut Legs, posting: &Posting, fund: bool) {
    let Posting { debit, credit, amount } = *posting;
    legs.push(Leg { debit, credit, amount, pooled: false });
    if let (true, Account::Available(wallet)) = (fund, credit) {
        legs.push(Leg { debit: credit, credit: Account::Reserved(wallet), amount, pooled: true });
    }
}

/// Tells the description of a transaction, in parts that are whole characters each.
fn note(transaction: TransactionId, post: &Post, events: &mut Events) {
    let description = post.description.to_text();
    let mut rest = description.as_str();
    for part in 0.. {
        if rest.is_empty() {
            return;
        }
        let (head, tail) = rest.split_at(rest.floor_char_boundary(NOTE_BYTES_MAX));
        let text = Text::new(head).expect("a part fits");
        events.push(Event::Noted { transaction, part, text });
        rest = tail;
    }
}
