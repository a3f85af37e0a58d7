//! Chart repositories: an index, and charts that are fetched by HTTP (<https://helm.sh/docs/topics/chart_repository/>).

use bytes::Bytes;
use url::Url;

use super::{
    body::PackagedArtifact,
    chart::{MAX_CHART, MAX_PROVENANCE, PackedChart},
    error::Error,
    titles,
};
use crate::{
    content::{Code, Fault as _},
    find::{
        TagFilter,
        tree::{ValueTree, value_at},
    },
    oci::{Digest, Name, Repository},
    progress::{Event, Progress},
    registry::Client,
};

/// Most bytes of an index: the largest public ones have 30 MB.
const MAX_INDEX: u64 = 128 << 20;

/// Most versions that a message names.
const MAX_NAMED: usize = 5;

/// One version of a chart, as an index has it.
#[derive(Debug, PartialEq)]
struct IndexedChart {
    version: String,
    /// Where its archive is, absolute or below the repository.
    url: Option<String>,
    /// The SHA-256 of its archive.
    digest: Option<String>,
}

/// Fetches the chart `name` of the repository at `url` and makes its artifact.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    name: &str,
    version: Option<&str>,
    progress: &Progress,
) -> Result<PackagedArtifact, Error> {
    let FetchedChart { packed, base, archive, .. } = download(client, url, name, version, progress).await?;
    let provenance = provenance(client, &archive, &base, progress).await?;
    let repository = repository(&base, name)?;
    let tag = packed.tag(format!("{url}#{name}").as_ref())?;
    packed.package(repository.named(&Name::Tag(tag)), provenance)
}

/// A chart that was fetched and held against the index.
pub(super) struct FetchedChart {
    pub(super) content: Bytes,
    packed: PackedChart,
    /// The repository's address, and that of the archive.
    base: Url,
    archive: Url,
}

/// Fetches the archive of the chart `name` of the repository at `url`.
pub(super) async fn download(
    client: &Client,
    url: &str,
    name: &str,
    version: Option<&str>,
    progress: &Progress,
) -> Result<FetchedChart, Error> {
    let chart = format!("{url}#{name}");
    let refuse = |reason: String| Error::Chart { chart: chart.clone(), reason };
    let no_address =
        || refuse("its repository has no valid address (one has no user and no password in it)".to_owned());
    let base = base(url).ok_or_else(no_address)?;
    let index_url = below(&base, "index.yaml").ok_or_else(no_address)?;
    let text = client.document(&index_url, &base, MAX_INDEX).await?;
    let text = std::str::from_utf8(&text).map_err(|_| refuse(format!("{index_url} is not text")))?;
    let entries =
        value_at(text, &["entries", name]).map_err(|error| refuse(format!("{index_url} is not an index: {error}")))?;
    let found = entries.as_ref().map(versions).unwrap_or_default();
    let indexed = select(&found, version).map_err(|reason| Error::NoChart { chart: chart.clone(), reason })?;
    let archive = indexed.url.as_deref().and_then(|url| below(&base, url));
    let archive = archive.ok_or_else(|| refuse("the index has no valid address for it".to_owned()))?;
    let content = client.document(&archive, &base, MAX_CHART).await?;
    check_digest(indexed, &content, &chart, progress)?;
    let packed = PackedChart::read(content.clone(), &chart)?;
    if packed.name() != name || packed.version() != indexed.version {
        let reason = format!(
            "the index names {name} {}, and the archive is {} {}",
            indexed.version,
            packed.name(),
            packed.version()
        );
        return Err(refuse(reason));
    }
    Ok(FetchedChart { content, packed, base, archive })
}

/// The repository's address, which ends in `/` and tells nobody a password.
fn base(url: &str) -> Option<Url> {
    let mut base: Url = url.parse().ok()?;
    if !base.username().is_empty() || base.password().is_some() || !base.has_host() {
        return None;
    }
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    base.set_fragment(None);
    Some(base)
}

/// An address that the index gives. What the repository's address asks for besides goes with those below it.
fn below(base: &Url, url: &str) -> Option<Url> {
    let is_relative = Url::parse(url).is_err();
    let mut whole = base.join(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if is_relative && whole.query().is_none() {
        whole.set_query(base.query());
    }
    Some(whole)
}

fn versions(entries: &ValueTree) -> Vec<IndexedChart> {
    let entry = |id| {
        let text = |key| entries.get_text(id, key).filter(|text| !text.is_empty()).map(str::to_owned);
        let url = entries.get(id, "urls").and_then(|urls| entries.text(*entries.items(urls).first()?));
        Some(IndexedChart { version: text("version")?, url: url.map(str::to_owned), digest: text("digest") })
    };
    entries.items(entries.root()).iter().filter_map(|id| entry(*id)).collect()
}

/// The version that is asked for: itself, else the newest within the range.
fn select<'a>(found: &'a [IndexedChart], asked: Option<&str>) -> Result<&'a IndexedChart, String> {
    if found.is_empty() {
        return Err("the repository has no chart of that name".to_owned());
    }
    let of = |version: &str| found.iter().find(|chart| chart.version == version);
    if let Some(exact) = asked.and_then(of) {
        return Ok(exact);
    }
    let all = || found.iter().map(|chart| chart.version.clone());
    let filter = TagFilter::default().within(asked.unwrap_or("*")).map_err(|error| error.to_string())?;
    filter.select(all(), Some(1)).first().and_then(|version| of(version)).ok_or_else(|| {
        let newest = TagFilter::default().select(all(), Some(MAX_NAMED)).join(", ");
        match asked {
            Some(asked) => format!("the repository has no version {asked} of it; the newest are {newest}"),
            None => format!("the repository has pre-releases of it only; the newest are {newest}"),
        }
    })
}

fn check_digest(indexed: &IndexedChart, content: &Bytes, chart: &str, progress: &Progress) -> Result<(), Error> {
    let Some(text) = &indexed.digest else {
        let text = format!("{chart}: the index has no digest, so the chart is what the repository gave, unproven");
        progress.tell(Event::Warned(text));
        return Ok(());
    };
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let expected: Digest = format!("sha256:{hex}").parse().map_err(|_| Error::Chart {
        chart: chart.to_owned(),
        reason: format!("the index has a digest for it that is none: {text:?}"),
    })?;
    let actual = Digest::sha256(content);
    if actual == expected { Ok(()) } else { Err(Error::ChartDigest { chart: chart.to_owned(), expected, actual }) }
}

/// The provenance file beside the archive, if there is one.
async fn provenance(client: &Client, archive: &Url, base: &Url, progress: &Progress) -> Result<Option<Bytes>, Error> {
    let mut url = archive.clone();
    url.set_path(&format!("{}.prov", archive.path()));
    match client.document(&url, base, MAX_PROVENANCE).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        // Object storages answer so for what is not there, to who may not list it.
        Err(error) if error.code() == Code::RegistryDenied => {
            let text = format!("{url}: the server does not say whether there is a provenance file, so none is carried");
            progress.tell(Event::Warned(text));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The repository of an artifact after where the chart is from: the host, the path and the name.
fn repository(base: &Url, name: &str) -> Result<Repository, Error> {
    let host = base.host_str().unwrap_or_default();
    let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let parts = base.path().split('/').chain([name]).filter_map(titles::part_of_repository);
    let path = parts.collect::<Vec<_>>().join("/");
    Repository::new(&host, &path).map_err(|source| Error::Name { path: format!("{base}#{name}").into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(version: &str) -> IndexedChart {
        IndexedChart { version: version.to_owned(), url: None, digest: None }
    }

    #[test]
    fn the_version_itself_is_stronger_than_a_range_and_pre_releases_are_asked_for() {
        let all = ["2.0.0-rc.1", "1.10.0", "1.9.0", "v0.1.0", "nightly"].map(chart);
        for (asked, version) in [
            (None, "1.10.0"),
            (Some("1.9.0"), "1.9.0"),
            (Some("^1.2"), "1.10.0"),
            (Some(">=1, <1.10"), "1.9.0"),
            (Some("2.0.0-rc.1"), "2.0.0-rc.1"),
            (Some("0.1.0"), "v0.1.0"),
            (Some("*"), "1.10.0"),
        ] {
            assert_eq!(select(&all, asked).map(|chart| &*chart.version), Ok(version), "{asked:?}");
        }
        let refused = select(&all, Some("3.x")).unwrap_err();
        assert!(refused.contains("no version 3.x") && refused.contains("1.10.0"), "{refused}");
        assert!(select(&all[..1], None).unwrap_err().contains("pre-releases"));
        assert!(select(&[], None).unwrap_err().contains("no chart of that name"));
    }

    #[test]
    fn addresses_are_absolute_or_below_the_repository() {
        for (base_url, url, whole) in [
            ("https://c.example/stable", "index.yaml", "https://c.example/stable/index.yaml"),
            ("https://c.example/stable/", "charts/a-1.tgz", "https://c.example/stable/charts/a-1.tgz"),
            ("https://c.example/a?token=x", "b.tgz", "https://c.example/a/b.tgz?token=x"),
            ("https://c.example/a?token=x", "https://d.example/b.tgz", "https://d.example/b.tgz"),
            ("https://c.example", "/b.tgz", "https://c.example/b.tgz"),
        ] {
            assert_eq!(below(&base(base_url).unwrap(), url).unwrap().as_str(), whole);
        }
        let plain = base("https://c.example").unwrap();
        assert!(below(&plain, "file:///etc/passwd").is_none() && below(&plain, "ftp://x/y").is_none());
        assert!(base("https://user:secret@c.example").is_none());
        let name = repository(&base("https://raw.example/Team/My%20Charts/").unwrap(), "web").unwrap();
        assert_eq!(name.to_string(), "raw.example/team/my-20charts/web");
    }
}
