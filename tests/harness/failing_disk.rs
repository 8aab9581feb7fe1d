//! Owns a disk of which parts fail when they are written to, until they are healed: its image lies
//! in memory that is used up, with holes in it. Knows nothing of who writes.
//! Invariant: whatever was not broken works, and what is broken reads as zeros.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

use crate::loop_disk::{LoopDisk, run};
use crate::report::say;

/// Bytes of one block of the file system, and of one page of the memory behind it.
const BLOCK_BYTES: u64 = 4096;

/// The memory that the image lies in.
#[derive(Debug)]
struct Memory {
    mount: TempDir,
    bytes: u64,
}

impl Memory {
    fn mount(bytes: u64) -> Result<Self, String> {
        let mount = tempfile::tempdir().map_err(|error| error.to_string())?;
        let size = format!("size={bytes}");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &mount.path().to_string_lossy()])?;
        Ok(Self { mount, bytes })
    }

    fn resize(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        let mount = self.mount.path().to_string_lossy();
        run("mount", &["-o", &size, &mount]).expect("a tmpfs of another size");
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Err(why) = run("umount", &[&self.mount.path().to_string_lossy()]) {
            say(&why);
        }
    }
}

/// An ext4 file system that can be broken.
#[derive(Debug)]
pub struct FailingDisk {
    /// Goes before the memory that it lies in.
    disk: LoopDisk,
    memory: Memory,
}

impl FailingDisk {
    /// Makes a disk of so many bytes. `None`, said aloud, where this user or machine cannot.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        Self::try_mount(bytes)
            .inspect_err(|why| say(&format!("SKIPPED, no disk that fails: {why}")))
            .ok()
    }

    fn try_mount(bytes: u64) -> Result<Self, String> {
        let memory = Memory::mount(2 * bytes)?;
        let block = BLOCK_BYTES.to_string();
        let arguments = ["-b", &block, "-E", "nodiscard"];
        let disk = LoopDisk::try_mount(memory.mount.path(), bytes, &arguments)?;
        // The whole image takes its room now, so that only what is broken later lacks it.
        let image = image(&disk);
        fallocate(image, FallocateFlags::empty(), 0, bytes).map_err(|errno| errno.to_string())?;
        Ok(Self { disk, memory })
    }

    /// The root of the file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.disk.path()
    }

    /// Breaks a file of the disk from an offset on, a multiple of 4096: from now on it cannot be
    /// written there, and what was there reads as zeros, where the cache does not have it.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn break_file(&self, path: &Path, from: u64) {
        let image = image(&self.disk);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for Extent { logical, physical, blocks } in extents(path) {
            let skipped = (from / BLOCK_BYTES).saturating_sub(logical).min(blocks);
            if skipped < blocks {
                let begin = (physical + skipped) * BLOCK_BYTES;
                let len = (blocks - skipped) * BLOCK_BYTES;
                fallocate(&image, punch, begin, len).expect("a hole");
            }
        }
        let used = statvfs(self.memory.mount.path()).expect("a tmpfs");
        self.memory.resize((used.f_blocks - used.f_bfree) * used.f_frsize);
    }

    /// Everything can be written again.
    pub fn heal(&self) {
        self.memory.resize(self.memory.bytes);
    }
}

fn image(disk: &LoopDisk) -> File {
    OpenOptions::new().read(true).write(true).open(disk.image()).expect("the image")
}

/// Where a part of a file lies, blocks.
struct Extent {
    logical: u64,
    physical: u64,
    blocks: u64,
}

/// Lines like ` 0:  0..  255:  34816..  35071:  256:  last,eof`.
fn extents(path: &Path) -> Vec<Extent> {
    let listed = run("filefrag", &["-v", &path.to_string_lossy()]).expect("a list of extents");
    let read = |line: &str| {
        let columns: Vec<&str> = line.split(':').map(str::trim).collect();
        let (&[number, logical, physical, blocks, ..], true) = (&columns[..], columns.len() > 4)
        else {
            return None;
        };
        number.parse::<u64>().ok()?;
        let first = |range: &str| range.split("..").next()?.trim().parse().ok();
        let (logical, physical) = (first(logical)?, first(physical)?);
        Some(Extent { logical, physical, blocks: blocks.parse().ok()? })
    };
    let extents: Vec<Extent> = listed.lines().filter_map(read).collect();
    assert!(!extents.is_empty(), "no extents in {listed}");
    extents
}
