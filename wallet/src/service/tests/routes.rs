//! The router as a whole: its document, its roles, its envelope.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use axum::routing::get;
use futures_util::stream;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::harness::{Answer, Service, Setup, operator, request, send, user};
use crate::service::caller::Role;
use crate::service::router::finished;
use crate::service::routes::all;
use crate::service::{Caller, ServiceOptions};
use crate::wire::paths;

const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// A path whose places are filled in with what is well-formed but names nothing.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{currency}" | "{asset}" => "USDT".to_owned(),
        part if part.starts_with('{') => user("nobody").user.to_string(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn document(service: &Service) -> Value {
    let answer = service.send(None, request(Method::GET, "/openapi.json", None)).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.body
}

/// A person without a token can read what there is, and nothing comes from elsewhere.
#[tokio::test]
async fn the_document_can_be_read_in_a_browser() {
    let service = Service::start().await;
    let read = async |path: &str| {
        let asked = service.router.clone().oneshot(request(Method::GET, path, None)).await.unwrap();
        assert_eq!(asked.status(), 200, "{path}");
        let bytes = to_bytes(asked.into_body(), 1 << 24).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let page = read("/q/swagger-ui/").await;
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
    let script = read("/q/swagger-ui/swagger-initializer.js").await;
    assert!(script.contains("/openapi.json"), "{script}");
    assert!(read("/q/swagger-ui/swagger-ui-bundle.js").await.len() > 100_000);
}

#[tokio::test]
async fn the_document_and_the_router_agree() {
    let service = Service::start().await;
    let document = document(&service).await;
    let documented = document["paths"].as_object().unwrap();
    let routed: BTreeSet<_> =
        all(&ServiceOptions::default()).into_iter().map(|route| route.path).collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), routed);
    for path in [
        paths::RESERVE,
        paths::RELEASE,
        paths::SETTLE,
        paths::RESERVE_BATCH,
        paths::RELEASE_BATCH,
        paths::SETTLE_BATCH,
        paths::BALANCE,
        paths::RESERVATIONS,
        paths::RESERVATION,
        paths::SETTLEMENT,
        paths::FUNDING_EVENTS,
        paths::CONCLUDE_FUNDING,
        paths::WITHDRAWALS,
        paths::HEALTH,
    ] {
        assert!(routed.contains(path), "{path}");
    }
    for (path, operations) in documented {
        for method in METHODS {
            let request = request(method.clone(), &filled(path), Some(&json!({})));
            let answer = service.send(Some(operator()), request).await;
            let known = operations.get(method.as_str().to_lowercase()).is_some();
            let code = answer.body["code"].as_str().unwrap_or_default();
            assert_eq!(code != "METHOD_NOT_ALLOWED", known, "{method} {path}: {code}");
            assert_ne!(code, "NOT_FOUND", "{method} {path}");
            assert_ne!(code, "INTERNAL_ERROR", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_describes_every_body() {
    let service = Service::start().await;
    let document = document(&service).await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let named =
        text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in named {
        assert!(schemas.contains_key(name), "{name} is referred to but not described");
    }
    for route in all(&ServiceOptions::default()) {
        let method = if route.body.is_some() { "post" } else { "get" };
        let operation = &document["paths"][&route.path];
        let operation = operation.get(method).unwrap_or(&operation["post"]);
        assert_eq!(operation.get("requestBody").is_some(), route.body.is_some(), "{}", route.path);
        assert!(operation["responses"]["default"].is_object(), "{}", route.path);
        let places = route.path.matches('{').count();
        let listed = operation["parameters"].as_array().map_or(0, Vec::len);
        assert_eq!(listed, places + route.parameters.len(), "{}", route.path);
    }
    let reserve = &schemas["ReserveBody"]["properties"]["reason"]["enum"];
    assert_eq!(*reserve, json!(["ORDER_PLACEMENT", "TRADING_FUNDING"]));
    assert_eq!(schemas["MoneyBody"]["properties"]["amount"]["type"], "string");
    assert_eq!(schemas["MoneyBody"]["additionalProperties"], false);
}

#[tokio::test]
async fn every_path_asks_for_its_role() {
    let service = Service::start().await;
    let [reader, writer] = [false, true].map(|may_write| Caller { may_write, ..user("nobody") });
    let looker = Caller { may_write: false, ..operator() };
    for route in all(&ServiceOptions::default()) {
        let path = filled(&route.path);
        let method = if route.method == utoipa::openapi::HttpMethod::Get {
            Method::GET
        } else {
            Method::POST
        };
        for caller in [None, Some(reader), Some(writer), Some(looker), Some(operator())] {
            let answer =
                service.send(caller, request(method.clone(), &path, Some(&json!({})))).await;
            let expected = match (route.role, caller) {
                (Role::Anyone, _) => 0,
                (_, None) => 401,
                (Role::Reader, _) => 0,
                (Role::Writer, Some(caller)) if caller.may_write => 0,
                (Role::Operator, Some(caller)) if caller.is_operator => 0,
                (Role::OperatorWriter, Some(caller)) if caller == operator() => 0,
                _ => 403,
            };
            let status = answer.status.as_u16();
            let found = if matches!(status, 401 | 403) { status } else { 0 };
            assert_eq!(found, expected, "{method} {path} by {caller:?}: {}", answer.body);
        }
    }
    let answer = service.send(None, request(Method::GET, "/api/v1/ledger", None)).await;
    let refused = answer.refused(401, "UNAUTHORIZED");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"matchring\""));
}

#[tokio::test]
async fn what_no_path_matches_is_refused_like_all_else() {
    let service = Service::start().await;
    for path in ["/", "/api/v1", "/api/v1/wallet", "/api/v2/wallets", "/api/wallets", "/health/"] {
        service.get(operator(), path).await.refused(404, "NOT_FOUND");
    }
    let wrong = service.send(None, request(Method::DELETE, "/api/v1/wallets", None)).await;
    let wrong = wrong.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.header("allow"), Some("POST"));
    let batch = service.send(None, request(Method::GET, "/api/wallets/settle/batch", None)).await;
    batch.refused(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn answers_carry_version_and_request_id() {
    let service = Service::start().await;
    let get = async |path: &str, id: &str| -> Answer {
        let request = Request::get(path).header(header::HOST, "wallet").header("x-request-id", id);
        service.send(Some(operator()), request.body(Body::empty()).unwrap()).await
    };
    for (path, status) in [("/health", 200), ("/api/v1/wallets/x", 400), ("/nowhere", 404)] {
        let answer = get(path, "my-id").await.expect(status);
        assert_eq!(answer.header("api-version"), Some("1"));
        assert_eq!(answer.header("x-request-id"), Some("my-id"));
        let other = get(path, "my id").await.expect(status);
        assert_ne!(other.header("x-request-id"), Some("my id"));
    }
    let long = format!("/health?{}", "x".repeat(2_048));
    get(&long, "my-id").await.refused(414, "URI_TOO_LONG");
    let request = Request::get("/health").header("x", "y".repeat(16 * 1024));
    let request = request.header(header::HOST, "wallet").body(Body::empty()).unwrap();
    service.send(None, request).await.refused(431, "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_panic_stays_inside() {
    let service = Service::start().await;
    let panics = Router::new().route("/", get(async || -> () { panic!("secret") }));
    let router = finished(panics, service.state.clone());
    let answer = send(&router, None, request(Method::GET, "/", None)).await;
    let answer = answer.refused(500, "INTERNAL_ERROR");
    assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let setup = Setup { timeout: Duration::from_millis(50), ..Setup::default() };
    let service = Service::start_with(setup).await;
    let nothing = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = Request::post("/api/v1/wallets").header(header::HOST, "wallet");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from_stream(nothing)).unwrap();
    service.send(Some(operator()), request).await.refused(408, "REQUEST_TIMEOUT");
}

#[tokio::test]
async fn a_closed_ledger_takes_no_writes() {
    let mut service = Service::start().await;
    let wallet = service.funded("alice", "USDT", "1").await;
    service.close();
    let refused = service.deposit(&wallet, "1", "late").await;
    let refused = refused.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(service.balance(&wallet).await[0], "1", "what is known is still answered");
}
