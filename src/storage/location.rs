//! Where an object lies, as it is written on the command line.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{
    error::{Error, Result},
    sas::Sas,
};

/// Hosts under which Azure itself serves blobs, in its public and national clouds; an address there needs no SAS.
const AZURE_HOSTS: [&str; 3] =
    [".blob.core.windows.net", ".blob.core.chinacloudapi.cn", ".blob.core.usgovcloudapi.net"];

/// The place of one object, or of a folder of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A local file or folder.
    Path(PathBuf),
    /// A blob, or a container with or without a prefix.
    Azure(Azure),
    /// An object of S3 or of what speaks like it.
    S3(Bucket),
    /// An object of Google Cloud Storage.
    Gcs(Bucket),
    /// `-`: standard input or output.
    Standard,
}

/// A place in Azure Blob Storage or an emulator of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Azure {
    /// The account's address, which ends with `/`.
    pub(crate) endpoint: Url,
    /// The account.
    pub account: String,
    /// The container.
    pub container: String,
    /// The blob's name; empty for the container itself.
    pub name: String,
    /// The signature that came with the address.
    pub(crate) sas: Option<Sas>,
}

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket.
    pub bucket: String,
    /// The object's key; empty for the bucket itself.
    pub key: String,
}

impl Location {
    /// Reads a location: `/path`, `./path`, `az://ACCOUNT/CONTAINER/NAME`, an Azure blob URL (with a SAS, or on Azure's own
    /// hosts or this machine), `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, or `-`.
    ///
    /// # Errors
    /// [`Error::Location`].
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |reason| Error::Location { text: without_query(text).to_owned(), reason };
        let text = unquoted(text);
        if text.is_empty() {
            return Err(Error::Location { text: "\"\"".to_owned(), reason: "it is empty" });
        }
        if text == "-" {
            return Ok(Self::Standard);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Path(text.into())) };
        match scheme {
            "az" => azure_short(rest).map(Self::Azure).map_err(fail),
            "http" | "https" => azure_url(text, false).map(Self::Azure).map_err(fail),
            "s3" => bucket(rest).map(Self::S3).map_err(fail),
            "gs" => bucket(rest).map(Self::Gcs).map_err(fail),
            "file" => Ok(Self::Path(rest.into())),
            _ => Err(fail("the scheme is none of az, http, https, s3, gs")),
        }
    }

    /// As [`Location::parse`], of a place whose signature comes from elsewhere: any https address is taken as Azure's, and
    /// one of plain http on this machine, where emulators live.
    ///
    /// # Errors
    /// [`Error::Location`].
    pub fn parse_unsigned(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("http" | "https", _)) => azure_url(text, true)
                .map(Self::Azure)
                .map_err(|reason| Error::Location { text: without_query(text).to_owned(), reason }),
            _ => Self::parse(text),
        }
    }

    /// The place of `name` in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let below = |prefix: &str| match prefix.trim_end_matches('/') {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        match self {
            Self::Path(path) => Self::Path(path.join(name)),
            Self::Azure(azure) => Self::Azure(Azure { name: below(&azure.name), ..azure.clone() }),
            Self::S3(bucket) => Self::S3(Bucket { key: below(&bucket.key), ..bucket.clone() }),
            Self::Gcs(bucket) => Self::Gcs(Bucket { key: below(&bucket.key), ..bucket.clone() }),
            Self::Standard => Self::Standard,
        }
    }

    /// The folder it lies in, and its name there; `None` for what has no name of its own.
    pub fn split(&self) -> Option<(Self, String)> {
        let parts = |whole: &str| {
            let (folder, name) = whole.rsplit_once('/').unwrap_or(("", whole));
            (!name.is_empty()).then(|| (folder.to_owned(), name.to_owned()))
        };
        match self {
            Self::Path(path) => {
                let name = path.file_name()?.to_str()?.to_owned();
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                Some((Self::Path(folder.unwrap_or(std::path::Path::new(".")).to_owned()), name))
            }
            Self::Azure(azure) => {
                let (folder, name) = parts(&azure.name)?;
                Some((Self::Azure(Azure { name: folder, ..azure.clone() }), name))
            }
            Self::S3(bucket) => {
                let (key, name) = parts(&bucket.key)?;
                Some((Self::S3(Bucket { key, ..bucket.clone() }), name))
            }
            Self::Gcs(bucket) => {
                let (key, name) = parts(&bucket.key)?;
                Some((Self::Gcs(Bucket { key, ..bucket.clone() }), name))
            }
            Self::Standard => None,
        }
    }

    /// The local path, where it is one.
    pub const fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }
}

impl Azure {
    /// With another signature than the one in the address.
    #[must_use]
    pub fn signed(mut self, sas: Sas) -> Self {
        self.sas = Some(sas);
        self
    }

    /// The container's address, without a signature.
    pub(crate) fn container_url(&self) -> Url {
        self.url_of([self.container.as_str()].into_iter())
    }

    /// The blob's address, without a signature.
    pub(crate) fn blob_url(&self) -> Url {
        self.url_of([self.container.as_str()].into_iter().chain(self.name.split('/')))
    }

    fn url_of<'a>(&'a self, segments: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// A text that may be an address, without what comes after `?`.
fn without_query(text: &str) -> &str {
    text.split_once('?').map_or(text, |(front, _)| front)
}

fn azure_short(rest: &str) -> Result<Azure, &'static str> {
    let (path, token) = rest.split_once('?').map_or((rest, None), |(path, token)| (path, Some(token)));
    let mut parts = path.splitn(3, '/');
    let (account, container) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain(account) {
        return Err("an Azure location is az://ACCOUNT/CONTAINER/NAME");
    }
    if !plain(container.trim_start_matches('$')) {
        return Err("the container is missing: az://ACCOUNT/CONTAINER/NAME");
    }
    let endpoint =
        Url::parse(&format!("https://{account}{}/", AZURE_HOSTS[0])).map_err(|_| "the account is not a name")?;
    let sas = token.map(|token| Sas::parse(token).ok_or("what follows `?` is no SAS")).transpose()?;
    let name = parts.next().unwrap_or_default().trim_end_matches('/').to_owned();
    Ok(Azure { endpoint, account: account.to_owned(), container: container.to_owned(), name, sas })
}

/// An address without the quotes that were meant for a shell.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).filter(|inner| inner.contains("://")).unwrap_or(text)
}

fn azure_url(text: &str, signed_later: bool) -> Result<Azure, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "it cannot be read as a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL here has no user name or password");
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let at_azure = AZURE_HOSTS.iter().any(|suffix| host.ends_with(suffix));
    let sas = url.query().and_then(Sas::parse);
    if sas.is_none() && !signed_later && url.query().is_some_and(|query| query.contains("sv=") || query.contains("se="))
    {
        return Err("its signature is cut off: a shell ends a word at `&`, so put the address in single quotes");
    }
    if sas.is_none() && !at_azure && !is_loopback(&url) && !signed_later {
        return Err(
            "a URL is taken as Azure's where it carries a SAS (sv=…&sig=…), or the host is Azure's or this machine",
        );
    }
    if signed_later && url.scheme() == "http" && !is_loopback(&url) {
        return Err("a signature does not go over plain http, unless the host is this machine");
    }
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8().map(std::borrow::Cow::into_owned);
    let segments: Result<Vec<_>, _> = url.path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let mut segments = segments.map_err(|_| "the path is not UTF-8")?.into_iter();
    // Emulators have no name for each account, so it is the first part of the path.
    let in_path = !at_azure && (matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))) || host == "localhost");
    let account = if in_path { segments.next() } else { host.split('.').next().map(str::to_owned) };
    let account = account.filter(|account| !account.is_empty()).ok_or("the account is missing")?;
    let container = segments.next().ok_or("the container is missing")?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&if in_path { format!("/{account}/") } else { "/".to_owned() });
    Ok(Azure { endpoint: url, account, container, name: segments.collect::<Vec<_>>().join("/"), sas })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn bucket(rest: &str) -> Result<Bucket, &'static str> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains('?') {
        return Err("the bucket is missing: s3://BUCKET/KEY or gs://BUCKET/KEY");
    }
    Ok(Bucket { bucket: bucket.to_owned(), key: key.trim_end_matches('/').to_owned() })
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The address without its signature: fit for logs and for people.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Azure(azure) => fmt::Display::fmt(&azure.blob_url().as_str().trim_end_matches('/'), f),
            Self::S3(Bucket { bucket, key }) => write!(f, "s3://{bucket}/{key}"),
            Self::Gcs(Bucket { bucket, key }) => write!(f, "gs://{bucket}/{key}"),
            Self::Standard => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAS: &str = "sv=2024-11-04&sr=c&sp=rl&sig=CANARY%2Bsignature%3D";

    fn azure(text: &str) -> Azure {
        match Location::parse(text) {
            Ok(Location::Azure(azure)) => azure,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_form_of_the_command_line_is_read() {
        assert_eq!(Location::parse("/a/b.tar").unwrap(), Location::Path("/a/b.tar".into()));
        assert_eq!(Location::parse("./b.tar").unwrap().to_string(), "./b.tar");
        assert_eq!(Location::parse("-").unwrap(), Location::Standard);
        let bucket = Bucket { bucket: "bucket".into(), key: "some/key.tar".into() };
        assert_eq!(Location::parse("s3://bucket/some/key.tar").unwrap(), Location::S3(bucket.clone()));
        assert_eq!(Location::parse("gs://bucket/some/key.tar").unwrap(), Location::Gcs(bucket));

        let short = azure("az://acct/cont/a/b c.tar");
        assert_eq!((&*short.account, &*short.container, &*short.name), ("acct", "cont", "a/b c.tar"));
        assert_eq!(short.blob_url().as_str(), "https://acct.blob.core.windows.net/cont/a/b%20c.tar");
        let plain = azure("https://acct.blob.core.windows.net/cont/x");
        assert_eq!((plain.account.as_str(), plain.sas), ("acct", None));
    }

    #[test]
    fn an_emulators_address_has_the_account_in_its_path() {
        for host in ["127.0.0.1:10000", "[::1]:10000", "localhost:10000"] {
            let blob = azure(&format!("http://{host}/devacct/cont/dir/b%20c.tar?{SAS}"));
            assert_eq!((&*blob.account, &*blob.container, &*blob.name), ("devacct", "cont", "dir/b c.tar"));
            assert_eq!(blob.blob_url().as_str(), format!("http://{host}/devacct/cont/dir/b%20c.tar"));
            assert!(blob.sas.is_some());
            assert_eq!(
                azure(&format!("https://{host}/devacct/cont/b.tar")).sas,
                None,
                "an identity may be what opens it"
            );
        }
        let own = azure(&format!("https://blobs.example.org/cont/b?{SAS}"));
        assert_eq!((&*own.account, &*own.container, &*own.name), ("blobs", "cont", "b"));
    }

    #[test]
    fn an_address_that_is_signed_later_goes_over_https_or_stays_on_this_machine() {
        for text in ["http://127.0.0.1:1/acct/cont", "https://blobs.example.org/cont", "az://acct/cont", "/a/b"] {
            Location::parse_unsigned(text).unwrap();
        }
        let plain = Location::parse_unsigned("http://blobs.example.org/cont").unwrap_err();
        assert!(plain.to_string().contains("plain http"), "{plain}");
    }

    #[test]
    fn no_form_of_printing_shows_the_signature() {
        let location = Location::parse(&format!("http://127.0.0.1:1/acct/cont/b?{SAS}")).unwrap();
        assert_eq!(location.to_string(), "http://127.0.0.1:1/acct/cont/b");
        assert!(!format!("{location:?}").contains("CANARY"));
        for bad in [format!("ftp://host/x?{SAS}"), format!("http://127.0.0.1/?{SAS}"), format!("az://?{SAS}")] {
            let error = Location::parse(&bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn an_address_is_read_within_quotes_and_not_when_a_shell_cut_it() {
        let whole = format!("https://acct.blob.core.windows.net/cont/b?{SAS}");
        for quoted in [format!("'{whole}'"), format!("\"{whole}\"")] {
            assert_eq!(Location::parse(&quoted).unwrap(), Location::parse(&whole).unwrap());
        }
        let cut = Location::parse("https://acct.blob.core.windows.net/cont/b?sv=2024-11-04").unwrap_err();
        assert!(cut.to_string().contains("cut off"), "{cut}");
        assert_eq!(Location::parse("'a'").unwrap(), Location::Path("'a'".into()));
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for bad in [
            "",
            "ftp://h/x",
            "az://",
            "az://acct",
            "az://acct/",
            "az://a.b/c/d",
            "s3://",
            "s3:///k",
            "https://h.org/x/y",
        ] {
            assert!(matches!(Location::parse(bad), Err(Error::Location { .. })), "{bad:?}");
        }
        assert!(Location::parse("http://user:pass@127.0.0.1/a/c/b?sv=1&sig=2").is_err());
    }

    #[test]
    fn a_folder_has_names_below_it() {
        for (folder, joined) in [
            ("/tmp/x", "/tmp/x/n"),
            ("s3://bucket", "s3://bucket/n"),
            ("s3://bucket/p/", "s3://bucket/p/n"),
            ("az://acct/cont", "https://acct.blob.core.windows.net/cont/n"),
            ("az://acct/cont/p", "https://acct.blob.core.windows.net/cont/p/n"),
        ] {
            let below = Location::parse(folder).unwrap().join("n");
            assert_eq!(below.to_string(), joined);
            let (above, name) = below.split().unwrap();
            assert_eq!((above.join("n"), &*name), (below, "n"));
        }
        for folder in ["s3://bucket", "az://acct/cont", "-"] {
            assert_eq!(Location::parse(folder).unwrap().split(), None);
        }
    }
}
