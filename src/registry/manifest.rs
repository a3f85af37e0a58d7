//! Manifests: raw bytes by digest and by tag (distribution-spec 1.1, "Pulling manifests", "Pushing Manifests").

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH},
};

use crate::{
    content::{self, ByteStream, Verified},
    oci::{Algorithm, Descriptor, Digest, Manifest, Name, Tag, manifest::View, media_type},
};

use super::{
    answer::{Answer, CONTENT_DIGEST, WholeAnswer},
    detail::Detail,
    error::{At, Error},
    head::Subject,
    learnt::RepositoryFacts,
    refusal,
    repository::RemoteRepository,
    transport::{Payload, value},
};

/// The answer header by which a registry says that it keeps referrers (distribution-spec 1.1, "Pushing Manifests with
/// Subject").
const OCI_SUBJECT: &str = "oci-subject";

/// How often a manifest is put again whose content the registry does not see yet.
const LAGS: u32 = 3;

/// How often a tag is looked at that is not yet what was put.
const CONFIRMATIONS: u32 = 2;

impl RemoteRepository {
    /// The manifest of that name, its bytes checked against the digest if the name is one, and against the header.
    pub(super) async fn get_manifest(&self, name: &Name) -> Result<Manifest, Error> {
        if let Name::Tag(tag) = name
            && tag.is_of_attached()
            && self.lacks(name, tag).await
        {
            return Err(Error::NotFound { at: self.at(format!("manifest {name}")), detail: Detail::default() });
        }
        self.get_manifest_and_etag(name).await.map(|(manifest, _)| manifest)
    }

    /// What is known of this repository.
    pub(super) fn facts(&self) -> Arc<RepositoryFacts> {
        self.transport.learnt.of(format!("{}/{}", self.registry(), self.repository()))
    }

    /// Whether there is definitely no manifest of that name. It is asked by `HEAD`, which registries do not count against
    /// their limits, and which is believed only where it finds a manifest that is there for certain.
    async fn lacks(&self, name: &Name, tag: &Tag) -> bool {
        let facts = self.facts();
        if let Some(is_listed) = self.lists(tag).await {
            return !is_listed;
        }
        let Some(present) = facts.present.get() else { return false };
        if self.head_status(name).await != Some(StatusCode::NOT_FOUND) {
            return false;
        }
        *facts.is_head_true.get_or_init(async || self.head_status(present).await == Some(StatusCode::OK)).await
    }

    /// What `HEAD` answers, asked once: where it fails, `GET` decides.
    async fn head_status(&self, name: &Name) -> Option<StatusCode> {
        let at = self.at(format!("manifest {name}"));
        let call = self.manifest_call(Method::HEAD, name, &at).await.ok()?;
        self.transport.send(call).await.ok().map(|answer| answer.status())
    }

    /// [`Self::get_manifest`], with the entity tag by which a later write can be made conditional.
    pub(super) async fn get_manifest_and_etag(&self, name: &Name) -> Result<(Manifest, Option<String>), Error> {
        let at = self.at(format!("manifest {name}"));
        let settings = &self.transport.settings;
        let mut waits = self.transport.waits();
        // The body belongs to the try: one that breaks is asked for again.
        let call = self.manifest_call(Method::GET, name, &at).await?;
        let (document, claimed, etag) = loop {
            let read = async {
                let answer = self.transport.send(call.clone()).await?.expect(&[StatusCode::OK]).await?;
                let claimed = answer.header(CONTENT_DIGEST).map(str::to_owned);
                let etag = answer.header(ETAG).map(str::to_owned);
                Ok((answer.document(settings.manifest_limit()).await?.expect_no_page()?, claimed, etag))
            };
            match read.await {
                Ok(read) => break read,
                Err(error) => waits.after(error, &at, &settings.progress).await?,
            }
        };
        let manifest = checked(name, document, claimed)?;
        // Only of the first is remembered that it is there.
        let _ = self.facts().present.set(name.clone());
        Ok((manifest, etag))
    }

    async fn manifest_call(&self, method: Method, name: &Name, at: &At) -> Result<super::transport::Call, Error> {
        let mut call = self.call(method, &format!("manifests/{name}"), at).await?;
        for media_type in media_type::MANIFESTS.into_iter().chain(["*/*"]) {
            call.headers.append(ACCEPT, value(media_type));
        }
        Ok(call)
    }

    pub(super) async fn head_manifest(&self, name: &Name) -> Result<Option<Descriptor>, Error> {
        if let Name::Tag(tag) = name
            && self.lists(tag).await == Some(false)
        {
            return Ok(None);
        }
        let at = self.at(format!("manifest {name}"));
        let (head, get) = (self.described_by_head(name, &at).boxed(), self.described_by_get(name).boxed());
        self.transport.courtesies.head_or_get(self.registry(), Subject::Manifest, head, get).await
    }

    /// What `HEAD` says; `None` where that is too little.
    async fn described_by_head(&self, name: &Name, at: &At) -> Result<Option<Descriptor>, Error> {
        let call = self.manifest_call(Method::HEAD, name, at).await?;
        Ok(described(&self.persist(&[StatusCode::OK], call).await?, name))
    }

    async fn described_by_get(&self, name: &Name) -> Result<Option<Descriptor>, Error> {
        match self.get_manifest_and_etag(name).await {
            Ok((manifest, _)) => Ok(Some(manifest.descriptor().clone())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for what was put under `name`: a registry, or a proxy that answers for it, may have taken it and kept nothing.
    /// Registries on eventual storage are asked a few times.
    pub(super) async fn confirm_named(&self, name: &Name, manifest: &Manifest) -> Result<(), Error> {
        let at = self.at(format!("manifest {name}"));
        let mut waits = self.transport.waits();
        for _ in 0..CONFIRMATIONS {
            let said = self.described_by_head(name, &at).await;
            if said.is_ok_and(|said| said.is_some_and(|said| said.digest == manifest.digest())) {
                return Ok(());
            }
            let found = match self.get_manifest_and_etag(name).await {
                Ok((found, _)) if found.raw() == manifest.raw() => return Ok(()),
                Ok((found, _)) => Some(found.digest()),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            let error = Error::NotStored { at: at.clone(), expected: manifest.digest(), found };
            waits.after_lag(error, &at, &self.transport.settings.progress).await?;
        }
        let found = self.described_by_get(name).await?.map(|found| found.digest);
        if found == Some(manifest.digest()) {
            return Ok(());
        }
        Err(Error::NotStored { at, expected: manifest.digest(), found })
    }

    pub(super) async fn fetch_manifest(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        let manifest = self.get_manifest(&Name::Digest(content.digest)).await?;
        let raw = manifest.raw();
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(raw.len());
        let rest = raw.slice(start..);
        Ok(stream::once(async { Ok(rest) }).boxed())
    }

    pub(super) async fn push_manifest(&self, content: &Descriptor, body: Verified) -> content::Result<()> {
        let at = self.at(format!("manifest {}", content.digest));
        let limit = self.transport.settings.manifest_limit();
        if content.size > limit {
            return Err(Error::TooLarge { at, limit }.into());
        }
        let raw = body.collect().await?;
        let manifest = Manifest::parse_as(raw, Some(&content.media_type), content.digest.algorithm())?;
        Ok(self.put_manifest(&Name::Digest(content.digest), &manifest).await?)
    }

    /// Puts `manifest` under `name`, and where the registry does not keep referrers itself, keeps them for it.
    pub(super) async fn put_manifest(&self, name: &Name, manifest: &Manifest) -> Result<(), Error> {
        let subject_is_kept = self.put_one(name, manifest).await?;
        match manifest.subject() {
            Some(subject) if !subject_is_kept => self.attach(&[manifest], &subject.digest).await,
            _ => Ok(()),
        }
    }

    /// Puts `manifests`, all of them attached to `subject`. The fallback index is written once, with all of them.
    pub(super) async fn put_attached(&self, subject: &Digest, manifests: &[Manifest]) -> Result<(), Error> {
        let putting = manifests.iter().map(|manifest| async move {
            let is_kept = self.put_one(&Name::Digest(manifest.digest()), manifest).await?;
            Ok::<_, Error>((manifest, is_kept))
        });
        // In order, so that the list is the same in whatever order the answers come.
        let putting: Vec<_> = putting.collect();
        let put: Vec<_> = stream::iter(putting).buffered(self.transport.settings.requests.max(1)).try_collect().await?;
        let unkept: Vec<_> = put.into_iter().filter(|(_, is_kept)| !is_kept).map(|(manifest, _)| manifest).collect();
        if unkept.is_empty() { Ok(()) } else { self.attach(&unkept, subject).await }
    }

    /// Puts `manifest` under `name`. Whether the registry keeps the referrers of its subject.
    async fn put_one(&self, name: &Name, manifest: &Manifest) -> Result<bool, Error> {
        let at = self.at(format!("manifest {name}"));
        let answer = self.put_manifest_bytes(&at, name, manifest, None).await?;
        Ok(answer.header(OCI_SUBJECT).is_some())
    }

    /// The plain `PUT`, on the condition that what is there still has the entity tag `unless_changed`.
    pub(super) async fn put_manifest_bytes(
        &self,
        at: &At,
        name: &Name,
        manifest: &Manifest,
        unless_changed: Option<&str>,
    ) -> Result<Answer, Error> {
        let settings = &self.transport.settings;
        let mut waits = self.transport.waits();
        let good = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        let mut call = self.call(Method::PUT, &format!("manifests/{name}"), at).await?;
        call.headers.insert(CONTENT_TYPE, value(manifest.media_type()));
        if let Some(etag) = unless_changed {
            call.headers.insert(IF_MATCH, value(etag));
        }
        call.payload = Payload::Document(manifest.raw().clone());
        call.patience = settings.retry.document;
        let mut lags = 0;
        let answer = loop {
            let error = match self.transport.send(call.clone()).await {
                Ok(answer) if good.contains(&answer.status()) => break answer,
                Ok(answer) => answer.failure().await,
                Err(error) => error,
            };
            if lags < LAGS && refusal::may_lag(&error) {
                lags += 1;
                waits.after_lag(error, at, &settings.progress).await?;
                continue;
            }
            waits.after(refusal::of_manifest(error, name, manifest), at, &settings.progress).await?;
        };
        if let Some(claimed) = answer.header(CONTENT_DIGEST) {
            agree(at, claimed, manifest.raw(), manifest.digest())?;
        }
        Ok(answer)
    }
}

/// What a `HEAD` says, `None` where `GET` must be asked: it names a tag without its digest, or speaks of something else.
/// By digest, a registry that says none is believed to have what was asked for.
fn described(answer: &Answer, name: &Name) -> Option<Descriptor> {
    let said: Option<Digest> = answer.header(CONTENT_DIGEST).and_then(|text| text.parse().ok());
    let media_type = answer.header(CONTENT_TYPE).unwrap_or_default();
    let digest = match name {
        Name::Digest(asked) if said.is_some_and(|said| said.algorithm() == asked.algorithm() && said != *asked) => None,
        Name::Digest(_) if said.is_none() && media_type.contains("html") => None,
        Name::Digest(asked) => Some(*asked),
        Name::Tag(_) => said,
    }?;
    let size = answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(Descriptor::new(media_type, digest, size))
}

/// A document becomes a manifest only if it is a JSON object that says what it is, and every digest spoken of is its own.
fn checked(name: &Name, document: WholeAnswer, claimed: Option<String>) -> Result<Manifest, Error> {
    let WholeAnswer { at, content_type, body, .. } = document;
    let raw = Bytes::from(body);
    let asked = match name {
        Name::Digest(digest) => Some(*digest),
        Name::Tag(_) => None,
    };
    // By a tag, the registry's own name for the manifest says which algorithm it goes by there.
    let said = claimed.as_deref().and_then(|text| text.parse::<Digest>().ok());
    let algorithm = asked.or(said).map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let actual = Digest::of(algorithm, &raw);
    if let Some(expected) = asked.filter(|asked| *asked != actual) {
        return Err(Error::DigestMismatch { at, expected, actual });
    }
    if let Some(claimed) = claimed {
        agree(&at, &claimed, &raw, actual)?;
    }
    let declared = Some(content_type.as_str()).filter(|declared| !media_type::says_nothing(declared));
    let manifest = Manifest::parse_as(raw, declared, algorithm);
    let manifest = manifest.map_err(|source| Error::Manifest { at: at.clone(), source })?;
    if *manifest.view() == View::Opaque && !says_what_it_is(manifest.raw()) {
        let reason = format!("no manifest came, but {content_type:?} of {} bytes", manifest.raw().len());
        return Err(Error::Protocol { at, reason });
    }
    Ok(manifest)
}

/// Whether a document that names no content is a manifest by its own words.
fn says_what_it_is(raw: &[u8]) -> bool {
    let document: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(raw).ok();
    document.is_some_and(|document| {
        document.get("schemaVersion").is_some_and(serde_json::Value::is_number)
            || document.get("mediaType").is_some_and(serde_json::Value::is_string)
    })
}

/// A claimed digest must be that of the bytes, by whichever algorithm it goes.
fn agree(at: &At, claimed: &str, raw: &[u8], actual: Digest) -> Result<(), Error> {
    let own = claimed.parse::<Digest>().map(|claimed| (claimed, Digest::of(claimed.algorithm(), raw)));
    match own {
        Ok((claimed, own)) if claimed == own => Ok(()),
        _ => Err(Error::DigestHeader { at: at.clone(), claimed: claimed.chars().take(150).collect(), actual }),
    }
}
