//! The ladder against an ordered map: same content, same neighbours, through growth and emptying.

use std::collections::BTreeMap;

use super::*;

/// Deterministic stream of 64-bit numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % below
    }
}

fn check_against_map(prices: impl Fn(&mut Numbers) -> i64, rounds: u32) {
    let mut numbers = Numbers(42);
    let mut ladder = PriceLadder::default();
    let mut map: BTreeMap<i64, (u32, Rung)> = BTreeMap::new();
    for value in 0..rounds {
        let price = prices(&mut numbers);
        if let Some((_, rung)) = map.remove(&price) {
            ladder.remove(Price(price), rung);
            assert_eq!(ladder.get(Price(price)), None);
        } else {
            let rung = ladder.insert(Price(price), value);
            map.insert(price, (value, rung));
        }
        assert_eq!(ladder.get(Price(price)), map.get(&price).map(|(value, _)| *value));
        let probe = prices(&mut numbers);
        if let Some((_, rung)) = map.get(&probe) {
            let above = map.range(probe + 1..).next().map(|(_, (value, _))| *value);
            let below = map.range(..probe).next_back().map(|(_, (value, _))| *value);
            assert_eq!(ladder.above(Price(probe), *rung), above);
            assert_eq!(ladder.below(Price(probe), *rung), below);
        }
    }
    let live = ladder.nodes.len() - ladder.free.len();
    assert!(live <= 1 + map.len() * 8, "{live} nodes for {} prices", map.len());
    for (price, (_, rung)) in map {
        ladder.remove(Price(price), rung);
    }
    assert_eq!(ladder.nodes.len() - ladder.free.len(), 1, "only the root is left");
}

#[test]
fn narrow_book() {
    check_against_map(|n| 49_900 + n.next(200).cast_signed(), 20_000);
}

#[test]
fn jumps_over_tens_of_thousands_of_ticks() {
    check_against_map(|n| 1 + n.next(60_000).cast_signed(), 20_000);
}

#[test]
fn whole_range_of_prices() {
    check_against_map(|n| 1 + (n.next(1 << 30) << 17 >> n.next(47)).cast_signed(), 20_000);
}

#[test]
fn edges_of_leaves_and_nodes() {
    let near = |n: &mut Numbers| n.next(4).cast_signed() - 1;
    check_against_map(|n| (1 << (6 * (1 + n.next(7)))) + near(n), 5_000);
}
