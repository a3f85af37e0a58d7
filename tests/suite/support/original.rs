//! An encoder that is not ours, kept running: requests and answers over pipes, as `tests/encoders/go/main.go` says. The fuzz targets
//! have this file, too, so it knows nothing of the other tests.

use std::{
    io::{self, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A running program of `tests/encoders`. It ends when its input does, which is when this goes out of scope.
pub(crate) struct Original {
    child: Child,
    // Closed before the child is waited for.
    pipes: Option<(ChildStdin, ChildStdout)>,
}

impl Original {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        Ok(Self { child, pipes })
    }

    /// What it makes of a content: a gzip stream. `block`: the bytes of a block of pgzip; 0 for one stream.
    pub(crate) fn gzip(&mut self, level: i8, block: u32, content: &[u8]) -> io::Result<Vec<u8>> {
        let (to, from) = self.pipes.as_mut().expect("they are there as long as the program is");
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        to.write_all(&[&level.to_le_bytes()[..], &block.to_le_bytes(), &length.to_le_bytes(), content].concat())?;
        to.flush()?;
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut made = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut made)?;
        Ok(made)
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        self.pipes = None;
        let _ = self.child.wait();
    }
}
