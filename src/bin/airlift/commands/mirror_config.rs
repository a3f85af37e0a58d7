use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use airlift::server::mirror::{self, File, Runtime};

use crate::{args::mirror_config::Args, artifacts, context::Context, failure::Failure, mistake::Mistake, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let opened = runtime::run(artifacts::survey(&args.bundle, context))?;
    let hosts: BTreeSet<_> =
        opened.reader().index().roots().iter().map(|root| root.reference.registry().to_owned()).collect();
    let runtimes = args.runtime.map_or(Runtime::ALL.to_vec(), |target| vec![target.into()]);
    let files: Vec<_> = runtimes.into_iter().flat_map(|runtime| mirror::files(runtime, &hosts, &args.mirror)).collect();
    match &args.output {
        Some(folder) => {
            for file in &files {
                let path = folder.join(&file.path);
                write(&path, &file.content).map_err(|source| Mistake::Write { path, source })?;
            }
            context.answer(&files, |files| listed(folder, files))
        }
        None => context.answer(&files, |files| printed(files)),
    }
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    fs::write(path, content)
}

fn listed(folder: &Path, files: &[File]) -> String {
    files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "{}  ->  {}", PathBuf::from(folder).join(&file.path).display(), file.target);
        text
    })
}

/// One file goes as it is, so that it can be redirected; several are told apart by a line each.
fn printed(files: &[File]) -> String {
    if let [only] = files {
        return only.content.clone();
    }
    files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "# ---- {}\n{}", file.target, file.content);
        text
    })
}
