//! Owns names and pinning of stage threads. Knows nothing of what they run.
//! Invariant: a thread pins itself, from the mask it inherited; the starting thread is never
//! pinned, because its other children would inherit that.

use std::io;
use std::thread::{Builder, JoinHandle};

use core_affinity::CoreId;

use crate::error::PipelineError;
use crate::limits::THREAD_NAME_BYTES_MAX;

/// Looks the chosen positions up in the cores that this process may use.
///
/// # Errors
/// A position past the end: the mask of a container may be smaller than the machine.
pub(crate) fn choose(pin: Option<[usize; 3]>) -> Result<[Option<CoreId>; 3], PipelineError> {
    let Some(positions) = pin else { return Ok([None; 3]) };
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let mut chosen = [None; 3];
    for (core, position) in chosen.iter_mut().zip(positions) {
        let Some(id) = allowed.get(position) else {
            let what = format!("pin: core {position} of {} allowed ones", allowed.len());
            return Err(PipelineError::Configuration { what });
        };
        *core = Some(*id);
    }
    Ok(chosen)
}

/// Starts a named thread that pins itself before anything else.
///
/// # Errors
/// The system refuses another thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &'static str,
    core: Option<CoreId>,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    assert!(name.len() <= THREAD_NAME_BYTES_MAX, "{name} would be cut");
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Some(core) = core
            && !core_affinity::set_for_current(core)
        {
            // Slower, not wrong: the thread runs wherever the system puts it.
            tracing::warn!(thread = name, core = core.id, "could not pin");
        }
        body()
    })
}

/// Has the system take from the calling thread first, by this much.
pub(crate) fn give_way(niceness: i32) {
    // Of this thread alone, on Linux; without it the thread is only less polite.
    let _ = rustix::process::setpriority_process(None, niceness);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_checked_against_the_mask() {
        let allowed = core_affinity::get_core_ids().unwrap();
        assert_eq!(choose(None).unwrap(), [None; 3]);
        assert_eq!(choose(Some([0; 3])).unwrap(), [Some(allowed[0]); 3]);
        let error = choose(Some([0, 0, allowed.len()])).unwrap_err();
        assert_eq!(error.exit_code(), 78);
    }

    #[test]
    fn a_pinned_thread_has_one_core_and_its_name() {
        let core = core_affinity::get_core_ids().unwrap()[0];
        let seen = spawn("matchring-test", Some(core), || {
            let name = std::thread::current().name().map(str::to_owned);
            (name, core_affinity::get_core_ids().unwrap())
        });
        let (name, mask) = seen.unwrap().join().unwrap();
        assert_eq!(name.as_deref(), Some("matchring-test"));
        assert_eq!(mask, [core]);
    }
}
