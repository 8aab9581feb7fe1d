//! Owns the movements of money into and out of trading accounts, as the wallet asks for them.
//! Knows nothing of wallets. Invariant: a movement is known to the engine by its id, which the
//! engine applies once.

use async_trait::async_trait;
use engine::{AccountId, Amount, AssetCode, Command, RejectReason, TransferId};
use journal::fail_point;
use settlement::funding::{Moved, Trading};
use uuid::Uuid;

use super::Venue;
use crate::error::ErrorCode;
use crate::replies::Answer;

/// The trading accounts of the exchange.
pub(super) struct TradingAccounts {
    venue: Venue,
}

impl TradingAccounts {
    pub(super) fn new(venue: Venue) -> Self {
        Self { venue }
    }

    async fn transfer(&self, command: Command) -> Moved {
        let answered = self.venue.exchange.submit(command).await;
        fail_point::hit("transfer-answered");
        match answered {
            Err(code) => Moved::Unknown(code.name().to_owned()),
            Ok(answered) if !self.venue.lasts(answered.sequence).await => {
                Moved::Unknown("the journal is not synced yet".to_owned())
            }
            Ok(answered) => match answered.answer {
                Answer::Transferred { .. } | Answer::TransferDuplicate { reason: None } => {
                    Moved::Done { sequence: answered.sequence }
                }
                // Room comes back as old ids are forgotten.
                Answer::Rejected(RejectReason::WindowFull) => {
                    Moved::Unknown("the table of transfers is full".to_owned())
                }
                Answer::TransferDuplicate { reason: Some(reason) } | Answer::Rejected(reason) => {
                    Moved::Refused(reason.name().to_owned())
                }
                other => Moved::Unknown(format!("the engine answered {other:?}")),
            },
        }
    }

    /// The user's account, opened if there is none.
    async fn account(&self, user: Uuid) -> Result<AccountId, Moved> {
        let unknown = |code: ErrorCode| Moved::Unknown(code.name().to_owned());
        open_account(&self.venue, user).await.map_err(unknown)?.map_err(|reason| match reason {
            RejectReason::WindowFull => Moved::Unknown(reason.name().to_owned()),
            reason => Moved::Refused(reason.name().to_owned()),
        })
    }

    fn asset(&self, code: AssetCode) -> Result<engine::AssetId, Moved> {
        let products = self.venue.views.products();
        let asset = products.asset_by_code(code.as_str()).map(|asset| asset.id);
        asset.ok_or_else(|| Moved::Refused(format!("{code} is not traded here")))
    }
}

/// The user's account; opens it if there is none.
pub(super) async fn open_account(
    venue: &Venue,
    user: Uuid,
) -> Result<Result<AccountId, RejectReason>, ErrorCode> {
    if let Some(account) = venue.views.account(user) {
        return Ok(Ok(account));
    }
    let command = Command::RegisterAccount { uuid: user.as_u128(), stp_group: 0 };
    match venue.exchange.submit(command).await?.answer {
        Answer::Registered(account) => Ok(Ok(account)),
        // Another request was faster, and its account is in the views by now.
        Answer::Rejected(RejectReason::AlreadyExists) => {
            venue.views.account(user).map(Ok).ok_or(ErrorCode::InternalError)
        }
        Answer::Rejected(reason) => Ok(Err(reason)),
        _ => Err(ErrorCode::InternalError),
    }
}

#[async_trait]
impl Trading for TradingAccounts {
    async fn credit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved {
        let transfer_id = TransferId(id.as_u128());
        let account = match self.account(user).await {
            Ok(account) => account,
            Err(moved) => return moved,
        };
        match self.asset(asset) {
            Err(moved) => moved,
            Ok(asset) => {
                self.transfer(Command::Credit { transfer_id, account, asset, amount }).await
            }
        }
    }

    async fn debit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved {
        let transfer_id = TransferId(id.as_u128());
        // Opened if there is none: a refusal that no journal knows could turn out otherwise later.
        let account = match self.account(user).await {
            Ok(account) => account,
            Err(moved) => return moved,
        };
        match self.asset(asset) {
            Err(moved) => moved,
            Ok(asset) => {
                self.transfer(Command::Debit { transfer_id, account, asset, amount }).await
            }
        }
    }
}
