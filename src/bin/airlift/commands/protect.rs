use airlift::{recovery::ProtectedFile, transfer::protect};
use serde_json::json;

use crate::{
    args::protect::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    output::{count, size},
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let files = args.files.iter().map(|path| artifacts::local(path)).collect::<Result<Vec<_>, _>>()?;
    let progress = context.progress();
    let created =
        runtime::run(async { Ok(protect::protect(&files, args.recovery, args.overwrite, &progress).await?) })?;
    let shape = created.shape;
    let answer = json!({
        "set": created.id, "protected": created.protected, "files": created.files,
        "block": shape.block, "recovery_blocks": shape.recovery_blocks(),
    });
    context.answer(&answer, |_| {
        let line = |file: &ProtectedFile| format!("{}: {}\n", file.name, size(file.length));
        let text: String = created.files.iter().map(line).collect();
        let (blocks, block) = (count(shape.recovery_blocks(), "recovery block"), size(shape.block));
        text + &format!("{blocks} of {block} for {}\n", count(created.protected.len(), "file"))
    })
}
