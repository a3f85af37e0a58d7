//! docs/trusted-transfer.md, typed from top to bottom.

use std::{fs, path::Path, process::Command};

use crate::support::{Airlift, Options, Ran, Registry, artifacts::Artifact, needs, packed::Packed};

/// The blocks of commands of the page, each with the exit code that it is to have.
fn blocks() -> Vec<(i32, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trusted-transfer.md")).unwrap();
    let mut blocks = Vec::new();
    let mut rest = page.as_str();
    while let Some((_, block)) = rest.split_once("\n```sh") {
        let (head, body) = block.split_once('\n').unwrap();
        let (body, after) = body.split_once("\n```").unwrap();
        let code = head.trim().strip_prefix("exits ").map_or(0, |code| code.parse().unwrap());
        blocks.push((code, body.to_owned()));
        rest = after;
    }
    blocks
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_trusted_transfer_does_what_it_says() {
    needs!("docker-registry", "skopeo", "bash");
    let (hq, site) = (Registry::start(Options::default()), Registry::start(Options::default()));
    let airlift = Airlift::new();
    let packed = Packed::new()
        .with("r.example/team/app:1.4", Artifact::small(4, 3000))
        .with("r.example/team/app:1.5", Artifact::small(5, 3000));
    packed.write(&airlift.home().join("first.tar")).await;
    airlift.run(["import", "first.tar", "--to", hq.address()]).success();
    let blocks = blocks();
    assert!(blocks.len() > 10, "{blocks:?}");
    for (code, block) in blocks {
        let typed = block.replace("registry.hq.example", hq.address()).replace("registry.site.example", site.address());
        let path = format!("{}:{}", Path::new(env!("CARGO_BIN_EXE_airlift")).parent().unwrap().display(), env!("PATH"));
        let mut shell = Command::new("bash");
        shell.args(["-euc", &typed]).current_dir(airlift.home()).env("HOME", airlift.home()).env("PATH", path);
        shell.env_remove("XDG_STATE_HOME");
        let ran = Ran::of(&mut shell);
        if code == 0 {
            ran.success()
        } else {
            ran.exits(code)
        };
    }
    for tag in ["1.4", "1.5"] {
        assert!(site.manifest("team/app", tag).is_some(), "{tag}");
    }
    let shown = airlift.json(["record", "show", "--json"]);
    let legs = shown["entries"].as_array().unwrap();
    let said: Vec<_> = legs.iter().map(|leg| format!("{} {}", leg["action"], leg["result"]).replace('"', "")).collect();
    let expected = [
        "export done",
        "copy done",
        "import done",
        "export done",
        "import trust.signer",
        "export done",
        "import done",
        "import trust.older",
        "import done",
        "import done",
        "import done",
        "export done",
        "import done",
    ];
    assert_eq!(said, expected);
}
