//! Reading numbers and comparing runs of bytes.

/// Four bytes as a number, the first one lowest.
#[inline]
pub(super) fn load32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the caller keeps four bytes of margin"))
}

/// Eight bytes as a number, the first one lowest.
#[inline]
pub(super) fn load64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the caller keeps eight bytes of margin"))
}

/// How many bytes from `older` and from `newer` on are the same, at most `limit`. Both have `limit` bytes.
#[inline]
pub(super) fn common(bytes: &[u8], older: usize, newer: usize, limit: usize) -> usize {
    let (a, b) = (&bytes[older..older + limit], &bytes[newer..newer + limit]);
    let mut same = 0;
    while let (Some(x), Some(y)) = (a[same..].first_chunk(), b[same..].first_chunk()) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return same + (difference.trailing_zeros() / 8) as usize;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(x, y)| x == y).count()
}

/// A table of zeros that was never on the stack.
pub(super) fn boxed<T: Clone + Default, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].try_into().unwrap_or_else(|_| unreachable!("the vector has the length of the table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_run_ends_at_the_first_difference_or_at_the_limit() {
        let mut bytes = [7_u8; 64];
        assert_eq!(common(&bytes, 0, 20, 33), 33);
        for different in [0, 1, 7, 8, 15, 16, 30] {
            bytes[20 + different] = 8;
            assert_eq!(common(&bytes, 0, 20, 20), different.min(20), "difference at {different}");
            bytes[20 + different] = 7;
        }
    }
}
