//! Tapes are reproducible and obey their own format.

use super::*;

fn short(seed: u64) -> Flow {
    Flow { seed, commands: 20_000, orders: 500, ..preset("small").unwrap() }
}

#[test]
fn same_flow_same_bytes_and_they_are_read_back() {
    let (tape, book) = generate(&short(7));
    let mut bytes = Vec::new();
    tape.write(&mut bytes).unwrap();
    let mut again = Vec::new();
    generate(&short(7)).0.write(&mut again).unwrap();
    assert_eq!(bytes, again);
    let read = Tape::read(&mut bytes.as_slice()).unwrap();
    let mut replayed = SlowBook::new();
    read.records.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.summary(), book.summary());
}

/// The bytes of a tape are part of every published figure: this pins them.
#[test]
fn a_seed_names_one_tape_for_ever() {
    let (_, book) = generate(&short(7));
    assert_eq!(book.summary().to_text(), include_str!("short-7.oracle.txt"));
}

#[test]
fn commands_say_what_the_book_says() {
    let (tape, _) = generate(&short(8));
    let mut book = SlowBook::new();
    let mut last_id = 0;
    for record in &tape.records {
        assert!((tape.min_price..=tape.max_price).contains(&record.price));
        if let Kind::NewGtc | Kind::NewIoc = record.kind {
            assert_eq!(record.id, last_id + 1);
            last_id = record.id;
            assert!(record.quantity > 0 && record.left == 0);
        } else {
            let order = book.live(record.id).unwrap();
            let said = (record.side, record.old_price, record.left, record.owner);
            assert_eq!((order.side, order.price, order.left, order.owner), said);
            assert_eq!(record.kind == Kind::Move, record.price != record.old_price);
            assert!(record.kind != Kind::Reduce || (1..record.left).contains(&record.quantity));
        }
        book.apply(record);
    }
    assert_eq!(last_id, tape.max_id);
}

#[test]
fn damaged_tapes_are_refused() {
    let mut bytes = Vec::new();
    generate(&short(9)).0.write(&mut bytes).unwrap();
    assert!(Tape::read(&mut &b"short"[..]).is_err());
    assert!(Tape::read(&mut &bytes[..bytes.len() - 1]).is_err());
    bytes[64 + 24] = 5;
    assert!(Tape::read(&mut bytes.as_slice()).is_err(), "unknown kind");
}
