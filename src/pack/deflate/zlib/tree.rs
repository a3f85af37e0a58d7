//! Code lengths by Huffman's tree over a heap, as zlib builds it: ties are broken by the depth of what is below a node, and
//! what is then equal by the state of the heap.

use crate::huffman::CodeTable;

/// The codes for these frequencies, none longer than `limit`, and how many symbols have one, counted up to the last. At least
/// two get one, used or not.
pub(super) fn build<const N: usize>(frequencies: &[u32; N], limit: usize) -> (CodeTable<N>, usize) {
    let mut tree = WeightTree { weights: frequencies.to_vec(), depths: vec![0; N], heap: Vec::new() };
    tree.heap.extend((0..N).filter(|&symbol| frequencies[symbol] > 0));
    let mut used = tree.heap.last().map_or(0, |last| last + 1);
    while tree.heap.len() < 2 {
        let forced = if used < 3 { used } else { 0 };
        used = used.max(forced + 1);
        tree.weights[forced] = 1;
        tree.heap.push(forced);
    }
    let lengths = lengths(tree, limit);
    (CodeTable::canonical(&lengths), used)
}

/// Symbols, and behind them inner nodes.
struct WeightTree {
    weights: Vec<u32>,
    depths: Vec<u32>,
    heap: Vec<usize>,
}

impl WeightTree {
    fn is_smaller(&self, a: usize, b: usize) -> bool {
        (self.weights[a], self.depths[a]) <= (self.weights[b], self.depths[b])
    }

    /// Moves the node at a place of the heap down to where it belongs.
    fn sift(&mut self, mut at: usize) {
        let node = self.heap[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.is_smaller(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if self.is_smaller(node, self.heap[child]) {
                break;
            }
            self.heap[at] = self.heap[child];
            at = child;
        }
        self.heap[at] = node;
    }
}

fn lengths<const N: usize>(mut tree: WeightTree, limit: usize) -> [u8; N] {
    (0..tree.heap.len() / 2).rev().for_each(|at| tree.sift(at));
    // Nodes as they leave the heap, and the node that each is put under.
    let mut order = Vec::with_capacity(2 * N);
    let mut parents = vec![0; 2 * N];
    while tree.heap.len() > 1 {
        let lightest = tree.heap[0];
        let end = tree.heap.pop().unwrap_or(lightest);
        tree.heap[0] = end;
        tree.sift(0);
        let next = tree.heap[0];
        let made = tree.weights.len();
        tree.weights.push(tree.weights[lightest] + tree.weights[next]);
        tree.depths.push(tree.depths[lightest].max(tree.depths[next]) + 1);
        (parents[lightest], parents[next]) = (made, made);
        order.extend([lightest, next]);
        tree.heap[0] = made;
        tree.sift(0);
    }
    let mut depths = vec![0; tree.weights.len()];
    let mut counts = vec![0_usize; limit + 1];
    let mut excess = 0;
    for &node in order.iter().rev() {
        depths[node] = depths[parents[node]] + 1;
        if depths[node] > limit {
            depths[node] = limit;
            excess += 1_isize;
        }
        if node < N {
            counts[depths[node]] += 1;
        }
    }
    let mut lengths = [0; N];
    if excess == 0 {
        for (length, &depth) in lengths.iter_mut().zip(&depths) {
            *length = depth as u8;
        }
        return lengths;
    }
    while excess > 0 {
        // Two symbols too deep become brothers of one that moves down.
        let shorter = (1..limit).rev().find(|&length| counts[length] > 0).unwrap_or(1);
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        counts[limit] -= 1;
        excess -= 2;
    }
    // The lightest get the longest.
    let mut leaves = order.into_iter().filter(|&node| node < N);
    for length in (1..=limit).rev() {
        leaves.by_ref().take(counts[length]).for_each(|symbol| lengths[symbol] = length as u8);
    }
    lengths
}
