//! Blocks of a blob that is not committed yet. Their ids are a function of what they hold, so a later run knows them.

use std::{collections::HashMap, ops::Range};

use async_trait::async_trait;
use azure_core::http::{RequestContent, XmlFormat};
use azure_storage_blob::{
    BlockBlobClient,
    models::{
        Block, BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockFromUrlOptions,
        BlockBlobClientStageBlockOptions, BlockListType, BlockLookupList,
    },
};

use super::{
    super::{
        Body, Finish, Location, Object, PartCheckpoint, Pinned, Stat, Sums, TakeFrom, Upload, UploadSpec,
        error::{Error, Result},
        parts::NOTE,
        sas::Permission,
    },
    AzureBlob,
};

/// What our block ids begin with; the number is the version of their form.
const FRONT: &[u8; 4] = b"alf1";

/// Bytes of the identity in a block id.
const NAME: usize = 8;

/// Bytes of a block id, the same for all blocks of a blob as Azure wants it, and no more than its 64.
const ID: usize = FRONT.len() + NAME + 4 + NOTE;

/// How often a block is sent whose bytes arrive as others.
const ALTERED: u32 = 3;

/// An upload to a block blob.
pub(super) struct Blocks {
    blob: AzureBlob,
    client: BlockBlobClient,
    name: [u8; NAME],
    draft: UploadSpec,
    present: Vec<(u32, PartCheckpoint)>,
}

impl Blocks {
    pub(super) async fn open(blob: &AzureBlob, draft: &UploadSpec) -> Result<Self> {
        let mut name = [0; NAME];
        name.copy_from_slice(&draft.identity.hex().as_bytes()[..NAME]);
        let client = blob.client.block_blob_client();
        let mut blocks = Self { blob: blob.clone(), client, name, draft: draft.clone(), present: Vec::new() };
        blocks.present = blocks.list().await?;
        Ok(blocks)
    }

    fn failed(&self, needs: Permission, error: &azure_core::Error) -> Error {
        self.blob.asked(needs).failed(error)
    }

    async fn list(&self) -> Result<Vec<(u32, PartCheckpoint)>> {
        let mut present: Vec<_> = uncommitted(&self.blob)
            .await?
            .into_iter()
            .filter_map(|block| {
                let (number, note) = self.read_id(&block.name?)?;
                let range = self.draft.parts.range(number);
                // A block of another size was cut from something else.
                (i64::try_from(range.end - range.start).ok() == block.size).then_some((number, note))
            })
            .collect();
        present.sort_unstable();
        Ok(present)
    }

    fn id(&self, number: u32, note: PartCheckpoint) -> [u8; ID] {
        let mut id = [0; ID];
        let (front, rest) = id.split_at_mut(FRONT.len());
        let (name, rest) = rest.split_at_mut(NAME);
        let (at, rest) = rest.split_at_mut(4);
        front.copy_from_slice(FRONT);
        name.copy_from_slice(&self.name);
        at.copy_from_slice(&number.to_be_bytes());
        rest.copy_from_slice(&note.0);
        id
    }

    fn read_id(&self, id: &[u8]) -> Option<(u32, PartCheckpoint)> {
        let rest = id.strip_prefix(FRONT)?.strip_prefix(&self.name)?;
        let (number, note) = rest.split_first_chunk()?;
        let number = u32::from_be_bytes(*number);
        (number < self.draft.parts.count()).then_some((number, PartCheckpoint(note.try_into().ok()?)))
    }

    /// Whether what is there is what this upload would make: then the answer to an earlier commit was lost.
    async fn is_ours(&self) -> Option<Stat> {
        let stat = self.blob.stat().await.ok()?;
        let said = self.draft.metadata.iter().all(|(key, value)| stat.metadata.get(key) == Some(value));
        let ours = said && !self.draft.metadata.is_empty() && stat.size == self.draft.parts.total();
        ours.then_some(stat)
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks({}, {} present)", self.blob.what, self.present.len())
    }
}

/// The blocks of `blob` that wait for a commit.
async fn uncommitted(blob: &AzureBlob) -> Result<Vec<Block>> {
    match blob.client.block_blob_client().get_block_list(BlockListType::Uncommitted, None).await {
        Ok(listed) => {
            let listed = listed.into_model().map_err(|error| blob.asked(Permission::Read).failed(&error))?;
            Ok(listed.uncommitted_blocks.unwrap_or_default())
        }
        Err(error) => match blob.asked(Permission::Read).failed(&error) {
            Error::NotFound { what } if what == blob.what => Ok(Vec::new()),
            error => Err(error),
        },
    }
}

/// How many blocks of ours wait for a commit.
pub(super) async fn left(blob: &AzureBlob) -> Result<u64> {
    let is_ours = |block: &Block| block.name.as_ref().is_some_and(|name| name.starts_with(FRONT));
    Ok(uncommitted(blob).await?.iter().filter(|block| is_ours(block)).count() as u64)
}

#[async_trait]
impl Upload for Blocks {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &self.present
    }

    async fn put(&self, number: u32, note: PartCheckpoint, body: Body) -> Result<()> {
        let (md5, body) = (body.md5().await, body.bytes);
        let mut tries = 1;
        loop {
            let options = BlockBlobClientStageBlockOptions {
                transactional_content_md5: Some(md5.into()),
                ..BlockBlobClientStageBlockOptions::default()
            };
            let (id, length) = (self.id(number, note), body.len() as u64);
            let staged = self.client.stage_block(&id, length, body.clone().into(), Some(options)).await;
            match staged.map(drop).map_err(|error| self.failed(Permission::Write, &error)) {
                // What arrived was not what was sent.
                Err(Error::Protocol { reason, .. }) if tries < ALTERED => {
                    tracing::warn!(number, reason, "a block was not taken; it is sent again");
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn commit(&self, notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat> {
        let ids = (0..).zip(notes).map(|(number, &note)| self.id(number, note).to_vec()).collect();
        let list = BlockLookupList { uncommitted: Some(ids), ..BlockLookupList::default() };
        let body: RequestContent<BlockLookupList, XmlFormat> =
            list.try_into().map_err(|error| self.failed(Permission::Create, &error))?;
        let metadata: HashMap<_, _> = self.draft.metadata.clone().into_iter().collect();
        let options = BlockBlobClientCommitBlockListOptions {
            if_none_match: (!finish.overwrite).then(|| "*".into()),
            metadata: Some(metadata),
            blob_content_md5: finish.md5.map(Into::into),
            blob_content_type: Some("application/x-tar".to_owned()),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        let needs = if finish.overwrite { Permission::Write } else { Permission::Create };
        match self.client.commit_block_list(body, Some(options)).await {
            Ok(_) => self.blob.stat().await,
            Err(error) => match self.failed(needs, &error) {
                error @ (Error::Exists { .. } | Error::Changed { .. }) => {
                    let exists = Error::Exists { what: self.blob.what.clone() };
                    self.is_ours().await.ok_or(if finish.overwrite { error } else { exists })
                }
                error => Err(error),
            },
        }
    }

    async fn abandon(&self) -> Result<()> {
        // Blocks cannot be removed one by one; Azure drops them a week after the last one was written.
        Ok(())
    }

    fn takes_from(&self) -> Option<&dyn TakeFrom> {
        Some(self)
    }
}

#[async_trait]
impl TakeFrom for Blocks {
    async fn take(
        &self,
        number: u32,
        note: PartCheckpoint,
        source: &Pinned,
        range: Range<u64>,
        sums: &Sums,
    ) -> Result<()> {
        let unreachable =
            || Error::Protocol { what: self.blob.what.clone(), reason: "the source is not Azure's".into() };
        let url = signed_url(&**source.object()).ok_or_else(unreachable)?;
        let options = BlockBlobClientStageBlockFromUrlOptions {
            source_range: Some(range.into()),
            source_if_match: Some(source.stat().version.0.as_str().into()),
            source_content_md5: Some(sums.md5.into()),
            ..BlockBlobClientStageBlockFromUrlOptions::default()
        };
        let staged = self.client.stage_block_from_url(&self.id(number, note), 0, url, Some(options)).await;
        staged.map(drop).map_err(|error| self.failed(Permission::Write, &error))
    }
}

/// The address by which Azure itself can read `source`. It holds the signature: it goes into one request's header and
/// nowhere else.
pub(super) fn signed_url(source: &dyn Object) -> Option<String> {
    let Location::Azure(azure) = source.location() else { return None };
    let mut url = azure.blob_url();
    url.set_query(Some(azure.sas.as_ref()?.query()));
    Some(url.into())
}
