use std::path::PathBuf;

use airlift::{bundle::volume::Size, recovery::Percent};
use clap::ArgGroup;

use super::{Checks, Chosen, RecordTo, Sharded, StatementMembers, Transfer, delta::Delta};

/// Pack artifacts into a bundle.
///
/// airlift first resolves every artifact: its index, platforms, signatures, SBOMs and attestations. Then it fetches each
/// blob once, verifies it and writes it to the bundle. If an export is interrupted, run the same command again to resume it.
#[derive(Debug, clap::Args)]
#[command(override_usage = "\
airlift export [OPTIONS] -o DEST <ARTIFACT>...
       airlift export [OPTIONS] -o DEST -f FILE
       airlift export [OPTIONS] -o DEST --from BUNDLE... [ARTIFACT]...
       airlift export [OPTIONS] -o DEST --plan PLAN --shard I/N")]
#[command(group(ArgGroup::new("chosen").required(true).multiple(true)))]
#[command(group(ArgGroup::new("cut")))]
#[command(after_help = "\
Examples:
  airlift export docker.io/library/alpine:3 ghcr.io/team/app@sha256:… -o bundle.tar
  airlift export -f artifacts.txt --registry registry.example.com -o /mnt/usb/bundle.tar --report report.json
  airlift export -f artifacts.txt -o bundle.tar --recovery 10%
  airlift export -f artifacts.txt -o bundle.pack --pack
  airlift export -f artifacts.txt -o discs/bundle.pack --pack --volume-size dvd
  airlift export -f artifacts.txt -o discs/release --volume-size dvd
  airlift export -f artifacts.txt -o s3://bucket/2026-11/release --volume-size 4GiB
  airlift export --plan plan.json --shard 3/8 -o s3://bucket/2026-11/release
  airlift export -f artifacts.txt -o update.tar --sign ops.key --stream hq/site-7 --authorised-by 'A. Ops'
  airlift export file:./setup.sh file:./tools=team/tools:v2 -o bundle.tar
  airlift export --from a.tar --from b.tar -o both.tar
  airlift export -f artifacts.txt -o update.tar --base receipt.json
  airlift export alpine:3 -o - | ssh far 'cat > bundle.tar'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Take the artifacts from this bundle, layout or store instead of registries; repeatable. Without ARTIFACT: all of them.
    ///
    /// Archives of `docker save` and `podman save` are read too. docker-daemon:NAME and containers-storage:NAME take an image
    /// that docker or podman has, by running that program. Such images have no manifest: airlift makes one, with a new digest.
    #[arg(long, value_name = "BUNDLE|LAYOUT|STORE-DIR", group = "chosen")]
    pub(crate) from: Vec<PathBuf>,
    /// Write the volumes of this plan, which `airlift plan` wrote. With ARTIFACT or FILE: only if the plan was made of them.
    #[arg(long, value_name = "PLAN", groups = ["chosen", "cut"])]
    #[arg(conflicts_with_all = ["from", "recovery", "base", "full_every", "overlap", "series", "sign", "check_with", "dry_run", "continue_on_errors"])]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sharded: Sharded,
    /// Where to write the bundle: a path, an Azure blob URL, az://, s3:// or gs://, or '-' for stdout.
    #[arg(short, long, value_name = "DEST")]
    pub(crate) output: PathBuf,
    /// Write a set of volumes of at most this size instead of one file: 4GiB, 700MB, fat32, dvd, dvd-dl, bd, bd-dl.
    ///
    /// DEST names the folder and the first part of the file names: NAME.vol001.tar, NAME.vol002.tar and so on. Beside them
    /// airlift writes NAME.set.json and SHA256SUMS, for `sha256sum -c`. You can read each volume without the others. With --pack
    /// the volumes are NAME.vol001.pack and so on, nothing is beside them, and you need all of them to read any.
    #[arg(long, value_name = "SIZE", group = "cut")]
    pub(crate) volume_size: Option<Size>,
    /// Write only this volume of the set again, such as for a lost disc. The same artifacts give the same bytes.
    #[arg(long, value_name = "N", requires = "cut", conflicts_with_all = ["recovery", "shard"])]
    pub(crate) only_volume: Option<u32>,
    /// Replace an existing bundle. Without this, an existing bundle is an error and stays as it is.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Add recovery data: `airlift repair` can rebuild up to this share of the bundle, such as 10%.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) recovery: Option<Percent>,
    /// Write a packed file, which needs fewer bytes, as `airlift pack` makes it. The bundle is written beside it first, and
    /// removed at the end.
    #[arg(long)]
    pub(crate) pack: bool,
    #[command(flatten)]
    pub(crate) delta: Delta,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
    #[command(flatten)]
    pub(crate) record: RecordTo,
    /// Sign the bundle with this private key, as `airlift sign --key` does. DEST must be on this machine.
    #[arg(long, value_name = "KEY", help_heading = "Statement", conflicts_with = "only_volume")]
    pub(crate) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) members: StatementMembers,
    #[command(flatten)]
    pub(crate) checks: Checks,
}
