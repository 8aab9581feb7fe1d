//! Owns a file system in a file: a disk that nobody else writes to.
//! Knows nothing of logs. Invariant: what was mounted is unmounted, and its device given back, when
//! it is dropped; only what was made here is touched.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::power::{Last, cut};
use crate::report::say;

/// Unit in which a device counts what it wrote.
const SECTOR_BYTES: u64 = 512;
/// How long a file system may be in use by somebody on his way out.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sectors written, among the numbers of a block device's `stat`.
const SECTORS_WRITTEN: usize = 6;

/// An ext4 file system, mounted.
#[derive(Debug)]
pub struct LoopDisk {
    device: String,
    stat: PathBuf,
    mount: PathBuf,
    root: TempDir,
}

impl LoopDisk {
    /// Makes a disk of so many bytes. `None`, said aloud, where this user or machine cannot.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        Self::try_mount(&env::temp_dir(), bytes, &[])
            .inspect_err(|why| say(&format!("SKIPPED, no loop disk: {why}")))
            .ok()
    }

    /// Makes a disk below a folder, with further arguments for the program that makes the file
    /// system.
    pub(crate) fn try_mount(folder: &Path, bytes: u64, extra: &[&str]) -> Result<Self, String> {
        let root = tempfile::tempdir_in(folder).map_err(|error| error.to_string())?;
        let (image, mount) = (root.path().join("image"), root.path().join("mount"));
        File::create(&image)
            .and_then(|file| file.set_len(bytes))
            .and_then(|()| fs::create_dir(&mount))
            .map_err(|error| error.to_string())?;
        let (image, place) = (image.to_string_lossy(), mount.to_string_lossy());
        run("mkfs.ext4", &[&["-q", "-F"], extra, &[&image]].concat())?;
        let device = run("losetup", &["--find", "--show", &image])?;
        if let Err(why) = run("mount", &["-t", "ext4", &device, &place]) {
            let _ = run("losetup", &["--detach", &device]);
            return Err(why);
        }
        let number = fs::metadata(&mount).map_err(|error| error.to_string())?.dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let stat = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        Ok(Self { device, stat, mount, root })
    }

    /// The file that is the disk.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.path().join("image")
    }

    /// The root of the file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts it off from its power, under whoever uses it.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn cut(&self, last: Last) {
        cut(&self.mount, last).expect("a file system that can be cut off");
    }

    /// Gives it power again, as it was on the device. Waits for whoever has something open in it: a
    /// process that another thread is starting has for a moment all that this one has.
    ///
    /// # Panics
    /// If somebody stays, or it cannot be read any more.
    pub fn power_on(&mut self) {
        self.unmount().expect("nobody uses it");
        let mount = self.mount.to_string_lossy();
        run("mount", &["-t", "ext4", &self.device, &mount]).expect("a file system");
    }

    fn unmount(&self) -> Result<(), String> {
        let mount = self.mount.to_string_lossy();
        let asked = Instant::now();
        loop {
            match run("umount", &[&mount]) {
                Err(_) if asked.elapsed() < PATIENCE => thread::yield_now(),
                unmounted => return unmounted.map(drop),
            }
        }
    }

    /// Bytes written to the device so far.
    ///
    /// # Panics
    /// If the system does not count them.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        let text = fs::read_to_string(&self.stat).expect("the numbers of a device");
        let sectors = text.split_whitespace().nth(SECTORS_WRITTEN).expect("sectors written");
        SECTOR_BYTES * sectors.parse::<u64>().expect("a number")
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Whoever failed before has said so; a disk that stays mounted is said here.
        let unmounted = self.unmount();
        let detached = run("losetup", &["--detach", &self.device]).map(drop);
        for why in [unmounted, detached].into_iter().filter_map(Result::err) {
            say(&why);
        }
    }
}

/// What a program prints, if it succeeds.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr).trim()))
}
