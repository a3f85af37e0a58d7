//! airlift carries container images and every other OCI artifact across an air gap.
//!
//! The crate is a house of rows, and a room knows only the rows below it (`tests/suite/layers.rs` holds the table):
//!
//! | row | rooms | what for |
//! |---|---|---|
//! | 4 | [`pipeline`] | export pipelines, import pipelines and their runs, kept on one machine |
//! | 4 | [`check`] | artifacts held out to other programs before they are let in |
//! | 4 | [`load`] | images in the container runtimes of this machine |
//! | 3 | [`transfer`], [`server`] | the engines: export, copy, verify, import; the distribution API |
//! | 2+ | [`recovery`] | files rebuilt from Reed–Solomon blocks |
//! | 2+ | [`packaging`] | artifacts made of files and charts, and files of artifacts |
//! | 2 | [`registry`], [`bundle`], [`storage`], [`store`] | places where content lives |
//! | 2 | [`find`] | the artifacts that files need, and lists of artifacts |
//! | 2 | [`trust`] | who vouches for a bundle: statements, signatures, the trust file |
//! | 1+ | [`files`] | local files: unfinished ones, locks, free space |
//! | 1 | [`content`], [`progress`] | the seam: what a place offers, what a run reports |
//! | 0 | [`oci`] | digests, references, descriptors, manifests |
//!
//! The command line (`src/bin/airlift`) sees only what is public here. What it alone needs, such as the pipelines, is hidden from this
//! documentation and may change at any time.
//!
//! # Export
//!
//! Pack artifacts of a registry into one bundle. A run that was stopped is resumed by the same call.
//!
//! ```no_run
//! use airlift::{progress::Progress, registry, transfer::export};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = registry::Client::new(registry::Settings::default())?;
//! let request = export::Request::new(vec!["registry.example.com/app:1.4".parse()?]);
//! let to = export::Destination::File { path: "app.tar".into(), overwrite: false };
//! let report = export::run(&registry, &request, to, &Progress::silent()).await?;
//! assert!(!report.failed());
//! # Ok(())
//! # }
//! ```
//!
//! # Verify
//!
//! Read everything and hash it. The findings say which artifacts are damaged.
//!
//! ```no_run
//! use airlift::{bundle::Reader, progress::Progress, transfer::verify};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bundle = Reader::open("app.tar".as_ref()).await?;
//! for finding in verify::verify(&bundle, 2, &Progress::silent()).await?.findings {
//!     println!("{}", finding.message);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Import
//!
//! Push a bundle to the registry on the other side, tags last.
//!
//! ```no_run
//! use airlift::{
//!     progress::Progress,
//!     registry,
//!     storage::{Location, Settings},
//!     transfer::{Opened, import},
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bundle = Opened::open(&Location::Path("app.tar".into()), &Settings::default()).await?;
//! let registry = registry::Client::new(registry::Settings::default())?;
//! let request = import::Request::new("registry.site/mirror".parse()?);
//! import::run(&registry, &[bundle], &request, &Progress::silent()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Read a bundle
//!
//! List its artifacts and take one blob out, verified.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use airlift::{bundle::Reader, content::Verified};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bundle = Reader::open("app.tar".as_ref()).await?;
//! for root in bundle.index().roots() {
//!     let Some(manifest) = bundle.manifest(&root.descriptor.digest) else { continue };
//!     println!("{} has {} layers", root.reference, manifest.layers().len());
//!     if let Some(config) = manifest.config() {
//!         let config = Verified::open(Arc::new(bundle.clone()), config).await?.collect().await?;
//!         println!("{}", String::from_utf8_lossy(&config));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Serve
//!
//! Be a registry that serves a bundle, until Ctrl-C.
//!
//! ```no_run
//! use airlift::{
//!     bundle::Reader,
//!     server::{Config, Server},
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::bundles(vec![Reader::open("app.tar".as_ref()).await?]);
//! let server = Server::bind(config, "127.0.0.1:5000").await?;
//! println!("{}", server.url());
//! server.run(async { drop(tokio::signal::ctrl_c().await) }).await;
//! # Ok(())
//! # }
//! ```

pub mod bundle;
#[doc(hidden)]
pub mod check;
pub mod content;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod find;
#[doc(hidden)]
pub mod holding;
#[doc(hidden)]
pub mod load;
pub mod oci;
#[doc(hidden)]
pub mod pack;
#[doc(hidden)]
pub mod packaging;
#[doc(hidden)]
pub mod pipeline;
pub mod progress;
pub mod recovery;
pub mod registry;
#[doc(hidden)]
pub mod review;
pub mod server;
pub mod storage;
pub mod store;
pub mod transfer;
#[doc(hidden)]
pub mod trust;
