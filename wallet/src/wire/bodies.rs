//! Owns what a client sends: the bodies and queries of the wallet's paths.
//! Knows nothing of answers. Invariant: a field that is not listed is refused, money is decimal
//! text, and a body made from a request is read back as the same request.

use engine::{AssetCode, SignedAmount};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::assets::{Assets, WireError, one_name};
use super::money;
use crate::client::{ReleaseRequest, ReserveRequest, SettleRequest};
use crate::ledger::types::{CreditTo, ReleaseReason, ReserveReason};

/// The words of [`ReserveReason`].
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(remote = "ReserveReason", rename_all = "SCREAMING_SNAKE_CASE")]
enum ReserveReasonWord {
    OrderPlacement,
    TradingFunding,
}

/// The words of [`ReleaseReason`].
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(remote = "ReleaseReason", rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "these are the words")]
enum ReleaseReasonWord {
    OrderCancelled,
    OrderFilled,
    OrderExpired,
    OrderRejected,
    OrderCreationFailed,
}

/// The words of [`CreditTo`].
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(remote = "CreditTo", rename_all = "SCREAMING_SNAKE_CASE")]
enum CreditToWord {
    Available,
    Reserved,
}

fn available() -> CreditTo {
    CreditTo::Available
}

/// Sets money aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveBody {
    pub user_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// Another name of `asset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    pub amount: String,
    pub order_id: Uuid,
    #[serde(with = "ReserveReasonWord")]
    #[schema(inline, value_type = ReserveReasonWord)]
    pub reason: ReserveReason,
}

impl ReserveBody {
    /// # Errors
    /// The asset is unknown or the amount too large.
    pub fn new(request: &ReserveRequest, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", request.asset)?;
        Ok(Self {
            user_id: request.user_id,
            asset: Some(request.asset.as_str().to_owned()),
            currency: None,
            amount: money::text("amount", request.amount, scale)?,
            order_id: request.order_id,
            reason: request.reason,
        })
    }

    /// # Errors
    /// The asset is missing, named twice or unknown, or the amount is not one of its.
    pub fn request(&self, assets: &Assets) -> Result<ReserveRequest, WireError> {
        let name = one_name(self.asset.as_deref(), self.currency.as_deref())?;
        let name = name.ok_or_else(|| WireError::new("asset", "is required"))?;
        let (asset, scale) = assets.read("asset", name)?;
        Ok(ReserveRequest {
            user_id: self.user_id,
            asset,
            amount: money::units("amount", &self.amount, scale)?,
            order_id: self.order_id,
            reason: self.reason,
        })
    }
}

/// Gives the rest of a reservation back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// Another name of `asset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(with = "ReleaseReasonWord")]
    #[schema(inline, value_type = ReleaseReasonWord)]
    pub reason: ReleaseReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_total: Option<String>,
}

impl ReleaseBody {
    /// # Errors
    /// The asset is unknown or the amount too large.
    pub fn new(request: &ReleaseRequest, assets: &Assets) -> Result<Self, WireError> {
        let scale = assets.known_scale("asset", request.asset)?;
        let captured = request.captured_total;
        let captured = captured.map(|units| money::text("captured_total", units, scale));
        Ok(Self {
            reservation_id: request.reservation_id,
            order_id: request.order_id,
            asset: Some(request.asset.as_str().to_owned()),
            currency: None,
            reason: request.reason,
            captured_total: captured.transpose()?,
        })
    }

    /// The asset that the body names, if it names one.
    ///
    /// # Errors
    /// It is named twice or unknown.
    pub fn named_asset(&self, assets: &Assets) -> Result<Option<AssetCode>, WireError> {
        let name = one_name(self.asset.as_deref(), self.currency.as_deref())?;
        name.map(|name| assets.read("asset", name).map(|(code, _)| code)).transpose()
    }

    /// The request; `asset` is that of the reservation, which the body need not name.
    ///
    /// # Errors
    /// Nothing says what to release, or the amount is not one of the asset's.
    pub fn request(&self, asset: AssetCode, assets: &Assets) -> Result<ReleaseRequest, WireError> {
        if self.reservation_id.is_none() && self.order_id.is_none() {
            return Err(WireError::new("reservation_id", "or order_id is required"));
        }
        let scale = assets.known_scale("asset", asset)?;
        let captured = self.captured_total.as_deref();
        let captured = captured.map(|text| money::units("captured_total", text, scale));
        Ok(ReleaseRequest {
            reservation_id: self.reservation_id,
            order_id: self.order_id,
            asset,
            reason: self.reason,
            captured_total: captured.transpose()?,
        })
    }
}

/// Settles one trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleBody {
    pub trade_id: Uuid,
    pub buyer_id: Uuid,
    pub seller_id: Uuid,
    pub buyer_order_id: Uuid,
    pub seller_order_id: Uuid,
    pub base_currency: String,
    pub quote_currency: String,
    pub base_amount: String,
    pub quote_amount: String,
    pub price: String,
    pub buyer_fee: String,
    pub seller_fee: String,
    #[serde(with = "CreditToWord", default = "available")]
    #[schema(inline, value_type = CreditToWord)]
    pub credit_to: CreditTo,
}

impl SettleBody {
    /// # Errors
    /// An asset is unknown or an amount too large.
    pub fn new(request: &SettleRequest, assets: &Assets) -> Result<Self, WireError> {
        let base_scale = assets.known_scale("base_currency", request.base)?;
        let scale = assets.known_scale("quote_currency", request.quote)?;
        Ok(Self {
            trade_id: request.trade_id,
            buyer_id: request.buyer_id,
            seller_id: request.seller_id,
            buyer_order_id: request.buyer_order_id,
            seller_order_id: request.seller_order_id,
            base_currency: request.base.as_str().to_owned(),
            quote_currency: request.quote.as_str().to_owned(),
            base_amount: money::text("base_amount", request.base_amount, base_scale)?,
            quote_amount: money::text("quote_amount", request.quote_amount, scale)?,
            price: money::price_text(request.price),
            buyer_fee: money::signed_text(request.buyer_fee, scale),
            seller_fee: money::signed_text(request.seller_fee, scale),
            credit_to: request.credit_to,
        })
    }

    /// # Errors
    /// An asset is unknown, or an amount, a fee or the price cannot be read.
    pub fn request(&self, assets: &Assets) -> Result<SettleRequest, WireError> {
        let (base, base_scale) = assets.read("base_currency", &self.base_currency)?;
        let (quote, scale) = assets.read("quote_currency", &self.quote_currency)?;
        let fee = |field, text: &str| -> Result<SignedAmount, WireError> {
            money::signed_units(field, text, scale)
        };
        Ok(SettleRequest {
            trade_id: self.trade_id,
            buyer_id: self.buyer_id,
            seller_id: self.seller_id,
            buyer_order_id: self.buyer_order_id,
            seller_order_id: self.seller_order_id,
            base,
            quote,
            base_amount: money::units("base_amount", &self.base_amount, base_scale)?,
            quote_amount: money::units("quote_amount", &self.quote_amount, scale)?,
            price: money::price("price", &self.price)?,
            buyer_fee: fee("buyer_fee", &self.buyer_fee)?,
            seller_fee: fee("seller_fee", &self.seller_fee)?,
            credit_to: self.credit_to,
        })
    }
}

/// Several of the bodies above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody<T> {
    pub items: Vec<T>,
}

/// Which reservation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderQuery {
    pub order_id: Uuid,
}

/// Which funding events are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FundingEventsQuery {
    pub after: u64,
    pub limit: usize,
    /// How long to wait for the first, milliseconds.
    pub wait_ms: u64,
}

/// How trading answered a funding event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcludeBody {
    pub granted: bool,
}

/// Whether money of an asset may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeBody {
    pub frozen: bool,
}

#[cfg(test)]
mod tests;
