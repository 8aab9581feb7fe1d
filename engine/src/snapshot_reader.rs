//! Owns the reading of a snapshot: record after record, and where and why one is refused.
//! Knows nothing of what the records mean. Invariant: whatever the bytes, reading ends with a value
//! or an error, and no count is believed that could not be true.

use std::collections::BTreeMap;
use std::fmt;

use bincode::Decode;

use crate::codec::{self, CodecError};

/// What is wrong with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFault {
    /// Not an encoding: cut short, or a code that stands for nothing.
    Encoding(CodecError),
    /// So many of something, of which there can be fewer only.
    TooMany { count: u64, most: u64 },
    /// A value that does not fit what was read before it, or that no state has.
    Illegal,
}

/// Why bytes are not a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreError {
    /// What was being read.
    pub field: &'static str,
    /// Where its record begins, bytes from the start of the snapshot.
    pub offset: usize,
    pub fault: RestoreFault,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, offset, fault } = self;
        write!(f, "snapshot byte {offset}, {field}: ")?;
        match fault {
            RestoreFault::Encoding(cause) => cause.fmt(f),
            RestoreFault::TooMany { count, most } => {
                write!(f, "{count}, and there can be {most} at most")
            }
            RestoreFault::Illegal => f.write_str("not a value that a sound state has"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// A place in a snapshot that is read from its start to its end.
#[derive(Clone, Debug)]
pub struct SnapshotReader<'a> {
    bytes: &'a [u8],
    /// Where the next record begins.
    at: usize,
    /// Where the last one began.
    began: usize,
}

impl<'a> SnapshotReader<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, began: 0 }
    }

    /// Where the last record began, bytes from the start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.began
    }

    /// The next record.
    ///
    /// # Errors
    /// [`RestoreError`] if the bytes there are none.
    #[inline]
    pub fn read<T: Decode<()>>(&mut self, field: &'static str) -> Result<T, RestoreError> {
        self.began = self.at;
        match codec::read_front(&self.bytes[self.at..]) {
            Ok((value, len)) => {
                self.at += len;
                Ok(value)
            }
            Err(cause) => Err(self.failed(field, RestoreFault::Encoding(cause))),
        }
    }

    /// The number of records that follow. There are `most` at most, and no more than bytes.
    ///
    /// # Errors
    /// [`RestoreError`] if it cannot be true.
    pub fn count(&mut self, field: &'static str, most: usize) -> Result<usize, RestoreError> {
        self.count_of(field, most, 1)
    }

    /// The same of records of `bytes_min` bytes at least: memory for so many may be reserved.
    ///
    /// # Errors
    /// [`RestoreError`] if it cannot be true.
    pub fn count_of(
        &mut self,
        field: &'static str,
        most: usize,
        bytes_min: usize,
    ) -> Result<usize, RestoreError> {
        let count: u64 = self.read(field)?;
        let most = most.min((self.bytes.len() - self.at) / bytes_min);
        match usize::try_from(count) {
            Ok(fits) if fits <= most => Ok(fits),
            _ => Err(self.failed(field, RestoreFault::TooMany { count, most: most as u64 })),
        }
    }

    /// The records that follow their number, `most` at most.
    ///
    /// # Errors
    /// [`RestoreError`] if they are not there.
    pub fn list<T: Decode<()>>(
        &mut self,
        field: &'static str,
        most: usize,
    ) -> Result<Vec<T>, RestoreError> {
        let count = self.count(field, most)?;
        (0..count).map(|_| self.read(field)).collect()
    }

    /// The same of pairs whose keys ascend.
    ///
    /// # Errors
    /// [`RestoreError`] if they are not there, or not in order.
    pub fn map<K: Decode<()> + Ord, V: Decode<()>>(
        &mut self,
        field: &'static str,
        most: usize,
    ) -> Result<BTreeMap<K, V>, RestoreError> {
        let mut map = BTreeMap::new();
        for _ in 0..self.count(field, most)? {
            let (key, value) = self.read(field)?;
            let ascends = map.last_key_value().is_none_or(|(last, _)| *last < key);
            self.check(ascends, field)?;
            map.insert(key, value);
        }
        Ok(map)
    }

    /// Text of `most` bytes at most, behind its length.
    ///
    /// # Errors
    /// [`RestoreError`] if it is longer, cut short, or not UTF-8.
    pub fn text(&mut self, field: &'static str, most: usize) -> Result<&'a str, RestoreError> {
        let len = self.count(field, most)?;
        self.began = self.at;
        self.at += len;
        str::from_utf8(&self.bytes[self.began..self.at]).map_err(|_| self.illegal(field))
    }

    /// Refuses the last record unless it is legal.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not.
    #[inline]
    pub fn check(&self, legal: bool, field: &'static str) -> Result<(), RestoreError> {
        if legal { Ok(()) } else { Err(self.illegal(field)) }
    }

    /// Says that a field of the last record has no value that a sound state has.
    #[cold]
    #[must_use]
    pub fn illegal(&self, field: &'static str) -> RestoreError {
        self.failed(field, RestoreFault::Illegal)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`RestoreError`] if there are more bytes.
    pub fn finish(&mut self) -> Result<(), RestoreError> {
        self.began = self.at;
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => {
                Err(self.failed("end", RestoreFault::Encoding(CodecError::TrailingBytes(extra))))
            }
        }
    }

    #[cold]
    fn failed(&self, field: &'static str, fault: RestoreFault) -> RestoreError {
        RestoreError { field, offset: self.began, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_one_after_the_other_and_errors_say_where() {
        let mut bytes = Vec::new();
        codec::append(&7u16, &mut bytes);
        codec::append(&(1u32, true), &mut bytes);
        let mut from = SnapshotReader::new(&bytes);
        assert_eq!((from.read("a"), from.read("b")), (Ok(7u16), Ok((1u32, true))));
        assert_eq!(from.check(true, "b"), Ok(()));
        let illegal = RestoreError { field: "b", offset: 2, fault: RestoreFault::Illegal };
        assert_eq!(from.check(false, "b"), Err(illegal));
        assert_eq!(from.clone().finish(), Ok(()));
        let error = from.read::<u64>("c").unwrap_err();
        assert_eq!((error.field, error.offset), ("c", 7));
        assert!(error.to_string().starts_with("snapshot byte 7, c: malformed"), "{error}");
    }

    #[test]
    fn bytes_behind_the_end_are_refused() {
        let mut from = SnapshotReader::new(&[1, 2, 3]);
        assert_eq!(from.read("a"), Ok(1u8));
        let fault = RestoreFault::Encoding(CodecError::TrailingBytes(2));
        assert_eq!(from.finish(), Err(RestoreError { field: "end", offset: 1, fault }));
    }

    #[test]
    fn lists_and_maps_are_read_as_collections_are_encoded() {
        let pairs = BTreeMap::from([(1u8, 10u16), (2, 20), (3, 30)]);
        let mut bytes = Vec::new();
        codec::append(&pairs, &mut bytes);
        let read = |bytes: &[u8], most| SnapshotReader::new(bytes).map::<u8, u16>("map", most);
        assert_eq!(read(&bytes, 3), Ok(pairs), "at the bound");
        let fault = RestoreFault::TooMany { count: 3, most: 2 };
        assert_eq!(read(&bytes, 2).map_err(|error| error.fault), Err(fault), "one past it");
        let list = SnapshotReader::new(&bytes).list("list", 3);
        assert_eq!(list, Ok(vec![(1u8, 10u16), (2, 20), (3, 30)]));
        for key in [1, 3] {
            bytes[8 + 3] = key;
            let error = read(&bytes, 3).unwrap_err();
            assert_eq!(error.fault, RestoreFault::Illegal, "a second key {key}");
        }
    }

    #[test]
    fn a_text_is_read_as_it_is_encoded() {
        let mut bytes = Vec::new();
        codec::append(&"a\u{e4}", &mut bytes);
        codec::append(&7u8, &mut bytes);
        let mut from = SnapshotReader::new(&bytes);
        assert_eq!(
            (from.text("text", 3), from.read("next")),
            (Ok("a\u{e4}"), Ok(7u8)),
            "at the bound"
        );
        assert!(SnapshotReader::new(&bytes).text("text", 2).is_err(), "one past it");
        assert!(SnapshotReader::new(&bytes[..10]).text("text", 3).is_err(), "cut short");
        bytes[9] = b'b';
        let error = SnapshotReader::new(&bytes).text("text", 3).unwrap_err();
        assert_eq!((error.offset, error.fault), (8, RestoreFault::Illegal), "not UTF-8");
    }

    #[test]
    fn a_count_is_bounded_by_what_there_may_be_and_by_the_bytes_that_are_left() {
        let of = |count: u64, left: usize, most: usize| {
            let mut bytes = Vec::new();
            codec::append(&count, &mut bytes);
            bytes.resize(bytes.len() + left, 0);
            SnapshotReader::new(&bytes).count("list", most).map_err(|error| error.fault)
        };
        assert_eq!(of(5, 100, 5), Ok(5));
        assert_eq!(of(6, 100, 5), Err(RestoreFault::TooMany { count: 6, most: 5 }));
        assert_eq!(of(5, 5, 100), Ok(5));
        assert_eq!(of(6, 5, 100), Err(RestoreFault::TooMany { count: 6, most: 5 }));
        let most = 5;
        assert_eq!(of(u64::MAX, 5, 100), Err(RestoreFault::TooMany { count: u64::MAX, most }));
    }

    #[test]
    fn longer_records_are_fewer() {
        let mut bytes = Vec::new();
        codec::append(&5u64, &mut bytes);
        bytes.resize(bytes.len() + 5 * 4 + 3, 0);
        let of = |bytes_min| SnapshotReader::new(&bytes).count_of("list", 9, bytes_min);
        assert_eq!(of(4), Ok(5));
        let fault = RestoreFault::TooMany { count: 5, most: 4 };
        assert_eq!(of(5).map_err(|error| error.fault), Err(fault));
    }
}
