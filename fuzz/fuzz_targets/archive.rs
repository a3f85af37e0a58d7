//! Any file: opened and verified it is read to its end or refused, never more than that.
#![no_main]

use std::{cell::OnceCell, fs, path::PathBuf};

use airlift::{bundle::Reader, progress::Progress, transfer::verify::verify};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

fuzz_target!(|content: &[u8]| {
    let path: PathBuf = std::env::temp_dir().join(format!("airlift-fuzz-{}", std::process::id()));
    fs::write(&path, content).expect("the temporary folder can be written to");
    RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| Builder::new_current_thread().build().expect("a runtime"));
        runtime.block_on(async {
            if let Ok(reader) = Reader::open(&path).await {
                let _ = verify(&reader, 1, &Progress::silent()).await;
            }
        });
    });
});
