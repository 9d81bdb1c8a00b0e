//! Looks for bytes in a body that comes in pieces, so that a match across two pieces is found and no body has to be
//! held whole.

/// A search for one needle in one body.
pub(crate) struct Finder<'a> {
    search: memchr::memmem::Finder<'a>,
    /// The end of what was fed: one byte less than the needle.
    tail: Vec<u8>,
    found: bool,
}

impl<'a> Finder<'a> {
    /// A search at the beginning of a body. The empty needle is found in every body.
    pub(crate) fn new(needle: &'a [u8]) -> Self {
        Self { search: memchr::memmem::Finder::new(needle), tail: Vec::new(), found: needle.is_empty() }
    }

    /// Looks on in the next piece; whether the needle has been found by now.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> bool {
        let keep = self.search.needle().len().saturating_sub(1);
        if !self.found {
            // Only the seam needs copying: what a match across it can reach on either side.
            let seam = self.tail.len();
            self.tail.extend_from_slice(&piece[..piece.len().min(keep)]);
            self.found = (seam > 0 && self.search.find(&self.tail).is_some()) || self.search.find(piece).is_some();
        }
        if piece.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - keep..]);
        } else {
            let surplus = self.tail.len().saturating_sub(keep);
            self.tail.drain(..surplus);
        }
        self.found
    }

    /// Whether the needle has been found.
    pub(crate) fn found(&self) -> bool {
        self.found
    }
}
