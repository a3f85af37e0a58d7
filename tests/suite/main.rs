//! Everything that is tested from outside, one file a subject.

mod layers;
mod peers;
mod support;
