//! Long-lived pipelines between registries and storages, and their runs, as Azure Container Registry's transfer feature has
//! them: for any registry and any storage, kept on one machine.
//!
//! [`resource`] is what people write, [`PipelineState`] where it is kept, [`run()`] what is done. The engines are those of
//! [`crate::transfer`]; nothing here moves a byte by itself, and nothing here keeps a secret: [`secret`] fetches them at each
//! run.

mod context;
pub mod error;
mod execute;
mod lock;
mod recorder;
pub mod resource;
pub mod response;
mod row;
mod run;
pub mod secret;
pub mod state;
pub mod trigger;

pub use context::{RunContext, TrustContext};
pub use error::Error;
pub use execute::access;
pub use lock::{host, who};
pub use response::{Response, Status};
pub use run::{Ran, check, run};
pub use state::{PipelineState, Record};
