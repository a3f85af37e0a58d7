//! The page for people.

use airlift::{bundle::Reader, server::Config};
use reqwest::Method;

use crate::support::{
    Ran, Serving,
    artifacts::{Artifact, Blob},
    http::block_on,
    needs,
    packed::Packed,
    peers,
};

fn serving(folder: &std::path::Path) -> (Serving, Artifact) {
    let path = folder.join("b.tar");
    let image = Artifact::multi_platform(1, 300_000);
    let sbom = Artifact::attached("application/spdx+json", Blob::new("application/spdx+json", "{}"), Some(&image));
    let chart = Artifact::attached("application/vnd.cncf.helm.config.v1+json", Blob::layer(5, 900), None);
    let packed = Packed::new()
        .with("docker.io/library/nginx:1", image.clone())
        .with("docker.io/library/base:2", Artifact::image("linux/amd64", vec![Blob::layer(1, 300_000)]))
        .with("ghcr.io/team/chart:0.1.0", chart)
        .attached("docker.io/library/nginx", sbom);
    block_on(packed.write(&path));
    (Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()])), image)
}

#[test]
fn the_page_shows_what_there_is_and_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, image) = serving(folder.path());
    let page = || String::from_utf8(serving.get("/").success().body.to_vec()).unwrap();
    let before = page();
    let host = serving.address();
    for part in [
        "3 artifacts",
        "read-only",
        "library/nginx",
        "linux/amd64, linux/arm64",
        "1 SBOM",
        "1 blob shared with others",
        "application/vnd.cncf.helm.config.v1+json",
        &image.digest().to_string(),
        "0 of 5 blobs verified",
        &format!("docker pull {host}/library/nginx:1"),
        &format!("podman pull --tls-verify=false {host}/library/nginx:1"),
        &format!("ctr images pull --plain-http {host}/library/nginx:1"),
        &format!("skopeo copy --all --src-tls-verify=false docker://{host}/library/nginx:1 oci-archive:nginx.tar"),
    ] {
        assert!(before.contains(part), "{part} is not on {before}");
    }
    for blob in image.all_blobs() {
        serving.get(&format!("/v2/nginx/blobs/{}", blob.descriptor.digest)).success();
    }
    assert!(page().contains(">verified<"));
    let head = serving.send(Method::HEAD, "/", &[], "").success();
    assert!(head.body.is_empty() && head.header("content-security-policy").starts_with("default-src 'none'"));
    let outside: Vec<_> = before.match_indices("http").filter(|(at, _)| before[*at..].starts_with("http://")).collect();
    assert!(outside.is_empty() && !before.contains("<script"), "nothing is fetched from anywhere");
    let forged = serving.send(Method::GET, "/", &[("host", "x\"><script>")], "");
    assert!(!String::from_utf8_lossy(&forged.body).contains("x\"><script>"));
}

#[test]
fn the_page_has_what_is_known_by_digest_charts_files_and_sources_and_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let config = Blob::new("application/vnd.cncf.helm.config.v1+json", r#"{"name":"chart"}"#);
    let chart = Artifact::manifest(None, config, vec![Blob::layer(5, 900)], None);
    let mut file = Blob::new("application/octet-stream", "a tool");
    file.descriptor.annotations.insert("org.opencontainers.image.title".into(), "tool-<1>.deb".into());
    let files = Artifact::attached("application/x-files", file, None);
    let pinned = Artifact::small(6, 500);
    let digest = pinned.digest();
    let mut packed = Packed::new()
        .with("ghcr.io/team/chart:0.1.0_build", chart)
        .with("files.example/team/tool:v1", files)
        .with(&format!("quay.io/team/app@{digest}"), pinned);
    for n in 0..300 {
        packed =
            packed.with(&format!("quay.io/many/repository-{:03}:v1", n / 2 * 2 + n % 2), Artifact::small(1000 + n, 50));
    }
    block_on(packed.write(&path));
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    let host = serving.address();
    let page = |query: &str| String::from_utf8(serving.get(&format!("/{query}")).success().body.to_vec()).unwrap();
    let all = page("");
    for part in [
        "303 artifacts",
        "from ghcr.io",
        &format!("helm pull --plain-http oci://{host}/team/chart --version 0.1.0+build"),
        "tool-&lt;1&gt;.deb",
        &format!("oras pull --plain-http {host}/team/tool:v1"),
        &format!("docker pull {host}/team/app@{digest}"),
    ] {
        assert!(all.contains(part), "{part} is not on {}", &all[..4000]);
    }
    // A line for each, with the rest folded away, so that a telephone shows three hundred.
    assert_eq!((all.matches("<details>").count(), all.matches("<summary>").count()), (303, 303));
    let found = page("?q=TEAM%2Fchart");
    assert!(found.contains("1 artifact,") && found.contains("team/chart") && !found.contains("team/tool"));
    assert!(page(&format!("?q={}", &digest.to_string()[..30])).contains("1 artifact,"));
    assert!(page("?q=quay.io").contains("301 artifacts"));
    let none = page("?q=%22%3E%3Cscript%3E");
    assert!(none.contains("Nothing here has such a name") && !none.contains("<script"));
}

#[test]
fn a_browser_shows_the_page_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    needs!("chromium");
    let folder = tempfile::tempdir().unwrap();
    let (serving, _) = serving(folder.path());
    // 0 is dark, 1 is light.
    for (name, size, scheme) in [("desk-light", "1000,760", 1), ("phone-dark", "500,900", 0)] {
        let shot = folder.path().join(format!("{name}.png"));
        let mut command = std::process::Command::new(peers::path("chromium"));
        command.env("HOME", folder.path()).args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
        command.arg(format!("--user-data-dir={}", folder.path().join(name).display()));
        command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
        command.arg(format!("--window-size={size}")).arg(format!("--screenshot={}", shot.display()));
        Ran::of(command.arg(format!("http://{}/", serving.address()))).success();
        let picture = std::fs::read(&shot).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}: {} bytes", picture.len());
        if let Some(kept) = std::env::var_os("KEEP_SCREENSHOTS") {
            std::fs::copy(&shot, std::path::Path::new(&kept).join(format!("{name}.png"))).unwrap();
        }
    }
}
