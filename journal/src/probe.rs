//! Measures what the device writes for one sync of one block.
//!
//! Must not know: why it may be much. Invariant: only zeros are stored, over zeros, so a death
//! amid the measurement leaves the segment as it was.

use crate::format::BLOCK;
use crate::limits::{PROBE_BYTES, PROBES};
use crate::sink::GroupSink;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Unit in which a device counts what it wrote.
const SECTOR: u64 = 512;
/// Sectors written, among the numbers of a block device's `stat`.
const SECTORS_WRITTEN: usize = 6;

/// The block device that a file is on.
#[derive(Debug)]
pub(crate) struct Device {
    stat: PathBuf,
}

impl Device {
    /// `None` where the file is on none, or the system does not tell.
    pub(crate) fn of(file: &File) -> Option<Self> {
        let number = file.metadata().ok()?.dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let device = Self { stat: format!("/sys/dev/block/{major}:{minor}/stat").into() };
        device.written_bytes().map(|_| device)
    }

    /// Bytes written since the machine started, by whomever.
    pub(crate) fn written_bytes(&self) -> Option<u64> {
        let text = std::fs::read_to_string(&self.stat).ok()?;
        let sectors: u64 = text.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()?;
        Some(sectors * SECTOR)
    }
}

/// Bytes that the device of `file` wrote for one sync of one block, the smallest of a few: others
/// who write can only add. `sink` stores into the file, of which `from..to` is unused and zero.
/// `None` where the device cannot be asked, or there is too little room.
pub(crate) fn sync_bytes(
    sink: &mut dyn GroupSink,
    file: &File,
    from: u64,
    to: u64,
) -> io::Result<Option<u64>> {
    let from = from.next_multiple_of(BLOCK as u64);
    let step = to.saturating_sub(from) / PROBES;
    let step = step - step % BLOCK as u64;
    let Some(device) = Device::of(file).filter(|_| step > 0) else { return Ok(None) };
    let mut least = None;
    for probe in 0..PROBES {
        let Some(before) = device.written_bytes() else { return Ok(None) };
        sink.put(from + probe * step, &[0; PROBE_BYTES])?;
        sink.sync()?;
        let Some(after) = device.written_bytes() else { return Ok(None) };
        let written = after.saturating_sub(before);
        least = Some(least.map_or(written, |least: u64| least.min(written)));
    }
    Ok(least)
}
