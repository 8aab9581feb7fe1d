//! Owns the checks of the section that says when snapshots are taken and what they replace.
//! Knows nothing of how one is taken. Invariant: nothing is taken away that a part of this process
//! still reads.

use std::time::Duration;

use journal::Retention;
use journal::limits::{SNAPSHOTS_KEPT_MAX, SNAPSHOTS_KEPT_MIN};
use pipeline::SnapshotPolicy;

use super::file::{SnapshotSection, WalletSection};
use super::{ConfigError, bounded};
use crate::limits::SNAPSHOT_INTERVAL_MAX_S;

pub(super) fn check_snapshots(
    file: &SnapshotSection,
    wallet: &WalletSection,
) -> Result<SnapshotPolicy, ConfigError> {
    let retention: Retention = file
        .retention
        .parse()
        .map_err(|error| ConfigError::value("snapshot.retention", format!("{error}")))?;
    if retention == Retention::Delete && wallet.reconcile_every_ms != 0 {
        let problem = "delete leaves nothing to compare the books by; use archive, or set \
                       wallet.reconcile_every_ms to 0";
        return Err(ConfigError::value("snapshot.retention", problem));
    }
    let (low, high) = (SNAPSHOTS_KEPT_MIN, SNAPSHOTS_KEPT_MAX);
    let seconds =
        bounded("snapshot.min_interval_s", file.min_interval_s, 0, SNAPSHOT_INTERVAL_MAX_S)?;
    Ok(SnapshotPolicy {
        every_commands: file.every_commands,
        min_interval: Duration::from_secs(seconds),
        at_shutdown: file.at_shutdown,
        kept: bounded("snapshot.kept", file.kept, low, high)?,
        retention,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(file: &SnapshotSection, reconcile_every_ms: u64) -> Option<String> {
        let wallet = WalletSection { reconcile_every_ms, ..WalletSection::default() };
        check_snapshots(file, &wallet).err().map(|error| error.to_string())
    }

    #[test]
    fn values_have_bounds() {
        let with = |kept, min_interval_s| SnapshotSection {
            kept,
            min_interval_s,
            ..SnapshotSection::default()
        };
        for good in [
            SnapshotSection::default(),
            with(SNAPSHOTS_KEPT_MIN, 0),
            with(SNAPSHOTS_KEPT_MAX, SNAPSHOT_INTERVAL_MAX_S),
        ] {
            assert_eq!(refusal(&good, 1), None, "{good:?}");
        }
        for (wrong, key) in [
            (with(SNAPSHOTS_KEPT_MIN - 1, 0), "snapshot.kept"),
            (with(SNAPSHOTS_KEPT_MAX + 1, 0), "snapshot.kept"),
            (with(2, SNAPSHOT_INTERVAL_MAX_S + 1), "snapshot.min_interval_s"),
            (
                SnapshotSection { retention: "all".to_owned(), ..SnapshotSection::default() },
                "snapshot.retention",
            ),
        ] {
            assert!(refusal(&wrong, 1).is_some_and(|text| text.contains(key)), "{wrong:?}");
        }
    }

    #[test]
    fn what_the_books_are_compared_by_is_not_deleted() {
        let with = |retention: &str| SnapshotSection {
            retention: retention.to_owned(),
            ..SnapshotSection::default()
        };
        assert_eq!(refusal(&with("archive"), 60_000), None);
        assert_eq!(refusal(&with("delete"), 0), None);
        assert!(refusal(&with("delete"), 60_000).is_some_and(|text| text.contains("archive")));
    }
}
