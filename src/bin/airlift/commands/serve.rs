use std::pin::pin;

use airlift::{
    bundle::Reader,
    content::trust,
    server::{Certificate, Changes, Config, ReloadHandle, ServeLimits, Server},
    store::Store,
};
use serde::Serialize;
use tokio::signal::unix::Signal;

use crate::{args::serve::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake, runtime, signal};

/// What `--json` says once the server listens.
#[derive(Serialize)]
struct Listening {
    listening: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    context.log_anyway("airlift=warn,airlift::audit=info")?;
    artifacts::warn_of_unfinished(&args.bundles, context);
    runtime::run_to_end(serve(args, context))
}

async fn serve(args: &Args, context: &Context) -> Result<(), CommandError> {
    let config = config(args, context).await?;
    let chain = args.tls_cert.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    for objection in trust::objections(&chain) {
        context.status().say(&format!("warning: clients will refuse the certificate: {objection}"));
    }
    let server = Server::bind(config, args.listen.as_str()).await?;
    for note in server.notes() {
        context.status().say(&format!("warning: {note}"));
    }
    // Before the line that says we serve: from then on a caller may stop us.
    let stopped = signal::received();
    let hangups = signal::hangups().map_err(|source| Mistake::Runtime { source })?;
    let credentials = server.credentials();
    // A line of its own on stdout, so that a script which chose port 0 learns the port.
    let listening = Listening { listening: server.url() };
    context.answer(&listening, |listening| format!("Serving on {}\n", listening.listening))?;
    server.run(until(stopped, hangups, &credentials, context)).await;
    Ok(())
}

async fn config(args: &Args, context: &Context) -> Result<Config, CommandError> {
    let mut config = Config::bundles(open(args, context).await?);
    config.store = args.store.as_deref().map(Store::open).transpose()?;
    config.verify = args.verify_on_start;
    config.changes = match args {
        Args { read_only: true, .. } => Changes::None,
        Args { no_delete: true, .. } => Changes::Pushes,
        _ => Changes::All,
    };
    config.sparse = args.allow_sparse;
    config.tls = args.tls_cert.clone().zip(args.tls_key.clone()).map(|(chain, key)| Certificate {
        chain,
        key,
        client_ca: args.client_ca.clone(),
    });
    config.htpasswd.clone_from(&args.htpasswd);
    config.policy.clone_from(&args.policy);
    config.immutable_tags = args.immutable_tags;
    config.public_url.clone_from(&args.public_url);
    config.limits = limits(args);
    Ok(config)
}

fn limits(args: &Args) -> ServeLimits {
    let mut limits = ServeLimits::default();
    limits.max_upload = args.max_upload.unwrap_or(u64::MAX);
    if args.public_url.is_some() {
        // All clients of a proxy have its address.
        limits.share = limits.connections;
    }
    limits
}

async fn open(args: &Args, context: &Context) -> Result<Vec<Reader>, CommandError> {
    let mut readers = Vec::with_capacity(args.bundles.len());
    for path in &args.bundles {
        let bundle = artifacts::open_packed(path, &args.packed, context).await?;
        // Clients read layers by position, which those that are cut over volumes have only once they are in one piece.
        bundle.reader().put_together().await?;
        readers.push(bundle.reader().clone());
    }
    Ok(readers)
}

/// Ends at the first signal that asks us to stop; at SIGHUP the certificate and the passwords are read again.
async fn until<T>(
    stopped: impl Future<Output = T>,
    mut hangups: Signal,
    credentials: &ReloadHandle,
    context: &Context,
) {
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            _ = hangups.recv() => {
                let said = match credentials.reload() {
                    Ok(()) => "the certificate and the passwords were read again".to_owned(),
                    Err(error) => format!("warning: {error}; the old ones stay in use"),
                };
                context.status().say(&said);
            }
        }
    }
}
