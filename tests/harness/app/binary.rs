//! Owns finding the binary: the one that `MATCHRING_BIN` names, else the one built beside these
//! tests, in their profile. Knows nothing of running it. Invariant: built once per test process, so
//! that no test ever runs against yesterday's binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// The binary `matchring`.
///
/// # Panics
/// If there is none and it cannot be built.
pub fn path() -> &'static Path {
    BINARY.get_or_init(|| match env::var_os("MATCHRING_BIN") {
        Some(path) => std::path::absolute(path).expect("MATCHRING_BIN is a path"),
        None => build(),
    })
}

fn build() -> PathBuf {
    let tests = env::current_exe().expect("the path of the tests");
    // TARGET/PROFILE/deps/crash-HASH
    let profile_dir = tests.ancestors().nth(2).expect("the folder of a profile");
    let target_dir = profile_dir.parent().expect("a target folder");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("no profile in {}", tests.display()),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "gateway", "--bin", "matchring"])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the exchange does not build");
    let binary = profile_dir.join("matchring");
    assert!(binary.is_file(), "{} is missing", binary.display());
    binary
}
