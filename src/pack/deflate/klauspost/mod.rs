//! The encoder of klauspost's `compress/flate`, which is also that of Go from 1.27 on.

mod blocks;
mod estimate;
mod fast;
mod history;
mod lazy;
mod matcher;
mod one_table;
mod plain;
mod rules;
mod three_tables;
mod two_tables;

pub(super) use fast::FastEncoder;
pub(super) use lazy::LazyEncoder;
pub(super) use plain::PlainEncoder;
pub(super) use rules::ReleaseRules;
