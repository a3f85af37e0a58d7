//! Packed files within the memory that they may take, whatever is asked of them at once.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use airlift::oci::Digest;

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob, LAYER},
    http::block_on,
    packed::Packed,
    process::PATIENCE,
};

/// A bundle `b.tar` with `count` layers of `length` bytes, which take few when they are packed.
fn bundle(count: u8, length: usize) -> (Airlift, Vec<Digest>) {
    let airlift = Airlift::new();
    let layers: Vec<Blob> = (1..=count).map(|byte| Blob::new(LAYER, vec![byte; length])).collect();
    let digests = layers.iter().map(|layer| layer.descriptor.digest).collect();
    let image = Artifact::image("linux/amd64", layers);
    block_on(Packed::new().with("r.example/app:1", image).write(&airlift.home().join("b.tar")));
    (airlift, digests)
}

#[test]
fn packing_on_many_threads_keeps_to_its_memory() {
    // A thread takes 64 MiB for the tables of this level.
    let (airlift, _) = bundle(8, 4 << 20);
    let args = ["pack", "b.tar", "-o", "b.pack", "--level", "22", "--jobs", "8", "--memory", "64MiB"];
    airlift.confined(300 << 10, &args).success();
    airlift.confined(300 << 10, &["unpack", "b.pack", "-o", "c.tar", "--jobs", "8", "--memory", "64MiB"]).success();
    assert!(fs::read(airlift.home().join("c.tar")).unwrap() == fs::read(airlift.home().join("b.tar")).unwrap());
}

#[test]
fn clients_that_do_not_read_do_not_hold_memory() {
    // More of each layer than the buffers of both ends hold.
    let (airlift, layers) = bundle(12, 16 << 20);
    airlift.run(["pack", "b.tar", "-o", "b.pack", "--level", "1", "--memory", "256MiB"]).success();
    let server = airlift.start(["serve", "b.pack", "--listen", "127.0.0.1:0", "--memory", "256MiB"]);
    let address = server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned();
    let ask = |layer: &Digest| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /v2/app/blobs/{layer} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        // The answer has begun, and with it the work.
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        stream
    };
    let stalled: Vec<TcpStream> = layers[1..].iter().map(ask).collect();
    let mut answer = Vec::new();
    ask(&layers[0]).read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&vec![1; 16 << 20]), "{} bytes came", answer.len());
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let peak: u64 = peak.unwrap();
    assert!(peak < 320 << 10, "{peak} KiB with {} clients", stalled.len());
}
