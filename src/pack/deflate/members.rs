//! Gzip streams of several members: estargz has one for each file, and what was appended has one more.
//!
//! The bytes of a list are in `docs/pack-format.md`.

use std::collections::HashMap;

use super::encoder::Encoder;
use super::recipe::{Recipe, RecipeError};

const VERSION: u8 = 1;

/// Why bytes are not a list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// A later format.
    #[error("list of members of version {found}; this program knows version {VERSION}")]
    Version {
        /// The version that the list names.
        found: u8,
    },
    /// The bytes end too early, or go on after the end.
    #[error("list of members of {found} bytes; expected {expected}")]
    Length {
        /// The length that its parts add up to, as far as they are there.
        expected: usize,
        /// The length of the bytes.
        found: usize,
    },
    /// A recipe is not one.
    #[error("recipe {number} of the list")]
    Recipe {
        /// Its number, from 0.
        number: usize,
        /// What is wrong with it.
        #[source]
        error: RecipeError,
    },
    /// A member has a recipe that is not in the list.
    #[error("member {member} has recipe {recipe}; there are {count}")]
    Unknown {
        /// The number of the member, from 0.
        member: usize,
        /// The number that it names.
        recipe: usize,
        /// How many recipes there are.
        count: usize,
    },
}

/// Why members could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersEncodeError<E> {
    /// The sink failed.
    #[error(transparent)]
    Sink(E),
    /// There is more content than the members have.
    #[error("content goes on after the {length} bytes that the members have")]
    Excess {
        /// What the members have, in bytes.
        length: u64,
    },
    /// The content ends within a member.
    #[error("content ends {missing} bytes before the end of member {member}")]
    Short {
        /// The number of the member, from 0.
        member: usize,
        /// The bytes that are missing.
        missing: u64,
    },
}

/// The members of a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberList {
    recipes: Vec<Recipe>,
    /// The number of the recipe and the length of the content.
    members: Vec<(usize, u64)>,
}

impl MemberList {
    /// The list of these members: each with its recipe and the length of its content.
    pub fn new(members: impl IntoIterator<Item = (Recipe, u64)>) -> Self {
        let mut numbers: HashMap<Recipe, usize> = HashMap::new();
        let mut list = Self::default();
        for (recipe, length) in members {
            let next = list.recipes.len();
            let number = *numbers.entry(recipe).or_insert_with_key(|recipe| {
                list.recipes.push(recipe.clone());
                next
            });
            list.members.push((number, length));
        }
        list
    }

    /// Each member's recipe, and the length of its content.
    pub fn iter(&self) -> impl Iterator<Item = (&Recipe, u64)> {
        self.members.iter().map(|&(recipe, length)| (&self.recipes[recipe], length))
    }

    /// The bytes of the list.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&(self.recipes.len() as u32).to_le_bytes());
        for recipe in self.recipes.iter().map(Recipe::encode) {
            bytes.extend_from_slice(&(recipe.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&recipe);
        }
        bytes.extend_from_slice(&(self.members.len() as u32).to_le_bytes());
        for &(recipe, length) in &self.members {
            bytes.extend_from_slice(&(recipe as u32).to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes
    }

    /// Reads a list that is all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, MembersError> {
        let mut rest = bytes;
        let [version] = take(&mut rest, bytes)?;
        if version != VERSION {
            return Err(MembersError::Version { found: version });
        }
        let mut list = Self::default();
        for number in 0..u32::from_le_bytes(take(&mut rest, bytes)?) as usize {
            let length = u32::from_le_bytes(take(&mut rest, bytes)?) as usize;
            let (recipe, later) = rest.split_at_checked(length).ok_or_else(|| cut(bytes, rest, length))?;
            rest = later;
            list.recipes.push(Recipe::decode(recipe).map_err(|error| MembersError::Recipe { number, error })?);
        }
        for member in 0..u32::from_le_bytes(take(&mut rest, bytes)?) as usize {
            let recipe = u32::from_le_bytes(take(&mut rest, bytes)?) as usize;
            let length = u64::from_le_bytes(take(&mut rest, bytes)?);
            if recipe >= list.recipes.len() {
                return Err(MembersError::Unknown { member, recipe, count: list.recipes.len() });
            }
            list.members.push((recipe, length));
        }
        if rest.is_empty() { Ok(list) } else { Err(cut(bytes, rest, 0)) }
    }
}

fn take<const N: usize>(rest: &mut &[u8], bytes: &[u8]) -> Result<[u8; N], MembersError> {
    let (taken, later) = rest.split_first_chunk().ok_or_else(|| cut(bytes, rest, N))?;
    *rest = later;
    Ok(*taken)
}

/// The error where `rest` should have as many bytes as are `wanted`.
fn cut(bytes: &[u8], rest: &[u8], wanted: usize) -> MembersError {
    MembersError::Length { expected: bytes.len() - rest.len() + wanted, found: bytes.len() }
}

/// Makes all members of a stream from their contents, one after another.
#[derive(Debug)]
pub struct MembersEncoder<'a> {
    members: &'a MemberList,
    /// The member that is made.
    number: usize,
    encoder: Option<Encoder>,
    /// The content that it still lacks.
    left: u64,
}

impl<'a> MembersEncoder<'a> {
    /// An encoder that has taken nothing yet.
    pub fn new(members: &'a MemberList) -> Self {
        let mut encoder = Self { members, number: 0, encoder: None, left: 0 };
        encoder.enter();
        encoder
    }

    /// Begins the member.
    fn enter(&mut self) {
        let member = self.members.members.get(self.number);
        self.encoder = member.map(|&(recipe, _)| Encoder::new(&self.members.recipes[recipe]));
        self.left = member.map_or(0, |&(_, length)| length);
    }

    /// Takes content, and gives `sink` what of the output is complete. After an error the encoder is not to be used.
    pub fn write<E>(
        &mut self,
        mut content: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), MembersEncodeError<E>> {
        while !content.is_empty() {
            self.leave(sink)?;
            let Some(encoder) = &mut self.encoder else {
                let length = self.members.iter().fold(0_u64, |sum, (_, length)| sum.saturating_add(length));
                return Err(MembersEncodeError::Excess { length });
            };
            let own = content.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let (now, later) = content.split_at(own);
            encoder.write(now, sink).map_err(MembersEncodeError::Sink)?;
            self.left -= own as u64;
            content = later;
        }
        Ok(())
    }

    /// Ends members that lack nothing, up to one that does.
    fn leave<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), MembersEncodeError<E>> {
        while self.left == 0 {
            let Some(encoder) = self.encoder.take() else { break };
            encoder.finish(sink).map_err(MembersEncodeError::Sink)?;
            self.number += 1;
            self.enter();
        }
        Ok(())
    }

    /// Ends the stream, and gives `sink` the rest of the output.
    pub fn finish<E>(mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), MembersEncodeError<E>> {
        self.leave(sink)?;
        match self.left {
            0 => Ok(()),
            missing => Err(MembersEncodeError::Short { member: self.number, missing }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::recipe::{Engine, Family, Framing};
    use crate::test_data::mixture;

    fn recipe(level: i8) -> Recipe {
        let engine = Engine::new(Family::Go, level).expect("Go has the level");
        Recipe {
            engine,
            framing: Framing::Stream,
            header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, level.unsigned_abs(), 255],
        }
    }

    fn members() -> MemberList {
        let lengths = [(9, 0), (9, 700), (1, 20_000), (9, 0), (9, 1), (6, 0)];
        MemberList::new(lengths.map(|(level, length)| (recipe(level), length)))
    }

    fn encode(members: &MemberList, content: &[u8], piece: usize) -> Result<Vec<u8>, MembersEncodeError<Infallible>> {
        let mut output = Vec::new();
        let mut sink = |bytes: &[u8]| {
            output.extend_from_slice(bytes);
            Ok(())
        };
        let mut encoder = MembersEncoder::new(members);
        for bytes in content.chunks(piece) {
            encoder.write(bytes, &mut sink)?;
        }
        encoder.finish(&mut sink)?;
        Ok(output)
    }

    #[test]
    fn members_follow_one_another_however_the_content_is_cut() {
        let content = mixture(20_701);
        let mut expected = Vec::new();
        let mut rest = &content[..];
        for (recipe, length) in members().iter() {
            let (own, later) = rest.split_at(length as usize);
            rest = later;
            let mut encoder = Encoder::new(recipe);
            let mut sink = |bytes: &[u8]| {
                expected.extend_from_slice(bytes);
                Ok::<(), Infallible>(())
            };
            let Ok(()) = encoder.write(own, &mut sink);
            let Ok(_) = encoder.finish(&mut sink);
        }
        for piece in [1, 699, 700, 701, 30_000] {
            assert!(encode(&members(), &content, piece) == Ok(expected.clone()), "pieces of {piece}");
        }
    }

    #[test]
    fn content_of_another_length_is_refused() {
        let content = mixture(20_702);
        assert_eq!(encode(&members(), &content, 1000), Err(MembersEncodeError::Excess { length: 20_701 }));
        let short = encode(&members(), &content[..20_000], 1000);
        assert_eq!(short, Err(MembersEncodeError::Short { member: 2, missing: 700 }));
    }

    #[test]
    fn a_list_comes_back_from_its_bytes_and_names_each_recipe_once() {
        let bytes = members().encode();
        assert_eq!(MemberList::decode(&bytes), Ok(members()));
        assert_eq!(bytes.len(), 1 + 4 + 3 * (4 + 18) + 4 + 6 * 12);
        for length in 0..bytes.len() {
            let error = MemberList::decode(&bytes[..length]).expect_err("it is cut");
            assert!(matches!(error, MembersError::Length { found, .. } if found == length), "{length}: {error}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            MemberList::decode(&longer),
            Err(MembersError::Length { expected: bytes.len(), found: bytes.len() + 1 })
        );
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            MemberList::decode(&bytes).expect_err("it is not a list")
        };
        assert_eq!(with(0, 9), MembersError::Version { found: 9 });
        assert_eq!(with(10, 9), MembersError::Recipe { number: 0, error: RecipeError::Family { id: 9 } });
        assert_eq!(with(75, 3), MembersError::Unknown { member: 0, recipe: 3, count: 3 });
    }
}
