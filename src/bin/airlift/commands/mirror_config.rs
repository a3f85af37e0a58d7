use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use airlift::{
    oci::reference::host_as_part,
    server::mirror::{self, MirrorRoute, Runtime, RuntimeFile},
};

use crate::{args::mirror_config::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let opened = runtime::run(artifacts::survey(&args.bundle, context))?;
    let hosts: BTreeSet<_> =
        opened.reader().index().roots().iter().map(|root| root.reference.registry().to_owned()).collect();
    let runtimes = args.runtime.map_or(Runtime::ALL.to_vec(), |target| vec![target.into()]);
    let routes = routes(&hosts, args);
    let files: Vec<_> = runtimes.iter().flat_map(|runtime| mirror::files(*runtime, &routes, &args.mirror)).collect();
    for limit in runtimes.iter().flat_map(|runtime| mirror::limits(*runtime, &routes, &args.mirror)) {
        context.status().say(&format!("note: {limit}"));
    }
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

/// Where the names of each host are: as `serve` has them, or as an import with these options made them. The longest name
/// comes first, as the rules of the import do before the rest.
fn routes(hosts: &BTreeSet<String>, args: &Args) -> Vec<MirrorRoute> {
    if args.prefix.is_none() && !args.keep_host && args.map.is_empty() {
        return hosts.iter().map(|host| MirrorRoute::served(host)).collect();
    }
    let below = |place: &str| {
        let parts = [args.prefix.as_deref().unwrap_or_default().trim_matches('/'), place];
        vec![parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")]
    };
    let mut routes = Vec::new();
    for host in hosts {
        for rule in &args.map {
            let names_host = rule.from == *host || rule.from.starts_with(&format!("{host}/"));
            let names_other =
                hosts.iter().any(|other| rule.from == *other || rule.from.starts_with(&format!("{other}/")));
            let source = match (names_host, names_other) {
                (true, _) => rule.from.clone(),
                (false, true) => continue,
                (false, false) => format!("{host}/{}", rule.from),
            };
            if !routes.iter().any(|route: &MirrorRoute| route.source == source) {
                routes.push(MirrorRoute { source, places: below(&rule.to) });
            }
        }
        if !routes.iter().any(|route| route.source == *host) {
            let place = if args.keep_host { host_as_part(host) } else { String::new() };
            routes.push(MirrorRoute { source: host.clone(), places: below(&place) });
        }
    }
    routes
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    fs::write(path, content)
}

fn listed(folder: &Path, files: &[RuntimeFile]) -> String {
    files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "{}  ->  {}", PathBuf::from(folder).join(&file.path).display(), file.target);
        text
    })
}

/// One file goes as it is, so that it can be redirected; several are separated by a line each.
fn printed(files: &[RuntimeFile]) -> String {
    if let [only] = files {
        return only.content.clone();
    }
    files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "# ---- {}\n{}", file.target, file.content);
        text
    })
}
