//! What an export leaves out: the bases that are named, and what a series has carried.

use std::sync::Arc;

use airlift::{
    content::Targets,
    storage::Location,
    transfer::{
        delta::{
            open::{self, BaseLocation},
            series::{self, Series, Turn},
        },
        export::{Destination, Request},
    },
};

use crate::{args::export::Args, artifacts, context::Context, failure::CommandError, mistake::Mistake};

/// The series that a bundle belongs to, and where that bundle is.
pub(super) struct SeriesRun {
    series: Series,
    to: Location,
}

/// The series of `to`, if the bundle belongs to one.
pub(super) fn series(args: &Args, to: &Destination) -> Result<Option<SeriesRun>, CommandError> {
    if args.delta.cadence().is_none() {
        return Ok(None);
    }
    let to = match to {
        Destination::Stdout => return Err(Mistake::SeriesInStream.into()),
        Destination::File { path, .. } => Location::Path(path.clone()),
        Destination::Object { .. } => artifacts::location(&args.output)?,
        Destination::Volumes(goal) => Location::Path(goal.folder.join(format!("{}.set.json", goal.name))),
        Destination::Set(prefix) => prefix.folder.join(&format!("{}.set.json", prefix.name)),
    };
    let name = args.delta.series.clone().unwrap_or_else(|| series::usual_name(&to));
    Ok(Some(SeriesRun { series: Series::open(&name)?, to }))
}

/// Adds to `request` what the receiver has.
pub(super) async fn leave_out(
    request: &mut Request,
    series: Option<&mut SeriesRun>,
    args: &Args,
    context: &Context,
) -> Result<Option<Turn>, CommandError> {
    let settings = context.storage();
    let turn = match (series, args.delta.cadence()) {
        (Some(run), Some(cadence)) => Some(run.series.turn(&run.to, cadence, args.overwrite, &settings).await?),
        _ => None,
    };
    if turn.as_ref().is_some_and(|turn| turn.whole) {
        return Ok(turn);
    }
    request.bases = match &turn {
        Some(turn) if args.delta.base.is_empty() => Arc::new(turn.bases.clone()),
        _ => {
            let has_registry = args.delta.base.iter().any(|base| matches!(base, BaseLocation::Registry(_)));
            let client: Option<Arc<dyn Targets>> =
                if has_registry { Some(Arc::new(context.client(args.transfer.jobs)?)) } else { None };
            Arc::new(open::open(&args.delta.base, client.as_ref(), &settings, &context.progress()).await?)
        }
    };
    Ok(turn)
}

impl SeriesRun {
    /// Remembers that the bundle was sent.
    pub(super) async fn note(mut self, turn: &Turn, context: &Context) -> Result<(), CommandError> {
        Ok(self.series.note(turn, &self.to, &context.storage()).await?)
    }
}
