//! Owns what the command line does without a running exchange, and how it fails.
//! Knows nothing of servers. Invariant: nothing is made but a token key where there is none, and
//! what the command is named after.

mod log_name;
mod logs;
mod settlement;
mod snapshot;
mod token;
mod wallet;

use std::io;
use std::path::PathBuf;

use journal::JournalError;
use pipeline::PipelineError;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::exit_status;
use crate::token_key::TokenKeyError;
pub(crate) use logs::{JournalCommand, ReplayArguments, journal, replay};
pub(crate) use settlement::{SettlementCommand, settlement};
pub(crate) use snapshot::{SnapshotArguments, snapshot};
pub(crate) use token::{TokenArguments, token};
pub(crate) use wallet::{VerifyArguments, verify};

/// Why an offline command failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    TokenKey(#[from] TokenKeyError),
    #[error(transparent)]
    Start(#[from] AppError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("tokens are not signed on the command line where ENVIRONMENT is production")]
    Production,
    #[error("--{argument} {text:?}: {problem}")]
    Argument { argument: &'static str, text: String, problem: &'static str },
    #[error("there is no journal in {}", .0.display())]
    NoJournal(PathBuf),
    #[error("the token cannot be signed")]
    Sign,
    #[error(transparent)]
    Progress(#[from] ::settlement::ProgressError),
    #[error(transparent)]
    Releases(#[from] ::settlement::releases::ReleasesError),
    #[error("event {event_sequence}: {what}")]
    Audit { event_sequence: u64, what: String },
    #[error("the books do not agree: {0}")]
    Breach(String),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

impl OfflineError {
    /// Status with which the process should exit.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Start(error) => error.exit_code(),
            Self::Pipeline(error) => error.exit_code(),
            Self::Journal(error)
            | Self::Progress(::settlement::ProgressError::File(error))
            | Self::Releases(::settlement::releases::ReleasesError::File(error)) => {
                error.exit_code()
            }
            Self::Progress(::settlement::ProgressError::Unreadable(_))
            | Self::Releases(_)
            | Self::Audit { .. }
            | Self::Breach(_) => exit_status::HALT,
            Self::Config(_)
            | Self::TokenKey(_)
            | Self::Production
            | Self::Argument { .. }
            | Self::NoJournal(_)
            | Self::Sign
            | Self::Output(_) => exit_status::CONFIGURATION,
        }
    }
}
