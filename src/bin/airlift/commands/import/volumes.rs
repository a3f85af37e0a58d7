//! The person who changes discs for `--volume-prompt`.

use std::{
    io::{self, BufRead as _, Write as _},
    path::{Path, PathBuf},
};

use airlift::{oci::Digest, transfer::discs::Drive};
use async_trait::async_trait;

use super::spool;
use crate::context::Context;

/// A drive of this machine, and the terminal at which the next disc is asked for.
pub(super) struct Terminal<'a> {
    pub(super) spool: Option<&'a Path>,
    pub(super) context: &'a Context,
}

#[async_trait]
impl Drive for Terminal<'_> {
    async fn next(&self, why: &str, place: &Path) -> io::Result<Option<PathBuf>> {
        self.context.status().pause();
        let question =
            format!("{why}\nInsert the next volume at {} and press Enter, or type where it is: ", place.display());
        let asked = tokio::task::spawn_blocking(move || {
            let mut stderr = anstream::stderr();
            write!(stderr, "{question}").and_then(|()| stderr.flush())?;
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line)?;
            Ok((read > 0).then(|| PathBuf::from(line.trim_end_matches(['\r', '\n']))))
        });
        let open = OpenLine;
        let answer = asked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        std::mem::forget(open);
        answer
    }

    fn spool(&self, set: Option<Digest>) -> PathBuf {
        spool::of(self.spool, set)
    }
}

/// A question without its answer: what is said after an interrupt begins on a line of its own.
struct OpenLine;

impl Drop for OpenLine {
    fn drop(&mut self) {
        crate::output::print_aside("\n");
    }
}
