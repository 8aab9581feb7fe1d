//! Many readers of one event log: whoever reads has a position of its own, and no reader takes an
//! event from another.

use std::collections::BTreeSet;
use std::path::Path;

use engine::{Engine, Event, TradeId};
use pipeline::EventLogReader;
use settlement::SettlementStatus;
use settlement::limits::POLL_EVERY;

use crate::harness::Exchange;

type Reader = EventLogReader<Engine>;

fn reader(directory: &Path, from: u64) -> Reader {
    EventLogReader::open(directory, from).unwrap()
}

/// The trades behind a reader's position, in order.
fn trades(reader: &mut Reader) -> Vec<TradeId> {
    let mut trades = Vec::new();
    while let Some(logged) = reader.next_event().unwrap() {
        if let Event::Trade(trade) = logged.event {
            trades.push(trade.trade_id);
        }
    }
    trades
}

/// `count` trades; the ids of the buyer's orders.
async fn trade(exchange: &Exchange, count: usize) -> Vec<String> {
    let mut orders = Vec::new();
    for _ in 0..count {
        exchange.limit("seller", "SELL", "0.1", "50000").await;
        orders.push(exchange.limit("buyer", "BUY", "0.1", "50000").await);
    }
    orders
}

#[tokio::test]
async fn d07_consumers_do_not_displace_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let mut early = [reader(directory.path(), 1), reader(directory.path(), 1)];
    let orders = trade(&exchange, 3).await;
    let mut first = trades(&mut early[0]);
    let mut late = reader(directory.path(), 1);
    let orders = [orders, trade(&exchange, 4).await].concat();
    let desk = &exchange.app.state().money.desk;
    let board = desk.board();
    while board.counts().settled < 7 {
        tokio::time::sleep(POLL_EVERY).await;
    }
    first.extend(trades(&mut early[0]));
    let all: Vec<_> = (1..=7).map(TradeId).collect();
    assert_eq!(first, all, "who read in between");
    assert_eq!(trades(&mut early[1]), all, "who was there first and read last");
    assert_eq!(trades(&mut late), all, "who came later");
    assert_eq!(trades(&mut reader(directory.path(), 1)), all, "who comes when all is done");
    let settled = |trade: &TradeId| board.trade(*trade).status == SettlementStatus::Settled;
    assert!(all.iter().all(settled), "the desk has missed none");
    let mut seen = BTreeSet::new();
    for order in orders {
        let path = format!("/api/v1/orders/{order}/trades");
        let page = exchange.get("buyer", &path).await.expect(200).body;
        seen.insert(page[0]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 7, "nor have the views");
    let books = exchange.app.state().money.reconciliation.run().await;
    let report = books.report.unwrap();
    assert_eq!((report.breaches, report.trades_matched), (Vec::new(), 7), "nor the comparison");
    drop(exchange.app.shutdown().await.unwrap());
}
