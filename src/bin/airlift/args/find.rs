use std::path::PathBuf;

/// List the artifacts that manifests, charts, compose files and other lists need.
///
/// The list on stdout is what `airlift export -f` reads: one artifact a line, with its origin as a comment. What airlift can
/// only guess is commented out. No registry is contacted unless a SOURCE is one, or --pin is given.
///
/// Charts are rendered with `helm`, kustomizations with `kustomize` or `kubectl`, where these are installed. If a source
/// cannot be searched whole, airlift prints what it found, says what is missing, and exits with code 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift find deploy/ > artifacts.txt
  airlift find chart/ --values site.yaml --kube-version 1.34 > artifacts.txt
  airlift find oci://registry.example.com/charts/app:1.2.3 'chart:https://charts.example.com#web@^1.2'
  kubectl get pods,deployments,cronjobs -A -o yaml | airlift find -
  airlift find deploy/ --why ghcr.io/team/app
  airlift find deploy/ --pin --update artifacts.txt
  airlift find registry.example.com/team/app --tags 'semver:>=1.2, <2' --latest 3
  airlift find registry.example.com --repositories 'team/*' --latest 1")]
pub(crate) struct Args {
    /// A file or folder, '-' for stdin, a chart (folder, .tgz, oci://… or chart:URL#NAME@VERSION), a bundle, or a registry or repository.
    ///
    /// A registry needs --repositories, and a repository needs --tags or --latest.
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<String>,
    /// Print where this artifact was found, and by which rule. A name without tag or host is enough.
    #[arg(long, value_name = "REF", conflicts_with = "update")]
    pub(crate) why: Option<String>,
    /// Add the rules in this file: keys, paths and regexes that find artifacts, and what to exclude.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Ask the registries for the digest of each tag, and for the tags that lists choose.
    #[arg(long)]
    pub(crate) pin: bool,
    /// Bring this list up to date and print what changed. Your own lines stay, and so does what you comment out.
    #[arg(long, value_name = "FILE")]
    pub(crate) update: Option<PathBuf>,
    /// Values for charts, as for `helm template`; repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// The version of Kubernetes that charts are rendered for.
    #[arg(long, value_name = "V")]
    pub(crate) kube_version: Option<String>,
    /// Further APIs that charts are rendered for; repeatable.
    #[arg(long, value_name = "V")]
    pub(crate) api_versions: Vec<String>,
    /// Search charts and kustomizations without rendering them.
    #[arg(long)]
    pub(crate) no_render: bool,
    /// Choose tags of a repository: 're:REGEX' or 'semver:RANGE'.
    #[arg(long, value_name = "FILTER")]
    pub(crate) tags: Option<String>,
    /// Choose at most this many tags of each repository, the newest versions first.
    #[arg(long, value_name = "N")]
    pub(crate) latest: Option<usize>,
    /// Choose repositories of a registry by name; '*' stands for any text.
    #[arg(long, value_name = "GLOB")]
    pub(crate) repositories: Option<String>,
}
