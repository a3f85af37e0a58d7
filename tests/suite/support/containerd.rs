//! A private `containerd` and its `ctr`. Content is fetched, imported and made of folders, never unpacked or run: that needs a kernel's
//! help that not every machine gives. Needs root.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    peers,
    process::{Process, Ran},
};

/// A running containerd with its own root, state and socket.
pub(crate) struct Containerd {
    folder: TempDir,
    process: Process,
}

impl Containerd {
    /// Starts it; it answers when this returns.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("airlift-ctd-").unwrap();
        let config = folder.path().join("config.toml");
        // Kubernetes' and the snapshotters' plugins look at the machine; none is needed to move content.
        let off = ["grpc.v1.cri", "snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.aufs", "nri.v1.nri"]
            .map(|plugin| format!("\"io.containerd.{plugin}\""))
            .join(", ");
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(
            &config,
            format!(
                "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [{off}]\n[grpc]\naddress = \"{}\"\n",
                path("root"),
                path("state"),
                path("socket")
            ),
        )
        .unwrap();
        let mut command = Command::new(peers::path("containerd"));
        command.arg("--config").arg(config).env("HOME", folder.path());
        let process = Process::spawn("containerd", &mut command);
        process.wait_for_line("containerd successfully booted");
        Self { folder, process }
    }

    /// `ctr ARGS`.
    pub(crate) fn ctr<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = Command::new(peers::path("ctr"));
        command.env("HOME", self.folder.path()).arg("--address").arg(self.folder.path().join("socket")).args(args);
        Ran::of(&mut command)
    }

    /// Fetches an artifact from a registry on loopback with all platforms.
    #[track_caller]
    pub(crate) fn fetch(&self, reference: &str) -> Ran {
        self.ctr(["content", "fetch", "--plain-http", "--all-platforms", reference]).success()
    }

    /// Imports an archive with all platforms, without unpacking.
    #[track_caller]
    pub(crate) fn import(&self, archive: &str) -> Ran {
        self.ctr(["images", "import", "--all-platforms", "--no-unpack", archive]).success()
    }

    /// The digest that an image name points to.
    pub(crate) fn digest(&self, image: &str) -> Option<String> {
        let listed = self.ctr(["images", "list"]).success().stdout;
        let mut lines = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words.first() == Some(&image)).map(|words| words[2].to_owned())
    }

    /// The digests of all content held, sorted.
    pub(crate) fn content(&self) -> Vec<String> {
        let listed = self.ctr(["content", "list", "--quiet"]).success().stdout;
        let mut digests: Vec<String> = listed.lines().map(str::to_owned).collect();
        digests.sort();
        digests
    }

    /// The file in which a blob's bytes lie.
    pub(crate) fn blob_file(&self, digest: &str) -> PathBuf {
        let blobs = self.folder.path().join("root/io.containerd.content.v1.content/blobs");
        blobs.join(digest.replace(':', "/"))
    }

    /// The layer that its diff service makes of a copy of a folder: that of an image which is committed or built with it. The service
    /// mounts the copy.
    #[track_caller]
    pub(crate) fn layer(&self, root: &Path) -> Vec<u8> {
        let snapshots = |args: &[&str]| self.ctr([&["snapshots", "--snapshotter", "native"], args].concat()).success();
        snapshots(&["prepare", "active"]);
        // `mount -t bind FOLDER TARGET -o rbind,rw`
        let mount = snapshots(&["mounts", "/target", "active"]).stdout;
        let folder = mount.split_whitespace().nth(3).expect("it is a bind mount");
        Ran::of(Command::new("cp").arg("-r").arg(root).arg(folder)).success();
        snapshots(&["commit", "layer", "active"]);
        snapshots(&["diff", "--keep", "--ref", "layer", "layer"]);
        let [digest] = &self.content()[..] else { panic!("it has more content than the layer: {:?}", self.content()) };
        fs::read(self.blob_file(digest)).unwrap()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The daemon's process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}
