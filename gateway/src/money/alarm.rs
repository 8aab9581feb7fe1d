//! Owns what happens when the wallet refuses a trade: the market or the account stops.
//! Knows nothing of why. Invariant: it stops too much rather than too little, and only an operator
//! starts again what was stopped.

use std::time::Duration;

use engine::{AccountStatus, Command, TradingStatus};
use settlement::{Alarm, Class, DeadLetter};

use super::Venue;

/// Pause before a restriction is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Stops the instrument where the books do not agree, and the accounts where the wallet refuses.
pub(super) struct HaltAndSuspend {
    venue: Venue,
}

impl HaltAndSuspend {
    pub(super) fn new(venue: Venue) -> Self {
        Self { venue }
    }

    fn commands(&self, letter: &DeadLetter) -> Vec<Command> {
        match letter.class {
            Class::Unknown => Vec::new(),
            Class::Impossible => vec![Command::SetTradingStatus {
                instrument: letter.trade.instrument,
                status: TradingStatus::CancelOnly,
            }],
            Class::Terminal => {
                let request = &letter.trade.request;
                let users = [request.buyer_id, request.seller_id];
                let accounts = users.iter().filter_map(|user| self.venue.views.account(*user));
                let status = AccountStatus::Suspended;
                accounts.map(|account| Command::SetAccountStatus { account, status }).collect()
            }
        }
    }
}

/// Asks until it is done: setting what is already so is fine. The next start asks again if this one
/// ends before.
async fn restrict(venue: &Venue, command: Command) {
    while let Err(code) = venue.exchange.submit(command).await {
        if venue.exchange.is_draining() {
            return;
        }
        tracing::error!(?command, code = code.name(), "trading is not restricted yet");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

impl Alarm for HaltAndSuspend {
    fn raise(&self, letter: &DeadLetter) {
        tracing::error!(
            trade = %letter.trade.request.trade_id,
            class = letter.class.name(),
            reason = letter.reason,
            buyer = %letter.trade.request.buyer_id,
            seller = %letter.trade.request.seller_id,
            "the wallet refused a trade: it is a dead letter, and trading was restricted"
        );
        let (venue, commands) = (self.venue.clone(), self.commands(letter));
        tokio::spawn(async move {
            for command in commands {
                restrict(&venue, command).await;
            }
        });
    }
}
