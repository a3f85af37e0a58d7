//! The page for a second pair of eyes: one file, no script, everything on it that a decision needs.

use std::fs;

use airlift::{bundle::Reader, server::Config};

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob},
    http::block_on,
    packed::Packed,
    serving::Serving,
    with,
};

fn versions(airlift: &Airlift) -> Artifact {
    let image = |seed| Artifact::small(seed, 60_000);
    let both = Artifact::multi_platform(7, 50_000);
    let note = Artifact::attached("application/vnd.example.<sbom>", Blob::layer(9, 900), Some(&both));
    let v1 = Packed::new()
        .with("r.example/team/app:1", image(1))
        .with("r.example/team/gone:1", image(2))
        .with("r.example/team/same:1", image(3));
    let v2 = Packed::new()
        .with("r.example/team/app:1", image(4))
        .with("r.example/team/new:1", both.clone())
        .with("r.example/team/same:1", image(3))
        .attached("r.example/team/new", note);
    block_on(v1.write(&airlift.home().join("v1.tar")));
    block_on(v2.write(&airlift.home().join("v2.tar")));
    both
}

/// Fails unless the page is closed in itself: no script, nothing from elsewhere, and each element that is opened is closed.
#[track_caller]
fn is_one_file(page: &str) {
    for foreign in
        ["<script", "javascript:", " src=", "href=", "url(", "@import", "http:", "https:", "<link", "<iframe"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let (mut open, mut rest) = (Vec::new(), page);
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        match (tag.starts_with('/'), name) {
            (_, "!doctype" | "meta" | "br") => {}
            (false, _) => open.push(name),
            (true, _) => assert_eq!(open.pop(), Some(name), "{open:?}"),
        }
        rest = after;
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_page_says_what_comes_in_and_what_changed() {
    let airlift = Airlift::new();
    let both = versions(&airlift);
    airlift.run(["head", "v1.tar", "-o", "v1.head"]).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "v1.head"]).success();
    airlift.run(["inspect", "delta.tar", "--html", "page.html", "--against", "v1.head"]).success();
    let page = fs::read_to_string(airlift.home().join("page.html")).unwrap();
    is_one_file(&page);
    assert!(page.len() < 300 << 10 && page.contains("size: A4"), "{}", page.len());
    let inspected = |bundle: &str| airlift.json(["inspect", bundle, "--json"])["bundle"].as_str().unwrap().to_owned();
    for part in [
        inspected("delta.tar").as_str(),
        &both.digest().to_string(),
        "linux/amd64, linux/arm64",
        "1 × application/vnd.example.&lt;sbom&gt;",
        "Against v1.head",
        "1 added, 1 moved, 1 removed, 1 unchanged",
        "r.example/team/gone:1",
        "that the target must have, of <code>",
        &inspected("v1.tar"),
        "Signature",
    ] {
        assert!(page.contains(part), "the page lacks {part:?}");
    }
    assert_eq!(page.matches("<tr>").count(), 4, "a head and three artifacts");
    assert_eq!(page.matches("<span style=\"width:").count(), 3, "a bar for each repository");
    airlift.run(["inspect", "delta.tar", "--html", "no/such/page.html"]).exits(1).says(&["io.write"]);
    airlift.run(["inspect", "delta.tar", "--against", "v1.head"]).exits(2);
}

#[test]
fn the_page_of_serve_leads_to_the_review_of_its_bundles() {
    let airlift = Airlift::new();
    versions(&airlift);
    let reader = block_on(Reader::open(&airlift.home().join("v2.tar"))).unwrap();
    let serving = Serving::new(with(Config::default(), |config| config.bundles = vec![reader]));
    let home = String::from_utf8(serving.get("/").success().body.to_vec()).unwrap();
    assert!(home.contains("href=\"/?review\""), "{home}");
    let page = String::from_utf8(serving.get("/?review").success().body.to_vec()).unwrap();
    is_one_file(&page);
    assert!(page.contains("r.example/team/new:1") && page.contains("v2.tar"), "{page}");
    let store = String::from_utf8(Serving::empty().get("/").success().body.to_vec()).unwrap();
    assert!(!store.contains("review"), "a store has no bundle to review");
}
