//! What a table of used keys keeps, drops and refuses.

use super::*;
use crate::dedup::ClientOrderKey;
use crate::types::{AccountId, TransferId};

fn table() -> DedupTable<TransferId> {
    DedupTable::new(HashSecret([7, 9]), 0)
}

#[test]
fn a_full_table_drops_the_oldest_retired_key_and_no_live_one() {
    let mut table = table();
    let insert = |table: &mut DedupTable<TransferId>, id| {
        table.insert(TransferId(id), OrderId(0), None, 0, of(3))
    };
    let key = TransferId(9);
    let live = insert(&mut table, 1);
    for id in [2, 3] {
        let place = insert(&mut table, id);
        table.retire(place, 10);
    }
    assert!(table.has_room(&key, of(3)));
    insert(&mut table, 4);
    assert_eq!(table.len(), 3);
    assert!(table.find(&TransferId(1)).is_some());
    assert!(table.find(&TransferId(2)).is_none());
    insert(&mut table, 5);
    assert!(table.find(&TransferId(3)).is_none());
    assert!(!table.has_room(&key, of(3)), "three live keys: nothing may be dropped");
    assert!(table.has_room(&key, of(4)));
    table.retire(live, 11);
    assert!(table.has_room(&key, of(3)));
}

#[test]
fn keys_outlive_their_window_by_nothing_and_expire_in_small_steps() {
    let mut table = table();
    for id in 0..10 {
        let place = table.insert(TransferId(id), OrderId(0), None, 0, of(100));
        table.retire(place, 5);
    }
    table.expire(15, 10);
    assert_eq!(table.len(), 10, "exactly the window is not past it");
    table.expire(16, 10);
    assert_eq!(table.len(), 10 - EXPIRED_ENTRIES_PER_COMMAND);
    table.expire(16, 10);
    assert_eq!(table.len(), 0);
    assert_eq!(table.retired().count(), 0);
}

#[test]
fn a_forgotten_key_is_as_new_and_makes_room() {
    let mut table = table();
    let insert = |table: &mut DedupTable<TransferId>, id| {
        table.insert(TransferId(id), OrderId(0), None, 0, of(2))
    };
    let first = insert(&mut table, 1);
    let second = insert(&mut table, 2);
    assert!(!table.has_room(&TransferId(3), of(2)));
    table.forget(first);
    assert!(table.find(&TransferId(1)).is_none() && table.has_room(&TransferId(1), of(2)));
    assert_eq!(insert(&mut table, 1), first, "its place is used again");
    table.retire(second, 5);
    assert_eq!((table.len(), table.retired().count()), (2, 1));
}

/// A table of so many entries, and no shares.
fn of(table: u32) -> Capacity {
    Capacity { table, owner: u32::MAX }
}

#[test]
fn an_owner_with_its_share_pushes_out_its_own_keys_only() {
    let mut table = DedupTable::new(HashSecret([7, 9]), 0);
    let capacity = Capacity { table: 100, owner: 2 };
    let key = |account, id: &[u8]| ClientOrderKey {
        account: AccountId(account),
        id: ClientOrderId::new(id).unwrap(),
    };
    let mut refuse = |key| {
        let place = table.insert(key, OrderId(1), None, 0, capacity);
        table.retire(place, 5);
    };
    refuse(key(1, b"mine"));
    for id in 0..50u8 {
        refuse(key(2, &[b'a' + id]));
    }
    refuse(key(1, b"mine too"));
    assert_eq!(table.len(), 4);
    for kept in [key(1, b"mine"), key(2, &[b'a' + 48]), key(2, &[b'a' + 49])] {
        assert!(table.find(&kept).is_some(), "{kept:?}");
    }
    let queue: Vec<u8> = table.retired().map(|(_, key, _)| key.id.as_bytes()[0]).collect();
    assert_eq!(queue, [b'm', b'a' + 48, b'a' + 49, b'm']);
}

#[test]
fn an_owner_whose_share_is_all_live_has_no_room() {
    let mut table = DedupTable::new(HashSecret([7, 9]), 0);
    let capacity = Capacity { table: 100, owner: 1 };
    let key =
        |id: &[u8]| ClientOrderKey { account: AccountId(1), id: ClientOrderId::new(id).unwrap() };
    let place = table.insert(key(b"a"), OrderId(1), None, 0, capacity);
    assert!(!table.has_room(&key(b"b"), capacity));
    table.retire(place, 5);
    assert!(table.has_room(&key(b"b"), capacity));
}

#[test]
fn keys_of_every_length_are_told_apart_by_their_last_byte() {
    let mut table = DedupTable::new(HashSecret([7, 9]), 0);
    let key = |len: usize, last: u8| {
        let mut bytes = vec![b'x'; len];
        *bytes.last_mut().unwrap() = last;
        ClientOrderKey { account: AccountId(1), id: ClientOrderId::new(&bytes).unwrap() }
    };
    let lengths = 1..=ClientOrderId::BYTES_MAX;
    for round in 0..2 {
        for len in lengths.clone() {
            assert!(table.find(&key(len, b'a')).is_none(), "{len} in round {round}");
            let at = table.insert(key(len, b'a'), OrderId(len as u64), None, 0, of(100));
            assert_eq!(table.key(at), key(len, b'a'));
        }
        for len in lengths.clone() {
            assert!(table.find(&key(len, b'b')).is_none());
            let found = table.find(&key(len, b'a')).map(|entry| entry.order_id);
            assert_eq!(found, Some(OrderId(len as u64)));
        }
        // Places are used again by keys of other lengths.
        (0..100).for_each(|at| table.forget(at));
    }
}
