//! The search over the fixtures: exactly what a person who reads them would list, with the right confidence.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::*;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/find").join(path)
}

fn inventory(paths: &[PathBuf]) -> Inventory {
    let rules = SearchRules::default();
    let mut search = Searcher::new(&rules);
    for path in paths {
        search.path(path, &path.to_string_lossy(), false).unwrap();
    }
    Inventory::of(search.finish(), &rules)
}

fn lines(inventory: &Inventory) -> Vec<String> {
    let mut lines: Vec<_> =
        inventory.artifacts.iter().map(|artifact| format!("{} {}", artifact.confidence, artifact.reference)).collect();
    lines.sort();
    lines
}

fn expected(path: &str) -> Vec<String> {
    let text = fs::read_to_string(fixture(path)).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn text(text: &str) -> Inventory {
    let rules = SearchRules::default();
    let mut search = Searcher::new(&rules);
    search.text("text", text);
    Inventory::of(search.finish(), &rules)
}

#[test]
fn an_operator_gives_its_images_and_no_roles_comments_or_addresses() {
    assert_eq!(lines(&inventory(&[fixture("manifests/operator.yaml")])), expected("manifests/operator.expected"));
}

#[test]
fn custom_resources_give_images_by_shape_key_and_embedded_documents() {
    let inventory = inventory(&[fixture("manifests/custom.yaml")]);
    assert_eq!(lines(&inventory), expected("manifests/custom.expected"));
    assert_eq!(inventory.unresolved.len(), 0, "{:?}", inventory.unresolved);
}

#[test]
fn an_origin_names_file_line_object_path_and_rule() {
    let inventory = inventory(&[fixture("manifests/custom.yaml")]);
    let inner = inventory.why("ci/inner");
    let origin = &inner[0].origins[0];
    assert!(origin.place.file.ends_with("manifests/custom.yaml"));
    assert_eq!(origin.place.line, Some(39));
    assert_eq!(origin.place.object.as_deref(), Some("Pod/inner"));
    assert_eq!(origin.place.path.as_deref(), Some(".spec.containers[0].image"));
    assert_eq!(origin.rule, "pod-spec");
}

#[test]
fn compose_services_give_images_and_builds_are_said() {
    let inventory = inventory(&[fixture("compose/compose.yaml")]);
    assert_eq!(lines(&inventory), expected("compose/compose.expected"));
    let remarks: Vec<_> = inventory.remarks.iter().map(|remark| remark.text.as_str()).collect();
    assert_eq!(remarks, ["service app is built here, not pulled", "service worker is built here, not pulled"]);
    assert_eq!(inventory.unresolved[0].reason, "the variable NEVER_SET has no value");
}

#[test]
fn a_dockerfile_gives_what_it_starts_and_copies_from() {
    let inventory = inventory(&[fixture("docker/Dockerfile")]);
    assert_eq!(lines(&inventory), expected("docker/Dockerfile.expected"));
    assert_eq!(inventory.unresolved[0].reason, "the argument UNKNOWN has no value");
}

#[test]
fn a_chart_without_helm_gives_annotations_values_and_definitions_and_says_what_is_missing() {
    let inventory = inventory(&[fixture("chart")]);
    assert_eq!(lines(&inventory), expected("chart/native.expected"));
    assert!(inventory.is_incomplete());
    assert!(inventory.remarks[0].text.contains("not rendered"), "{:?}", inventory.remarks);
}

#[test]
fn a_kustomization_gives_its_replacements() {
    assert_eq!(lines(&inventory(&[fixture("kustomization")])), expected("kustomization/native.expected"));
}

#[test]
fn rendered_text_names_the_template_and_makes_other_values_guesses() {
    let rules = SearchRules::default();
    let mut search = Searcher::new(&rules);
    let text = "---\n# Source: beacon/templates/a.yaml\nkind: Pod\napiVersion: v1\nspec:\n  containers: [{image: 'registry.example.com/chart/exporter:2.0'}]\n";
    search.rendered("chart", text);
    search.path(&fixture("chart"), "chart", true).unwrap();
    let inventory = Inventory::of(search.finish(), &rules);
    let origin = &inventory.why("registry.example.com/chart/exporter:2.0")[0].origins[0];
    assert_eq!((origin.place.file.as_str(), origin.place.line), ("chart: beacon/templates/a.yaml", None));
    assert_eq!(inventory.why("registry.example.com/chart/exporter:1.0")[0].confidence, Confidence::Guess);
    assert!(!inventory.is_incomplete(), "{:?}", inventory.remarks);
}

#[test]
fn the_list_is_what_an_export_reads_and_is_the_same_each_time() {
    let paths = [fixture("manifests"), fixture("compose"), fixture("docker")];
    let list = inventory(&paths).to_list();
    assert_eq!(list, inventory(&paths).to_list());
    let read = lists::read(&list, "artifacts.txt", None).unwrap();
    let all = inventory(&paths);
    assert_eq!(read.len(), all.count(Confidence::Sure) + all.count(Confidence::Likely));
    let mut sorted: Vec<_> = read.iter().map(|artifact| artifact.reference.to_string()).collect();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), read.len());
}

#[test]
fn own_rules_find_and_exclude() {
    let rules = "keys: [runner]\npaths: ['.spec.engine.*.source']\nregexes: ['tool=(\\S+)']\nexclude: ['docker.io/library/*']\n";
    let rules = SearchRules::parse(rules, "rules").unwrap();
    let mut search = Searcher::new(&rules);
    let text = "spec:\n  runner: a/runner:1\n  engine:\n    one: {source: a/engine:2}\n  flags: x tool=a/tool:3\ncontainers:\n  - image: busybox\n";
    search.text("text", text);
    let inventory = Inventory::of(search.finish(), &rules);
    assert_eq!(
        lines(&inventory),
        ["sure docker.io/a/engine:2", "sure docker.io/a/runner:1", "sure docker.io/a/tool:3"]
    );
    assert_eq!(inventory.excluded, 1);
}

#[test]
fn hostile_documents_end_in_bounded_memory() {
    let mut bomb = "a0: &a0 {image: 'quay.io/a/b:1'}\n".to_owned();
    for level in 1..40 {
        let repeated = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{repeated}]").unwrap();
    }
    let inventory = text(&bomb);
    assert_eq!(lines(&inventory), ["likely quay.io/a/b:1"]);
    assert!(text(&"[".repeat(100_000)).is_incomplete() || text(&"[".repeat(100_000)).artifacts.is_empty());
}

#[test]
fn a_document_that_is_not_yaml_is_searched_line_by_line_and_said() {
    let inventory =
        text("kind: A\n---\nimage: quay.io/a/b:1\n{{- if .x }}\nimage: {{ .y }}\n---\nimage: quay.io/a/c:2\n");
    assert_eq!(lines(&inventory), ["likely quay.io/a/b:1", "likely quay.io/a/c:2"]);
    assert!(inventory.is_incomplete());
    assert!(inventory.remarks[0].text.contains("not YAML or JSON"), "{:?}", inventory.remarks);
}

#[test]
fn json_crlf_and_byte_order_marks_are_read() {
    let json = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"image\":\"quay.io/a/b:1\"}]}}";
    assert_eq!(lines(&text(json)), ["sure quay.io/a/b:1"]);
    assert_eq!(lines(&text("\u{feff}spec:\r\n  containers:\r\n  - image: quay.io/a/b:1\r\n")), ["sure quay.io/a/b:1"]);
}

#[test]
fn binary_files_links_and_archives_that_are_no_charts_are_remarks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), b"\0\x01image: quay.io/a/b:1").unwrap();
    fs::write(folder.path().join("b.tgz"), b"not gzip").unwrap();
    fs::write(folder.path().join("c.txt"), "image: quay.io/a/ignored:1").unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "image: quay.io/a/outside:1").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("d.yaml")).unwrap();
    let inventory = inventory(&[folder.path().to_owned()]);
    assert!(inventory.artifacts.is_empty(), "{:?}", inventory.artifacts);
    let texts: Vec<_> = inventory.remarks.iter().map(|remark| remark.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "it is not text and was skipped",
            "it is an archive, but not a chart, and was skipped",
            "it is a link and was not followed"
        ]
    );
    let rules = SearchRules::default();
    let error = Searcher::new(&rules).path(&folder.path().join("a.yaml"), "a.yaml", false).unwrap_err();
    assert!(matches!(error, Error::Binary { .. }), "{error}");
}

/// A packed chart with the entries given.
fn packed(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let bytes = name.as_bytes();
        header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_packed_chart_is_read_and_one_that_leads_outside_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chart = "apiVersion: v2\nname: a\nversion: 1\nannotations:\n  images: |\n    - image: quay.io/a/b:1\n";
    let good = folder.path().join("a-1.tgz");
    fs::write(&good, packed(&[("a/Chart.yaml", chart), ("a/values.yaml", "image: {repository: quay.io/a/c, tag: 2}")]))
        .unwrap();
    assert_eq!(lines(&inventory(&[good])), ["likely quay.io/a/c:2", "sure quay.io/a/b:1"]);

    let rules = SearchRules::default();
    let bad = folder.path().join("bad.tgz");
    fs::write(&bad, packed(&[("a/Chart.yaml", chart), ("a/../../x.yaml", "image: quay.io/a/d:1")])).unwrap();
    let error = Searcher::new(&rules).path(&bad, "bad.tgz", false).unwrap_err();
    assert!(matches!(error, Error::Archive { .. }), "{error}");
}

#[test]
fn charts_within_charts_end() {
    let chart = "apiVersion: v2\nname: a\nversion: 1\n";
    let mut inner = packed(&[("a/Chart.yaml", chart), ("a/values.yaml", "image: quay.io/deep/deep:1")]);
    for _ in 0..20 {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, content) in [("a/Chart.yaml", chart.as_bytes()), ("a/charts/a.tgz", &inner)] {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, content).unwrap();
        }
        inner = archive.into_inner().unwrap().finish().unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.tgz");
    fs::write(&path, inner).unwrap();
    let inventory = inventory(&[path]);
    assert!(inventory.is_incomplete());
    assert!(inventory.remarks[0].text.contains("nested deeper"), "{:?}", inventory.remarks);
}

#[test]
fn objects_of_flux_and_argo_give_artifacts_of_registries() {
    let flux = |reference: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nspec: {{url: 'oci://r.example/a/b', ref: {reference}}}\n"
        )
    };
    assert_eq!(lines(&text(&flux("{tag: 1.2}"))), ["sure r.example/a/b:1.2"]);
    let range = text(&flux("{semver: '>=1'}"));
    assert_eq!((range.artifacts.len(), range.unresolved[0].reason.as_str()), (0, "it takes the newest version of >=1"));
    let argo = |address: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: {{source: {{repoURL: '{address}', chart: c, targetRevision: 1.0.0+b}}}}\n"
        )
    };
    assert_eq!(lines(&text(&argo("r.example/charts"))), ["likely r.example/charts/c:1.0.0_b"]);
    assert!(text(&argo("https://charts.example.com")).artifacts.is_empty());
}

#[test]
fn no_text_of_a_file_reaches_the_terminal_as_it_is() {
    let hostile = "\"\\e[31m\\nx\": {image: quay.io/a/b:1}\nkind: \"\\e]0;x\\a\"\napiVersion: v1\nspec: {containers: [{image: \"\\e[2J$(X)\"}]}\n";
    let inventory = text(hostile);
    assert_eq!((inventory.artifacts.len(), inventory.unresolved.len()), (1, 1));
    let shown = inventory.to_list();
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    assert_eq!(shown.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count(), 1, "{shown}");
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_list_that_is_read_back_and_needs_no_update(text in "[-a-z0-9:/@.{}\\[\\]\n \"'&*<#|$!,]{0,200}") {
        let inventory = self::text(&text);
        let list = inventory.to_list();
        let read = lists::read(&list, "list", None).unwrap();
        proptest::prop_assert_eq!(read.len(), inventory.count(Confidence::Sure) + inventory.count(Confidence::Likely));
        let updated = update(&list, &inventory);
        proptest::prop_assert!(updated.appeared.is_empty() && updated.went.is_empty(), "{:?}", updated);
        let _ = lists::parse(&text, "text", None);
    }
}

#[tokio::test]
async fn values_of_a_person_are_read_where_a_chart_is_not_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("site.yaml");
    fs::write(&values, "agent: {image: {repository: quay.io/site/agent, tag: 1}}").unwrap();
    let helm = program::HelmOptions { values: vec![values], ..program::HelmOptions::default() };
    let rules = std::sync::Arc::new(SearchRules::default());
    let options = SearchOptions { helm, no_render: true };
    let findings = search(&fixture("chart"), None, &options, &rules).await.unwrap();
    let inventory = Inventory::of(findings, &rules);
    assert_eq!(inventory.why("quay.io/site/agent")[0].confidence, Confidence::Likely);
}

#[test]
fn lock_files_of_a_chart_are_lists() {
    for name in ["Images.lock", "images-lock.yaml", ".images.lock.yaml"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: a\nversion: 1.0.0\n").unwrap();
        fs::copy(fixture("lists/Images.lock"), folder.path().join(name)).unwrap();
        assert_eq!(
            lines(&inventory(&[folder.path().to_owned()])),
            ["sure registry.example.com/team/app:4.5.6"],
            "{name}"
        );
    }
}
