mod list;
mod source;

use std::sync::Arc;

use airlift::{
    find::{self, Findings, FoundArtifact, Inventory, SearchRules, TagFilter},
    progress::Event,
    transfer::discover,
};

use crate::{
    args::{Jobs, find::Args},
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    runtime,
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let rules = Arc::new(rules(args)?);
    let filter = args.tags.as_deref().map(str::parse::<TagFilter>).transpose().map_err(find::Error::from)?;
    let inventory = runtime::run(search(args, filter.unwrap_or_default(), &rules, context))?;
    for remark in &inventory.remarks {
        context.progress().tell(Event::Warned(remark.to_string()));
    }
    if let Some(text) = &args.why {
        return why(text, &inventory, context);
    }
    match &args.update {
        Some(file) => list::bring_up_to_date(file, &inventory, context)?,
        None => context.answer(&inventory, Inventory::to_list)?,
    }
    match inventory.remarks.iter().filter(|remark| remark.incomplete).count() {
        0 => Ok(()),
        gaps => Err(Mistake::Incomplete { gaps }.into()),
    }
}

fn rules(args: &Args) -> Result<SearchRules, CommandError> {
    let Some(file) = &args.rules else { return Ok(SearchRules::default()) };
    let text = artifacts::read(file)?;
    Ok(SearchRules::parse(&text, &file.display().to_string()).map_err(find::Error::from)?)
}

async fn search(
    args: &Args,
    filter: TagFilter,
    rules: &Arc<SearchRules>,
    context: &Context,
) -> Result<Inventory, CommandError> {
    let mut findings = Findings::default();
    for source in &args.sources {
        findings.append(source::search(source, args, &filter, rules, context).await?);
    }
    if args.pin {
        discover::queries(&context.client(Jobs::default())?, &mut findings).await;
    }
    let mut inventory = Inventory::of(findings, rules);
    if args.pin {
        discover::pin(&context.client(Jobs::default())?, &mut inventory).await;
    }
    Ok(inventory)
}

fn why(text: &str, inventory: &Inventory, context: &Context) -> Result<(), CommandError> {
    let found = inventory.why(text);
    if found.is_empty() {
        return Err(Mistake::Nowhere { reference: text.to_owned() }.into());
    }
    context.answer(&found, |found| found.iter().map(|artifact| origins(artifact)).collect())
}

fn origins(artifact: &FoundArtifact) -> String {
    let line = |origin: &find::Sighting| format!("  {} {}: {}\n", origin.confidence, origin.rule, origin.place);
    format!("{}\n{}", artifact.reference, artifact.origins.iter().map(line).collect::<String>())
}
