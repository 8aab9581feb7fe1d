//! The bytes of commands and events are frozen: a journal of today is read by every later build.

use engine::Codec;

use super::*;
use crate::ledger::types::{ReserveReason, Text, UsedUp};
use crate::limits::ENCODED_BYTES_MAX;

fn commands() -> Vec<Command> {
    let posting = Posting {
        debit: Account::External(AssetId(2)),
        credit: Account::Available(WalletId(3)),
        amount: 4,
    };
    let post = Post {
        kind: TransactionKind::Deposit,
        caller: UserId(5),
        reference: Reference::new("r").unwrap(),
        description: Description::new("d").unwrap(),
        postings: Postings::new(&[posting]).unwrap(),
        fund: true,
        dry_run: false,
    };
    let reserve = Reserve {
        user: UserId(1),
        asset: AssetId(2),
        amount: 3,
        order: 4,
        reason: ReserveReason::TradingFunding,
    };
    let code = AssetCode::new("BTC").unwrap();
    vec![
        Command::Tick,
        Command::AddAsset { asset: BTC, code, scale: 8, amount_min: 1, amount_max: 2 },
        Command::OpenWallet { user: UserId(1), asset: AssetId(2) },
        Command::Post(post),
        Command::ConcludeFunding { transaction: TransactionId(1), granted: true },
        Command::Reserve(reserve),
        Command::Release(release(1, Some(2))),
        Command::Settle(Settle { buyer_fee: -1, ..trade(1, CreditTo::Reserved) }),
        Command::Reverse { transaction: TransactionId(1) },
        Command::SetWalletStatus { wallet: WalletId(1), status: WalletStatus::Closed },
        Command::FreezeWithdrawals { asset: AssetId(1), frozen: true },
    ]
}

fn events() -> Vec<Event> {
    let head = Committed {
        transaction: TransactionId(1),
        kind: TransactionKind::Settlement,
        status: TransactionStatus::Failed,
        reason: Some(RejectReason::InsufficientFunds),
        wallet: WalletId(2),
        amount: 3,
        new_balance: 4,
        available: 5,
        caller: UserId(6),
        reference: Reference::new("r").unwrap(),
        subject: 7,
        link: TransactionId(8),
        used_up: UsedUp { buyer: true, seller: false },
        legs: 9,
        chain: [10; 32],
    };
    let leg = Posted {
        transaction: TransactionId(1),
        leg: 2,
        asset: AssetId(3),
        debit: Account::Reserved(WalletId(4)),
        credit: Account::Fees(AssetId(5)),
        amount: 6,
        debit_after: 7,
        credit_after: -8,
    };
    let state = ReservationState {
        reservation: TransactionId(1),
        order: 2,
        reason: ReserveReason::OrderPlacement,
        wallet: WalletId(3),
        original: 4,
        remaining: 5,
        released: 6,
        ended: true,
    };
    let code = AssetCode::new("BTC").unwrap();
    let (transaction, user, asset) = (TransactionId(1), UserId(3), AssetId(4));
    let (direction, wallet) = (FundingDirection::Recall, WalletId(2));
    vec![
        Event::CommandRejected { reason: RejectReason::UnknownWallet },
        Event::AssetAdded { asset: BTC, code, scale: 8, amount_min: 1, amount_max: 2 },
        Event::WalletOpened { wallet, user, asset },
        Event::WalletExists { wallet },
        Event::WalletStatusChanged { wallet, status: WalletStatus::Frozen },
        Event::WithdrawalsFrozen { asset, frozen: true },
        Event::Committed(head),
        Event::Posted(leg),
        Event::Noted { transaction, part: 2, text: Text::new("t").unwrap() },
        Event::FundingRequested {
            transaction,
            direction,
            wallet,
            user,
            asset,
            amount: 5,
            begun_ns: 6,
        },
        Event::ReservationChanged(state),
        Event::Repeated(head.outcome(1, 2)),
        Event::WouldCommit { wallet, new_balance: 3 },
    ]
}

/// One line for each value: its bytes in hexadecimal.
fn lines<T: Codec + std::fmt::Debug + PartialEq>(values: &[T]) -> String {
    let mut text = String::new();
    for value in values {
        let mut bytes = [0; ENCODED_BYTES_MAX];
        let len = value.encode_into(&mut bytes);
        assert_eq!(T::decode_from(&bytes[..len]).as_ref(), Ok(value));
        assert!(T::decode_from(&bytes[..=len]).is_err(), "a byte too many");
        assert!(len == 0 || T::decode_from(&bytes[..len - 1]).is_err(), "a byte too few");
        bytes[..len].iter().for_each(|byte| text += &format!("{byte:02x}"));
        text.push('\n');
    }
    text
}

#[test]
fn bytes_are_frozen() {
    let golden = include_str!("encoding/golden.txt");
    assert_eq!(lines(&commands()) + &lines(&events()), golden);
}

#[test]
fn the_longest_request_fits() {
    let posting = Posting {
        debit: Account::Available(WalletId(u32::MAX)),
        credit: Account::Available(WalletId(1)),
        amount: u128::MAX,
    };
    let post = Post {
        reference: Reference::new(&"r".repeat(100)).unwrap(),
        description: Description::new(&"d".repeat(500)).unwrap(),
        postings: Postings::new(&[posting; 8]).unwrap(),
        ..post(TransactionKind::Batch, posting, "r")
    };
    let mut bytes = [0; ENCODED_BYTES_MAX];
    let len = Command::Post(post).encode_into(&mut bytes);
    assert_eq!(Command::decode_from(&bytes[..len]), Ok(Command::Post(post)));
}
