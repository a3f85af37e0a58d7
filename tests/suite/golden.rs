//! Format 1 for ever: the same artifacts must give these very bytes in every version to come. The fixture is never
//! rewritten; a change of it is a change of the format and needs a number of its own.

use std::{fmt::Write as _, fs, path::Path};

use airlift::{
    bundle::{Absent, Attached, Contents, Index, Layout, Reader, Reason, Root, StreamWriter},
    content::Verified,
    oci::{Algorithm, Digest, Manifest, media_type},
    progress::Progress,
    transfer::verify::verify,
};
use bytes::Bytes;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &[u8] = b"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
const FIRST: &[u8] = b"first layer\n";
const SECOND: &[u8] = b"second layer, named by SHA-512\n";
const SIGNATURE: &[u8] = b"signature\n";

/// Everything that goes in, written out: no generator stands between the fixture and the bytes.
fn contents() -> (Contents, Vec<(Digest, Bytes)>) {
    let sha512 = Digest::of(Algorithm::Sha512, SECOND);
    let descriptor = |media_type: &str, content: &[u8]| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, Digest::sha256(content), content.len())
    };
    let image = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{},{{"mediaType":"{LAYER}","digest":"{sha512}","size":{}}},{}]}}"#,
        media_type::OCI_MANIFEST,
        descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
        descriptor(LAYER, FIRST),
        SECOND.len(),
        descriptor(LAYER, b""),
    );
    let elsewhere = Digest::sha256(b"a manifest that stays behind");
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","manifests":[{1},{{"mediaType":"{2}","digest":"{elsewhere}","size":28}}]}}"#,
        media_type::OCI_INDEX,
        descriptor(media_type::OCI_MANIFEST, image.as_bytes()),
        media_type::OCI_MANIFEST,
    );
    let signature = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","artifactType":"application/vnd.example.signature","config":{1},"layers":[{2}],"subject":{3}}}"#,
        media_type::OCI_MANIFEST,
        descriptor(media_type::OCI_EMPTY, b"{}"),
        descriptor("application/octet-stream", SIGNATURE),
        descriptor(media_type::OCI_INDEX, index.as_bytes()),
    );
    let [image, index, signature] = [image, index, signature].map(|text| Manifest::parse(text.into(), None).unwrap());
    let root = |reference: &str, manifest: &Manifest| Root {
        reference: reference.parse().unwrap(),
        descriptor: manifest.descriptor().clone(),
    };
    let attached = Attached { repository: "r.example/team/app".to_owned(), descriptor: signature.descriptor().clone() };
    let roots = vec![root("r.example/team/app:2", &index), root("r.example/base:1", &image)];
    let absent = Absent::new(elsewhere, Reason::Platform, 28);
    let blobs =
        [FIRST, b"", SIGNATURE, CONFIG, b"{}"].map(|content| (Digest::sha256(content), Bytes::from_static(content)));
    let blobs = blobs.into_iter().chain([(sha512, Bytes::from_static(SECOND))]).collect();
    let contents = Contents {
        index: Index::new(roots, vec![attached]),
        manifests: [image, index, signature].into_iter().map(|manifest| (manifest.digest(), manifest)).collect(),
        absent: [(elsewhere, absent)].into(),
    };
    (contents, blobs)
}

/// The bundle as text: where everything lies, and every byte that is not zero, sixteen to a line.
fn described(layout: &Layout, bytes: &[u8]) -> String {
    let mut text = String::new();
    writeln!(text, "bundle id  {}", layout.id()).unwrap();
    writeln!(text, "sha256     {}", Digest::sha256(bytes)).unwrap();
    writeln!(text, "bytes      {}\n", bytes.len()).unwrap();
    for entry in layout.entries() {
        writeln!(text, "{:6} {:6} {:6}  {}", entry.header_offset, entry.offset, entry.size, entry.name).unwrap();
    }
    writeln!(text).unwrap();
    for (at, line) in bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|&byte| byte != 0)) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String =
            line.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' }).collect();
        writeln!(text, "{:06x}  {}  {shown}", at * 16, hex.join(" ")).unwrap();
    }
    text
}

#[tokio::test]
async fn format_1_is_what_it_was() {
    let (contents, blobs) = contents();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::new(&contents, &mut bytes).unwrap();
    let layout = writer.layout().clone();
    for place in layout.blobs() {
        let content = blobs.iter().find(|(digest, _)| *digest == place.digest).unwrap().1.clone();
        writer.push(&place.descriptor(), Verified::bytes(place.descriptor(), content)).await.unwrap();
    }
    writer.finish().await.unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/format-1.txt");
    let expected = fs::read_to_string(&fixture).unwrap();
    let actual = described(&layout, &bytes);
    assert!(actual == expected, "format 1 has changed; it is now:\n{actual}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("format-1.tar");
    fs::write(&path, bytes).unwrap();
    let reader = Reader::open(&path).await.unwrap();
    assert!(verify(&reader, 1, &Progress::silent()).await.unwrap().is_sound());
}
