use std::path::PathBuf;

use airlift::{
    bundle::Reader,
    server::{Changes, Config, Server},
    store::Store,
};
use serde::Serialize;

use crate::{args::serve::Args, context::Context, failure::Failure, runtime, signal};

/// What `--json` says once the server listens.
#[derive(Serialize)]
struct Listening {
    listening: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    runtime::run_to_end(serve(args, context))
}

async fn serve(args: &Args, context: &Context) -> Result<(), Failure> {
    let config = Config {
        bundles: open(&args.bundles).await?,
        store: args.store.as_deref().map(Store::open).transpose()?,
        verify: args.verify_on_start,
        changes: match args {
            Args { read_only: true, .. } => Changes::None,
            Args { no_delete: true, .. } => Changes::Pushes,
            _ => Changes::All,
        },
        sparse: args.allow_sparse,
        ..Config::default()
    };
    let server = Server::bind(config, args.listen.as_str()).await?;
    for note in server.notes() {
        context.status().say(note);
    }
    // Before anybody is told that we serve, for whoever knows may stop us.
    let stopped = signal::received();
    // A line of its own on stdout, so that a script which chose port 0 learns the port.
    let listening = Listening { listening: server.url() };
    context.answer(&listening, |listening| format!("Serving on {}\n", listening.listening))?;
    server.run(async { drop(stopped.await) }).await;
    Ok(())
}

async fn open(paths: &[PathBuf]) -> Result<Vec<Reader>, Failure> {
    let mut readers = Vec::with_capacity(paths.len());
    for path in paths {
        readers.push(Reader::open(path).await?);
    }
    Ok(readers)
}
