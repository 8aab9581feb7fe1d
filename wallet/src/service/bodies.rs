//! Owns what callers send about wallets and their money. Knows nothing of answers.
//! Invariant: a field that is not listed is refused.

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::ApiError;
use super::fields::{self, AmountText};

/// Opens a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpenWalletBody {
    /// A UUID, or a name that always stands for the same user.
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) currency: Option<String>,
}

/// Brings money in or takes it out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MoneyBody {
    #[schema(value_type = String, example = "100.00")]
    pub(super) amount: AmountText,
    /// 1 to 100 of A-Z, a-z, 0-9, - and _; unique for each caller. Required without an
    /// `Idempotency-Key`.
    #[serde(default)]
    pub(super) reference_id: Option<String>,
    /// At most 500 bytes.
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// Moves money to another wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TransferBody {
    #[serde(default)]
    pub(super) destination_wallet_id: Option<String>,
    /// Another name of `destinationWalletId`.
    #[serde(default)]
    pub(super) to_wallet_id: Option<String>,
    #[schema(value_type = String, example = "25.00")]
    pub(super) amount: AmountText,
    #[serde(default)]
    pub(super) reference_id: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// The wallet that money goes to, by either of its names.
pub(super) fn destination(
    destination: Option<&str>,
    other_name: Option<&str>,
) -> Result<Uuid, ApiError> {
    const FIELD: &str = "destinationWalletId";
    let name = match (destination, other_name) {
        (Some(one), Some(other)) if one != other => {
            return Err(ApiError::invalid(
                "toWalletId",
                "toWalletId differs from destinationWalletId",
            ));
        }
        (one, other) => one.or(other),
    };
    fields::uuid(
        FIELD,
        name.ok_or_else(|| ApiError::invalid(FIELD, format!("{FIELD} is required")))?,
    )
}

/// Which way a correction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Direction {
    Credit,
    Debit,
}

/// Corrects what a wallet has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AdjustBody {
    pub(super) direction: Direction,
    #[schema(value_type = String, example = "0.01")]
    pub(super) amount: AmountText,
    #[serde(default)]
    pub(super) reference_id: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// What one movement of a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum MovementType {
    Deposit,
    Withdrawal,
    Transfer,
}

/// One movement of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MovementItem {
    #[serde(rename = "type")]
    pub(super) movement: MovementType,
    pub(super) wallet_id: String,
    /// Of a transfer only.
    #[serde(default)]
    pub(super) destination_wallet_id: Option<String>,
    /// Another name of `destinationWalletId`.
    #[serde(default)]
    pub(super) to_wallet_id: Option<String>,
    #[schema(value_type = String, example = "1.00")]
    pub(super) amount: AmountText,
}

/// Makes several movements, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MovementBatchBody {
    /// 1 to 8.
    pub(super) items: Vec<MovementItem>,
    #[serde(default)]
    pub(super) reference_id: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
}

/// Stops, or allows again, everything but queries.
#[derive(Debug, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReadOnlyBody {
    pub(super) read_only: bool,
}

/// Whether a movement is only asked about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DryRunQuery {
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// The sequence that an answer must show at least.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinSeqQuery {
    #[serde(default)]
    pub(super) min_seq: Option<u64>,
}

/// The moment of a balance: one of both.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PastQuery {
    #[serde(default)]
    pub(super) timestamp: Option<String>,
    #[serde(default)]
    pub(super) as_of_seq: Option<u64>,
}

/// A page of transactions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(default)]
    pub(super) limit: Option<usize>,
    /// The transaction that the page follows.
    #[serde(default)]
    pub(super) before: Option<String>,
    #[serde(default)]
    pub(super) min_seq: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_one_of_two_names() {
        let [one, other] = [1, 2].map(|n| Uuid::from_u128(n).to_string());
        assert_eq!(destination(Some(&one), None).unwrap(), Uuid::from_u128(1));
        assert_eq!(destination(None, Some(&one)).unwrap(), Uuid::from_u128(1));
        assert_eq!(destination(Some(&one), Some(&one)).unwrap(), Uuid::from_u128(1));
        assert!(destination(Some(&one), Some(&other)).is_err());
        assert!(destination(None, None).is_err());
        assert!(destination(Some("x"), None).is_err());
    }
}
