//! The places of replies: each reply comes back once, to whoever was told its place, and a place
//! that is taken again holds nothing of before. The queue of free places is a library's and counts
//! as one step.

use loom::sync::Arc;
use loom::thread;

use crate::reply::ReplySlab;
use crate::sync::Mutex;

pub(crate) const ALL: &[(&str, fn())] = &[
    ("a reply comes back once", a_reply_comes_back),
    ("a place goes from one request to the next", a_place_is_used_again),
];

/// A place on its way from the request to the publisher, as in a ring slot.
struct Way(Mutex<Option<u32>>);

impl Way {
    fn send(&self, place: u32) {
        *self.0.lock().unwrap() = Some(place);
    }

    fn receive(&self) -> Option<u32> {
        self.0.lock().unwrap().take()
    }
}

fn a_reply_comes_back() {
    let shared = Arc::new((ReplySlab::new(2), Way(Mutex::new(None))));
    let other = Arc::clone(&shared);
    let request = thread::spawn(move || {
        let (slab, way) = &*other;
        way.send(slab.insert('a').expect("there is room"));
    });
    let (slab, way) = &*shared;
    let second = slab.insert('b').expect("there is room");
    let taken = way.receive().map(|place| slab.remove(place));
    assert!(taken.is_none_or(|reply| reply == 'a'));
    assert_eq!(slab.remove(second), 'b');
    request.join().unwrap();
    if taken.is_none() {
        assert_eq!(way.receive().map(|place| slab.remove(place)), Some('a'));
    }
}

fn a_place_is_used_again() {
    let shared = Arc::new((ReplySlab::new(1), Way(Mutex::new(None))));
    let first = shared.0.insert('a').expect("there is room");
    let other = Arc::clone(&shared);
    let request = thread::spawn(move || {
        let (slab, way) = &*other;
        match slab.insert('b') {
            Some(place) => way.send(place),
            None => assert!(slab.insert('c').is_none_or(|place| slab.remove(place) == 'c')),
        }
    });
    let (slab, way) = &*shared;
    assert_eq!(slab.remove(first), 'a');
    request.join().unwrap();
    if let Some(place) = way.receive() {
        assert_eq!(slab.remove(place), 'b');
    }
    assert!(slab.insert('d').is_some() && slab.insert('e').is_none());
}
