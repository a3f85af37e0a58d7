//! A bundle as a place: an OCI image layout in a planned, sealed tar (docs/bundle-format.md).
//!
//! The plan is the file: [`Layout`] is a pure function of [`Contents`], and everything else here either writes what the
//! layout says ([`Writer`], [`StreamWriter`]) or holds a file against it ([`Reader`]). Nothing here knows a registry, and
//! no name found in a tar is ever used as a path.

pub mod contents;
pub mod error;
pub mod facts;
pub mod gather;
pub mod graph;
#[doc(hidden)]
pub mod head;
#[doc(hidden)]
pub mod header;
pub mod index;
pub mod layout;
pub mod owners;
pub mod reader;
#[doc(hidden)]
pub mod stack;
pub mod stream;
pub mod volume;
mod volume_file;
pub mod writer;

pub(crate) mod blueprint;
mod canvas;
mod complete;
mod expand;
mod find;
mod held;
mod journal;
mod origin;
pub(crate) mod output;
pub(crate) mod random_access;
mod relocate;
mod remains;
mod scan;
mod sequential_write;
mod set;
mod source;
mod strays;
mod strict;
mod structure;
mod tar_framing;

pub use contents::{Contents, Order};
pub use error::{Error, Result};
pub(crate) use expand::{Compression, expand};
pub use facts::{Absent, Facts, Reason};
pub use gather::{GatheredSet, gather, gather_in};
pub use graph::{BundledArtifact, Graph};
pub use index::{Attached, Index, Root};
pub use layout::{Entry, Layout, Segment, TarEntry};
pub use output::{Finished, Goal};
pub use owners::Owners;
pub use reader::{Extent, Format, Reader};
pub use set::FileCheck;
pub use stream::StreamWriter;
pub(crate) use strict::assemble;
pub use writer::Writer;
