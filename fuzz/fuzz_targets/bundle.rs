//! A sound bundle with some of its bytes exchanged: whatever was changed must be found.
#![no_main]

use std::{cell::OnceCell, fs, path::PathBuf};

use airlift::{
    bundle::{Contents, Index, Reader, Root, StreamWriter},
    content::Verified,
    oci::{Descriptor, Manifest},
    progress::Progress,
    transfer::verify::verify,
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

struct Ground {
    runtime: Runtime,
    sound: Vec<u8>,
    path: PathBuf,
}

thread_local! {
    static GROUND: OnceCell<Ground> = const { OnceCell::new() };
}

impl Ground {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let config = Descriptor::of("application/vnd.oci.empty.v1+json", b"{}");
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[]}}"#,
            config.media_type, config.digest
        );
        let manifest = Manifest::parse(text.into(), None).expect("a manifest of our own");
        let reference = "r.example/a:1".parse().expect("a reference");
        let index = Index::new(vec![Root { reference, descriptor: manifest.descriptor().clone() }], Vec::new());
        let manifests = [(manifest.digest(), manifest)].into();
        let contents = Contents { index, manifests, absent: [].into() };
        let mut sound = Vec::new();
        runtime.block_on(async {
            let mut writer = StreamWriter::new(&contents, &mut sound).expect("a plan");
            let body = Verified::bytes(config.clone(), b"{}"[..].into());
            writer.push(&config, body).await.expect("the one blob");
            writer.finish().await.expect("the end");
        });
        let path = std::env::temp_dir().join(format!("airlift-fuzz-{}", std::process::id()));
        Self { runtime, sound, path }
    }

    fn is_sound(&self, bytes: &[u8]) -> bool {
        fs::write(&self.path, bytes).expect("the temporary folder can be written to");
        self.runtime.block_on(async {
            let Ok(reader) = Reader::open(&self.path).await else { return false };
            verify(&reader, 1, &Progress::silent()).await.is_ok_and(|verification| verification.is_sound())
        })
    }
}

fuzz_target!(|changes: Vec<(u16, u8)>| {
    GROUND.with(|ground| {
        let ground = ground.get_or_init(Ground::new);
        let mut bytes = ground.sound.clone();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[usize::from(at) % length] = byte;
        }
        assert_eq!(ground.is_sound(&bytes), bytes == ground.sound);
    });
});
