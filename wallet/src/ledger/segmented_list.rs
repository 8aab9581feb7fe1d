//! Owns a list that only grows. Knows nothing of what it holds.
//! Invariant: an element never moves, so growing costs one segment and never a copy of the rest.

/// Elements of one segment.
const SEGMENT: usize = 1 << 14;

/// Append-only list in segments of equal size.
#[derive(Clone, Debug)]
pub(crate) struct SegmentedList<T> {
    segments: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for SegmentedList<T> {
    fn default() -> Self {
        Self { segments: Vec::new(), len: 0 }
    }
}

impl<T> SegmentedList<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an element and returns its place.
    pub(crate) fn push(&mut self, element: T) -> usize {
        if self.len.is_multiple_of(SEGMENT) {
            self.segments.push(Vec::with_capacity(SEGMENT));
        }
        let place = self.len;
        self.segments[place / SEGMENT].push(element);
        self.len += 1;
        place
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.segments.get(place / SEGMENT)?.get(place % SEGMENT)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.segments.get_mut(place / SEGMENT)?.get_mut(place % SEGMENT)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_places_across_segments() {
        let mut list = SegmentedList::default();
        for value in 0..=SEGMENT {
            assert_eq!(list.push(value), value);
        }
        *list.get_mut(SEGMENT).unwrap() += 1;
        assert_eq!(
            (list.get(SEGMENT - 1), list.get(SEGMENT)),
            (Some(&(SEGMENT - 1)), Some(&(SEGMENT + 1)))
        );
        assert_eq!(
            (list.get(SEGMENT + 1), list.len(), list.iter().count()),
            (None, SEGMENT + 1, SEGMENT + 1)
        );
    }
}
