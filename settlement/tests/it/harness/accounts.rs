//! Owns trading accounts in memory, and how they fail. Knows nothing of wallets.
//! Invariant: a movement is made once, and every movement is a command of the market.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use engine::{Amount, AssetCode};
use parking_lot::Mutex;
use settlement::funding::{Moved, Trading};
use uuid::Uuid;

use super::{Market, code, user};

/// What befalls one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// Nothing is done, and nobody says so.
    Silent,
    /// It is done, and nobody says so.
    Forgetful,
    /// No answer, ever.
    Gone,
}

type Moods = Box<dyn FnMut(Uuid) -> Mood + Send>;

#[derive(Default)]
struct State {
    balances: BTreeMap<(Uuid, AssetCode), Amount>,
    /// Movements by id: the command, or why it was refused.
    moved: BTreeMap<Uuid, Result<u64, String>>,
    /// Users who are not let in.
    barred: BTreeSet<Uuid>,
    asked: BTreeMap<Uuid, usize>,
}

/// The trading accounts.
pub(crate) struct Accounts {
    market: Market,
    state: Mutex<State>,
    moods: Mutex<Moods>,
}

impl Accounts {
    pub(crate) fn new(market: &Market) -> Self {
        let moods: Moods = Box::new(|_| Mood::Fine);
        Self { market: market.clone(), state: Mutex::default(), moods: Mutex::new(moods) }
    }

    /// Asked for the user of every request from now on.
    pub(crate) fn moods(&self, moods: impl FnMut(Uuid) -> Mood + Send + 'static) {
        *self.moods.lock() = Box::new(moods);
    }

    pub(crate) fn bar(&self, number: u32) {
        self.state.lock().barred.insert(user(number));
    }

    pub(crate) fn balance(&self, number: u32, asset: &str) -> Amount {
        self.state.lock().balances.get(&(user(number), code(asset))).copied().unwrap_or(0)
    }

    /// Takes part in a trade without the market's knowing.
    pub(crate) fn set_balance(&self, number: u32, asset: &str, amount: Amount) {
        self.state.lock().balances.insert((user(number), code(asset)), amount);
    }

    /// Movements that were made.
    pub(crate) fn made(&self) -> usize {
        self.state.lock().moved.values().filter(|moved| moved.is_ok()).count()
    }

    /// Requests in all.
    pub(crate) fn requests(&self) -> usize {
        self.state.lock().asked.values().sum()
    }

    async fn ask(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: i128) -> Moved {
        *self.state.lock().asked.entry(id).or_default() += 1;
        let mood = (self.moods.lock())(user);
        match mood {
            Mood::Fine => {}
            Mood::Silent => return Moved::Unknown("silent".to_owned()),
            Mood::Forgetful => {
                drop(self.make(id, user, asset, amount));
                return Moved::Unknown("forgetful".to_owned());
            }
            Mood::Gone => std::future::pending().await,
        }
        match self.make(id, user, asset, amount) {
            Ok(sequence) => Moved::Done { sequence },
            Err(reason) => Moved::Refused(reason),
        }
    }

    fn make(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: i128) -> Result<u64, String> {
        let mut state = self.state.lock();
        if let Some(before) = state.moved.get(&id) {
            return before.clone();
        }
        let barred = state.barred.contains(&user);
        let balance = state.balances.entry((user, asset)).or_default();
        let after = balance.checked_add_signed(amount).filter(|_| !barred);
        let moved = match after {
            Some(after) => {
                *balance = after;
                self.market.other();
                Ok(self.market.head())
            }
            None => Err("INSUFFICIENT_BALANCE".to_owned()),
        };
        state.moved.insert(id, moved.clone());
        moved
    }
}

#[async_trait]
impl Trading for Accounts {
    async fn credit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved {
        self.ask(id, user, asset, amount.cast_signed()).await
    }

    async fn debit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved {
        self.ask(id, user, asset, -amount.cast_signed()).await
    }
}
