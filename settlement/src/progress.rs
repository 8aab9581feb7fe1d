//! Owns what settlement must not forget: how far it has come, and its dead letters.
//! Knows nothing of what is done with it. Invariant: both are in one file that is replaced as a
//! whole, so a trade is never behind the cursor without being settled or a dead letter.

use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use engine::TradeId;
use engine::codec;
use journal::{JournalError, StateFile};

use crate::dead_letters::{DeadLetters, StoredLetters};

/// Version of the body.
const FORMAT: u16 = 1;

/// Where settlement stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every event up to this one is done with.
    pub cursor: u64,
    /// Sequence of the command of that event.
    pub sequence: u64,
    /// The last trade up to the cursor.
    pub trade: TradeId,
    pub letters: DeadLetters,
}

#[derive(Encode, Decode)]
struct Stored {
    format: u16,
    cursor: u64,
    sequence: u64,
    trade: TradeId,
    letters: StoredLetters,
}

/// Why progress cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    #[error(transparent)]
    File(#[from] JournalError),
    #[error("{}: not written by this program", .0.display())]
    Unreadable(PathBuf),
}

/// The file of a [`Progress`].
#[derive(Debug)]
pub(crate) struct ProgressFile(StateFile);

impl ProgressFile {
    /// Takes over the file; whoever had it is shut out.
    pub(crate) fn open(path: &Path) -> Result<(Self, Progress), ProgressError> {
        let (file, body) = StateFile::open(path)?;
        let progress = body.map(|body| read(path, &body)).transpose()?;
        Ok((Self(file), progress.unwrap_or_default()))
    }

    pub(crate) fn save(&mut self, progress: &Progress) -> Result<(), JournalError> {
        let mut body = Vec::new();
        let Progress { cursor, sequence, trade, ref letters } = *progress;
        let letters = letters.store();
        codec::append(&Stored { format: FORMAT, cursor, sequence, trade, letters }, &mut body);
        self.0.save(&body)
    }
}

/// What a file says that another process may have.
///
/// # Errors
/// The file is damaged.
pub fn peek(path: &Path) -> Result<Progress, ProgressError> {
    let body = StateFile::peek(path)?;
    Ok(body.map(|body| read(path, &body)).transpose()?.unwrap_or_default())
}

fn read(path: &Path, body: &[u8]) -> Result<Progress, ProgressError> {
    let unreadable = || ProgressError::Unreadable(path.to_owned());
    let stored: Stored = codec::read_whole(body).map_err(|_| unreadable())?;
    if stored.format != FORMAT {
        return Err(unreadable());
    }
    let letters = DeadLetters::restore(stored.letters).ok_or_else(unreadable)?;
    let Stored { cursor, sequence, trade, .. } = stored;
    Ok(Progress { cursor, sequence, trade, letters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;
    use crate::testing::due;

    #[test]
    fn progress_comes_back_and_a_stale_owner_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settlement.state");
        let (mut stale, mut progress) = ProgressFile::open(&path).unwrap();
        assert_eq!(progress, Progress::default());
        progress.cursor = 42;
        progress.sequence = 40;
        progress.trade = TradeId(7);
        progress.letters.add(due(3), Class::Terminal, "user not found", 1);
        stale.save(&progress).unwrap();
        assert_eq!(peek(&path).unwrap(), progress);
        let (_owner, again) = ProgressFile::open(&path).unwrap();
        assert_eq!(again, progress);
        assert!(stale.save(&progress).is_err());
    }
}
