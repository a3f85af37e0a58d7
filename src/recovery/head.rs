//! The head of a recovery file: what is protected, by what measures, and where everything lies (docs/recovery-format.md).
//!
//! A head is the same in every recovery file of a set, but for the file's own number. It lies at both ends of each; any
//! one sound copy is enough. Nothing is allocated by what a head says before its numbers were held against the limits here.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    shape::{MOST_BLOCKS, MOST_POINTS, Shape, UNIT},
    space::Space,
    table,
};
use crate::{
    files::name::PARTIAL,
    oci::{Algorithm, Digest},
};

/// What a recovery file begins with.
pub const MAGIC: &[u8; 16] = b"airlift-recovery";

/// The format that this code writes and reads.
pub const VERSION: u32 = 1;

/// Bytes in front of the JSON: magic, version, number, length.
const FRONT: usize = MAGIC.len() + 12;

/// Bytes of the seal behind it.
const SEAL: usize = 32;

/// Most bytes of the JSON: some ten thousand files.
const MOST_JSON: usize = 2 << 20;

/// Heads are padded to a multiple of this, so that the blocks behind them lie well.
pub(super) const ALIGN: usize = 64;

/// Most bytes of a head.
pub(super) const MOST_HEAD: usize = FRONT + MOST_JSON + SEAL + ALIGN;

/// Most bytes of a block, so that memory does not follow what a head says.
const MOST_BLOCK: u64 = 16 << 20;

/// Most bytes of a file name, as Linux has it.
const MOST_NAME: usize = 255;

/// A protected file. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectedFile {
    /// SHA-256 of all of it.
    pub digest: Digest,
    /// Its bytes.
    pub length: u64,
    /// Its name: a plain file name.
    pub name: String,
}

/// A recovery file. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryFile {
    /// Recovery blocks in it.
    pub blocks: u64,
    /// Its name: a plain file name.
    pub name: String,
}

/// What a head says. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Bytes of a block.
    pub block: u64,
    /// Protected blocks of a group.
    pub data: u64,
    /// The protected files, in the order in which their blocks count.
    pub files: Vec<ProtectedFile>,
    /// Groups.
    pub groups: u64,
    /// Recovery blocks of a group.
    pub recovery: u64,
    /// The recovery files, in the order in which their blocks count.
    pub stores: Vec<RecoveryFile>,
    /// SHA-256 of the table of checksums.
    pub table: Digest,
    /// The format version.
    pub version: u32,
}

/// A head that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// There is none here, or it is damaged.
    Damaged,
    /// It is sealed, and of a version that is not ours.
    Version(u32),
    /// It is sealed, and says what cannot be.
    Malformed(String),
}

impl Head {
    /// The measures.
    pub const fn shape(&self) -> Shape {
        Shape { block: self.block, groups: self.groups, data: self.data, recovery: self.recovery }
    }

    /// Protected blocks.
    pub fn blocks(&self) -> u64 {
        self.files.iter().map(|file| file.length.div_ceil(self.block)).sum()
    }

    /// Where recovery blocks lie in the recovery files.
    pub(super) fn store_space(&self) -> Space {
        Space::new(self.block, self.stores.iter().map(|store| (self.body(), store.blocks * self.block)))
    }

    /// The id of the set: SHA-256 of what every head of it says.
    pub fn id(&self) -> Digest {
        Digest::sha256(&self.json())
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// The head of recovery file `number`, as it lies in the file.
    pub(super) fn write(&self, number: u32) -> Vec<u8> {
        let json = self.json();
        let length = u32::try_from(json.len()).expect("a head that was checked is below its limit");
        let mut bytes = Vec::with_capacity(FRONT + json.len() + SEAL + ALIGN);
        bytes.extend_from_slice(MAGIC);
        for number in [VERSION, number, length] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&json);
        let seal = Sha256::digest(&bytes);
        bytes.extend_from_slice(&seal);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    /// Bytes of the head in a file.
    pub(super) fn written(&self) -> u64 {
        ((FRONT + self.json().len() + SEAL) as u64).next_multiple_of(ALIGN as u64)
    }

    /// Bytes of one table.
    pub(super) fn table_length(&self) -> u64 {
        table::length(self.blocks() + self.shape().recovery_blocks())
    }

    /// Where the blocks begin in a recovery file.
    pub(super) fn body(&self) -> u64 {
        self.written() + self.table_length()
    }

    /// Bytes of a recovery file with `blocks` blocks.
    pub(super) fn store_length(&self, blocks: u64) -> u64 {
        2 * self.body() + blocks * self.block
    }

    /// Reads the head that `bytes` begin with, and the number of its file.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, u32), Bad> {
        let front = bytes.first_chunk::<FRONT>().filter(|front| front.starts_with(MAGIC)).ok_or(Bad::Damaged)?;
        let (numbers, _) = front[MAGIC.len()..].as_chunks::<4>();
        let [version, number, length] = [0, 1, 2].map(|at| u32::from_le_bytes(numbers[at]));
        let length = usize::try_from(length).ok().filter(|length| *length <= MOST_JSON).ok_or(Bad::Damaged)?;
        let sealed = bytes.get(..FRONT + length).ok_or(Bad::Damaged)?;
        let seal = bytes.get(FRONT + length..FRONT + length + SEAL).ok_or(Bad::Damaged)?;
        if Sha256::digest(sealed)[..] != *seal {
            return Err(Bad::Damaged);
        }
        if version != VERSION {
            return Err(Bad::Version(version));
        }
        let json = &sealed[FRONT..];
        let head: Self = serde_json::from_slice(json).map_err(|error| Bad::Malformed(error.to_string()))?;
        head.check().map_err(Bad::Malformed)?;
        if head.json() != json {
            return Err(Bad::Malformed("it is not canonical JSON".to_owned()));
        }
        if usize::try_from(number).map_or(true, |number| number >= head.stores.len()) {
            return Err(Bad::Malformed(format!("it has number {number} of {} files", head.stores.len())));
        }
        Ok((head, number))
    }

    /// Why no set can be so, if none can.
    pub(super) fn check(&self) -> Result<(), String> {
        let say = |is_so: bool, reason: &str| if is_so { Ok(()) } else { Err(reason.to_owned()) };
        say(self.version == VERSION, "its two versions differ")?;
        say(self.block.is_multiple_of(UNIT) && (1..=MOST_BLOCK).contains(&self.block), "no block has such a length")?;
        let points = MOST_POINTS;
        say((1..points).contains(&self.data) && (1..points).contains(&self.recovery), "groups are never so large")?;
        say(self.recovery.next_power_of_two() + self.data <= points, "a group is too large for the code")?;
        say((1..=MOST_BLOCKS).contains(&self.groups), "there are never so many groups")?;
        let lengths = self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.length));
        // A block more for each file, none of which may overflow what is added up below.
        let bound = lengths.and_then(|sum| sum.checked_add(self.block.checked_mul(self.files.len() as u64)?));
        say(!self.files.is_empty() && bound.is_some(), "the files are none, or longer than any are")?;
        let blocks = self.blocks();
        say(blocks <= MOST_BLOCKS, "there are more blocks than a set has")?;
        say(self.data == blocks.max(1).div_ceil(self.groups), "the groups do not fit the files")?;
        let stores = self.stores.iter().try_fold(0_u64, |sum, store| sum.checked_add(store.blocks));
        say(stores == Some(self.recovery * self.groups), "the recovery files do not hold the recovery blocks")?;
        say(self.recovery * self.groups <= MOST_BLOCKS * 2, "there are more recovery blocks than a set has")?;
        say(self.table.algorithm() == Algorithm::Sha256, "the table's digest is no SHA-256")?;
        say(self.files.iter().all(|file| file.digest.algorithm() == Algorithm::Sha256), "a digest is no SHA-256")?;
        let mut seen = HashSet::new();
        let mut names = self.files.iter().map(|file| &file.name).chain(self.stores.iter().map(|store| &store.name));
        match names.find(|name| !is_plain(name) || !seen.insert(name.as_str())) {
            Some(name) => Err(format!("{name:?} is not a plain file name, or stands there twice")),
            None => say(self.json().len() <= MOST_JSON, "it names too many files"),
        }
    }
}

/// Whether `name` names a file in a folder and nothing else, and is not a name that runs use for themselves.
pub(super) fn is_plain(name: &str) -> bool {
    let fits = !name.is_empty() && name.len() <= MOST_NAME && name != "." && name != "..";
    fits && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control()) && !name.ends_with(PARTIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        let member = |name: &str, length| ProtectedFile { digest: Digest::sha256(b"m"), length, name: name.to_owned() };
        Head {
            block: 1024,
            data: 3,
            files: vec![member("a.tar", 2048), member("b.tar", 2049)],
            groups: 2,
            recovery: 1,
            stores: vec![RecoveryFile { blocks: 2, name: "a.recovery".to_owned() }],
            table: Digest::sha256(b"t"),
            version: VERSION,
        }
    }

    #[test]
    fn a_head_is_read_back_and_any_flipped_bit_is_found() {
        let written = sample().write(0);
        assert_eq!(written.len() as u64, sample().written());
        assert_eq!(Head::parse(&written), Ok((sample(), 0)));
        let sealed = FRONT + sample().json().len() + SEAL;
        for bit in 0..sealed * 8 {
            let mut damaged = written.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::parse(&damaged), Err(Bad::Damaged), "bit {bit}");
        }
        for length in 0..sealed {
            assert_eq!(Head::parse(&written[..length]), Err(Bad::Damaged));
        }
    }

    #[test]
    fn heads_that_lie_are_refused_before_anything_is_done_with_them() {
        let lies: [fn(&mut Head); 17] = [
            |head| head.block = 0,
            |head| head.block = 1000,
            |head| head.block = 1 << 40,
            |head| head.data = u64::MAX,
            |head| head.recovery = 0,
            |head| head.recovery = u64::MAX,
            |head| head.recovery = 40_000,
            |head| head.groups = 0,
            |head| head.groups = u64::MAX / 2,
            |head| head.files.clear(),
            |head| head.files[0].length = u64::MAX,
            |head| head.files[0].length = 1 << 62,
            |head| head.files[0].name = "../a.tar".to_owned(),
            |head| head.files[0].name = "..".to_owned(),
            |head| head.files[0].name = "b.tar".to_owned(),
            |head| head.stores[0].name = "/etc/passwd".to_owned(),
            |head| head.stores[0].blocks = u64::MAX,
        ];
        for (number, lie) in lies.iter().enumerate() {
            let mut head = sample();
            lie(&mut head);
            assert!(matches!(Head::parse(&head.write(0)), Err(Bad::Malformed(_))), "lie {number}");
        }
        assert!(matches!(Head::parse(&sample().write(1)), Err(Bad::Malformed(_))));
    }
}
