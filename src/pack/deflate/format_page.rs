//! The examples of `docs/pack-format.md` and the list of encoders in `docs/encoders.md` say what the code does.

use super::bits::BitPosition;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::golang::ChainMark;
use super::members::MemberList;
use super::recipe::{Engine, Family, Framing, Recipe};

const FORMAT: &str = include_str!("../../../docs/pack-format.md");
const ENCODERS: &str = include_str!("../../../docs/encoders.md");

/// The bytes of an example: those before the semicolon of each line.
fn example(name: &str) -> Vec<u8> {
    let fence = format!("\n```hex {name}\n");
    let (_, block) = FORMAT.split_once(&fence).unwrap_or_else(|| panic!("the page has no example {name}"));
    let (block, _) = block.split_once("```").expect("the example ends");
    let bytes = block.lines().flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{byte} in {name}"))).collect()
}

fn recipe(family: Family, level: i8, framing: Framing, time: [u8; 4]) -> Recipe {
    let header = [&[0x1f, 0x8b, 8, 0], &time[..], &[0, 255]].concat();
    Recipe { engine: Engine::new(family, level).expect("the family has the level"), framing, header }
}

#[test]
fn the_example_of_a_recipe_is_one() {
    let expected = recipe(Family::Klauspost1_18_2, 5, Framing::PGZIP, [0, 9, 0x6e, 0x88]);
    assert_eq!(Recipe::decode(&example("recipe")), Ok(expected.clone()));
    assert_eq!(expected.encode(), example("recipe"));
}

#[test]
fn the_example_of_a_list_of_members_is_one() {
    let go = recipe(Family::Go, 6, Framing::Stream, [0; 4]);
    let expected = MemberList::new([(go.clone(), 1000), (go, 24)]);
    assert_eq!(MemberList::decode(&example("members")), Ok(expected.clone()));
    assert_eq!(expected.encode(), example("members"));
}

#[test]
fn the_example_of_checkpoints_is_one() {
    let position = BitPosition { bytes: 5000, partial: 3, count: 2 };
    let mark = ChainMark { offset: 70_000, reach: 37_232, found: (9, 32_768), pending: true, position };
    let trailer = [0xdead_beef_u32.to_le_bytes(), 131_072_u32.to_le_bytes()].concat();
    let trailer = trailer.try_into().expect("they are eight bytes");
    let expected = Checkpoints { trailer, marks: vec![Checkpoint::Chain(mark)] };
    assert_eq!(Checkpoints::decode(&example("checkpoints")), Ok(expected.clone()));
    assert_eq!(expected.encode(), example("checkpoints"));
    let plan = expected.plan(1).expect("there are two segments");
    assert_eq!((plan.history, plan.output), (32_768..70_000, 5000..u64::MAX));
    // 65537 bytes behind where the window begins.
    assert_eq!(expected.plan(0).expect("there are two segments").content, 0..32_768 + 65_537);
}

#[test]
fn the_list_of_encoders_is_complete() {
    let rows = ENCODERS.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed = rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        Some((name.to_owned(), rest.split_once(" | ")?.0.parse::<u8>().ok()?))
    });
    let listed: Vec<_> = listed.collect();
    assert_eq!(listed, Family::ALL.map(|family| (format!("{family:?}"), family.id())));
}
