//! Input for tests: text, zeros, noise and repetitions of all distances, the same on every machine.

/// A mixture of `size` bytes.
#[must_use]
pub fn mixture(size: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut random = move |limit: usize| {
        // Knuth's multiplier; the low bits are the weak ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut bytes = Vec::with_capacity(size + 4096);
    while bytes.len() < size {
        let length = 1 + random(2000);
        match random(5) {
            0 => bytes.resize(bytes.len() + length, 0),
            1 => bytes.extend((0..length / 4).map(|_| random(256) as u8)),
            2 => bytes.extend((0..length).map(|_| b"etaoin shrdlu\n"[random(14)])),
            _ => {
                let distance = 1 + random(if length % 2 == 0 { 300 } else { 33_000 });
                let start = bytes.len().saturating_sub(distance);
                (start..start + length).for_each(|at| bytes.push(bytes.get(at).copied().unwrap_or(b'-')));
            }
        }
    }
    bytes.truncate(size);
    bytes
}
