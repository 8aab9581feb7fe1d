//! Owns how the requests of the listeners are shown. Knows nothing of how they are served.
//! Invariant: labels are names of listeners, templates of routes and words of the program.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use wallet::traffic::Traffic;

use super::page::Page;

/// The listeners of the process, by name.
#[derive(Debug)]
pub(super) struct Listeners(pub(super) Vec<(&'static str, Arc<Traffic>)>);

impl Collector for Listeners {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let routes: Vec<_> = self.each(|traffic| traffic.routes()).collect();
        page.counters(
            "http_requests",
            "Requests answered, by class of their status.",
            routes.iter().flat_map(|(listener, route)| {
                route.by_class.iter().map(move |(status, count)| {
                    let (method, route) = (route.method, &*route.route);
                    let labels = [
                        ("listener", *listener),
                        ("method", method),
                        ("route", route),
                        ("status", *status),
                    ];
                    (labels, *count)
                })
            }),
        )?;
        page.durations_by(
            "http_request_duration_seconds",
            "Time from the head of a request to its answer, seconds.",
            routes.iter().map(|(listener, route)| {
                let labels =
                    [("listener", *listener), ("method", route.method), ("route", &*route.route)];
                (labels, &route.durations)
            }),
        )?;
        page.gauges(
            "http_requests_in_flight",
            "Requests that are not answered yet.",
            self.0
                .iter()
                .map(|(listener, traffic)| ([("listener", *listener)], traffic.in_flight())),
        )?;
        page.counters(
            "http_refusals",
            "Requests refused, by the code of their answer.",
            self.each(|traffic| traffic.refusals())
                .map(|(listener, (code, count))| ([("listener", listener), ("code", code)], count)),
        )
    }
}

impl Listeners {
    fn each<T>(&self, read: fn(&Traffic) -> Vec<T>) -> impl Iterator<Item = (&'static str, T)> {
        self.0.iter().flat_map(move |(listener, traffic)| {
            read(traffic).into_iter().map(move |item| (*listener, item))
        })
    }
}
