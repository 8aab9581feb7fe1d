//! Owns where the files of a benchmark lie. Knows nothing of what they are.
//! Invariant: nothing that was there before is touched.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Folder for the logs; a temporary one unless given. It must not exist yet.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Take any file system (figures of syncs then mean nothing).
    #[arg(long)]
    pub(crate) allow_fs: bool,
}

impl Place {
    /// The folder, which is still to be made, and a temporary one, gone with what is returned.
    pub(crate) fn folder(&self) -> Result<(PathBuf, TempDir)> {
        let temporary = tempfile::tempdir().context("making a temporary folder")?;
        let data_dir = self.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
        ensure!(!data_dir.exists(), "{} exists already", data_dir.display());
        Ok((data_dir, temporary))
    }
}
