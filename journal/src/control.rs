//! The control file: two slots written in turn, each synced before it counts.
//!
//! Must not know: what a segment holds. Invariant: a crash during a write leaves the slot before it
//! whole, and the newest whole slot is the one in force.

use crate::cache::settle_file;
use crate::error::JournalError;
use crate::fail_point;
use crate::format::{BLOCK, CONTROL_MAGIC, ControlSlot, FORMAT, is_zero};
use crate::segment::{create_file, sync_directory};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{U16, U32, U64};

pub(crate) const FILE_NAME: &str = "ctl";
/// Rule named when the control file cannot be used.
const RULE: &str = "R1 control file";

/// The control file of one log, with the slot in force.
#[derive(Debug)]
pub(crate) struct ControlFile {
    file: File,
    path: PathBuf,
    pub(crate) slot: ControlSlot,
}

impl ControlFile {
    /// Reads the slot in force; `None` where the directory has no control file. Who is going to
    /// write reads what is on the disk: the page cache, where a process before may have left what
    /// a failed sync never wrote, is written back and dropped first.
    pub(crate) fn open(dir: &Path, writable: bool) -> Result<Option<Self>, JournalError> {
        let path = dir.join(FILE_NAME);
        let file = match OpenOptions::new().read(true).write(writable).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("open", &path)(error)),
        };
        if writable {
            settle_file(&file, &path)?;
        }
        let slot = Self::read_newest(&file, &path)?;
        Ok(Some(Self { file, path, slot }))
    }

    fn read_newest(file: &File, path: &Path) -> Result<ControlSlot, JournalError> {
        let mut newest: Option<ControlSlot> = None;
        for index in 0..2u64 {
            let mut block = vec![0; BLOCK];
            let offset = index * BLOCK as u64;
            match file.read_exact_at(&mut block, offset) {
                Ok(()) => {}
                // A short file has lost a slot; the other one may still be whole.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(JournalError::io("read", path)(error)),
            }
            let Some(slot) = ControlSlot::from_block(&block) else { continue };
            if slot.format.get() != FORMAT {
                return Err(JournalError::VersionUnsupported {
                    what: "control file format",
                    path: path.to_owned(),
                    found: slot.format.get().to_string(),
                    known: FORMAT.to_string(),
                });
            }
            if !is_zero(&slot.reserved) || slot.generation.get() % 2 != index {
                return Err(JournalError::corrupt(RULE, 0, offset, "slot in the wrong place"));
            }
            if newest.as_ref().is_none_or(|old| old.generation.get() < slot.generation.get()) {
                newest = Some(slot);
            }
        }
        newest.ok_or_else(|| JournalError::corrupt(RULE, 0, 0, "no valid slot"))
    }

    /// Makes the first control file of a log, complete before it has its name.
    pub(crate) fn create(
        dir: &Path,
        machine_id: u32,
        exchange_uuid: [u8; 16],
    ) -> Result<Self, JournalError> {
        let path = dir.join(FILE_NAME);
        let temporary = dir.join("ctl.tmp");
        let mut slot = ControlSlot::new_zeroed();
        slot.magic = CONTROL_MAGIC;
        slot.format = U16::new(FORMAT);
        slot.machine_id = U32::new(machine_id);
        slot.exchange_uuid = exchange_uuid;
        // Generation 2 belongs into slot 0; slot 1 stays zero, which is no valid slot.
        slot.generation = U64::new(2);
        let mut bytes = slot.to_block();
        bytes.resize(2 * BLOCK, 0);
        let file = create_file(&temporary).map_err(JournalError::io("create", &temporary))?;
        file.write_all_at(&bytes, 0).map_err(JournalError::io("write", &temporary))?;
        file.sync_all().map_err(JournalError::io("sync", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
        sync_directory(dir)?;
        Ok(Self { file, path, slot })
    }

    /// Changes the slot in force and waits until it is durable.
    pub(crate) fn update(
        &mut self,
        change: impl FnOnce(&mut ControlSlot),
    ) -> Result<(), JournalError> {
        let generation = self.slot.generation.get() + 1;
        change(&mut self.slot);
        self.slot.generation = U64::new(generation);
        let offset = generation % 2 * BLOCK as u64;
        self.file
            .write_all_at(&self.slot.to_block(), offset)
            .map_err(JournalError::io("write", &self.path))?;
        fail_point::hit("ctl-written");
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        fail_point::hit("ctl-synced");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, ControlFile) {
        let dir = tempfile::tempdir().unwrap();
        let control = ControlFile::create(dir.path(), 1, [7; 16]).unwrap();
        (dir, control)
    }

    #[test]
    fn newest_slot_wins_and_a_torn_one_falls_back() {
        let (dir, mut control) = fresh();
        control.update(|slot| slot.durable_seq = U64::new(5)).unwrap();
        control.update(|slot| slot.durable_seq = U64::new(9)).unwrap();
        let read = || ControlFile::open(dir.path(), false).unwrap().unwrap().slot;
        assert_eq!((read().generation.get(), read().durable_seq.get()), (4, 9));
        control.file.write_all_at(&[0xFF], 100).unwrap();
        assert_eq!((read().generation.get(), read().durable_seq.get()), (3, 5));
        control.file.write_all_at(&[0xFF], 4096 + 100).unwrap();
        let error = ControlFile::open(dir.path(), false).unwrap_err();
        assert_eq!(error.exit_code(), 70);
    }

    #[test]
    fn every_bit_flip_of_a_slot_falls_back() {
        let (dir, mut control) = fresh();
        control.update(|slot| slot.durable_seq = U64::new(5)).unwrap();
        let path = dir.path().join("ctl");
        let good = std::fs::read(&path).unwrap();
        for bit in 0..8 * BLOCK {
            let mut bad = good[BLOCK..].to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            control.file.write_all_at(&bad, BLOCK as u64).unwrap();
            let slot = ControlFile::read_newest(&control.file, &path).unwrap();
            assert_eq!(slot.generation.get(), 2, "bit {bit}");
        }
    }

    #[test]
    fn newer_format_is_refused() {
        let (dir, mut control) = fresh();
        control.update(|slot| slot.format = U16::new(2)).unwrap();
        let error = ControlFile::open(dir.path(), false).unwrap_err();
        assert!(matches!(error, JournalError::VersionUnsupported { .. }));
    }

    #[test]
    fn missing_file_is_none_and_a_short_one_is_refused() {
        let (dir, control) = fresh();
        control.file.set_len(10).unwrap();
        assert_eq!(ControlFile::open(dir.path(), false).unwrap_err().exit_code(), 70);
        std::fs::remove_file(dir.path().join("ctl")).unwrap();
        assert!(ControlFile::open(dir.path(), false).unwrap().is_none());
    }
}
