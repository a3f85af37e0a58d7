use async_trait::async_trait;
use bytes::Bytes;

use super::{
    flow::{ByteFeed, Content, FilePart},
    *,
};
use crate::storage::{self, Location, Settings, UploadSpec};

/// A file of frames and empty blobs only.
struct Empty;

impl ByteSupply for Empty {
    fn feed<'s>(&'s self, _position: u64, _tries: &'s HashMap<Digest, u32>) -> Box<dyn ByteFeed + 's> {
        Box::new(Self)
    }
}

#[async_trait]
impl ByteFeed for Empty {
    async fn frame(&mut self, _offset: u64, _expected: &Bytes) -> Result<(), Stop> {
        Ok(())
    }

    fn begin(&mut self, _content: &Content) {}

    async fn chunk(&mut self, _content: &Content, _left: u64) -> Result<Option<Bytes>, Stop> {
        Ok(None)
    }
}

/// Sends a frame of one part, an empty blob that is said to have `digest`, and a short frame.
async fn send(path: &std::path::Path, digest: Digest) -> (u64, Result<Sent, Stop>) {
    let object = storage::open(&Location::Path(path.to_owned()), &Settings::default()).unwrap();
    let (first, last) = (Bytes::from(vec![1; 1 << 20]), Bytes::from(vec![2; 1024]));
    let parts = Parts::of((first.len() + last.len()) as u64, 1, &object.limits(), object.location()).unwrap();
    assert_eq!((parts.size(), parts.count()), (1 << 20, 2), "the blob lies between the parts");
    let file = FileParts::Listed(vec![
        FilePart::Frame(0, first),
        FilePart::Content(Content { offset: 1 << 20, size: 0, digest: Some(digest), token: digest }),
        FilePart::Frame(1 << 20, last),
    ]);
    let draft = UploadSpec { identity: Digest::sha256(b"x"), parts, metadata: BTreeMap::new() };
    let upload: Arc<dyn Upload> = object.upload(&draft).await.unwrap().into();
    let silent = Progress::silent();
    let mut sending = Sending::new(&Empty, file, upload, SendMode::Put, parts, &silent);
    (sending.present(), sending.run().await)
}

#[tokio::test]
async fn an_empty_blob_between_two_parts_is_looked_at_by_every_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    for present in [0, 1 << 20] {
        let (found, outcome) = send(&path, Digest::sha256(b"something")).await;
        assert_eq!(found, present, "what an earlier run sent is there");
        assert!(matches!(outcome, Err(Stop::Blob(..))), "an empty blob passed for another one");
    }
    let (found, outcome) = send(&path, Digest::sha256(b"")).await;
    assert_eq!(found, 1 << 20);
    assert_eq!(outcome.ok().map(|sent| sent.notes.len()), Some(2));
}
