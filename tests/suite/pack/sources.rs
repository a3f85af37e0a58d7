//! What is packed and unpacked: damaged sources, outputs that would replace them, and things that are neither.

use std::{fs, os::unix::fs::symlink};

use super::{base::versions, sample::Sample};
use crate::support::process::files_below;

#[test]
fn a_damaged_bundle_is_not_packed_and_a_mended_one_is_by_the_same_command() {
    let sample = Sample::new();
    sample.pack("expected.pack", &[]);
    let (sound, airlift) = (sample.read("b.tar"), &sample.airlift);
    for layer in ["go-6", "noise"] {
        let digest = &sample.layers[layer];
        let name = format!("blobs/sha256/{}", digest.hex());
        let header = sound.windows(name.len()).position(|at| at == name.as_bytes()).unwrap();
        let mut damaged = sound.clone();
        damaged[header + 512 + 2000] ^= 8;
        fs::write(sample.path("b.tar"), &damaged).unwrap();
        airlift.run(["pack", "b.tar", "-o", "b.pack"]).exits(4).says(&["b.tar", &digest.to_string(), "airlift verify"]);
        assert!(!sample.path("b.pack").exists(), "{layer}");
        fs::write(sample.path("b.tar"), &sound).unwrap();
        airlift.run(["pack", "b.tar", "-o", "b.pack"]).success();
        assert!(
            sample.read("b.pack") == sample.read("expected.pack"),
            "{layer}: something of the damaged one was kept"
        );
        fs::remove_file(sample.path("b.pack")).unwrap();
    }
}

#[test]
fn an_output_never_replaces_what_it_is_made_of() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "--base", "v1.tar", "-o", "v2.pack"]).success();
    airlift.run(["pack", "v2.tar", "-o", "cut.pack", "--volume-size", "200KB"]).success();
    symlink("v2.tar", sample.path("link.tar")).unwrap();
    symlink("v2.pack", sample.path("link.pack")).unwrap();
    fs::hard_link(sample.path("v2.tar"), sample.path("second.tar")).unwrap();
    let before = files_below(airlift.home());
    let contents = || before.iter().map(|name| sample.read(name)).collect::<Vec<_>>();
    let were = contents();
    let refused: [&[&str]; 9] = [
        &["pack", "v2.tar", "-o", "v2.tar"],
        &["pack", "v2.tar", "-o", "link.tar"],
        &["pack", "link.tar", "-o", "v2.tar"],
        &["pack", "second.tar", "-o", "v2.tar"],
        &["pack", "v2.tar", "--base", "v1.tar", "-o", "v1.tar"],
        &["unpack", "v2.pack", "--base", "v1.tar", "-o", "v2.pack"],
        &["unpack", "v2.pack", "--base", "v1.tar", "-o", "link.pack"],
        &["unpack", "v2.pack", "--base", "v1.tar", "-o", "v1.tar"],
        &["unpack", "cut.vol001.pack", "-o", "cut.vol002.pack"],
    ];
    for args in refused {
        for more in [&[][..], &["--overwrite"]] {
            let ran = airlift.run([args, more].concat()).exits(2);
            ran.says(&["output.is-input", args.last().unwrap(), "another name"]);
        }
    }
    assert_eq!(files_below(airlift.home()), before);
    assert!(contents() == were, "something was replaced");
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--overwrite"]).success();
}

#[test]
fn what_is_no_bundle_or_no_packed_file_is_named_and_the_next_step_leads_on() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    fs::create_dir(sample.path("set")).unwrap();
    fs::create_dir(sample.path("layout")).unwrap();
    airlift.run(["export", "--from", "b.tar", "-o", "set/b", "--volume-size", "1MB"]).success();
    tar::Archive::new(&sample.read("b.tar")[..]).unpack(sample.path("layout")).unwrap();
    sample.pack("b.pack", &[]);
    fs::write(sample.path("text"), "neither").unwrap();
    for source in ["layout", "set", "set/b.vol001.tar"] {
        let ran = airlift.run(["pack", source, "-o", "x.pack"]).exits(1).says(&["pack.not-a-bundle", source]);
        let command = "export --from SOURCE -o BUNDLE";
        assert!(ran.stderr.contains(&format!("`airlift {command}`")), "{ran}");
        let typed = command.replace("SOURCE", source).replace("BUNDLE", "made.tar");
        airlift.run(typed.split(' ')).success();
        airlift.run(["pack", "made.tar", "-o", "x.pack"]).success();
        assert!(sample.read("x.pack") == sample.read("b.pack"), "{source}");
        for made in ["made.tar", "x.pack"] {
            fs::remove_file(sample.path(made)).unwrap();
        }
    }
    // A packed file is a bundle to `pack`, too.
    airlift.run(["pack", "b.pack", "-o", "x.pack"]).success();
    assert!(sample.read("x.pack") == sample.read("b.pack"));
    for source in ["layout", "set", "set/b.vol001.tar", "b.tar", "text"] {
        airlift.run(["unpack", source, "-o", "x.tar"]).exits(1).says(&["pack.not-packed", source, "not a packed file"]);
        assert!(!sample.path("x.tar").exists());
    }
    for args in [["pack", "-", "-o", "y.pack"], ["unpack", "-", "-o", "y.tar"]] {
        airlift.run(args).exits(2).says(&["usage.argument", "standard input", "cat > bundle.tar"]);
    }
    airlift.run(["pack", "text", "-o", "y.pack"]).exits(1).says(&["bundle.not-a-bundle", "text"]);
    assert!(!sample.path("y.pack").exists() && !sample.path("y.tar").exists());
}
