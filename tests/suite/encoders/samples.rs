//! Inputs for encoders: mixtures that are the same on every machine.
#![expect(clippy::cast_possible_truncation, reason = "random numbers are cut to bytes")]

/// `SplitMix64` by Steele, Lea and Flood: enough for test data.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What a mixture is made of.
#[derive(Debug, Clone, Copy)]
enum Part {
    Zeros,
    Noise,
    Text,
    Rows,
    Again,
    FarAgain,
    Skewed,
}

const PARTS: [Part; 9] = [
    Part::Text,
    Part::Zeros,
    Part::Again,
    Part::Noise,
    Part::Text,
    Part::Rows,
    Part::FarAgain,
    Part::Again,
    Part::Skewed,
];

const WORDS: &[u8] = b"the quick layer of a fox jumps over every lazy manifest and its digest; \
    int main(void) { return 0; } <p class=\"note\">/usr/share/doc/packages/README.md</p>\n";

/// A mixture of `size` bytes.
pub(super) fn mixture(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(size + 8192);
    while bytes.len() < size {
        let longest = 8 << random.below(11);
        let length = 1 + random.below(longest);
        match PARTS[random.below(PARTS.len())] {
            Part::Zeros => bytes.resize(bytes.len() + length, 0),
            Part::Noise => bytes.extend(std::iter::repeat_with(|| random.next() as u8).take(length / 2)),
            Part::Skewed => bytes.extend(std::iter::repeat_with(|| (random.next() & random.next()) as u8).take(length)),
            Part::Text => words(&mut random, &mut bytes, length),
            Part::Rows => rows(&mut random, &mut bytes, length),
            Part::Again => again(&mut random, &mut bytes, length, 1, 5000),
            // About the farthest match that the format allows.
            Part::FarAgain => again(&mut random, &mut bytes, length, 32_200, 1000),
        }
    }
    bytes.truncate(size);
    bytes
}

fn words(random: &mut Random, bytes: &mut Vec<u8>, length: usize) {
    let end = bytes.len() + length;
    while bytes.len() < end {
        let start = random.below(WORDS.len() - 1);
        let word = &WORDS[start..WORDS.len().min(start + 2 + random.below(14))];
        bytes.extend_from_slice(word);
    }
}

fn rows(random: &mut Random, bytes: &mut Vec<u8>, length: usize) {
    let width = 1 + random.below(40);
    let row: Vec<u8> = std::iter::repeat_with(|| random.next() as u8).take(width).collect();
    for number in 0..length / row.len() {
        bytes.extend_from_slice(&row);
        let last = bytes.len() - 1;
        bytes[last] = number as u8;
    }
}

fn again(random: &mut Random, bytes: &mut Vec<u8>, length: usize, nearest: usize, spread: usize) {
    let distance = nearest + random.below(spread);
    let Some(start) = bytes.len().checked_sub(distance) else { return };
    for at in start..start + length {
        bytes.push(bytes[at]);
    }
}

/// Inputs of all sizes at which encoders do something else.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let sizes = [
        0, 1, 2, 12, 13, 16, 17, 32, 33, 100, 127, 128, 129, 1024, 4096, 16_384, 32_505, 32_768, 32_769, 65_273,
        65_535, 65_536, 65_537, 131_070, 140_000, 220_000,
    ];
    let mut samples: Vec<Vec<u8>> = (1..).zip(sizes).map(|(seed, size)| mixture(seed, size)).collect();
    samples.push(vec![0; 70_000]);
    samples.push(b"ab".repeat(40_000));
    let mut random = Random(99);
    samples.push(std::iter::repeat_with(|| random.next() as u8).take(70_000).collect());
    samples
}

/// Inputs for blocks that are compressed apart: the ends of blocks are what matters.
pub(super) fn block_samples(block: usize) -> Vec<Vec<u8>> {
    [0, 1, block - 1, block, block + 1, block + 20, block + 100, 2 * block, 3 * block + 17_000]
        .into_iter()
        .zip(50..)
        .map(|(size, seed)| mixture(seed, size))
        .collect()
}
