//! Each format by an example of its own, and what each asks in vain.

use std::{fs, path::Path};

use super::*;

fn parsed(name: &str) -> ArtifactList {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/find/lists").join(name);
    parse(&fs::read_to_string(path).unwrap(), name, None).unwrap()
}

fn names(list: &ArtifactList) -> Vec<String> {
    list.artifacts.iter().map(|artifact| artifact.reference.to_string()).collect()
}

/// The line, the repository, the name and the version of each chart that is to be made an artifact.
fn packages(list: &ArtifactList) -> Vec<String> {
    let shown = |package: &ListedPackage| match &package.entry.source {
        PackageSource::ChartRepository { url, name, version } => {
            format!("{} {url}#{name}@{}", package.line, version.as_deref().unwrap_or("(newest)"))
        }
        other => panic!("{other:?}"),
    };
    list.packages.iter().map(shown).collect()
}

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn every_form_of_our_own_gives_the_same_references() {
    let expected = ["docker.io/library/alpine:3", "r.example/team/app:1"];
    for text in [
        "# base\nalpine:3   # the usual\n\n  r.example/team/app:1\r\n",
        "\u{feff}alpine:3\nr.example/team/app:1",
        "---\n# base\n- alpine:3 # the usual\n- r.example/team/app:1\n",
        "[\"alpine:3\", \"r.example/team/app:1\"]",
        "artifacts:\n  - alpine:3\n  - r.example/team/app:1\n",
        "{\n  \"artifacts\": [\"alpine:3\",\n \"r.example/team/app:1\"]\n}",
        "registry: docker.io\nartifacts: [library/alpine:3, r.example/team/app:1]",
        "docker://alpine:3\noci://r.example/team/app:1\n",
    ] {
        assert_eq!(names(&parse(text, "list", None).unwrap()), expected, "{text}");
    }
    assert!(parse("# nothing\n", "list", None).unwrap().artifacts.is_empty());
}

#[test]
fn the_host_is_the_callers_then_the_lists() {
    let list = "registry: r.example:5000\nartifacts: [app:1]";
    assert_eq!(names(&parse(list, "list", None).unwrap()), ["r.example:5000/app:1"]);
    assert_eq!(names(&parse(list, "list", Some("mirror.example")).unwrap()), ["mirror.example/app:1"]);
}

#[test]
fn every_bad_entry_is_named_with_its_line() {
    for (text, lines) in [
        ("alpine:3\n\nUPPER/case", &[3][..]),
        ("- alpine:3\n- UPPER/case\n", &[2]),
        ("{\"artifacts\": [\n\"alpine:3\",\n\"UPPER/case\"]}", &[3]),
        ("a:1\nB:1\nc:1\nd@sha256:12\n a b", &[2, 4, 5]),
    ] {
        let error = parse(text, "list", None).unwrap_err();
        let Error::References { bad, .. } = error else { panic!("{text}: {error}") };
        assert_eq!(bad.iter().map(|one| one.line).collect::<Vec<_>>(), lines, "{text}");
    }
}

#[test]
fn errors_name_the_file_and_the_line() {
    for (text, message) in [
        ("- alpine:3\n- [a]\n", "list, line 2: not a list of artifacts in a form that docs/lists.md describes"),
        (
            "artifacts:\n  - a:1\nimages:\n  - b:1\n",
            "list, line 4: not a list of artifacts in a form that docs/lists.md describes",
        ),
        ("kind: Something\n", "list, line 1: not a list of artifacts in a form that docs/lists.md describes"),
    ] {
        assert_eq!(parse(text, "list", None).unwrap_err().to_string(), message, "{text}");
    }
    let broken = parse("[\"alpine:3\",\n\"b:1\"", "list", None).unwrap_err().to_string();
    assert!(broken.starts_with("list, line ") && broken.contains("not a list of artifacts: "), "{broken}");
}

#[test]
fn lists_of_rancher_k3s_and_rke2_are_lines() {
    assert_eq!(
        names(&parsed("rancher-images.txt")),
        ["docker.io/rancher/rancher-agent:v2.9.1", "docker.io/rancher/mirrored-pause:3.6"]
    );
    assert_eq!(names(&parsed("k3s-images.txt")).len(), 2);
    assert_eq!(names(&parsed("rke2-images.linux-amd64.txt")).len(), 2);
}

#[test]
fn a_mapping_gives_its_sources_and_refuses_files() {
    let list = parsed("mapping.txt");
    assert_eq!(
        names(&list),
        [format!("registry.example.com/team/app@{DIGEST}"), "registry.example.com/team/tool:2".to_owned()]
    );
    assert_eq!(list.notes[0].line, 1);
    let error = read("r.example/a:1=file://a\n", "mapping.txt", None).unwrap_err();
    assert_eq!(error.to_string(), "mapping.txt, line 1: it maps to or from files of oc-mirror, not registries");
}

#[test]
fn hauler_gives_images_and_charts_and_refuses_what_is_not_done() {
    assert_eq!(
        names(&parsed("hauler.yaml")),
        [
            "registry.example.com/team/app:1.0".to_owned(),
            format!("ghcr.io/team/tool@{DIGEST}"),
            "registry.example.com/charts/app:1.2.3_build.4".to_owned(),
        ]
    );
    let text = "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec:\n  images:\n    - name: a/b:1\n      platform: linux/amd64\n";
    let error = read(text, "h.yaml", None).unwrap_err().to_string();
    assert!(error.starts_with("h.yaml, line 6: a platform"), "{error}");
    let text = "apiVersion: content.hauler.cattle.io/v1\nkind: Charts\nspec:\n  charts:\n    - name: a\n      repoURL: https://charts.example.com\n      version: 1\n    - name: b\n      repoURL: https://charts.example.com\n    - name: c\n      repoURL: git://charts.example.com\n      version: 1\n";
    let list = parse(text, "h.yaml", None).unwrap();
    assert_eq!(
        packages(&list),
        ["5 https://charts.example.com#a@1".to_owned(), "8 https://charts.example.com#b@*".to_owned()]
    );
    let error = read(text, "h.yaml", None).unwrap_err().to_string();
    assert!(error.starts_with("h.yaml, line 10: the chart c comes from \"git://charts.example.com\""), "{error}");
    let error = read("apiVersion: content.hauler.cattle.io/v1\nkind: Files\n", "h.yaml", None).unwrap_err().to_string();
    assert_eq!(error, "h.yaml, line 1: hauler's Files are not carried");
}

#[test]
fn skopeo_gives_tags_digests_and_choices() {
    let list = parsed("skopeo-sync.yaml");
    assert_eq!(
        names(&list),
        [
            "registry.example.com/team/app:1.0".to_owned(),
            format!("registry.example.com/team/app@{DIGEST}"),
            "quay.io/coreos/etcd:latest".to_owned(),
        ]
    );
    let queries: Vec<_> = list.queries.iter().map(|query| (query.repository.as_str(), query.line)).collect();
    assert_eq!(
        queries,
        [
            ("registry.example.com/team/all", 4),
            ("registry.example.com/team/tool", 6),
            ("registry.example.com/team/base", 8),
        ]
    );
    assert!(list.queries[1].filter.matches("v1.9") && !list.queries[1].filter.matches("v2.0"));
    assert!(list.queries[2].filter.matches("v3.1.0") && !list.queries[2].filter.matches("2.9.0"));
    let error = read("r.example:\n  images:\n    a/b: []\n", "s.yaml", None).unwrap_err().to_string();
    assert_eq!(error, "s.yaml, line 3: the tags of r.example/a/b must be looked up in the registry first");
}

#[test]
fn regsync_patterns_match_whole_tags() {
    let list = parsed("regsync.yml");
    assert_eq!(names(&list), ["registry.example.com/team/app:1.0"]);
    let filter = &list.queries[0].filter;
    assert!(filter.matches("v1.2") && filter.matches("latest"));
    assert!(!filter.matches("v1.2-rc1") && !filter.matches("latest-1") && !filter.matches("xv1"));
    let text = "version: 1\nsync:\n  - source: r.example/a:1\n    type: image\n    platform: linux/amd64\n";
    assert!(read(text, "r.yml", None).unwrap_err().to_string().starts_with("r.yml, line 5: a platform"));
}

#[test]
fn an_image_set_gives_additional_images_less_the_blocked_ones() {
    assert_eq!(
        names(&parsed("imageset.yaml")),
        ["registry.example.com/team/app:1.0", "registry.example.com/charts/app:1.2.3"]
    );
    let text = "apiVersion: mirror.openshift.io/v2alpha1\nkind: ImageSetConfiguration\nmirror:\n  operators:\n    - catalog: r.example/catalog:1\n";
    let error = read(text, "i.yaml", None).unwrap_err().to_string();
    assert_eq!(error, "i.yaml, line 5: catalogs of operators are not resolved; list their images");
}

#[test]
fn lock_files_give_what_they_lock() {
    assert_eq!(names(&parsed("images-lock.yml")), [format!("registry.example.com/team/app@{DIGEST}")]);
    assert_eq!(names(&parsed("bundle-lock.yml")), [format!("registry.example.com/team/bundle:v1.0@{DIGEST}")]);
    let dt = parsed("Images.lock");
    assert_eq!(names(&dt), ["registry.example.com/team/app:4.5.6"]);
    assert_eq!(dt.notes[0].line, 7);
}

#[test]
fn zarf_packages_of_both_versions_give_images_and_charts() {
    let expected = ["registry.example.com/team/app:1.0", "registry.example.com/charts/app:1.2.3"];
    assert_eq!(names(&parsed("zarf.yaml")), expected);
    assert_eq!(names(&parsed("zarf-v1beta1.yaml")), expected);
    for (text, message) in [
        (
            "    images: [\"a/b:###ZARF_PKG_TMPL_V###\"]",
            "z.yaml, line 4: \"a/b:###ZARF_PKG_TMPL_V###\" holds a variable of zarf",
        ),
        ("    repos: [\"https://git.example.com/a.git\"]", "z.yaml, line 4: Git repositories are not carried"),
    ] {
        let text = format!("kind: ZarfPackageConfig\ncomponents:\n  - name: a\n{text}\n");
        let error = read(&text, "z.yaml", None).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn flux_mirror_gives_artifacts_and_choices_with_its_limit() {
    let list = parsed("flux-mirror.yaml");
    assert_eq!(names(&list), ["registry.example.com/team/app:1.0"]);
    let query = &list.queries[0];
    let tags = ["2.0.0", "2.1.0", "2.2.0", "2.3.0", "3.0.0"].map(str::to_owned);
    assert_eq!(query.filter.select(tags, query.latest), ["2.3.0", "2.2.0", "2.1.0"]);
}

#[test]
fn mindthegap_gives_images_and_charts() {
    let images = parsed("mindthegap.yaml");
    assert_eq!(
        names(&images),
        ["docker.io/library/nginx:1.27", "docker.io/library/nginx:1.28", "quay.io/team/app:v1.0"]
    );
    assert_eq!(images.notes[0].line, 5);
    let charts = parsed("mindthegap-charts.yaml");
    assert_eq!(names(&charts), ["registry.example.com/charts/app:1.2.3", "registry.example.com/charts/other:2.0.0"]);
}

#[test]
fn compose_and_kubernetes_are_lists_of_what_is_sure_or_likely() {
    let compose = "services:\n  a:\n    image: r.example/a:1\n";
    assert_eq!(names(&parse(compose, "c", None).unwrap()), ["r.example/a:1"]);
    let pods = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: r.example/b:1\n      args: [r.example/guess:1]\n";
    assert_eq!(names(&parse(pods, "k", None).unwrap()), ["r.example/b:1"]);
    let error = read("services:\n  a:\n    image: r.example/a:${NONE}\n", "c", None).unwrap_err().to_string();
    assert_eq!(error, "c, line 3: \"r.example/a:${NONE}\" cannot be read: the variable NONE has no value");
}

#[test]
fn files_and_charts_stand_in_lines_and_documents_beside_artifacts() {
    for text in [
        "file:tools=team/tools:v1 # all of them\nalpine:3\nchart:https://c.example#web@>=1, <2\n",
        "artifacts: ['file:tools=team/tools:v1', 'alpine:3', 'chart:https://c.example#web@>=1, <2']\n",
    ] {
        let list = read_whole(text, "list", Some("r.example")).unwrap();
        assert_eq!(names(&list), ["r.example/alpine:3"]);
        let [file, chart] = &list.packages[..] else { panic!("{list:?}") };
        assert_eq!(file.entry.source, PackageSource::File("tools".into()));
        assert_eq!(file.entry.name.as_ref().unwrap().to_string(), "r.example/team/tools:v1");
        assert!(
            matches!(&chart.entry.source, PackageSource::ChartRepository { version: Some(version), .. } if version == ">=1, <2")
        );
        assert!(list.notes.is_empty(), "{:?}", list.notes);
        assert!(matches!(read(text, "list", None), Err(Error::Unsupported { line: 1, .. })), "a list for an import");
    }
    let Err(Error::References { bad, .. }) = parse("alpine:3\nfile:\nchart:https://c.example\n", "list", None) else {
        panic!()
    };
    assert_eq!(bad.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 3]);
}
