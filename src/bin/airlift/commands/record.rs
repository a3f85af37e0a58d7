use std::{fmt::Write as _, path::PathBuf};

use airlift::{
    pipeline::PipelineState,
    transfer::legs::FILE,
    trust::record::{self, RecordCheck, RecordEntry},
};
use serde_json::json;

use crate::{
    args::record::{Args, File, Verb},
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    output::{
        count,
        table::{Column, table},
    },
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    match &args.verb {
        Verb::Show(file) => show(&path_of(file)?, context),
        Verb::Verify { file, head } => {
            let path = path_of(file)?;
            let check = record::verify(&path, *head, |_| ())?;
            answer(&path, &check, context)
        }
    }
}

fn path_of(file: &File) -> Result<PathBuf, CommandError> {
    Ok(match &file.path {
        Some(path) => path.clone(),
        None => PipelineState::default_dir()?.join(FILE),
    })
}

fn show(path: &std::path::Path, context: &Context) -> Result<(), CommandError> {
    let mut entries = Vec::new();
    let check = record::verify(path, None, |entry| entries.push(entry.clone()))?;
    let all = json!({"path": path, "head": check.head, "entries": entries});
    context.answer(&all, |_| {
        let columns = [
            Column::Right("NO"),
            Column::Left("TIME"),
            Column::Left("ACTION"),
            Column::Left("BUNDLE"),
            Column::Left("STREAM"),
            Column::Left("RESULT"),
        ];
        let table = table(&columns, entries.iter().map(row));
        format!("{table}\n{}, head {}\n", count(check.lines, "line"), check.head)
    })?;
    damaged(path, &check)
}

fn row(entry: &RecordEntry) -> Vec<String> {
    let bundle = entry.bundle.as_ref().map_or_else(|| "-".to_owned(), |bundle| bundle.id.short());
    let stream = match (&entry.stream, entry.sequence) {
        (Some(stream), Some(sequence)) => format!("{stream} {sequence}"),
        _ => "-".to_owned(),
    };
    let action = json!(entry.action).as_str().unwrap_or_default().to_owned();
    vec![entry.number.to_string(), entry.time.to_string(), action, bundle, stream, entry.result.clone()]
}

fn answer(path: &std::path::Path, check: &RecordCheck, context: &Context) -> Result<(), CommandError> {
    let findings: Vec<String> = check.findings.iter().map(ToString::to_string).collect();
    let sound = !check.findings.iter().any(airlift::trust::record::RecordFinding::is_error);
    let answer = json!({"path": path, "sound": sound, "lines": check.lines, "head": check.head, "findings": findings});
    context.answer(&answer, |_| {
        let verdict = if sound { "sound" } else { "changed" };
        let mut text = format!("{}: {verdict}; {}, head {}\n", path.display(), count(check.lines, "line"), check.head);
        for finding in &findings {
            let _ = writeln!(text, "  {finding}");
        }
        text
    })?;
    damaged(path, check)
}

fn damaged(path: &std::path::Path, check: &RecordCheck) -> Result<(), CommandError> {
    if check.findings.iter().any(airlift::trust::record::RecordFinding::is_error) {
        return Err(Mistake::Record { path: path.to_owned() }.into());
    }
    Ok(())
}
