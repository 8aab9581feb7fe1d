//! Owns the moment at which a file system loses its power. Knows nothing of who uses it.
//! Invariant: nothing but a loop device is ever cut off.
#![expect(unsafe_code, reason = "no safe call asks a file system to stop")]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::major;
use rustix::ioctl::{Opcode, Setter, ioctl};

/// `EXT4_IOC_SHUTDOWN`, with a number that says what is done before.
const SHUTDOWN: Opcode = 0x8004_587d;
/// Major number of loop devices.
const LOOP_MAJOR: u32 = 7;

/// What is still written before nothing is written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// What the file system has noted in its log.
    Log,
    Nothing,
}

/// Cuts off the file system that is mounted here: what is not on the device is lost, and whoever
/// asks for anything hears of an error. It stays mounted.
///
/// # Errors
/// It is on no loop device, or no ext4.
pub fn cut(mount: &Path, last: Last) -> io::Result<()> {
    let root = File::open(mount)?;
    let device = root.metadata()?.dev();
    if major(device) != LOOP_MAJOR {
        return Err(io::Error::other(format!("{} is on no loop device", mount.display())));
    }
    let flags: u32 = match last {
        Last::Log => 1,
        Last::Nothing => 2,
    };
    // SAFETY: this request reads one u32 through the pointer and writes nothing.
    let request = unsafe { Setter::<SHUTDOWN, u32>::new(flags) };
    // SAFETY: the descriptor is open, and the request is as its number says; another file system
    // answers that it does not know it.
    Ok(unsafe { ioctl(&root, request) }?)
}

#[cfg(test)]
mod tests {
    use super::{Last, cut};

    #[test]
    fn what_is_on_no_loop_device_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let refused = cut(dir.path(), Last::Nothing).expect_err("no loop device");
        assert!(refused.to_string().ends_with("is on no loop device"), "{refused}");
    }
}
