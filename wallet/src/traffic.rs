//! Owns what a listener counts of its HTTP requests: by route, method and status class, with how
//! long they took, and refusals by their code. Knows nothing of what a route does.
//! Invariant: a route is the router's template, never the path that a client wrote, and there are
//! at most [`ROUTES_MAX`] of them, so that nobody can make the counters grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::http::{Method, StatusCode};
use parking_lot::RwLock;

use crate::durations::{Durations, DurationsSnapshot};
use crate::limits::{REQUEST_BOUNDS_US, ROUTES_MAX};

/// Methods that are told apart; all others are the last one.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "other"];
/// Status classes, from 1xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The route of what no template matches, or of what there is no room for.
const NO_ROUTE: &str = "none";

#[derive(Debug)]
struct Requests {
    by_class: [AtomicU64; CLASSES.len()],
    durations: Durations,
}

impl Default for Requests {
    fn default() -> Self {
        let by_class = Default::default();
        Self { by_class, durations: Durations::new(&REQUEST_BOUNDS_US) }
    }
}

type Route = [Requests; METHODS.len()];

/// The counters of one listener.
#[derive(Debug, Default)]
pub struct Traffic {
    routes: RwLock<BTreeMap<Box<str>, Arc<Route>>>,
    /// By code, which is a word of the program.
    refusals: RwLock<BTreeMap<&'static str, AtomicU64>>,
    in_flight: AtomicUsize,
}

/// A request under way, for as long as it lives.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A copy of what was counted of one method of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSnapshot {
    pub route: Box<str>,
    pub method: &'static str,
    /// Requests by status class; those of which there was none are left out.
    pub by_class: Vec<(&'static str, u64)>,
    pub durations: DurationsSnapshot,
}

impl Traffic {
    /// Counts a request as under way until what is returned is dropped.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.in_flight)
    }

    /// Counts a request that was answered. `route` is the template that it matched.
    pub fn answered(&self, method: &Method, route: Option<&str>, status: StatusCode, us: u64) {
        let is = |name: &&str| *name == method.as_str();
        let method = METHODS.iter().position(is).unwrap_or(METHODS.len() - 1);
        let requests = &self.route(route.unwrap_or(NO_ROUTE))[method];
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        requests.by_class[class].fetch_add(1, Ordering::Relaxed);
        requests.durations.record(us);
    }

    fn route(&self, route: &str) -> Arc<Route> {
        if let Some(known) = self.routes.read().get(route) {
            return Arc::clone(known);
        }
        let mut routes = self.routes.write();
        let has_room = routes.len() < ROUTES_MAX - 1 || routes.contains_key(route);
        let route = if has_room { route } else { NO_ROUTE };
        Arc::clone(routes.entry(route.into()).or_default())
    }

    /// Counts a refusal.
    pub fn refused(&self, code: &'static str) {
        if let Some(count) = self.refusals.read().get(code) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.refusals.write().entry(code).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that are not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Refusals by their code.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let refusals = self.refusals.read();
        refusals.iter().map(|(code, count)| (*code, count.load(Ordering::Relaxed))).collect()
    }

    /// Every method of every route that was asked.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteSnapshot> {
        let routes = self.routes.read();
        let all = routes.iter().flat_map(|(route, methods)| {
            METHODS.into_iter().zip(methods.iter()).map(move |(method, requests)| {
                let counts = requests.by_class.iter().map(|count| count.load(Ordering::Relaxed));
                let by_class = CLASSES.into_iter().zip(counts).filter(|(_, count)| *count > 0);
                RouteSnapshot {
                    route: route.clone(),
                    method,
                    by_class: by_class.collect(),
                    durations: requests.durations.snapshot(),
                }
            })
        });
        all.filter(|route| !route.by_class.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_route_method_and_class() {
        let traffic = Traffic::default();
        let under_way = traffic.begin();
        assert_eq!(traffic.in_flight(), 1);
        for (method, status) in
            [(Method::GET, 200), (Method::GET, 204), (Method::GET, 404), (Method::TRACE, 599)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            traffic.answered(&method, Some("/a/{id}"), status, 700);
        }
        drop(under_way);
        let routes = traffic.routes();
        let told = |at: usize| (routes[at].method, &*routes[at].by_class);
        assert_eq!(told(0), ("GET", &[("2xx", 2), ("4xx", 1)][..]));
        assert_eq!(told(1), ("other", &[("5xx", 1)][..]));
        assert_eq!((routes.len(), traffic.in_flight()), (2, 0));
        assert_eq!((routes[0].durations.count(), routes[0].durations.sum_us), (3, 2_100));
    }

    #[test]
    fn routes_past_the_bound_are_counted_together() {
        let traffic = Traffic::default();
        for number in 0..ROUTES_MAX - 1 {
            let route = format!("/{number:03}");
            traffic.answered(&Method::GET, Some(&route), StatusCode::OK, 1);
        }
        assert!(traffic.routes().iter().all(|route| &*route.route != NO_ROUTE), "at the bound");
        for late in ["/late", "/later", "/000"] {
            traffic.answered(&Method::GET, Some(late), StatusCode::OK, 1);
        }
        let routes = traffic.routes();
        let none = routes.iter().find(|route| &*route.route == NO_ROUTE).unwrap();
        assert_eq!((routes.len(), &*none.by_class), (ROUTES_MAX, &[("2xx", 2)][..]));
    }

    #[test]
    fn refusals_are_counted_by_code() {
        let traffic = Traffic::default();
        for code in ["B", "A", "B"] {
            traffic.refused(code);
        }
        assert_eq!(traffic.refusals(), [("A", 1), ("B", 2)]);
    }
}
