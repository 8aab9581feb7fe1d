//! Servers for the client's tests: the mock behind the wallet's paths, and one that breaks off.
//! They end with the runtime of their test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::AssetCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::client::{CallContext, MockWallet, Reserved, WalletClient, WalletError};
use crate::wire::{
    Assets, BalanceAnswer, BatchAnswer, BatchBody, BatchResult, ConcludeAnswer, ConcludeBody,
    ErrorBody, FreezeAnswer, FreezeBody, FundingEventItem, FundingEventsAnswer, FundingEventsQuery,
    OrderQuery, ReleaseAnswer, ReleaseBody, ReservationAnswer, ReserveAnswer, ReserveBody,
    SettleAnswer, SettleBody, WireError, code_of, paths,
};

/// The mock behind the wallet's paths.
#[derive(Debug)]
pub(crate) struct ServedMock {
    pub(crate) mock: Arc<MockWallet>,
    assets: Assets,
    /// Answers still to be lost on their way back.
    lost: AtomicUsize,
}

type Served = State<Arc<ServedMock>>;
type Answer<T> = Result<Json<T>, Refusal>;

/// An error as the wallet service answers it.
struct Refusal(StatusCode, &'static str, String);

impl From<WalletError> for Refusal {
    fn from(error: WalletError) -> Self {
        // The code decides, so one status for all is a harder test than the right one.
        Self(StatusCode::BAD_REQUEST, code_of(&error), error.to_string())
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        WalletError::InvalidRequest(error.to_string()).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, error) = self;
        let (code, message) = (code.to_owned(), String::new());
        let details = serde_json::Map::new();
        let body = ErrorBody { error, code, message, details, request_id: "r".to_owned() };
        (status, Json(body)).into_response()
    }
}

fn context() -> CallContext {
    CallContext::within(Duration::from_secs(20))
}

fn asset(text: &str) -> Result<AssetCode, Refusal> {
    let code = AssetCode::new(text);
    code.ok_or_else(|| WalletError::InvalidRequest("unknown asset".to_owned()).into())
}

fn items<T>(results: Vec<Result<T, WalletError>>) -> Json<BatchAnswer<BatchResult<T>>> {
    let result = |result: Result<T, WalletError>| match result {
        Ok(done) => BatchResult::Done(done),
        Err(error) => {
            BatchResult::Refused { error: error.to_string(), code: code_of(&error).to_owned() }
        }
    };
    Json(BatchAnswer { results: results.into_iter().map(result).collect() })
}

/// Reads the items of a batch, makes the call and writes each result with its request.
macro_rules! batch {
    ($served:ident, $body:ident, $read:expr, $call:ident, $write:expr) => {{
        let read = |item| ($read)(item);
        let requests = $body.items.iter().map(read).collect::<Result<Vec<_>, Refusal>>()?;
        let results = $served.mock.$call(context(), &requests).await?;
        let answers = requests.iter().zip(results);
        let written = answers.map(|(request, result)| {
            Ok(match result {
                Ok(done) => Ok(($write)(request, &done)?),
                Err(error) => Err(error),
            })
        });
        Ok(items(written.collect::<Result<Vec<_>, WireError>>()?))
    }};
}

async fn balance(
    State(served): Served,
    Path((user, currency)): Path<(Uuid, String)>,
) -> Answer<BalanceAnswer> {
    let asset = asset(&currency)?;
    let balance = served.mock.get_balance(context(), user, asset).await?;
    Ok(Json(BalanceAnswer::new(user, asset, &balance, &served.assets)?))
}

async fn reserve(State(served): Served, Json(body): Json<ReserveBody>) -> Answer<ReserveAnswer> {
    let request = body.request(&served.assets)?;
    let reserved = served.mock.reserve(context(), &request).await?;
    Ok(Json(ReserveAnswer::new(&reserved, request.asset, &served.assets)?))
}

fn read_release(
    body: &ReleaseBody,
    assets: &Assets,
) -> Result<crate::client::ReleaseRequest, Refusal> {
    let named = body.named_asset(assets)?;
    let named = named.ok_or_else(|| WalletError::InvalidRequest("no asset".to_owned()))?;
    Ok(body.request(named, assets)?)
}

async fn release(State(served): Served, Json(body): Json<ReleaseBody>) -> Answer<ReleaseAnswer> {
    let request = read_release(&body, &served.assets)?;
    let released = served.mock.release(context(), &request).await?;
    Ok(Json(ReleaseAnswer::new(&released, request.asset, &served.assets)?))
}

async fn settle(State(served): Served, Json(body): Json<SettleBody>) -> Answer<SettleAnswer> {
    let request = body.request(&served.assets)?;
    Ok(Json(SettleAnswer::new(&served.mock.settle(context(), &request).await?)))
}

async fn reserve_batch(
    State(served): Served,
    Json(body): Json<BatchBody<ReserveBody>>,
) -> Answer<BatchAnswer<BatchResult<ReserveAnswer>>> {
    let assets = &served.assets;
    let read = |item: &ReserveBody| Ok(item.request(assets)?);
    let write = |request: &crate::client::ReserveRequest, reserved: &Reserved| {
        ReserveAnswer::new(reserved, request.asset, assets)
    };
    batch!(served, body, read, reserve_batch, write)
}

async fn release_batch(
    State(served): Served,
    Json(body): Json<BatchBody<ReleaseBody>>,
) -> Answer<BatchAnswer<BatchResult<ReleaseAnswer>>> {
    let assets = &served.assets;
    let read = |item: &ReleaseBody| read_release(item, assets);
    let write = |request: &crate::client::ReleaseRequest, released: &_| {
        ReleaseAnswer::new(released, request.asset, assets)
    };
    batch!(served, body, read, release_batch, write)
}

async fn settle_batch(
    State(served): Served,
    Json(body): Json<BatchBody<SettleBody>>,
) -> Answer<BatchAnswer<BatchResult<SettleAnswer>>> {
    let read = |item: &SettleBody| Ok(item.request(&served.assets)?);
    let write = |_: &crate::client::SettleRequest, settlement: &_| {
        Ok::<_, WireError>(SettleAnswer::new(settlement))
    };
    batch!(served, body, read, settle_batch, write)
}

async fn reservation(
    State(served): Served,
    Query(query): Query<OrderQuery>,
) -> Answer<ReservationAnswer> {
    let found = served.mock.reservation_of_order(context(), query.order_id).await?;
    let found = found.ok_or(WalletError::ReservationNotFound)?;
    Ok(Json(ReservationAnswer::new(&found, &served.assets)?))
}

async fn settlement(State(served): Served, Path(trade): Path<Uuid>) -> Answer<SettleAnswer> {
    let found = served.mock.settlement_of_trade(context(), trade).await?;
    let absent = Refusal(StatusCode::NOT_FOUND, "SETTLEMENT_NOT_FOUND", "none".to_owned());
    Ok(Json(SettleAnswer::new(&found.ok_or(absent)?)))
}

async fn funding_events(
    State(served): Served,
    Query(query): Query<FundingEventsQuery>,
) -> Answer<FundingEventsAnswer> {
    let wait = Duration::from_millis(query.wait_ms);
    let (after, limit) = (query.after, query.limit);
    let events = served.mock.funding_events(context(), after, limit, wait).await?;
    let items = events.iter().map(|event| FundingEventItem::new(event, &served.assets));
    Ok(Json(FundingEventsAnswer { events: items.collect::<Result<_, _>>()? }))
}

async fn conclude(
    State(served): Served,
    Path(transaction): Path<Uuid>,
    Json(body): Json<ConcludeBody>,
) -> Answer<ConcludeAnswer> {
    let done = served.mock.conclude_funding(context(), transaction, body.granted).await?;
    Ok(Json(ConcludeAnswer { success: true, completed: done.completed }))
}

async fn freeze(
    State(served): Served,
    Path(code): Path<String>,
    Json(body): Json<FreezeBody>,
) -> Answer<FreezeAnswer> {
    served.mock.freeze_withdrawals(context(), asset(&code)?, body.frozen).await?;
    Ok(Json(FreezeAnswer { success: true, frozen: body.frozen }))
}

/// Breaks the connection off after the call has had its effect, if an answer is to be lost.
async fn lose(State(served): Served, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let one_less = |left: usize| left.checked_sub(1);
    match served.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
        Err(_) => response,
        Ok(_) => {
            let broken = Err::<Vec<u8>, _>(std::io::Error::other("lost"));
            Response::new(Body::from_stream(futures_util::stream::iter([broken])))
        }
    }
}

impl ServedMock {
    /// Serves a new mock; the first `lost` answers do not arrive. Returns where it is.
    pub(crate) async fn start(assets: Assets, lost: usize) -> (String, Arc<Self>) {
        let mock = Arc::new(MockWallet::new(assets.clone()));
        let served = Arc::new(Self { mock, assets, lost: AtomicUsize::new(lost) });
        let router = Router::new()
            .route(paths::BALANCE, get(balance))
            .route(paths::RESERVE, post(reserve))
            .route(paths::RELEASE, post(release))
            .route(paths::SETTLE, post(settle))
            .route(paths::RESERVE_BATCH, post(reserve_batch))
            .route(paths::RELEASE_BATCH, post(release_batch))
            .route(paths::SETTLE_BATCH, post(settle_batch))
            .route(paths::RESERVATIONS, get(reservation))
            .route(paths::SETTLEMENT, get(settlement))
            .route(paths::FUNDING_EVENTS, get(funding_events))
            .route(paths::CONCLUDE_FUNDING, post(conclude))
            .route(paths::WITHDRAWALS, post(freeze))
            .route(paths::HEALTH, get(|| async { "healthy" }))
            .layer(from_fn_with_state(Arc::clone(&served), lose))
            .with_state(Arc::clone(&served));
        let (listener, address) = listener().await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}"), served)
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    (listener, address)
}

/// Reads each request, answers these bytes and closes the connection. Returns where it is.
pub(crate) async fn answering_bytes(answer: &'static str) -> String {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Vec::new();
            // All requests that are sent to it end with their JSON body.
            while request.last() != Some(&b'}') {
                if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}
