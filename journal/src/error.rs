//! What can go wrong with a log, and with which status the process then ends.
//!
//! Must not know: how an error is shown. Invariant: every refusal names its place and its rule.

use std::io;
use std::path::{Path, PathBuf};

/// An operating failure of a log.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A system call failed. The state of the file is unknown: end the process, start again.
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// Bytes that must be good are not. Nothing was changed.
    #[error("{rule}: segment {segment} offset {offset}: {detail}")]
    Corrupt { segment: u64, offset: u64, rule: &'static str, detail: String },
    /// No space for the next segment. The group stays in its buffer; `store` may be called again.
    #[error("no space for the next segment {}: {source}", path.display())]
    Full { path: PathBuf, source: io::Error },
    /// Written by a build whose format or schema this one does not know.
    #[error("{what} in {}: found {found}, this build knows {known}", path.display())]
    VersionUnsupported { what: &'static str, path: PathBuf, found: String, known: String },
    /// Another process holds the directory.
    #[error("{} is held by another process", path.display())]
    Locked { path: PathBuf },
    /// A file system on which a sync is not known to cover mapped stores.
    #[error("{} is on file system type {kind:#x}; use ext4 or xfs", path.display())]
    FileSystemRefused { path: PathBuf, kind: u64 },
    /// An option outside its bounds.
    #[error("{what}")]
    Configuration { what: String },
    /// An earlier call failed; nothing is accepted after that.
    #[error("the log failed before and accepts nothing more")]
    Poisoned,
}

impl JournalError {
    /// Status with which a process ends on this error: 70 when the log must not be touched, 75 when
    /// another process has it, 78 for the configuration, 134 (what a shell shows for an abort) for
    /// a failed system call, where the process should abort and be started again.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::Corrupt { .. } | Self::VersionUnsupported { .. } => 70,
            Self::Locked { .. } => 75,
            Self::FileSystemRefused { .. } | Self::Configuration { .. } => 78,
            Self::Io { .. } | Self::Full { .. } | Self::Poisoned => 134,
        }
    }

    /// Adapter for `map_err`: says what was being done to which file.
    pub(crate) fn io<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// A payload schema that this build does not read; `known` are those that it does.
    pub(crate) fn unknown_schema(path: &Path, found: &[u8; 32], known: &[[u8; 32]]) -> Self {
        let hex = |hash: &[u8; 32]| hash.map(|byte| format!("{byte:02x}")).concat();
        Self::VersionUnsupported {
            what: "payload schema",
            path: path.to_owned(),
            found: hex(found),
            known: known.iter().map(hex).collect::<Vec<_>>().join(", "),
        }
    }

    pub(crate) fn corrupt(
        rule: &'static str,
        segment: u64,
        offset: u64,
        detail: impl Into<String>,
    ) -> Self {
        Self::Corrupt { segment, offset, rule, detail: detail.into() }
    }
}

/// Why a recovery stopped.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError<E> {
    /// The log could not be read or was refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The visitor refused a record.
    #[error("replay refused a record")]
    Visit(E),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let path = PathBuf::from("x");
        let source = || io::Error::other("y");
        let what = "format";
        let text = String::new;
        for (error, code) in [
            (JournalError::corrupt("R4", 1, 2, "z"), 70),
            (
                JournalError::VersionUnsupported {
                    what,
                    path: path.clone(),
                    found: text(),
                    known: text(),
                },
                70,
            ),
            (JournalError::Locked { path: path.clone() }, 75),
            (JournalError::FileSystemRefused { path: path.clone(), kind: 1 }, 78),
            (JournalError::Configuration { what: text() }, 78),
            (JournalError::Full { path: path.clone(), source: source() }, 134),
            (JournalError::io("read", &path)(source()), 134),
            (JournalError::Poisoned, 134),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }

    #[test]
    fn corruption_names_rule_and_place() {
        let text = JournalError::corrupt("R8", 7, 4096, "no seal").to_string();
        assert_eq!(text, "R8: segment 7 offset 4096: no seal");
    }
}
