//! The command line: arguments, one library call, rendering.

fn main() {}
