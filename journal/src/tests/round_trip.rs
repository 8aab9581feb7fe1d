//! What is appended comes back: across groups, starts, policies and kinds.

use super::{Log, Owned, append, command, store_group};
use crate::limits::{GROUP_RECORDS_MAX, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MIN, group_bytes_max};
use crate::{JournalReader, RecordKind, SyncPolicy, TailCase, dump, stat, verify};
use proptest::prelude::*;

#[test]
fn fresh_log_is_empty_and_opens_again() {
    let log = Log::new(SyncPolicy::Group);
    let (writer, report, records) = log.open().unwrap();
    assert_eq!((report.case, report.last_seq, report.epoch), (TailCase::Fresh, 0, 1));
    assert!(records.is_empty());
    assert_eq!(writer.exchange_uuid(), [9; 16]);
    drop(writer);
    let (writer, report, _) = log.open().unwrap();
    assert_eq!((report.case, report.epoch, report.segments), (TailCase::Clean, 2, 1));
    assert_eq!(writer.last_seq(), 0);
}

#[test]
fn records_survive_a_kill_and_a_close() {
    for sync in [SyncPolicy::Group, SyncPolicy::Os, SyncPolicy::Interval { ms: 5 }] {
        let log = Log::on_disk(sync);
        let mut writer = log.writer();
        store_group(&mut writer, 3);
        store_group(&mut writer, 2);
        append(&mut writer, &command(6));
        drop(writer);
        let (mut writer, report, records) = log.open().unwrap();
        assert_eq!(records, (1..=5).map(command).collect::<Vec<_>>());
        assert_eq!((report.groups, report.records, report.last_seq), (2, 5, 5));
        assert!(!report.clean_shutdown);
        append(&mut writer, &command(6));
        writer.close().unwrap();
        let (writer, report, records) = log.open().unwrap();
        assert_eq!(records.len(), 6);
        assert!(report.clean_shutdown);
        assert_eq!((report.case, report.last_ts_ns), (TailCase::Clean, 60));
        assert_eq!(writer.synced_seq(), 6);
    }
}

#[test]
fn identity_is_drawn_once_where_none_is_given() {
    let mut log = Log::new(SyncPolicy::Os);
    log.options.exchange_uuid = None;
    let uuid = log.writer().exchange_uuid();
    assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2));
    assert_eq!(log.writer().exchange_uuid(), uuid);
    log.options.exchange_uuid = Some(uuid);
    assert!(log.open().is_ok());
}

#[test]
fn digests_carry_the_sequence_before_them() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    append(&mut writer, &command(1));
    let digest = Owned { kind: RecordKind::Digest, seq: 1, ts_ns: 10, payload: vec![5; 24] };
    append(&mut writer, &digest);
    append(&mut writer, &command(2));
    writer.close().unwrap();
    let (_, report, records) = log.open().unwrap();
    assert_eq!(records, [command(1), digest, command(2)]);
    assert_eq!(report.last_seq, 2);
}

#[test]
fn idle_groups_hold_nothing_and_change_nothing() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 1);
    writer.sync().unwrap();
    writer.store_idle().unwrap();
    writer.sync().unwrap();
    store_group(&mut writer, 1);
    drop(writer);
    let (_, report, records) = log.open().unwrap();
    assert_eq!((report.groups, records.len()), (3, 2));
}

#[test]
fn store_and_sync_of_nothing_do_nothing() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    writer.store().unwrap();
    writer.sync().unwrap();
    assert_eq!((writer.groups(), writer.syncs(), writer.stored_bytes()), (0, 0, 0));
    store_group(&mut writer, 1);
    assert_eq!((writer.stored_seq(), writer.synced_seq()), (1, 0));
    writer.sync().unwrap();
    writer.sync().unwrap();
    assert_eq!((writer.groups(), writer.syncs(), writer.stored_bytes()), (1, 1, 4096));
    assert_eq!(writer.synced_seq(), 1);
}

#[test]
fn group_policy_syncs_before_the_next_group() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 1);
    store_group(&mut writer, 1);
    assert_eq!((writer.syncs(), writer.synced_seq(), writer.stored_seq()), (1, 1, 2));
}

#[test]
fn bounds_of_groups_and_records() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    assert!(!writer.group_is_full(PAYLOAD_BYTES_MAX));
    append(&mut writer, &Owned { payload: vec![7; PAYLOAD_BYTES_MAX], ..command(1) });
    let room = usize::try_from(group_bytes_max(SEGMENT_BYTES_MIN)).unwrap() - 64 - 65_536;
    assert!(!writer.group_is_full(room - 24));
    assert!(writer.group_is_full(room - 23));
    writer.store().unwrap();
    for _ in 0..GROUP_RECORDS_MAX {
        assert!(!writer.group_is_full(0));
        let record = Owned { payload: Vec::new(), ..command(writer.last_seq() + 1) };
        append(&mut writer, &record);
    }
    assert!(writer.group_is_full(0));
    writer.close().unwrap();
    let (_, report, records) = log.open().unwrap();
    assert_eq!(report.last_seq, 1 + u64::from(GROUP_RECORDS_MAX));
    assert_eq!(records[0].payload, vec![7; PAYLOAD_BYTES_MAX]);
}

#[test]
#[should_panic(expected = "a payload of")]
fn payload_one_past_its_bound_is_a_bug() {
    let log = Log::new(SyncPolicy::Os);
    let record = Owned { payload: vec![0; PAYLOAD_BYTES_MAX + 1], ..command(1) };
    append(&mut log.writer(), &record);
}

#[test]
#[should_panic(expected = "sequence out of order")]
fn gap_in_sequences_is_a_bug() {
    append(&mut Log::new(SyncPolicy::Os).writer(), &command(2));
}

#[test]
#[should_panic(expected = "time runs backwards")]
fn time_running_backwards_is_a_bug() {
    let log = Log::new(SyncPolicy::Os);
    let mut writer = log.writer();
    append(&mut writer, &command(1));
    append(&mut writer, &Owned { ts_ns: 9, ..command(2) });
}

#[test]
fn inspection_of_a_log_in_use() {
    let log = Log::new(SyncPolicy::Group);
    let mut writer = log.writer();
    store_group(&mut writer, 4);
    writer.sync().unwrap();
    let found = stat(&log.dir()).unwrap();
    assert_eq!((found.machine_id, found.epoch, found.boot_count), (1, 1, 1));
    assert_eq!((found.first_seq, found.last_seq, found.segments), (1, 4, 1));
    assert!(!found.clean_shutdown && !found.trim_pending);
    let whole = verify(&log.dir()).unwrap();
    assert_eq!((whole.groups, whole.records, whole.last_seq), (1, 4, 4));
    assert_eq!((whole.tail, whole.tail_bytes), (TailCase::Clean, 0));
    let mut seen = Vec::new();
    let count = dump(&log.dir(), 2, 3, |record| seen.push(Owned::from(record))).unwrap();
    assert_eq!((count, seen), (2, vec![command(2), command(3)]));
    writer.close().unwrap();
    let found = stat(&log.dir()).unwrap();
    assert!(found.clean_shutdown);
    assert_eq!(found.durable_seq, 4);
}

#[test]
fn event_logs_number_their_events() {
    let mut log = Log::new(SyncPolicy::Os);
    log.options.machine_id = 0x101;
    let mut writer = log.writer();
    let event = Owned { kind: RecordKind::EVENT, ..command(1) };
    append(&mut writer, &event);
    writer.close().unwrap();
    assert_eq!(log.open().unwrap().2, [event]);
}

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    /// Kind, length and first byte of the payload, time since the last. A payload is made of its
    /// numbers, so that a failure prints short.
    Append(u8, usize, u8, u64),
    Store,
    Sync,
    Idle,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let appends = (0u8..5, 0usize..3000, any::<u8>(), 0u64..3)
        .prop_map(|(kind, len, first, elapsed_ns)| Step::Append(kind, len, first, elapsed_ns));
    let step = prop_oneof![
        12 => appends,
        4 => Just(Step::Store),
        3 => Just(Step::Sync),
        1 => Just(Step::Idle),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn random_batches_come_back(steps in steps(), policy in 0..3usize) {
        let policies = [SyncPolicy::Os, SyncPolicy::Interval { ms: 5 }, SyncPolicy::Group];
        let log = Log::new(policies[policy]);
        let mut writer = log.writer();
        let (mut stored, mut pending) = (Vec::new(), Vec::new());
        let mut ts_ns = 0;
        for step in steps {
            match step {
                Step::Append(number, len, first, dt) => {
                    use RecordKind::{Command, Control, Digest, External, Timer};
                    let byte = |at: usize| at.wrapping_mul(167).to_le_bytes()[0] ^ first;
                    let payload: Vec<u8> = (0..len).map(byte).collect();
                    let kind = [Command, Control, Timer, External, Digest][usize::from(number)];
                    if writer.group_is_full(payload.len()) {
                        writer.store().unwrap();
                        stored.append(&mut pending);
                    }
                    ts_ns += dt;
                    let seq = writer.last_seq() + u64::from(kind.is_sequenced());
                    let record = Owned { kind, seq, ts_ns, payload };
                    append(&mut writer, &record);
                    pending.push(record);
                }
                Step::Store => {
                    writer.store().unwrap();
                    stored.append(&mut pending);
                }
                Step::Sync => writer.sync().unwrap(),
                Step::Idle => {
                    writer.store().unwrap();
                    stored.append(&mut pending);
                    writer.store_idle().unwrap();
                }
                Step::Reopen => {
                    drop(writer);
                    let (again, _, records) = log.open().unwrap();
                    prop_assert_eq!(&records, &stored);
                    pending.clear();
                    ts_ns = again.last_ts_ns();
                    writer = again;
                }
            }
        }
        writer.close().unwrap();
        stored.append(&mut pending);
        let (writer, _, records) = log.open().unwrap();
        prop_assert_eq!(&records, &stored);
        let mut reader = JournalReader::open(&log.dir(), 1, 0).unwrap();
        for expected in &stored {
            let record = reader.next_record().unwrap().map(Owned::from);
            prop_assert_eq!(record.as_ref(), Some(expected));
        }
        prop_assert!(reader.next_record().unwrap().is_none());
        drop(writer);
    }
}
