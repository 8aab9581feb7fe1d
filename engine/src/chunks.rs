//! Owns a list that grows without moving what it holds.
//! Knows nothing of its items. Invariant: every chunk but the last is full, and none is ever given
//! back, so an item stays where it is and a list that once was long allocates nothing again.

/// A growable list of records, `CHUNK` of them in one piece of memory: a power of two.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<T, const CHUNK: usize> {
    chunks: Vec<Box<[T; CHUNK]>>,
    len: usize,
}

impl<T: Copy + Default, const CHUNK: usize> Chunks<T, CHUNK> {
    /// Reserves memory for `capacity` items.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        const { assert!(CHUNK.is_power_of_two()) };
        let mut list = Self { chunks: Vec::new(), len: 0 };
        (0..capacity.div_ceil(CHUNK)).for_each(|_| list.add_chunk());
        list
    }

    fn add_chunk(&mut self) {
        let items: Box<[T]> = vec![T::default(); CHUNK].into_boxed_slice();
        let Ok(chunk) = items.try_into() else { unreachable!("as long as a chunk") };
        self.chunks.push(chunk);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, item: T) {
        let at = self.len;
        if at / CHUNK == self.chunks.len() {
            self.add_chunk();
        }
        self.len += 1;
        *self.get_mut(at) = item;
    }

    /// # Panics
    /// If there is no such item.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> &T {
        &self.chunks[at / CHUNK][at % CHUNK]
    }

    /// # Panics
    /// If there is no such item.
    #[inline]
    pub(crate) fn get_mut(&mut self, at: usize) -> &mut T {
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 64;

    #[test]
    fn items_stay_where_they_are_while_the_list_grows() {
        let mut list = Chunks::<usize, CHUNK>::with_capacity(CHUNK);
        (0..CHUNK).for_each(|item| list.push(item));
        assert_eq!(list.chunks.len(), 1, "room was reserved");
        let first = std::ptr::from_ref(list.get(0));
        (CHUNK..3 * CHUNK + 1).for_each(|item| list.push(item));
        assert_eq!((list.len(), list.chunks.len()), (3 * CHUNK + 1, 4));
        assert_eq!(std::ptr::from_ref(list.get(0)), first);
        *list.get_mut(CHUNK) += 1;
        assert!((0..list.len()).all(|at| *list.get(at) == at + usize::from(at == CHUNK)));
    }
}
