//! Dockerfiles: the images that a build starts from or copies from.

use std::collections::{BTreeMap, HashSet};

use super::{
    candidate::PossibleReference,
    context::SearchContext,
    finding::{Confidence, Findings, Mention, Unresolved},
    variables::interpolate,
};

/// Whether `text` reads as a Dockerfile: its first instruction is `FROM`, or `ARG` before one.
pub(super) fn is_dockerfile(text: &str) -> bool {
    let mut words = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is =
        |line: &str, word: &str| line.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word));
    let first = words.find(|line| !is(line, "ARG"));
    first.is_some_and(|line| {
        is(line, "FROM") && line.split_whitespace().nth(1).is_some_and(|image| image != ":" && image != "=")
    })
}

/// Finds what the Dockerfile `text` names.
pub(super) fn read(text: &str, context: SearchContext<'_>, findings: &mut Findings) {
    let mut build = Build { context, findings, arguments: BTreeMap::new(), stages: HashSet::new(), count: 0 };
    for (line, instruction) in instructions(text) {
        build.instruction(line, &instruction);
    }
}

struct Build<'a> {
    context: SearchContext<'a>,
    findings: &'a mut Findings,
    /// Values of `ARG` before the first `FROM`.
    arguments: BTreeMap<String, String>,
    stages: HashSet<String>,
    count: usize,
}

impl Build<'_> {
    fn instruction(&mut self, line: u64, text: &str) {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match name.to_ascii_uppercase().as_str() {
            "ARG" if self.count == 0 => {
                for pair in rest.split_whitespace() {
                    if let Some((name, value)) = pair.split_once('=') {
                        let value = value.trim_matches(['"', '\'']);
                        let value = interpolate(value, &self.arguments).unwrap_or_else(|_| value.to_owned());
                        self.arguments.insert(name.to_owned(), value);
                    }
                }
            }
            "FROM" => self.from(line, rest),
            "COPY" | "ADD" => {
                let from = rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
                self.image(line, from, "dockerfile-copy");
            }
            "RUN" => {
                let mounts = rest.split_whitespace().filter_map(|word| word.strip_prefix("--mount="));
                let from: Vec<_> =
                    mounts.filter_map(|mount| mount.split(',').find_map(|part| part.strip_prefix("from="))).collect();
                for from in from {
                    self.image(line, Some(from), "dockerfile-mount");
                }
            }
            _ => {}
        }
    }

    fn from(&mut self, line: u64, rest: &str) {
        self.count += 1;
        let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
        let image = words.next();
        self.image(line, image, "dockerfile-from");
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
            self.stages.extend(words.next().map(str::to_ascii_lowercase));
        }
    }

    /// `image` is a stage of this file by name or number, `scratch`, or an image.
    fn image(&mut self, line: u64, image: Option<&str>, rule: &'static str) {
        let Some(text) = image.map(|image| image.trim_matches(['"', '\''])) else { return };
        let origin = self.context.origin(line, None, None);
        let resolved = match interpolate(text, &self.arguments) {
            Ok(resolved) => resolved,
            Err(variable) => {
                let reason = format!("the argument {variable} has no value");
                return self.findings.unresolved.push(Unresolved { text: text.to_owned(), reason, origin });
            }
        };
        let is_stage = self.stages.contains(&resolved.to_ascii_lowercase());
        if is_stage || resolved == "scratch" || resolved.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        if let Some(read) = PossibleReference::read(&resolved) {
            let (reference, confidence) = (read.reference, Confidence::Sure.max(self.context.cap));
            self.findings.mentions.push(Mention { reference, confidence, rule: rule.into(), origin });
        } else {
            let reason = "it is not a reference".to_owned();
            self.findings.unresolved.push(Unresolved { text: resolved, reason, origin });
        }
    }
}

/// The instructions with the line on which each begins: continued lines joined, comments and here-documents left out.
fn instructions(text: &str) -> Vec<(u64, String)> {
    let mut result: Vec<(u64, String)> = Vec::new();
    let mut begun: Option<(u64, String)> = None;
    let mut here: Vec<String> = Vec::new();
    let escape = if text.lines().take(5).any(|line| line.replace(' ', "").eq_ignore_ascii_case("#escape=`")) {
        '`'
    } else {
        '\\'
    };
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(end) = here.first() {
            if line.trim() == end {
                here.remove(0);
            }
            continue;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (line, continues) = line.strip_suffix(escape).map_or((line, false), |line| (line.trim_end(), true));
        let (first, mut whole) = begun.take().unwrap_or((number, String::new()));
        if !whole.is_empty() {
            whole.push(' ');
        }
        whole.push_str(line);
        if continues {
            begun = Some((first, whole));
            continue;
        }
        here = here_documents(&whole);
        result.push((first, whole));
    }
    result.extend(begun);
    result
}

/// The words that end the here-documents of an instruction: `RUN <<EOF`, `COPY <<-"EOF" /x`.
fn here_documents(instruction: &str) -> Vec<String> {
    let is_possible = ["RUN", "COPY", "ADD"]
        .iter()
        .any(|name| instruction.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
    let words = instruction.split_whitespace().filter_map(|word| word.strip_prefix("<<")).filter(|_| is_possible);
    let ends = words.map(|word| word.trim_start_matches('-').trim_matches(['"', '\'']).to_owned());
    ends.filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect()
}
