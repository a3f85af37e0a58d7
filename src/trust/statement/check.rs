//! The rules for members of a statement.

use jiff::Timestamp;

use super::{MAX_SEQUENCE, Statement, StatementError, VERSION, VolumeIdentity, whole_seconds};
use crate::oci::{Algorithm, Digest};

const MAX_TEXT: usize = 1024;
const MAX_STREAM: usize = 128;
const MAX_VOLUMES: usize = 999;
const MAX_BASE: usize = 256;
const MAX_NAME: usize = 255;

impl Statement {
    /// The first rule that the members break.
    pub(super) fn check(&self) -> Result<(), StatementError> {
        if self.version != VERSION {
            return Err(StatementError::Version { found: self.version });
        }
        for (member, text) in [
            ("authorised_by", &self.authorised_by),
            ("from", &self.from),
            ("marking", &self.marking),
            ("reason", &self.reason),
            ("to", &self.to),
        ] {
            if text.as_deref().is_some_and(|text| !is_text(text)) {
                return Err(StatementError::Text { member });
            }
        }
        check_digest("bundle.id", &self.bundle.id)?;
        check_digest("bundle.seal", &self.bundle.seal)?;
        self.check_times()?;
        self.check_stream()?;
        self.check_base()?;
        self.check_volumes()
    }

    fn check_times(&self) -> Result<(), StatementError> {
        for (member, time) in [("created", Some(self.created)), ("expires", self.expires)] {
            if time.is_some_and(|time| time != whole_seconds(time) || time < Timestamp::UNIX_EPOCH) {
                return Err(StatementError::Time { member });
            }
        }
        if self.expires.is_some_and(|expires| expires <= self.created) {
            return Err(StatementError::ExpiresFirst);
        }
        Ok(())
    }

    fn check_stream(&self) -> Result<(), StatementError> {
        match (&self.stream, self.sequence) {
            (Some(stream), Some(_)) if !is_stream(stream) => Err(StatementError::Stream { found: stream.clone() }),
            (Some(_), Some(sequence)) if !(1..=MAX_SEQUENCE).contains(&sequence) => {
                Err(StatementError::Sequence { found: sequence })
            }
            (None, Some(_)) | (Some(_), None) => Err(StatementError::StreamWithoutSequence),
            _ => Ok(()),
        }
    }

    fn check_base(&self) -> Result<(), StatementError> {
        for digest in &self.base {
            check_digest("base", digest)?;
        }
        let sorted = self.base.is_sorted_by(|a, b| a < b);
        if sorted && self.base.len() <= MAX_BASE { Ok(()) } else { Err(StatementError::Base) }
    }

    fn check_volumes(&self) -> Result<(), StatementError> {
        let broken = |rule| Err(StatementError::Volumes { rule });
        if self.volumes.len() > MAX_VOLUMES {
            return broken("there are more than 999");
        }
        if !self.volumes.iter().map(|volume| volume.number).eq((1..).take(self.volumes.len())) {
            return broken("they are not sorted by number, from 1 and without a gap");
        }
        if !self.volumes.iter().all(|volume| is_plain_name(&volume.name)) {
            return broken("a name is not a plain file name of at most 255 bytes");
        }
        let mut names: Vec<&str> = self.volumes.iter().map(|volume| volume.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return broken("two have the same name");
        }
        let total = |sum: u64, volume: &VolumeIdentity| sum.checked_add(volume.size);
        if !self.volumes.is_empty() && self.volumes.iter().try_fold(0, total) != Some(self.bundle.size) {
            return broken("their sizes do not add up to bundle.size");
        }
        Ok(())
    }
}

fn check_digest(member: &'static str, digest: &Digest) -> Result<(), StatementError> {
    if digest.algorithm() == Algorithm::Sha256 { Ok(()) } else { Err(StatementError::Algorithm { member }) }
}

/// Whether `text` can be shown to people as it is: not empty, bounded, without characters that change what surrounds it.
fn is_text(text: &str) -> bool {
    let disturbs = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(disturbs)
}

fn is_stream(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(good);
    text.len() <= MAX_STREAM && text.split('/').all(part)
}

fn is_plain_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    !name.is_empty() && name.len() <= MAX_NAME && name != "." && name != ".." && !name.contains(bad)
}
