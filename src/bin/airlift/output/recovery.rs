//! Damage and repair, for people and scripts.

use std::fmt::Write as _;

use airlift::{
    recovery::Repaired,
    transfer::protect::{DamagedFile, Outlook},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{count, size};

/// The most damaged ranges that are printed of one file; JSON has all of them.
const MOST_RANGES: usize = 5;

/// The most artifacts that are printed of one file.
const MOST_ARTIFACTS: usize = 5;

/// The result of a repair.
#[derive(Serialize)]
pub(crate) struct RepairResult {
    #[serde(flatten)]
    outlook: Outlook,
    /// The rebuilt files.
    repaired: Vec<Value>,
}

impl RepairResult {
    pub(crate) fn of(outlook: Outlook, repaired: Repaired) -> Self {
        let file = |file: airlift::recovery::Rebuilt| json!({"name": file.name, "path": file.path, "bytes": file.length, "digest": file.digest, "recovery": file.recovery});
        Self { outlook, repaired: repaired.files.into_iter().map(file).collect() }
    }
}

/// Lists the damaged files and the rebuilt ones.
pub(crate) fn text(answer: &RepairResult) -> String {
    if answer.outlook.sound {
        return "sound; nothing to repair\n".to_owned();
    }
    let mut text = String::new();
    for line in damages(&answer.outlook) {
        let _ = writeln!(text, "{line}");
    }
    for file in &answer.repaired {
        let (path, bytes) = (file["path"].as_str().unwrap_or_default(), file["bytes"].as_u64().unwrap_or(0));
        let digest = file["digest"].as_str().unwrap_or_default();
        let _ = writeln!(text, "repaired {path}: {}, proven\n  {digest}", size(bytes));
    }
    text
}

/// A line for each file that is damaged or missing.
pub(crate) fn damages(outlook: &Outlook) -> Vec<String> {
    outlook.damaged.iter().map(damage).collect()
}

fn damage(hurt: &DamagedFile) -> String {
    let name = hurt.path.as_ref().map_or_else(|| hurt.name.clone(), |path| path.display().to_string());
    if hurt.missing {
        return format!("{name}: missing");
    }
    let lost: u64 = hurt.ranges.iter().map(|(from, to)| to - from).sum();
    let mut text = format!("{name}: damaged");
    if hurt.ranges.is_empty() {
        text.push_str(if hurt.recovery { ", not in its blocks" } else { ", in its length only" });
    } else {
        let shown = hurt.ranges.iter().take(MOST_RANGES).map(|(from, to)| format!("{from}-{to}"));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let more = hurt.ranges.len().saturating_sub(MOST_RANGES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(text, " in {}, {} in all: bytes {shown}{more}", count(hurt.ranges.len(), "place"), size(lost));
    }
    for artifact in hurt.artifacts.iter().take(MOST_ARTIFACTS) {
        let _ = write!(text, "\n    of {artifact}");
    }
    if hurt.artifacts.len() > MOST_ARTIFACTS {
        let _ = write!(text, "\n    and {} more", count(hurt.artifacts.len() - MOST_ARTIFACTS, "artifact"));
    }
    text
}

/// The result of verification for recovery data, in one line.
pub(crate) fn outlook(outlook: &Outlook) -> String {
    if outlook.sound {
        return format!("recovery data: sound, {} of {}", count(outlook.available, "block"), size(outlook.block));
    }
    match &outlook.reason {
        Some(reason) => format!("repair is not possible: {reason}"),
        None => format!(
            "repair is possible ({} of {} recovery blocks needed): run `airlift repair`",
            outlook.needed, outlook.available
        ),
    }
}
