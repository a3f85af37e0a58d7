//! Copies: proven at the far end before they have a name, gone on with after a break.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use airlift::{
    content::{Code, Fault},
    oci::Digest,
    progress::Progress,
    storage::{Location, Settings},
    transfer::{
        self,
        copy::{CopyReport, CopyRequest, Error, copy},
    },
};

use crate::support::{
    artifacts::{Artifact, noise},
    packed::Packed,
};

/// Two and a half of the chunks in which files are copied.
const SIZE: usize = 5 << 19;

fn request(source: &Path, destination: &Path) -> CopyRequest {
    CopyRequest::new(Location::Path(source.to_owned()), Location::Path(destination.to_owned()))
}

fn replacing(source: &Path, destination: &Path) -> CopyRequest {
    let mut request = request(source, destination);
    request.overwrite = true;
    request
}

fn moving(source: &Path, destination: &Path) -> CopyRequest {
    let mut request = request(source, destination);
    request.delete_source = true;
    request
}

async fn run(request: CopyRequest) -> Result<CopyReport, Error> {
    match copy(&request, &Settings::default(), &Progress::silent()).await {
        Err(transfer::Error::Copy(error)) => Err(error),
        copied => Ok(copied.unwrap()),
    }
}

fn path(report: &CopyReport) -> &Path {
    report.location.path().unwrap()
}

/// A folder with a bundle in it.
async fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("b.tar");
    Packed::new().with("r.example/a:1", Artifact::small(3, SIZE)).write(&source).await;
    (folder, source)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_copy_is_the_source_and_the_source_goes_only_if_asked() {
    let (folder, source) = place().await;
    let content = fs::read(&source).unwrap();
    let target = folder.path().join("media");
    fs::create_dir(&target).unwrap();

    let report = run(request(&source, &target)).await.unwrap();
    assert_eq!(path(&report), target.join("b.tar"));
    assert_eq!((report.bytes, report.reused), (content.len() as u64, 0));
    assert_eq!(report.file, Some(Digest::sha256(&content)));
    assert!(fs::read(path(&report)).unwrap() == content);
    assert_eq!(names(&target), ["b.tar"]);

    let again = run(request(&source, &target)).await.unwrap();
    assert_eq!((again.already_there, again.reused), (true, report.bytes));
    let copied = fs::OpenOptions::new().write(true).open(path(&report)).unwrap();
    copied.write_all_at(b"!", SIZE as u64).unwrap();
    let other = run(request(&source, &target)).await.unwrap_err();
    assert_eq!(other.code(), Code::OutputExists);
    let other = target.join("c.tar");
    run(moving(&source, &other)).await.unwrap();
    assert!(!source.exists() && fs::read(&other).unwrap() == content);
}

#[tokio::test]
async fn a_copy_that_broke_off_is_gone_on_with_as_far_as_it_is_sound() {
    let (folder, source) = place().await;
    let content = fs::read(&source).unwrap();
    let target = folder.path().join("c.tar");
    let partial = folder.path().join("c.tar.partial");
    for (there, reused) in [
        (content[..(1 << 20) + 7].to_vec(), (1 << 20) + 7),
        ([&content[..1 << 20], &noise(1, 1 << 20)[..]].concat(), 1 << 20),
        (noise(2, SIZE * 3), 0),
    ] {
        fs::write(&partial, there).unwrap();
        let report = run(replacing(&source, &target)).await.unwrap();
        assert_eq!(report.reused, reused);
        assert!(fs::read(&target).unwrap() == content);
        assert!(!partial.exists());
    }
}

#[tokio::test]
async fn a_damaged_bundle_is_not_published_and_its_source_stays() {
    let (folder, source) = place().await;
    let file = fs::OpenOptions::new().write(true).open(&source).unwrap();
    file.write_all_at(b"!", SIZE as u64).unwrap();
    let target = folder.path().join("c.tar");
    let error = run(moving(&source, &target)).await.unwrap_err();
    assert_eq!(error.code(), Code::BundleDigestMismatch);
    assert!(error.to_string().contains(source.to_str().unwrap()), "{error}");
    assert!(source.exists() && !target.exists());

    // Where the same damaged bytes are there already, it is the source that is wrong, and not what is in the way.
    fs::copy(&source, &target).unwrap();
    let error = run(moving(&source, &target)).await.unwrap_err();
    assert_eq!(error.code(), Code::BundleDigestMismatch);
    assert!(source.exists());
}

#[tokio::test]
async fn a_bundle_whose_head_is_damaged_is_refused_before_a_byte_is_written() {
    let (folder, source) = place().await;
    let file = fs::OpenOptions::new().write(true).open(&source).unwrap();
    // In `index.json`, which follows the marker.
    file.write_all_at(b"!", 3 << 9).unwrap();
    let error = run(moving(&source, &folder.path().join("c.tar"))).await.unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if *path == source), "{error}");
    assert_eq!(names(folder.path()), ["b.tar"]);
}

#[tokio::test]
async fn a_file_is_not_copied_onto_itself() {
    let (folder, source) = place().await;
    let content = fs::read(&source).unwrap();
    let (link, hard) = (folder.path().join("link.tar"), folder.path().join("hard.tar"));
    symlink(&source, &link).unwrap();
    fs::hard_link(&source, &hard).unwrap();
    for target in [source.as_path(), folder.path(), &link, &hard] {
        let mut request = moving(&source, target);
        request.overwrite = true;
        assert_eq!(run(request).await.unwrap_err().code(), Code::UsageArgument, "{}", target.display());
    }
    assert!(fs::read(&source).unwrap() == content);
}

#[tokio::test]
async fn what_cannot_be_written_to_is_named() {
    let (folder, source) = place().await;
    let nowhere = folder.path().join("no/such/c.tar");
    let error = run(request(&source, &nowhere)).await.unwrap_err();
    assert!(matches!(&error, Error::NoFolder { path } if path.ends_with("no/such")), "{error}");
    let trailing = PathBuf::from(format!("{}/", folder.path().join("none").display()));
    assert!(matches!(run(request(&source, &trailing)).await.unwrap_err(), Error::NoFolder { .. }));
    assert!(matches!(run(request(folder.path(), &nowhere)).await.unwrap_err(), Error::NotAFile { .. }));
    let absent = run(request(&folder.path().join("absent.tar"), &nowhere)).await.unwrap_err();
    assert_eq!(absent.code(), Code::IoRead);

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere; there the permission says nothing.
    if fs::write(closed.join("probe"), "").is_err() {
        let error = run(request(&source, &closed)).await.unwrap_err();
        assert_eq!(error.code(), Code::IoWrite);
    }
}
