use airlift::transfer::delta::{open::BaseLocation, series::Cadence};

/// What a bundle leaves out, since the receiver has it.
#[derive(Debug, clap::Args)]
pub(crate) struct Delta {
    /// Leave out what the receiver has by this receipt, head, bundle, layout, store or registry; repeatable.
    ///
    /// A receipt proves what the receiver has, and a registry is asked. A head, a bundle or a layout only says what was sent. Import
    /// checks all of it before it pushes anything.
    #[arg(long, value_name = "RECEIPT|HEAD|BUNDLE|REGISTRY")]
    pub(crate) base: Vec<BaseLocation>,
    /// Leave out what this series of bundles has carried before, but write every Nth bundle whole.
    ///
    /// airlift keeps the heads of the series in its state folder. Use this if no receipt comes back.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) full_every: Option<u32>,
    /// Leave out only what at least N + 1 bundles of the series have carried, so that any N of them may be lost.
    #[arg(long, value_name = "N", conflicts_with = "base")]
    pub(crate) overlap: Option<u32>,
    /// The series of bundles that this one continues [default: the folder of DEST]
    #[arg(long, value_name = "NAME")]
    pub(crate) series: Option<String>,
}

impl Delta {
    /// Whether the bundle belongs to a series, and how that goes.
    pub(crate) fn cadence(&self) -> Option<Cadence> {
        let is_series = self.full_every.is_some() || self.overlap.is_some() || self.series.is_some();
        is_series.then(|| Cadence { full_every: self.full_every, overlap: self.overlap.unwrap_or(0) })
    }
}
