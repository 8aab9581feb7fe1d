//! Owns what the wallet answers. Knows nothing of requests.
//! Invariant: an answer is read only as what it says; a field that is not listed is passed over,
//! and what the client needs but does not find makes the answer unreadable.

use engine::AssetCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::assets::{Assets, WireError};
use super::money;
use crate::client::{FundingEvent, Released, Reservation, Reserved, Settlement, WalletBalance};
use crate::ledger::types::FundingDirection;

/// A reservation was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReserveAnswer {
    pub reservation_id: Uuid,
    pub success: bool,
    pub available_balance: String,
    pub reserved_balance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ReserveAnswer {
    /// # Errors
    /// The asset is unknown or an amount too large.
    pub fn new(reserved: &Reserved, asset: AssetCode, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", asset)?;
        let WalletBalance { available, reserved: aside } = reserved.balance;
        Ok(Self {
            reservation_id: reserved.reservation_id,
            success: true,
            available_balance: money::text("available_balance", available, scale)?,
            reserved_balance: money::text("reserved_balance", aside, scale)?,
            message: None,
        })
    }

    /// What it says; `asset` is that of the request.
    ///
    /// # Errors
    /// The asset is unknown or an amount is not one of its.
    pub fn reserved(&self, asset: AssetCode, assets: &Assets) -> Result<Reserved, WireError> {
        let scale = assets.known_scale("asset", asset)?;
        let available = money::units("available_balance", &self.available_balance, scale)?;
        let reserved = money::units("reserved_balance", &self.reserved_balance, scale)?;
        let balance = WalletBalance { available, reserved };
        Ok(Reserved { reservation_id: self.reservation_id, balance })
    }
}

/// A reservation has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseAnswer {
    pub success: bool,
    pub released_amount: String,
    /// Of the reservation: without it nobody could tell what the amount is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ReleaseAnswer {
    /// # Errors
    /// The asset is unknown or the amount too large.
    pub fn new(released: &Released, asset: AssetCode, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", asset)?;
        Ok(Self {
            success: true,
            released_amount: money::text("released_amount", released.released, scale)?,
            asset: Some(asset.as_str().to_owned()),
            message: None,
        })
    }

    /// What it says; `asset` is that of the request.
    ///
    /// # Errors
    /// The answer is about another asset, or the amount is not one of its.
    pub fn released(&self, asset: AssetCode, assets: &Assets) -> Result<Released, WireError> {
        if self.asset.as_deref().is_some_and(|named| named != asset.as_str()) {
            return Err(WireError::new("asset", "is not that of the request"));
        }
        let scale = assets.known_scale("asset", asset)?;
        let released = money::units("released_amount", &self.released_amount, scale)?;
        Ok(Released { released })
    }
}

/// A trade is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettleAnswer {
    pub success: bool,
    pub settlement_id: Uuid,
    #[serde(default)]
    pub buyer_reservation_released: bool,
    #[serde(default)]
    pub seller_reservation_released: bool,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl SettleAnswer {
    #[must_use]
    pub fn new(settlement: &Settlement) -> Self {
        let settled_at = Timestamp::from_nanosecond(settlement.settled_at_ns.into());
        Self {
            success: true,
            settlement_id: settlement.settlement_id,
            buyer_reservation_released: settlement.buyer_reservation_released,
            seller_reservation_released: settlement.seller_reservation_released,
            settled_at: settled_at.ok().map(|time| time.to_string()),
            message: None,
        }
    }

    /// What it says; the time is 0 if it says none.
    ///
    /// # Errors
    /// The time cannot be read.
    pub fn settlement(&self) -> Result<Settlement, WireError> {
        let refused = || WireError::new("settled_at", "must be a time since 1970");
        let time = self.settled_at.as_deref().map(|text| {
            let time: Timestamp = text.parse().map_err(|_| refused())?;
            u64::try_from(time.as_nanosecond()).map_err(|_| refused())
        });
        Ok(Settlement {
            settlement_id: self.settlement_id,
            settled_at_ns: time.transpose()?.unwrap_or(0),
            buyer_reservation_released: self.buyer_reservation_released,
            seller_reservation_released: self.seller_reservation_released,
        })
    }
}

/// One user's money in one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceAnswer {
    pub user_id: Uuid,
    pub currency: String,
    pub available_balance: String,
    pub reserved_balance: String,
    pub total_balance: String,
}

impl BalanceAnswer {
    /// # Errors
    /// The asset is unknown or an amount too large.
    pub fn new(
        user_id: Uuid,
        asset: AssetCode,
        balance: &WalletBalance,
        assets: &Assets,
    ) -> Result<Self, WireError> {
        let scale = assets.known_scale("currency", asset)?;
        Ok(Self {
            user_id,
            currency: asset.as_str().to_owned(),
            available_balance: money::text("available_balance", balance.available, scale)?,
            reserved_balance: money::text("reserved_balance", balance.reserved, scale)?,
            total_balance: money::text("total_balance", balance.total(), scale)?,
        })
    }

    /// What it says; user and asset are those of the request.
    ///
    /// # Errors
    /// The answer is about something else, or an amount is not one of the asset's.
    pub fn balance(
        &self,
        user_id: Uuid,
        asset: AssetCode,
        assets: &Assets,
    ) -> Result<WalletBalance, WireError> {
        if self.user_id != user_id || self.currency != asset.as_str() {
            return Err(WireError::new("user_id", "or currency is not that of the request"));
        }
        let scale = assets.known_scale("currency", asset)?;
        Ok(WalletBalance {
            available: money::units("available_balance", &self.available_balance, scale)?,
            reserved: money::units("reserved_balance", &self.reserved_balance, scale)?,
        })
    }
}

/// How far a reservation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReservationStatus {
    Active,
    /// Ended with nothing to give back.
    Consumed,
    Released,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReservationAnswer {
    pub reservation_id: Uuid,
    pub order_id: Uuid,
    pub user_id: Uuid,
    pub asset: String,
    pub original_amount: String,
    pub remaining_amount: String,
    pub captured_amount: String,
    pub released_amount: String,
    pub status: ReservationStatus,
}

impl ReservationAnswer {
    /// # Errors
    /// The asset is unknown or an amount too large.
    pub fn new(reservation: &Reservation, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", reservation.asset)?;
        let status = match (reservation.ended, reservation.released) {
            (false, _) => ReservationStatus::Active,
            (true, 0) => ReservationStatus::Consumed,
            (true, _) => ReservationStatus::Released,
        };
        Ok(Self {
            reservation_id: reservation.reservation_id,
            order_id: reservation.order_id,
            user_id: reservation.user_id,
            asset: reservation.asset.as_str().to_owned(),
            original_amount: money::text("original_amount", reservation.original, scale)?,
            remaining_amount: money::text("remaining_amount", reservation.remaining, scale)?,
            captured_amount: money::text("captured_amount", reservation.captured, scale)?,
            released_amount: money::text("released_amount", reservation.released, scale)?,
            status,
        })
    }

    /// # Errors
    /// The asset is unknown or an amount is not one of its.
    pub fn reservation(&self, assets: &Assets) -> Result<Reservation, WireError> {
        let (asset, scale) = assets.read("asset", &self.asset)?;
        Ok(Reservation {
            reservation_id: self.reservation_id,
            order_id: self.order_id,
            user_id: self.user_id,
            asset,
            original: money::units("original_amount", &self.original_amount, scale)?,
            remaining: money::units("remaining_amount", &self.remaining_amount, scale)?,
            captured: money::units("captured_amount", &self.captured_amount, scale)?,
            released: money::units("released_amount", &self.released_amount, scale)?,
            ended: self.status != ReservationStatus::Active,
        })
    }
}

/// The words of [`FundingDirection`].
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(remote = "FundingDirection", rename_all = "UPPERCASE")]
enum FundingDirectionWord {
    Fund,
    Recall,
}

/// Money that is to move between a wallet and its trading account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FundingEventItem {
    pub cursor: u64,
    pub transaction_id: Uuid,
    #[serde(with = "FundingDirectionWord")]
    #[schema(inline, value_type = FundingDirectionWord)]
    pub direction: FundingDirection,
    pub user_id: Uuid,
    pub asset: String,
    pub amount: String,
}

impl FundingEventItem {
    /// # Errors
    /// The asset is unknown or the amount too large.
    pub fn new(event: &FundingEvent, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", event.asset)?;
        Ok(Self {
            cursor: event.cursor,
            transaction_id: event.transaction_id,
            direction: event.direction,
            user_id: event.user_id,
            asset: event.asset.as_str().to_owned(),
            amount: money::text("amount", event.amount, scale)?,
        })
    }

    /// # Errors
    /// The asset is unknown or the amount is not one of its.
    pub fn event(&self, assets: &Assets) -> Result<FundingEvent, WireError> {
        let (asset, scale) = assets.read("asset", &self.asset)?;
        Ok(FundingEvent {
            cursor: self.cursor,
            transaction_id: self.transaction_id,
            direction: self.direction,
            user_id: self.user_id,
            asset,
            amount: money::units("amount", &self.amount, scale)?,
        })
    }
}

/// A page of funding events, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FundingEventsAnswer {
    pub events: Vec<FundingEventItem>,
}

/// How a funding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConcludeAnswer {
    pub success: bool,
    pub completed: bool,
}

/// Whether money of an asset may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreezeAnswer {
    pub success: bool,
    pub frozen: bool,
}

/// A refusal. Its code decides what it means; the texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub error: String,
    pub code: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    #[serde(default)]
    pub request_id: String,
}

/// What became of one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BatchResult<T> {
    Done(T),
    Refused { error: String, code: String },
}

/// What became of the items of a batch, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer<T> {
    pub results: Vec<T>,
}

#[cfg(test)]
mod tests;
