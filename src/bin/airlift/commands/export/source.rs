//! Where the artifacts of an export come from.

use airlift::{
    content::Origins,
    transfer::{Places, export::Request},
};

use crate::{args::export::Args, artifacts, context::Context, failure::CommandError};

/// Where the artifacts come from, and which they are.
pub(super) async fn of(args: &Args, context: &Context) -> Result<(Box<dyn Origins>, Request), CommandError> {
    let chosen = &args.chosen;
    if args.from.is_empty() {
        let asked = artifacts::asked_for(chosen)?;
        let client = context.client(args.transfer.jobs)?;
        let (origins, artifacts) = asked.over(Box::new(client.clone()), &client, context).await?;
        return Ok((origins, artifacts::chosen(chosen, artifacts, &args.transfer)));
    }
    let (mut locations, mut images) = (Vec::new(), Vec::new());
    for text in &args.from {
        match artifacts::runtime_image(text) {
            Some(image) => images.push(image),
            None => locations.push(artifacts::source(text)?),
        }
    }
    let (settings, progress) = (context.storage(), context.progress());
    let mut places = Places::open(&locations, chosen.registry.as_deref(), &settings, &progress).await?;
    for (runtime, name) in images {
        places.add_image(runtime, name, &settings, &progress).await?;
    }
    let is_choice = !chosen.artifacts.is_empty() || !chosen.file.is_empty();
    let (origins, artifacts): (Box<dyn Origins>, _) = if is_choice {
        artifacts::asked_for(chosen)?.over(Box::new(places), &context.client(args.transfer.jobs)?, context).await?
    } else {
        let artifacts = places.artifacts();
        (Box::new(places), artifacts)
    };
    Ok((origins, artifacts::chosen(chosen, artifacts, &args.transfer)))
}
