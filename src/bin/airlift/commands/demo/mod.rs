//! The whole journey on this machine, with sample artifacts.

#![allow(dead_code, reason = "the journey that carries the samples lands next")]

mod parts;
mod samples;
