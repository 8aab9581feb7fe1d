//! Owns finding the binary: the one that a program or `MATCHRING_BIN` names, else the one built
//! beside these tests, in their profile; and the examples, likewise in the folder that
//! `MATCHRING_EXAMPLES` names. Knows nothing of running them.
//! Invariant: built once per test process, so that no test ever runs against yesterday's binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

static BINARY: OnceLock<PathBuf> = OnceLock::new();
static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();

/// Takes this binary in all that follows, unless one was taken before.
///
/// # Panics
/// If the path is empty.
pub fn take(program: &Path) {
    BINARY.get_or_init(|| std::path::absolute(program).expect("a path"));
}

/// The binary `matchring`.
///
/// # Panics
/// If there is none and it cannot be built.
pub fn path() -> &'static Path {
    BINARY.get_or_init(|| match env::var_os("MATCHRING_BIN") {
        Some(path) => std::path::absolute(path).expect("MATCHRING_BIN is a path"),
        None => build(&["--package", "gateway", "--bin", "matchring"], "matchring"),
    })
}

/// The folder of the wallet's examples.
///
/// # Panics
/// If they cannot be built.
pub fn examples() -> &'static Path {
    EXAMPLES.get_or_init(|| match env::var_os("MATCHRING_EXAMPLES") {
        Some(path) => std::path::absolute(path).expect("MATCHRING_EXAMPLES is a path"),
        None => build(&["--package", "wallet", "--examples"], "examples"),
    })
}

/// Builds what `wanted` names, and gives where it is in the folder of the profile.
fn build(wanted: &[&str], place: &str) -> PathBuf {
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
        .args(["build", "--quiet", "--locked"])
        .args(wanted)
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "{place} does not build");
    let built = profile_dir.join(place);
    assert!(built.exists(), "{} is missing", built.display());
    built
}
