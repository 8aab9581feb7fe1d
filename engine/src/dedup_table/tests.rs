//! What a table of used keys keeps, drops and refuses.

use super::*;

fn table() -> DedupTable {
    DedupTable::new(HashSecret([7, 9]), 0)
}

fn text(bytes: &[u8]) -> ClientOrderId {
    ClientOrderId::new(bytes).unwrap()
}

/// Remembers the key of an owner and a text.
fn insert(table: &mut DedupTable, owner: u32, bytes: &[u8], capacity: Capacity) -> u32 {
    let text = text(bytes);
    let key = table.key(owner, &text);
    table.insert(&key, OrderId(bytes.len() as u64), None, 0, capacity)
}

fn has(table: &DedupTable, owner: u32, bytes: &[u8]) -> bool {
    table.find(&table.key(owner, &text(bytes))).is_some()
}

#[test]
fn a_full_table_drops_the_oldest_retired_key_and_no_live_one() {
    let mut table = table();
    let live = insert(&mut table, 0, b"1", of(3));
    for bytes in [b"2", b"3"] {
        let place = insert(&mut table, 0, bytes, of(3));
        table.retire(place, 10);
    }
    assert!(table.has_room(0, of(3)));
    insert(&mut table, 0, b"4", of(3));
    assert_eq!(table.len(), 3);
    assert!(has(&table, 0, b"1"));
    assert!(!has(&table, 0, b"2"));
    insert(&mut table, 0, b"5", of(3));
    assert!(!has(&table, 0, b"3"));
    assert!(!table.has_room(0, of(3)), "three live keys: nothing may be dropped");
    assert!(table.has_room(0, of(4)));
    table.retire(live, 11);
    assert!(table.has_room(0, of(3)));
}

#[test]
fn keys_outlive_their_window_by_nothing_and_expire_in_small_steps() {
    let mut table = table();
    for id in 0..10u8 {
        let place = insert(&mut table, 0, &[id], of(100));
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
    let first = insert(&mut table, 0, b"1", of(2));
    let second = insert(&mut table, 0, b"2", of(2));
    assert!(!table.has_room(0, of(2)));
    table.forget(first);
    assert!(!has(&table, 0, b"1") && table.has_room(0, of(2)));
    assert_eq!(insert(&mut table, 0, b"1", of(2)), first, "its place is used again");
    table.retire(second, 5);
    assert_eq!((table.len(), table.retired().count()), (2, 1));
}

/// A table of so many entries, and no shares.
fn of(table: u32) -> Capacity {
    Capacity { table, owner: u32::MAX }
}

#[test]
fn an_owner_with_its_share_pushes_out_its_own_keys_only() {
    let mut table = table();
    let capacity = Capacity { table: 100, owner: 2 };
    let mut refuse = |owner, bytes: &[u8]| {
        let place = insert(&mut table, owner, bytes, capacity);
        table.retire(place, 5);
    };
    refuse(1, b"mine");
    for id in 0..50u8 {
        refuse(2, &[b'a' + id]);
    }
    refuse(1, b"mine too");
    assert_eq!(table.len(), 4);
    for (owner, kept) in [(1, b"mine".as_slice()), (2, &[b'a' + 48]), (2, &[b'a' + 49])] {
        assert!(has(&table, owner, kept), "{kept:?}");
    }
    let first_byte = |(at, _)| table.key_of(at).1.as_bytes()[0];
    let queue: Vec<u8> = table.retired().map(first_byte).collect();
    assert_eq!(queue, [b'm', b'a' + 48, b'a' + 49, b'm']);
}

#[test]
fn an_owner_whose_share_is_all_live_has_no_room() {
    let mut table = table();
    let capacity = Capacity { table: 100, owner: 1 };
    let place = insert(&mut table, 1, b"a", capacity);
    assert!(!table.has_room(1, capacity));
    table.retire(place, 5);
    assert!(table.has_room(1, capacity));
}

#[test]
fn keys_of_every_length_are_told_apart_by_their_last_byte() {
    let mut table = table();
    let key = |len: usize, last: u8| {
        let mut bytes = vec![b'x'; len];
        *bytes.last_mut().unwrap() = last;
        bytes
    };
    let lengths = 1..=ClientOrderId::BYTES_MAX;
    for round in 0..2 {
        // Places are used again by keys of other lengths.
        for len in lengths.clone().map(|len| if round == 0 { len } else { 101 - len }) {
            assert!(!has(&table, 1, &key(len, b'a')), "{len} in round {round}");
            let at = insert(&mut table, 1, &key(len, b'a'), of(100));
            assert_eq!(table.key_of(at), (1, text(&key(len, b'a'))));
        }
        for len in lengths.clone() {
            assert!(!has(&table, 1, &key(len, b'b')) && !has(&table, 2, &key(len, b'a')));
            let wanted = text(&key(len, b'a'));
            let found = table.find(&table.key(1, &wanted)).map(|entry| entry.order_id);
            assert_eq!(found, Some(OrderId(len as u64)));
        }
        (0..100).for_each(|at| table.forget(at));
    }
}
