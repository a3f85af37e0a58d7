//! The search line by line, for text that is neither YAML nor JSON: templates, scripts, files of variables.

use super::{
    candidate::{self, PossibleReference, is_template},
    context::SearchContext,
    finding::{Confidence, Findings, Mention},
    keys,
};

/// Longest line that is looked at, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Finds `key: reference` and `KEY=reference` where the key names an image, and words that stand alone as a reference.
/// Whether a line names an image by a template, so that it says nothing here, is the result.
pub(super) fn scan(text: &str, context: SearchContext<'_>, object: Option<&str>, findings: &mut Findings) -> bool {
    let mut is_incomplete = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.len() > MAX_LINE || line.starts_with(['#', '/']) {
            continue;
        }
        let origin = || context.origin(number, object, None);
        let line = without_comment(line);
        if let Some((key, value)) = assignment(line) {
            let read = PossibleReference::read(value).filter(|_| !is_template(value));
            if let Some(read) = read.filter(|read| keys::naming(key).is_some() && (read.is_exact() || read.has_host)) {
                let confidence = Confidence::Likely.max(context.cap);
                findings.mentions.push(Mention {
                    reference: read.reference,
                    confidence,
                    rule: "image-line".into(),
                    origin: origin(),
                });
                continue;
            }
        }
        if is_template(line) {
            is_incomplete |= line.to_ascii_lowercase().contains("image");
            continue;
        }
        for word in context.rules.texts(line) {
            if let Some(read) = PossibleReference::read(word) {
                findings.mentions.push(Mention {
                    reference: read.reference,
                    confidence: Confidence::Sure,
                    rule: "own-rule".into(),
                    origin: origin(),
                });
            }
        }
        for read in candidate::words(line).filter_map(PossibleReference::read).filter(PossibleReference::stands_alone) {
            findings.mentions.push(Mention {
                reference: read.reference,
                confidence: Confidence::Guess,
                rule: "text".into(),
                origin: origin(),
            });
        }
    }
    is_incomplete
}

/// A key and its value without quotes: `- image: "x"`, `export A_IMAGE=x`, `--image=x`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches(['-', ' ']);
    let line = line.strip_prefix("export ").or_else(|| line.strip_prefix("ENV ")).unwrap_or(line).trim_start();
    let end = line.find([':', '='])?;
    let (key, value) = (&line[..end], line[end + 1..].trim().trim_end_matches([',', '\\']).trim());
    let is_key = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'"'));
    is_key.then(|| (key.trim_matches('"'), value.trim_matches(['"', '\''])))
}

fn without_comment(line: &str) -> &str {
    line.split_once(" #").map_or(line, |(before, _)| before.trim_end())
}
