//! Owns the known assets and their decimal places, and how a field is refused.
//! Knows nothing of amounts. Invariant: an asset has one scale, for money without one means
//! nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use engine::AssetCode;
use engine::limits::ASSET_SCALE_MAX;

/// One field that cannot be read, or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct WireError {
    pub field: &'static str,
    /// Fit for whoever sent the field.
    pub problem: Cow<'static, str>,
}

impl WireError {
    pub(super) fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Decimal places by asset. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assets(Arc<BTreeMap<AssetCode, u8>>);

impl Assets {
    /// The assets of a list; `None` if one is listed twice with different scales, or has more
    /// decimal places than any asset.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = (AssetCode, u8)>) -> Option<Self> {
        let mut scales = BTreeMap::new();
        for (code, scale) in list {
            if scale > ASSET_SCALE_MAX || *scales.entry(code).or_insert(scale) != scale {
                return None;
            }
        }
        Some(Self(Arc::new(scales)))
    }

    /// Decimal places of an asset: one unit is 10^-scale.
    #[must_use]
    pub fn scale(&self, code: AssetCode) -> Option<u8> {
        self.0.get(&code).copied()
    }

    pub(super) fn known_scale(
        &self,
        field: &'static str,
        code: AssetCode,
    ) -> Result<u8, WireError> {
        self.scale(code).ok_or_else(|| WireError::new(field, "unknown asset"))
    }

    /// A known asset from its text.
    pub(super) fn read(
        &self,
        field: &'static str,
        text: &str,
    ) -> Result<(AssetCode, u8), WireError> {
        let code = AssetCode::new(text).ok_or_else(|| WireError::new(field, "unknown asset"))?;
        Ok((code, self.known_scale(field, code)?))
    }
}

/// The asset that a body names as `asset`, as `currency`, or as both.
pub(super) fn one_name<'a>(
    asset: Option<&'a str>,
    currency: Option<&'a str>,
) -> Result<Option<&'a str>, WireError> {
    match (asset, currency) {
        (Some(asset), Some(currency)) if asset != currency => {
            Err(WireError::new("currency", "differs from asset"))
        }
        (asset, currency) => Ok(asset.or(currency)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> AssetCode {
        AssetCode::new(text).unwrap()
    }

    #[test]
    fn an_asset_has_one_scale_within_the_bound() {
        let assets = Assets::new([(code("BTC"), 8), (code("ETH"), 18), (code("BTC"), 8)]).unwrap();
        assert_eq!(assets.scale(code("BTC")), Some(8));
        assert_eq!(assets.scale(code("ETH")), Some(18));
        assert_eq!(assets.scale(code("USD")), None);
        assert_eq!(Assets::new([(code("BTC"), 8), (code("BTC"), 9)]), None);
        assert_eq!(Assets::new([(code("BTC"), 19)]), None);
    }

    #[test]
    fn two_names_must_agree() {
        assert_eq!(one_name(Some("BTC"), None), Ok(Some("BTC")));
        assert_eq!(one_name(None, Some("BTC")), Ok(Some("BTC")));
        assert_eq!(one_name(Some("BTC"), Some("BTC")), Ok(Some("BTC")));
        assert_eq!(one_name(None, None), Ok(None));
        assert_eq!(one_name(Some("BTC"), Some("ETH")).unwrap_err().field, "currency");
    }

    #[test]
    fn only_known_assets_are_read() {
        let assets = Assets::new([(code("BTC"), 8)]).unwrap();
        assert_eq!(assets.read("asset", "BTC"), Ok((code("BTC"), 8)));
        for text in ["btc", "", "ETH", "BTC/USD", "AAAAAAAAAAAAA"] {
            assert_eq!(assets.read("asset", text).unwrap_err().field, "asset", "{text}");
        }
    }
}
