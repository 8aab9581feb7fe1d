//! Owns the bytes of a tape: a 64-byte header and 32-byte records, little-endian.
//!
//! Header: magic at 0, records u64 at 8, prefill u64 at 16, highest order id u64 at 24, seed u64
//! at 32, lowest and highest price u32 at 40 and 44, instruments u16 at 48, the rest zero. Record:
//! order id u64 at 0, price u32 at 8, quantity u32 at 12, old price u32 at 16, owner u32 at 20,
//! kind u8 at 24, side u8 at 25, instrument u16 at 26, quantity left before the command u32 at 28.
//!
//! `OBTAPE01` is a tape of one instrument: it writes 0 for their number and for each instrument.
//! `OBTAPE02` is a tape of several, so that whoever knows one book only refuses it.

use std::io::{Error, ErrorKind, Read, Result, Write};

const MAGIC_ONE: [u8; 8] = *b"OBTAPE01";
const MAGIC_SEVERAL: [u8; 8] = *b"OBTAPE02";
const HEADER_BYTES: usize = 64;
const RECORD_BYTES: usize = 32;

/// What a record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NewGtc,
    NewIoc,
    Cancel,
    /// Change of price: the rest of the order enters anew and may trade.
    Move,
    /// Less quantity at the same place in the queue.
    Reduce,
}

impl Kind {
    const ALL: [Self; 5] = [Self::NewGtc, Self::NewIoc, Self::Cancel, Self::Move, Self::Reduce];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapeSide {
    Bid,
    Ask,
}

/// One command of a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// From 1, dense, in order of creation; each instrument counts its own.
    pub(crate) id: u64,
    /// Limit of a new order, new price of a move, else the order's present price.
    pub(crate) price: u32,
    /// Of a new order; taken off by a reduce; else what is left.
    pub(crate) quantity: u32,
    /// Price before a move, else the price.
    pub(crate) old_price: u32,
    /// 1 to 1,000; owners may trade with themselves.
    pub(crate) owner: u32,
    pub(crate) kind: Kind,
    pub(crate) side: TapeSide,
    /// From 0.
    pub(crate) instrument: u16,
    /// Open quantity of a live order before the command, 0 for a new one.
    pub(crate) left: u32,
}

/// A whole tape.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    pub(crate) seed: u64,
    pub(crate) min_price: u32,
    pub(crate) max_price: u32,
    /// At least one.
    pub(crate) instruments: u16,
    /// So many first records only build the book: they are not timed.
    pub(crate) prefill: usize,
    /// Of any instrument.
    pub(crate) max_id: u64,
    pub(crate) records: Vec<Record>,
}

impl Tape {
    /// Numbers orders by their place among the new orders of all instruments, from 1, where a tape
    /// has them count from 1 in each.
    pub(crate) fn number_across_instruments(&mut self) {
        let mut known: Vec<Vec<u64>> = vec![Vec::new(); self.instruments.into()];
        let mut last = 0;
        for record in &mut self.records {
            let ids = &mut known[usize::from(record.instrument)];
            if let Kind::NewGtc | Kind::NewIoc = record.kind {
                last += 1;
                ids.push(last);
            }
            let place = usize::try_from(record.id).expect("a tape fits memory") - 1;
            record.id = ids[place];
        }
        self.max_id = last;
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> Result<()> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let (magic, instruments) = match self.instruments {
            0 | 1 => (MAGIC_ONE, 0),
            several => (MAGIC_SEVERAL, several),
        };
        header.extend(magic);
        for word in [self.records.len() as u64, self.prefill as u64, self.max_id, self.seed] {
            header.extend(word.to_le_bytes());
        }
        header.extend(self.min_price.to_le_bytes());
        header.extend(self.max_price.to_le_bytes());
        header.extend(instruments.to_le_bytes());
        header.resize(HEADER_BYTES, 0);
        out.write_all(&header)?;
        for record in &self.records {
            out.write_all(&record.to_bytes())?;
        }
        out.flush()
    }

    pub(crate) fn read(from: &mut impl Read) -> Result<Self> {
        let invalid = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        if bytes.len() < HEADER_BYTES {
            return Err(invalid("not a tape"));
        }
        let (header, body) = bytes.split_at(HEADER_BYTES);
        let instruments = match (&header[..8], u16_at(header, 48)) {
            (magic, 0) if magic == MAGIC_ONE => 1,
            (magic, several) if magic == MAGIC_SEVERAL && several > 1 => several,
            _ => return Err(invalid("not a tape")),
        };
        let count = usize::try_from(u64_at(header, 8)).ok();
        if count.and_then(|count| count.checked_mul(RECORD_BYTES)) != Some(body.len()) {
            return Err(invalid("the length does not fit the header"));
        }
        let records: Vec<Record> = body
            .chunks_exact(RECORD_BYTES)
            .map(Record::from_bytes)
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("unknown kind or side"))?;
        if records.iter().any(|record| record.instrument >= instruments) {
            return Err(invalid("unknown instrument"));
        }
        let prefill = usize::try_from(u64_at(header, 16)).ok();
        Ok(Self {
            seed: u64_at(header, 32),
            min_price: u32_at(header, 40),
            max_price: u32_at(header, 44),
            instruments,
            prefill: prefill
                .filter(|prefill| *prefill <= records.len())
                .ok_or_else(|| invalid("prefill"))?,
            max_id: u64_at(header, 24),
            records,
        })
    }
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        let words = [self.price, self.quantity, self.old_price, self.owner];
        for (place, word) in words.iter().enumerate() {
            bytes[8 + 4 * place..12 + 4 * place].copy_from_slice(&word.to_le_bytes());
        }
        (bytes[24], bytes[25]) = (self.kind as u8, self.side as u8);
        bytes[26..28].copy_from_slice(&self.instrument.to_le_bytes());
        bytes[28..].copy_from_slice(&self.left.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_at(bytes, 0),
            price: u32_at(bytes, 8),
            quantity: u32_at(bytes, 12),
            old_price: u32_at(bytes, 16),
            owner: u32_at(bytes, 20),
            kind: *Kind::ALL.get(usize::from(bytes[24]))?,
            side: *[TapeSide::Bid, TapeSide::Ask].get(usize::from(bytes[25]))?,
            instrument: u16_at(bytes, 26),
            left: u32_at(bytes, 28),
        })
    }
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) | u64::from(u32_at(bytes, offset + 4)) << 32
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}
