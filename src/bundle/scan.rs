//! Archives made by other tools: any order of entries, `./` in names, PAX and GNU long names. Only the index of the tar is
//! read; what is accepted is wider than in a bundle of ours, what is trusted is not.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    Error, Result,
    header::{BLOCK, END, padding},
    random_access::RandomAccess,
    strict::read_up_to,
    structure::{Header, kind_name, shown},
};

/// Largest long name or PAX header: names here have 141 bytes at the most.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// Most entries, so that a hostile archive cannot fill the memory.
const ENTRIES_LIMIT: usize = 1 << 20;

/// Bytes that may follow the end blocks, if they are zero: tools fill up records, of 10 KiB mostly.
const FILLER_LIMIT: u64 = 1 << 20;

/// Where the content of a regular file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobSpot {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// The regular files of the tar in `file`, of `length` bytes, by name; `./` in front is left out.
pub(crate) fn scan(file: &RandomAccess, length: u64, path: &Path) -> Result<HashMap<String, BlobSpot>> {
    match scan_as_far_as_it_goes(file, length, path) {
        (files, None) => Ok(files),
        (_, Some(error)) => Err(error),
    }
}

/// As [`scan`], with the files in front of what cannot be read, and why it cannot.
pub(crate) fn scan_as_far_as_it_goes(
    file: &RandomAccess,
    length: u64,
    path: &Path,
) -> (HashMap<String, BlobSpot>, Option<Error>) {
    let mut files = HashMap::new();
    let wrong = fill(&mut Scan { file, path, length, at: 0, name: None, size: None }, &mut files).err();
    (files, wrong)
}

fn fill(scan: &mut Scan<'_>, files: &mut HashMap<String, BlobSpot>) -> Result<()> {
    while let Some(header) = scan.header()? {
        let offset = scan.at - BLOCK;
        let refuse = |entry: &str, reason: &str| Error::Entry {
            offset,
            entry: shown(entry.as_bytes()),
            reason: reason.to_owned(),
        };
        match header.kind {
            b'L' => {
                let text = scan.extension(&header)?;
                let name = text.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
                scan.name = Some(name);
            }
            b'x' => scan.pax(&header, offset)?,
            b'g' => {
                // Comments and the like; what would change every entry after it is refused.
                for (key, _) in records(&scan.extension(&header)?, offset)? {
                    if key == "path" || key == "size" || key.starts_with("GNU.sparse") {
                        return Err(refuse("a global PAX header", "it changes names or sizes"));
                    }
                }
            }
            b'0' | 0 | b'5' => {
                let raw = scan.name.take().unwrap_or_else(|| header.name.clone());
                let size = true_size(&header, scan.size.take(), offset)?;
                let name = plain_name(&raw, offset)?;
                let folder = header.kind == b'5' || raw.ends_with(b"/");
                if folder && size != 0 {
                    return Err(refuse(&name, "it is a folder with content"));
                }
                let spot = BlobSpot { offset: scan.at, size };
                scan.skip(size, &name)?;
                if !folder && files.insert(name.clone(), spot).is_some() {
                    return Err(refuse(&name, "there are two of that name"));
                }
                if files.len() > ENTRIES_LIMIT {
                    return Err(Error::TooLarge {
                        what: "the list of entries".to_owned(),
                        limit: ENTRIES_LIMIT as u64,
                    });
                }
            }
            kind => return Err(refuse(&shown(&header.name), &format!("it is {}", kind_name(kind)))),
        }
    }
    Ok(())
}

struct Scan<'a> {
    file: &'a RandomAccess,
    path: &'a Path,
    length: u64,
    at: u64,
    /// What a GNU or PAX header in front says of the next entry.
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Scan<'_> {
    /// The next header, or `None` at a proper end.
    fn header(&mut self) -> Result<Option<Header>> {
        let block = self.read(self.at, BLOCK, "a header")?;
        if block.iter().all(|&byte| byte == 0) {
            self.check_end()?;
            return Ok(None);
        }
        let offset = self.at;
        self.at += BLOCK;
        let structure = |reason: &str| Error::Structure {
            offset,
            entry: format!("the entry {:?}", shown(&block[..100])),
            reason: reason.to_owned(),
        };
        Header::read(&block).map(Some).map_err(|fault| structure(fault.reason()))
    }

    fn check_end(&self) -> Result<()> {
        let rest = self.length - self.at;
        if rest < END {
            return Err(Error::Truncated { length: self.length, expected: self.at + END, entry: "the end".to_owned() });
        }
        let filler = self.read(self.at, rest.min(FILLER_LIMIT), "the end")?;
        let trailing = filler.iter().position(|&byte| byte != 0).map(|at| at as u64);
        match trailing.or((rest > FILLER_LIMIT).then_some(FILLER_LIMIT)) {
            None => Ok(()),
            Some(at) => {
                let (offset, reason) = (self.at + at, "something follows it".to_owned());
                Err(Error::Structure { offset, entry: "the end".to_owned(), reason })
            }
        }
    }

    fn read(&self, offset: u64, size: u64, entry: &str) -> Result<Vec<u8>> {
        let bytes = read_up_to(self.file, offset, size).map_err(Error::read(self.path))?;
        if (bytes.len() as u64) < size {
            let expected = offset.saturating_add(size);
            return Err(Error::Truncated { length: self.length, expected, entry: entry.to_owned() });
        }
        Ok(bytes)
    }

    /// Goes behind `size` bytes of content.
    fn skip(&mut self, size: u64, entry: &str) -> Result<()> {
        let next = size.checked_add(padding(size)).and_then(|size| size.checked_add(self.at));
        let Some(next) = next.filter(|&next| next <= self.length) else {
            let expected = next.unwrap_or(u64::MAX);
            return Err(Error::Truncated { length: self.length, expected, entry: entry.to_owned() });
        };
        self.at = next;
        Ok(())
    }

    /// The content of a header that only says more about the next one.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        if header.size > EXTENSION_LIMIT {
            return Err(Error::TooLarge { what: kind_name(header.kind).to_owned(), limit: EXTENSION_LIMIT });
        }
        let content = self.read(self.at, header.size, kind_name(header.kind))?;
        self.skip(header.size, kind_name(header.kind))?;
        Ok(content)
    }

    fn pax(&mut self, header: &Header, offset: u64) -> Result<()> {
        let structure = |reason: &str| malformed_pax(offset, reason);
        for (key, value) in records(&self.extension(header)?, offset)? {
            match key.as_str() {
                "path" => self.name = Some(value),
                "size" => {
                    let size = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(|| structure("its size is not a number"))?);
                }
                key if key.starts_with("GNU.sparse") => {
                    let entry = shown(self.name.as_deref().unwrap_or(b"a PAX header"));
                    return Err(Error::Entry { offset, entry, reason: "it is a sparse file".to_owned() });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn malformed_pax(offset: u64, reason: &str) -> Error {
    Error::Structure { offset, entry: "a PAX header".to_owned(), reason: reason.to_owned() }
}

/// The records `LENGTH KEY=VALUE\n` of a PAX header (POSIX.1-2001, *pax*), each as long as it says.
fn records(mut text: &[u8], offset: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut keys = HashSet::new();
    while !text.is_empty() {
        let (key, value, rest) = record(text).ok_or_else(|| malformed_pax(offset, "a record is malformed"))?;
        if !keys.insert(key.clone()) {
            return Err(malformed_pax(offset, "a key stands in it twice"));
        }
        found.push((key, value));
        text = rest;
    }
    Ok(found)
}

fn record(text: &[u8]) -> Option<(String, Vec<u8>, &[u8])> {
    let space = text.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
    let body = text.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let key = String::from_utf8(body[..equals].to_vec()).ok()?;
    Some((key, body[equals + 1..].to_vec(), &text[length..]))
}

/// The size that both headers agree on. Readers that look at one of them only must not see another archive (a `size`
/// that ustar's field cannot hold is zero there).
fn true_size(header: &Header, pax: Option<u64>, offset: u64) -> Result<u64> {
    const OCTAL_LIMIT: u64 = 8 << 30;
    match pax {
        Some(size) if size != header.size && !(header.size == 0 && size >= OCTAL_LIMIT) => Err(Error::Entry {
            offset,
            entry: shown(&header.name),
            reason: format!("its PAX header says {size} bytes and its own {}", header.size),
        }),
        Some(size) => Ok(size),
        None => Ok(header.size),
    }
}

/// A name without `./` in front and `/` behind, which stays in the archive and can be read in one way only.
fn plain_name(raw: &[u8], offset: u64) -> Result<String> {
    let refuse = |reason: &str| Error::Entry { offset, entry: shown(raw), reason: reason.to_owned() };
    let text = std::str::from_utf8(raw).map_err(|_| refuse("its name is not text"))?;
    if text.starts_with('/') {
        return Err(refuse("its name is absolute"));
    }
    if text.contains(|c: char| c.is_control() || c == '\\') {
        return Err(refuse("its name has characters that no entry needs"));
    }
    let mut rest = text;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    let name = rest.trim_end_matches('/');
    if name.split('/').any(|part| part == "..") {
        return Err(refuse("its name leaves the archive"));
    }
    if name.split('/').any(|part| part.is_empty() || part == ".") && !matches!(name, "" | ".") {
        return Err(refuse("its name can be read in two ways"));
    }
    Ok(name.to_owned())
}
