//! Owns the list of all operations: where each is, who may ask it, what it takes and answers.
//! Knows nothing of what any does. Invariant: the router and the document are made from this one
//! list, so neither has a path that the other lacks.

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use utoipa::ToSchema;
use utoipa::openapi::HttpMethod;

use super::answers::{
    DryRunAnswer, MovementAnswer, PastBalanceAnswer, WalletAnswer, WalletBalanceAnswer,
};
use super::bodies::{
    AdjustBody, MoneyBody, MovementBatchBody, OpenWalletBody, ReadOnlyBody, TransferBody,
};
use super::caller::Role;
use super::keys::HEADER;
use super::openapi::{Described, described, described_results};
use super::operators::{HealthAnswer, LedgerAnswer, StateHashAnswer};
use super::state::{ServiceOptions, ServiceState};
use super::transactions::TransactionAnswer;
use super::{
    funding, history, lookups, movements, openapi, operators, trading, transactions, wallets,
};
use crate::wire::{
    BalanceAnswer, BatchBody, ConcludeAnswer, ConcludeBody, FreezeAnswer, FreezeBody,
    FundingEventsAnswer, ReleaseAnswer, ReleaseBody, ReservationAnswer, ReserveAnswer, ReserveBody,
    SettleAnswer, SettleBody, paths,
};

/// One operation.
pub(super) struct Route {
    pub(super) method: HttpMethod,
    pub(super) path: String,
    pub(super) role: Role,
    pub(super) summary: &'static str,
    pub(super) handler: MethodRouter<ServiceState>,
    /// Parameters of the query, and what they are.
    pub(super) parameters: Vec<(&'static str, &'static str)>,
    pub(super) body: Option<Described>,
    /// By status.
    pub(super) answers: Vec<(u16, Described)>,
}

fn get<H: Handler<T, ServiceState>, T: 'static>(
    path: impl Into<String>,
    role: Role,
    summary: &'static str,
    handler: H,
) -> Route {
    Route::new(HttpMethod::Get, path.into(), role, summary, routing::get(handler))
}

fn post<H: Handler<T, ServiceState>, T: 'static>(
    path: impl Into<String>,
    role: Role,
    summary: &'static str,
    handler: H,
) -> Route {
    Route::new(HttpMethod::Post, path.into(), role, summary, routing::post(handler))
}

impl Route {
    fn new(
        method: HttpMethod,
        path: String,
        role: Role,
        summary: &'static str,
        handler: MethodRouter<ServiceState>,
    ) -> Self {
        let (parameters, body, answers) = (Vec::new(), None, Vec::new());
        Self { method, path, role, summary, handler, parameters, body, answers }
    }

    fn asks(mut self, parameter: &'static str, what: &'static str) -> Self {
        self.parameters.push((parameter, what));
        self
    }

    fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(described::<T>());
        self
    }

    fn answers<T: ToSchema>(mut self, status: u16) -> Self {
        self.answers.push((status, described::<T>()));
        self
    }

    /// As a movement of money is: now, later, or only asked about.
    fn moves(self) -> Self {
        let what = "true only says what would happen";
        let key =
            "names the request where no referenceId does: 1 to 255 printable ASCII characters";
        self.asks("dryRun", what)
            .asks(HEADER, key)
            .answers::<MovementAnswer>(200)
            .answers::<DryRunAnswer>(200)
            .answers::<MovementAnswer>(202)
    }

    /// As several of one kind are.
    fn lists<T: ToSchema, A: ToSchema>(mut self) -> Self {
        self.answers.push((200, described_results::<A>()));
        self.takes::<BatchBody<T>>()
    }

    fn shows<T: ToSchema>(self) -> Self {
        self.asks("min_seq", "waits until the answer shows this sequence").answers::<T>(200)
    }
}

/// A path that the client calls, and the same among the others.
fn both(path: &str, route: impl Fn(String) -> Route) -> [Route; 2] {
    [path.to_owned(), path.replacen("/api/", "/api/v1/", 1)].map(route)
}

/// All operations.
pub(super) fn all(options: &ServiceOptions) -> Vec<Route> {
    let mut routes = wallet_routes();
    routes.extend(money_routes());
    routes.extend(transaction_routes());
    routes.extend(trading_routes(options));
    routes.extend(lookup_routes());
    routes.extend(funding_routes());
    routes.extend(operator_routes());
    routes
}

fn wallet_routes() -> Vec<Route> {
    use Role::{OperatorWriter, Reader, Writer};
    vec![
        post("/api/v1/wallets", Writer, "Opens a wallet", wallets::open)
            .takes::<OpenWalletBody>()
            .answers::<WalletAnswer>(201),
        get("/api/v1/wallets/{id}", Reader, "Shows a wallet", wallets::get).shows::<WalletAnswer>(),
        get("/api/v1/users/{user_id}/wallets", Reader, "Lists a user's wallets", wallets::list)
            .shows::<Vec<WalletAnswer>>(),
        post("/api/v1/wallets/{id}/freeze", OperatorWriter, "Freezes a wallet", wallets::freeze)
            .answers::<WalletAnswer>(200),
        post("/api/v1/wallets/{id}/unfreeze", OperatorWriter, "Thaws a wallet", wallets::unfreeze)
            .answers::<WalletAnswer>(200),
        post("/api/v1/wallets/{id}/close", OperatorWriter, "Closes a wallet", wallets::close)
            .answers::<WalletAnswer>(200),
        get("/api/v1/wallets/{id}/balance", Reader, "Shows a balance", history::balance)
            .shows::<WalletBalanceAnswer>(),
        past("/api/v1/wallets/{id}/balance/historical"),
        past("/api/v1/wallets/{id}/balance/history"),
    ]
}

fn past(path: &str) -> Route {
    get(path, Role::Reader, "Shows a balance of the past", history::past_balance)
        .asks("timestamp", "a moment, inclusive; UTC unless it names an offset")
        .asks("asOfSeq", "or a sequence, inclusive")
        .answers::<PastBalanceAnswer>(200)
}

fn money_routes() -> Vec<Route> {
    use Role::{OperatorWriter, Writer};
    vec![
        post("/api/v1/wallets/{id}/deposit", OperatorWriter, "Brings money in", movements::deposit)
            .takes::<MoneyBody>()
            .moves(),
        post("/api/v1/wallets/{id}/withdraw", Writer, "Takes money out", movements::withdraw)
            .takes::<MoneyBody>()
            .moves(),
        post("/api/v1/wallets/{id}/transfer", Writer, "Sends money", movements::transfer)
            .takes::<TransferBody>()
            .moves(),
        post("/api/v1/wallets/{id}/adjust", OperatorWriter, "Corrects", movements::adjust)
            .takes::<AdjustBody>()
            .moves(),
    ]
}

fn transaction_routes() -> Vec<Route> {
    use Role::{OperatorWriter, Reader, Writer};
    vec![
        post("/api/v1/transactions/batch", Writer, "Moves all or nothing", movements::batch)
            .takes::<MovementBatchBody>()
            .moves(),
        post("/api/v1/transactions/{id}/reverse", OperatorWriter, "Reverses", movements::reverse)
            .answers::<MovementAnswer>(200)
            .answers::<MovementAnswer>(202),
        get("/api/v1/transactions/{id}", Reader, "Shows a transaction", transactions::get)
            .shows::<TransactionAnswer>(),
        get("/api/v1/wallets/{id}/transactions", Reader, "Lists them", transactions::list)
            .asks("limit", "1 to 100")
            .asks("before", "the page follows this transaction; see X-Next-Cursor")
            .shows::<Vec<TransactionAnswer>>(),
    ]
}

fn trading_routes(options: &ServiceOptions) -> Vec<Route> {
    use Role::OperatorWriter;
    let batch_limit = DefaultBodyLimit::max(options.batch_body_bytes);
    let large = |routes: [Route; 2]| {
        routes.map(|route| Route { handler: route.handler.layer(batch_limit), ..route })
    };
    let each = "Each on its own, in this order";
    let one = [
        both(paths::RESERVE, |path| {
            post(path, OperatorWriter, "Reserves", trading::one::<ReserveBody>)
                .takes::<ReserveBody>()
                .answers::<ReserveAnswer>(200)
        }),
        both(paths::RELEASE, |path| {
            post(path, OperatorWriter, "Releases", trading::one::<ReleaseBody>)
                .takes::<ReleaseBody>()
                .answers::<ReleaseAnswer>(200)
        }),
        both(paths::SETTLE, |path| {
            post(path, OperatorWriter, "Settles", trading::one::<SettleBody>)
                .takes::<SettleBody>()
                .answers::<SettleAnswer>(200)
        }),
    ];
    let several = [
        both(paths::RESERVE_BATCH, |path| {
            post(path, OperatorWriter, each, trading::batch::<ReserveBody>)
                .lists::<ReserveBody, ReserveAnswer>()
        }),
        both(paths::RELEASE_BATCH, |path| {
            post(path, OperatorWriter, each, trading::batch::<ReleaseBody>)
                .lists::<ReleaseBody, ReleaseAnswer>()
        }),
        both(paths::SETTLE_BATCH, |path| {
            post(path, OperatorWriter, each, trading::batch::<SettleBody>)
                .lists::<SettleBody, SettleAnswer>()
        }),
    ];
    one.into_iter().chain(several.map(large)).flatten().collect()
}

fn lookup_routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both(paths::BALANCE, |path| {
        get(path, Role::Reader, "Shows a user's balance", lookups::balance).shows::<BalanceAnswer>()
    }));
    routes.extend(both(paths::RESERVATIONS, |path| {
        get(path, Role::Operator, "Finds an order's reservation", lookups::reservation_of_order)
            .asks("order_id", "the order")
            .answers::<ReservationAnswer>(200)
    }));
    routes.extend(both(paths::RESERVATION, |path| {
        get(path, Role::Operator, "Shows a reservation", lookups::reservation)
            .answers::<ReservationAnswer>(200)
    }));
    routes.extend(both(paths::SETTLEMENT, |path| {
        get(path, Role::Operator, "Shows how a trade was settled", lookups::settlement)
            .answers::<SettleAnswer>(200)
    }));
    routes
}

fn funding_routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both(paths::FUNDING_EVENTS, |path| {
        get(path, Role::Operator, "Tells of money that is to move", funding::events)
            .asks("after", "the cursor of the last event that is known, or 0")
            .asks("limit", "1 to 1000")
            .asks("wait_ms", "how long to wait for the first event, at most 30000")
            .answers::<FundingEventsAnswer>(200)
    }));
    routes.extend(both(paths::CONCLUDE_FUNDING, |path| {
        post(path, Role::OperatorWriter, "Answers a funding event", funding::conclude)
            .takes::<ConcludeBody>()
            .answers::<ConcludeAnswer>(200)
    }));
    routes.extend(both(paths::WITHDRAWALS, |path| {
        post(path, Role::OperatorWriter, "Stops withdrawals", funding::freeze_withdrawals)
            .takes::<FreezeBody>()
            .answers::<FreezeAnswer>(200)
    }));
    routes
}

/// Where the document is.
pub(super) const DOCUMENT: &str = "/openapi.json";

fn operator_routes() -> Vec<Route> {
    use Role::{Anyone, Operator, OperatorWriter};
    vec![
        post("/api/v1/ledger/read-only", OperatorWriter, "Stops writes", operators::set_read_only)
            .takes::<ReadOnlyBody>()
            .answers::<ReadOnlyBody>(200),
        get("/api/v1/ledger", Operator, "Adds everything up", operators::ledger)
            .answers::<LedgerAnswer>(200),
        get("/api/v1/ledger/state-hash", Operator, "Hashes the ledger", operators::state_hash)
            .answers::<StateHashAnswer>(200),
        get(paths::HEALTH, Anyone, "Whether the process answers", operators::health)
            .answers::<HealthAnswer>(200),
        get("/q/health", Anyone, "Whether it takes writes", operators::ready)
            .answers::<HealthAnswer>(200),
        get(DOCUMENT, Anyone, "This document", openapi::serve),
        get("/ready", Anyone, "Whether it takes writes", operators::ready)
            .answers::<HealthAnswer>(200),
    ]
}
