//! A long exchange between a sender and a receiver that have nothing but bundles one way and receipts the other way.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
};

use airlift::oci::Digest;
use serde_json::Value;

use crate::support::{
    Airlift, Options, Proxy, Registry,
    artifacts::{Artifact, Blob, noise},
    compare,
    http::block_on,
    kills::{kill_after, seed},
    needs,
    packed::Packed,
};

/// Rounds of the game.
const ROUNDS: usize = 30;

/// Repositories of the sender.
const REPOSITORIES: u64 = 6;

/// Numbers that follow from a seed.
struct Random(std::vec::IntoIter<u8>);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        let bytes: Vec<u8> = self.0.by_ref().take(4).collect();
        u64::from(u32::from_le_bytes(bytes.try_into().unwrap())) % limit
    }
}

/// What the sender has: images by repository and tag, and signatures of them.
struct World {
    random: Random,
    images: BTreeMap<(String, String), Artifact>,
    signatures: Vec<(String, Artifact)>,
    fresh: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = Random(noise(seed, 100_000).into_iter());
        let mut world = Self { random, images: BTreeMap::new(), signatures: Vec::new(), fresh: 1000 };
        (0..4).for_each(|_| world.push_tag());
        world
    }

    fn layer(&mut self) -> Blob {
        self.fresh += 1;
        Blob::layer(self.fresh, 400_000 + usize::try_from(self.random.below(500_000)).unwrap())
    }

    /// A layer that is new, or one that some image has or had.
    fn any_layer(&mut self) -> Blob {
        let known: Vec<Blob> = self.images.values().flat_map(|image| image.blobs.iter().skip(1).cloned()).collect();
        if known.is_empty() || self.random.below(2) == 0 {
            return self.layer();
        }
        known[usize::try_from(self.random.below(known.len() as u64)).unwrap()].clone()
    }

    fn push_tag(&mut self) {
        let repository = format!("team/app-{}", self.random.below(REPOSITORIES));
        let tag = format!("v{}", self.random.below(3));
        let layers = vec![self.any_layer(), self.any_layer(), self.layer()];
        self.images.insert((repository, tag), Artifact::image("linux/amd64", layers));
    }

    fn sign(&mut self) {
        let images: Vec<_> = self.images.iter().collect();
        let at = usize::try_from(self.random.below(images.len() as u64)).unwrap();
        let ((repository, _), image) = images[at];
        self.fresh += 1;
        let payload = Blob::layer(self.fresh, 2000);
        let signature = Artifact::attached("application/vnd.example.signature", payload, Some(image));
        self.signatures.push((repository.clone(), signature));
    }

    fn change(&mut self) {
        (0..=self.random.below(2)).for_each(|_| self.push_tag());
        match self.random.below(4) {
            0 => self.sign(),
            1 if self.images.len() > 4 => {
                let gone = self.images.keys().next().unwrap().0.clone();
                self.images.retain(|(repository, _), _| *repository != gone);
            }
            _ => {}
        }
        let signed: BTreeSet<Digest> = self.images.values().map(Artifact::digest).collect();
        self.signatures.retain(|(_, one)| one.root.subject().is_some_and(|subject| signed.contains(&subject.digest)));
    }

    fn packed(&self) -> Packed {
        let images = self.images.iter();
        let packed = images.fold(Packed::new(), |packed, ((repository, tag), image)| {
            packed.with(&format!("r.example/{repository}:{tag}"), image.clone())
        });
        let signatures = self.signatures.iter();
        signatures
            .fold(packed, |packed, (repository, one)| packed.attached(&format!("r.example/{repository}"), one.clone()))
    }
}

/// Receipts that one side has, and what they say that the receiver has.
#[derive(Default)]
struct Receipts {
    names: Vec<String>,
    held: BTreeSet<String>,
}

impl Receipts {
    fn arrive(&mut self, airlift: &Airlift, name: &str) {
        let receipt = receipt(airlift, name);
        for holding in receipt["holdings"].as_array().unwrap() {
            self.held.extend(holding["blobs"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()));
        }
        self.names.push(name.to_owned());
    }

    /// Bytes of the blobs that the receiver lacks by these receipts.
    fn lacking(&self, packed: &Packed) -> u64 {
        let blobs: HashMap<Digest, u64> =
            packed.blobs().iter().map(|(digest, blob)| (*digest, blob.len() as u64)).collect();
        blobs.iter().filter(|(digest, _)| !self.held.contains(&digest.to_string())).map(|(_, size)| size).sum()
    }
}

fn receipt(airlift: &Airlift, name: &str) -> Value {
    serde_json::from_slice(&fs::read(airlift.home().join(name)).unwrap()).unwrap()
}

#[test]
fn thirty_rounds_with_lost_bundles_and_receipts_leave_the_receiver_with_what_was_asked_for() {
    needs!("docker-registry");
    let mut world = World::new(seed());
    let target = Registry::start(Options::default());
    let wire = Proxy::before(target.address());
    let to = format!("{}/site", wire.address());
    let (sender, receiver) = (Airlift::new(), Airlift::new());
    let (mut receipts, mut written) = (Receipts::default(), Receipts::default());
    let (mut sent, mut new, mut kills, mut late) = (0, 0, 0, None);
    for round in 0..ROUNDS {
        world.change();
        let packed = world.packed();
        let source = format!("source-{round}.tar");
        block_on(packed.write(&sender.home().join(&source)));
        let bundle = format!("round-{round}.tar");
        let bases = receipts.names.iter().flat_map(|name| ["--base", name]);
        sender.run(["export", "--from", &source, "-o", &bundle].into_iter().chain(bases)).success();
        fs::remove_file(sender.home().join(&source)).unwrap();
        sent += fs::metadata(sender.home().join(&bundle)).unwrap().len();
        let lacking = receipts.lacking(&packed);
        new += lacking;
        let here = receiver.home().join(&bundle);
        fs::rename(sender.home().join(&bundle), &here).unwrap();
        match round % 10 {
            // Lost on the way.
            4 => continue,
            // It comes after the next one.
            7 => {
                late = Some(bundle);
                continue;
            }
            _ => {}
        }
        let answer = format!("receipt-{round}.json");
        let args = ["import", &bundle, "--to", &to, "--overwrite-tags", "--receipt", &answer, "--jobs", "2"];
        // What the sender assumes to be lacking may be there: its receipt was lost.
        let coming = written.lacking(&packed);
        if round % 4 == 1 && coming > 200_000 {
            kill_after(&wire, coming / 2, || receiver.start(args));
            kills += 1;
            all_tags_are_complete(&target);
        }
        receiver.run(args).success();
        holds(&receiver, &answer, &world, &target);
        written.arrive(&receiver, &answer);
        if let Some(late) = late.take() {
            // What is newer stays: a tag that moved on is reported, and everything else arrives.
            let answer = format!("late-{round}.json");
            let ran = receiver.run(["import", &late, "--to", &to, "--continue-on-errors", "--receipt", &answer]);
            assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
            written.arrive(&receiver, &answer);
            all_tags_are_complete(&target);
            fs::remove_file(receiver.home().join(late)).unwrap();
        }
        if round % 3 != 2 {
            fs::copy(receiver.home().join(&answer), sender.home().join(&answer)).unwrap();
            receipts.arrive(&sender, &answer);
        }
        fs::remove_file(here).unwrap();
    }
    assert!(kills > 2, "{kills} kills hit");
    assert!(sent * 100 <= new * 105, "{sent} bytes were sent for {new} new ones");
}

/// Fails unless the receipt confirms just what the sender has, and the target has all of it.
#[track_caller]
fn holds(receiver: &Airlift, answer: &str, world: &World, target: &Registry) {
    let receipt = receipt(receiver, answer);
    let confirmed: BTreeMap<String, String> = receipt["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["result"] == "done" || one["result"] == "already-there")
        .map(|one| (one["reference"].as_str().unwrap().to_owned(), one["digest"].as_str().unwrap().to_owned()))
        .collect();
    let asked: BTreeMap<String, String> = world
        .images
        .iter()
        .map(|((repository, tag), image)| (format!("r.example/{repository}:{tag}"), image.digest().to_string()))
        .collect();
    assert_eq!(confirmed, asked);
    for ((repository, tag), image) in &world.images {
        let there = target.manifest(&format!("site/{repository}"), tag).map(|manifest| manifest.digest());
        assert_eq!(there, Some(image.digest()), "{repository}:{tag}");
    }
    for (repository, signature) in &world.signatures {
        let missing = compare::missing_below(target, &format!("site/{repository}"), &signature.digest().to_string());
        assert!(missing.is_empty(), "{repository}: {missing:?}");
    }
    all_tags_are_complete(target);
}

#[track_caller]
fn all_tags_are_complete(target: &Registry) {
    for repository in target.repositories() {
        compare::tags_are_complete(target, &repository);
    }
}
