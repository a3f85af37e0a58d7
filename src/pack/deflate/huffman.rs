//! Huffman codes of limited length, and how a block's header spells them (RFC 1951, 3.2.2 and 3.2.7).
//!
//! There are many codes of least cost, and which one an encoder takes is part of the bytes: see [`Method`].

use super::bits::BitWriter;
use super::symbols::{DISTANCES, LITERALS};

/// The longest code of a literal, a length or a distance.
pub(super) const MAX_CODE: usize = 15;
/// The longest code of a code length.
pub(super) const MAX_LENGTH_CODE: usize = 7;
/// Symbols of the alphabet that code lengths are written in.
pub(super) const LENGTH_SYMBOLS: usize = 19;
/// The order in which the lengths of the codes of code lengths are written (RFC 1951, 3.2.7).
const LENGTH_ORDER: [usize; LENGTH_SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How code lengths are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The package-merge method of Larmore and Hirschberg. Where a package and a symbol weigh the same, the package goes
    /// first.
    Packages,
    /// Huffman's tree, where a symbol goes before a node of the same weight; packages where the tree is too deep.
    Tree,
}

/// A code as it is written: its first bit lowest. Length 0: the symbol has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HuffmanCode {
    pub(super) bits: u16,
    pub(super) length: u16,
}

/// The codes of an alphabet of at most `N` symbols.
#[derive(Debug, Clone)]
pub(super) struct CodeTable<const N: usize> {
    pub(super) codes: [HuffmanCode; N],
}

impl<const N: usize> Default for CodeTable<N> {
    fn default() -> Self {
        Self { codes: [HuffmanCode::default(); N] }
    }
}

impl<const N: usize> CodeTable<N> {
    /// The codes of least cost for these frequencies, none longer than `limit` bits. One symbol alone gets one bit.
    pub(super) fn build(frequencies: &[u32; N], limit: usize, method: Method) -> Self {
        let mut used: Vec<(u32, u16)> = Vec::with_capacity(N);
        used.extend(
            frequencies.iter().zip(0..).filter(|&(&weight, _)| weight > 0).map(|(&weight, symbol)| (weight, symbol)),
        );
        let mut lengths = [0_u8; N];
        if used.len() <= 2 {
            for &(_, symbol) in &used {
                lengths[usize::from(symbol)] = 1;
            }
        } else {
            used.sort_unstable();
            if method == Method::Packages || !tree_lengths(&used, limit, &mut lengths) {
                package_lengths(&used, limit.min(used.len() - 1), &mut lengths);
            }
        }
        Self::canonical(&lengths)
    }

    /// The canonical codes of these lengths: shorter codes first, then by symbol.
    pub(super) fn canonical(lengths: &[u8; N]) -> Self {
        let mut table = Self::default();
        let mut first = first_codes(lengths);
        for (code, &length) in table.codes.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
            let number = &mut first[usize::from(length)];
            *code = HuffmanCode { bits: number.reverse_bits() >> (16 - u32::from(length)), length: length.into() };
            *number += 1;
        }
        table
    }

    /// Bits that symbols of these frequencies take, without their extra bits.
    pub(super) fn cost(&self, frequencies: &[u32; N]) -> usize {
        frequencies.iter().zip(&self.codes).map(|(&count, code)| count as usize * usize::from(code.length)).sum()
    }

    /// True where every symbol of these frequencies has a code.
    pub(super) fn covers(&self, frequencies: &[u32; N]) -> bool {
        frequencies.iter().zip(&self.codes).all(|(&count, code)| count == 0 || code.length > 0)
    }
}

/// The first code of each length, its first bit highest.
fn first_codes(lengths: &[u8]) -> [u16; MAX_CODE + 1] {
    let mut counts = [0_u16; MAX_CODE + 1];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        counts[usize::from(length)] += 1;
    }
    let mut first = [0; MAX_CODE + 1];
    for length in 1..=MAX_CODE {
        first[length] = (first[length - 1] + counts[length - 1]) << 1;
    }
    first
}

/// Package-merge over symbols in order of weight. A symbol's length is the number of lists in which it is among the items
/// that count; the lists are walked from the last one back.
fn package_lengths(used: &[(u32, u16)], limit: usize, lengths: &mut [u8]) {
    let items = 2 * used.len() - 2;
    // For each list: how many of its first items are symbols.
    let mut symbols_before = vec![[0_u16; 2 * LITERALS]; limit];
    let mut below: Vec<u32> = Vec::new();
    for before in &mut symbols_before {
        let mut list = Vec::with_capacity(items);
        let mut packages = below.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        let mut taken = 0;
        while list.len() < items {
            let symbol = used.get(taken).map(|&(weight, _)| weight);
            match (symbol, packages.peek()) {
                (Some(weight), package) if package.is_none_or(|&package| weight < package) => {
                    list.push(weight);
                    taken += 1;
                }
                (_, Some(&package)) => {
                    list.push(package);
                    packages.next();
                }
                (_, None) => break,
            }
            before[list.len()] = taken as u16;
        }
        below = list;
    }
    let mut count = items;
    for before in symbols_before.iter().rev() {
        let symbols = usize::from(before[count]);
        for &(_, symbol) in &used[..symbols] {
            lengths[usize::from(symbol)] += 1;
        }
        count = 2 * (count - symbols);
    }
}

/// Huffman's tree over symbols in order of weight; false, and nothing done, where it is deeper than `limit`.
fn tree_lengths(used: &[(u32, u16)], limit: usize, lengths: &mut [u8]) -> bool {
    let leaves = used.len();
    // Leaves first, then inner nodes in the order they are made, which is that of their weights.
    let mut parents = vec![0; 2 * leaves - 1];
    let mut weights: Vec<u32> = Vec::with_capacity(leaves - 1);
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let node = if leaf < leaves && (inner == made || used[leaf].0 <= weights[inner]) {
                leaf += 1;
                leaf - 1
            } else {
                inner += 1;
                leaves + inner - 1
            };
            weight += if node < leaves { used[node].0 } else { weights[node - leaves] };
            parents[node] = leaves + made;
        }
        weights.push(weight);
    }
    let mut depths = vec![0_usize; 2 * leaves - 1];
    for node in (0..2 * leaves - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut sorted = depths[..leaves].to_vec();
    // How many symbols have which length comes from the tree; the rarer ones get the longer.
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    if sorted[0] > limit {
        return false;
    }
    for (&(_, symbol), &depth) in used.iter().zip(&sorted) {
        lengths[usize::from(symbol)] = depth as u8;
    }
    true
}

/// The codes of a block: literals and lengths, and distances.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockCodes {
    pub(super) literals: CodeTable<LITERALS>,
    pub(super) distances: CodeTable<DISTANCES>,
}

impl BlockCodes {
    /// The fixed codes (RFC 1951, 3.2.6).
    pub(super) fn fixed() -> Self {
        // All 288 take part in the numbering, though the last two never occur.
        let mut lengths = [8_u8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        let all = CodeTable::canonical(&lengths);
        let mut literals = CodeTable::default();
        literals.codes.copy_from_slice(&all.codes[..LITERALS]);
        let mut distances = CodeTable::default();
        distances.codes.copy_from_slice(&CodeTable::canonical(&[5_u8; 32]).codes[..DISTANCES]);
        Self { literals, distances }
    }

    /// The codes of least cost for these symbols.
    pub(super) fn build(literals: &[u32; LITERALS], distances: &[u32; DISTANCES], method: Method) -> Self {
        Self {
            literals: CodeTable::build(literals, MAX_CODE, method),
            distances: CodeTable::build(distances, MAX_CODE, method),
        }
    }

    /// Bits that these symbols take, without their extra bits.
    pub(super) fn cost(&self, literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> usize {
        self.literals.cost(literals) + self.distances.cost(distances)
    }
}

/// The header of a dynamic block, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct DynamicHeader {
    literals: usize,
    distances: usize,
    /// Symbols of the code lengths, each with its extra bits and how many.
    runs: Vec<(u8, u8, u8)>,
    lengths: CodeTable<LENGTH_SYMBOLS>,
    /// How many lengths of codes of code lengths are written.
    sent: usize,
    /// Bits of the whole header, with the three that begin the block.
    pub(super) cost: usize,
}

impl DynamicHeader {
    /// Spells the codes of the first `literals` and the first `distances` symbols as one sequence. A run of a length is
    /// the length once, then repeats of up to six while at least three are left; zeros go in runs of up to 138 while at
    /// least eleven are left, then of up to ten while at least three are; what is left is written out.
    pub(super) fn new(codes: &BlockCodes, literals: usize, distances: usize, method: Method) -> Self {
        let mut sequence = [0_u8; LITERALS + DISTANCES];
        let all = codes.literals.codes[..literals].iter().chain(&codes.distances.codes[..distances]);
        sequence.iter_mut().zip(all).for_each(|(slot, code)| *slot = code.length as u8);
        let mut runs = Vec::with_capacity(literals + distances);
        for run in sequence[..literals + distances].chunk_by(|a, b| a == b) {
            push_run(&mut runs, run[0], run.len());
        }
        let lengths = CodeTable::build(&count_runs(&runs), MAX_LENGTH_CODE, method);
        Self::with_runs(literals, distances, runs, lengths)
    }

    /// A header of runs that were cut otherwise, and codes for them.
    pub(super) fn with_runs(
        literals: usize,
        distances: usize,
        runs: Vec<(u8, u8, u8)>,
        lengths: CodeTable<LENGTH_SYMBOLS>,
    ) -> Self {
        let last = LENGTH_ORDER.iter().rposition(|&symbol| lengths.codes[symbol].length > 0);
        let sent = last.map_or(4, |last| (last + 1).max(4));
        let spelled = |&(symbol, _, extra): &(u8, u8, u8)| {
            usize::from(lengths.codes[usize::from(symbol)].length) + usize::from(extra)
        };
        let cost = 3 + 5 + 5 + 4 + 3 * sent + runs.iter().map(spelled).sum::<usize>();
        Self { literals, distances, runs, lengths, sent, cost }
    }

    /// Writes the header.
    pub(super) fn write(&self, last: bool, bits: &mut BitWriter) {
        bits.put(0b100 | u32::from(last), 3);
        bits.put((self.literals - 257) as u32, 5);
        bits.put((self.distances - 1) as u32, 5);
        bits.put((self.sent - 4) as u32, 4);
        for &symbol in &LENGTH_ORDER[..self.sent] {
            bits.put(self.lengths.codes[symbol].length.into(), 3);
        }
        for &(symbol, extra, count) in &self.runs {
            let code = self.lengths.codes[usize::from(symbol)];
            bits.put(code.bits.into(), code.length.into());
            bits.put(extra.into(), count.into());
        }
    }
}

/// How often each symbol of code lengths occurs.
pub(super) fn count_runs(runs: &[(u8, u8, u8)]) -> [u32; LENGTH_SYMBOLS] {
    let mut frequencies = [0; LENGTH_SYMBOLS];
    for &(symbol, ..) in runs {
        frequencies[usize::from(symbol)] += 1;
    }
    frequencies
}

fn push_run(runs: &mut Vec<(u8, u8, u8)>, length: u8, mut count: usize) {
    if length == 0 {
        while count >= 11 {
            let step = count.min(138);
            runs.push((18, (step - 11) as u8, 7));
            count -= step;
        }
        if count >= 3 {
            runs.push((17, (count - 3) as u8, 3));
            count = 0;
        }
    } else {
        runs.push((length, 0, 0));
        count -= 1;
        while count >= 3 {
            let step = count.min(6);
            runs.push((16, (step - 3) as u8, 2));
            count -= step;
        }
    }
    runs.extend(std::iter::repeat_n((length, 0, 0), count));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths<const N: usize>(table: &CodeTable<N>) -> [u16; N] {
        table.codes.map(|code| code.length)
    }

    /// The share of all codes that are taken, in units of the shortest that may be.
    fn taken<const N: usize>(table: &CodeTable<N>) -> u32 {
        lengths(table).iter().filter(|&&length| length > 0).map(|&length| 1 << (MAX_CODE - usize::from(length))).sum()
    }

    #[test]
    fn codes_of_least_cost_keep_the_limit_and_leave_none_free() {
        // Weights that double make the deepest tree.
        let mut frequencies = [0; LITERALS];
        (0..24).for_each(|symbol| frequencies[10 * symbol] = 1 << symbol);
        for method in [Method::Packages, Method::Tree] {
            for limit in [5, 7, MAX_CODE] {
                let table = CodeTable::build(&frequencies, limit, method);
                assert!(lengths(&table).iter().all(|&length| usize::from(length) <= limit));
                assert_eq!(taken(&table), 1 << MAX_CODE, "{method:?}, {limit}");
            }
        }
    }

    #[test]
    fn of_codes_of_equal_cost_each_method_takes_its_own() {
        let frequencies = [1, 1, 1, 2, 1];
        let (packages, tree) = ([3, 3, 3, 1, 3], [3, 3, 2, 2, 2]);
        assert_eq!(lengths(&CodeTable::build(&frequencies, 15, Method::Packages)), packages);
        assert_eq!(lengths(&CodeTable::build(&frequencies, 15, Method::Tree)), tree);
        let cost = |lengths: [u32; 5]| -> u32 {
            lengths.iter().zip(frequencies).map(|(length, weight)| length * weight).sum()
        };
        assert_eq!(cost(packages.map(u32::from)), cost(tree.map(u32::from)));
    }

    #[test]
    fn one_or_two_symbols_take_one_bit_each() {
        assert_eq!(lengths(&CodeTable::build(&[0, 0, 9], 15, Method::Tree)), [0, 0, 1]);
        let two = CodeTable::build(&[5, 0, 9], 15, Method::Packages);
        assert_eq!(lengths(&two), [1, 0, 1]);
        assert_eq!((two.codes[0].bits, two.codes[2].bits), (0, 1));
        assert_eq!(lengths(&CodeTable::build(&[0; 4], 15, Method::Packages)), [0; 4]);
    }

    #[test]
    fn the_fixed_codes_are_those_of_the_specification() {
        let fixed = BlockCodes::fixed();
        let code = |symbol: usize| {
            let HuffmanCode { bits, length } = fixed.literals.codes[symbol];
            (bits.reverse_bits() >> (16 - length), length)
        };
        assert_eq!(
            [0, 143, 144, 255, 256, 279, 280, 285].map(code),
            [
                (0b0011_0000, 8),
                (0b1011_1111, 8),
                (0b1_1001_0000, 9),
                (0b1_1111_1111, 9),
                (0, 7),
                (0b001_0111, 7),
                (0b1100_0000, 8),
                (0b1100_0101, 8),
            ]
        );
        assert_eq!(fixed.distances.codes[1], HuffmanCode { bits: 0b10000, length: 5 });
    }

    #[test]
    fn a_header_takes_the_bits_that_it_costs() {
        let mut frequencies = [0; LITERALS];
        (0..200).filter(|symbol| symbol % 3 > 0).for_each(|symbol| frequencies[symbol] = 1 + symbol as u32 % 7);
        frequencies[256] = 1;
        let mut distances = [0; DISTANCES];
        distances[3] = 4;
        let codes = BlockCodes::build(&frequencies, &distances, Method::Packages);
        let header = DynamicHeader::new(&codes, 257, 4, Method::Packages);
        let mut bits = BitWriter::default();
        header.write(false, &mut bits);
        // Up to the end of a byte, by ones that are seen.
        let fill = (8 - header.cost % 8) % 8;
        bits.put((1 << fill) - 1, fill as u32);
        assert_eq!(bits.complete().len() + bits.waiting() / 8, header.cost.div_ceil(8));
        assert_eq!(bits.waiting() % 8, 0);
    }

    #[test]
    fn runs_of_lengths_are_cut_in_one_way() {
        let of = |length: u8, count: usize| {
            let mut runs = Vec::new();
            push_run(&mut runs, length, count);
            runs
        };
        assert_eq!(of(0, 2), [(0, 0, 0); 2]);
        assert_eq!(of(0, 10), [(17, 7, 3)]);
        assert_eq!(of(0, 140), [(18, 127, 7), (0, 0, 0), (0, 0, 0)]);
        assert_eq!(of(0, 149), [(18, 127, 7), (18, 0, 7)]);
        assert_eq!(of(5, 3), [(5, 0, 0); 3]);
        assert_eq!(of(5, 9), [(5, 0, 0), (16, 3, 2), (5, 0, 0), (5, 0, 0)]);
        assert_eq!(of(5, 10), [(5, 0, 0), (16, 3, 2), (16, 0, 2)]);
    }
}
