//! Names of artifacts: what they are read as, and what is refused.

use proptest::{prop_assert_eq, proptest};

use super::*;

#[test]
fn an_address_of_ipv6_is_a_host() {
    for (text, registry, part) in [
        ("[::1]:5000/a:v1", "[::1]:5000", "0-0-0-0-0-0-0-1-5000"),
        ("[2001:DB8::a]/team/app:v1", "[2001:DB8::a]", "2001-db8-0-0-0-0-0-a"),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!((reference.registry(), reference.to_string().as_str()), (registry, text));
        let part = super::host_as_part(registry) == part && is_repository(part);
        assert!(part, "{text}");
        let digest = format!("{}@{}", text, Digest::sha256(b"x"));
        assert_eq!(digest.parse::<Reference>().unwrap().to_string(), digest);
    }
    for bad in ["[::1/a", "[::g]/a", "[::1]x/a", "[::1]:/a", "[]/a", "::1/a"] {
        bad.parse::<Reference>().unwrap_err();
    }
}

#[test]
fn what_other_programs_write_is_refused_with_what_to_write() {
    for (text, instead) in [
        ("docker://r.example/a:1", "r.example/a:1"),
        ("oci://r.example/charts/a", "r.example/charts/a"),
        ("https://r.example/a:1", "r.example/a:1"),
        ("r.example/a:1.0+build.2", "r.example/a:1.0_build.2"),
        ("a:1+2", "a:1_2"),
    ] {
        let error = Reference::parse(text, Some("other.example")).unwrap_err().to_string();
        assert!(error.contains(&format!("{instead:?}")) || error.contains(instead), "{error}");
    }
}

proptest! {
    /// Whatever is read without the grammar reads the same with it, and what the grammar reads is not read otherwise.
    #[test]
    fn what_is_written_in_full_means_what_the_grammar_says(
        host in "[a-zA-Z0-9.-]{0,7}|localhost|docker.io|index.docker.io|[a-z]{1,3}\\.[a-z]{1,3}",
        port in "(:[0-9]{0,4})?",
        repository in "[a-zA-Z0-9/._-]{0,9}|[a-z0-9]{1,3}([._/-]|__|---)[a-z0-9]{1,3}",
        tag in "(:[a-zA-Z0-9._é-]{0,4})?",
        digest in "(@(sha256:([0-9a-f]{63,65}|[0-9A-F]{64})|sha512:[0-9a-f]{128}|sha384:[0-9a-f]{96}))?",
    ) {
        let text = format!("{host}{port}/{repository}{tag}{digest}");
        if let Some(read) = in_full(&text) {
            prop_assert_eq!(Ok(read), by_grammar(&text), "{}", text);
        }
    }
}

#[test]
fn what_bundles_write_needs_no_grammar() {
    let digest = Digest::sha256(b"abc");
    for text in [
        "docker.io/library/alpine:3.20".to_owned(),
        "localhost/a:1".to_owned(),
        "r.example:5000/a/b__c/d-e:V1_.-".to_owned(),
        "127.0.0.1:5000/a:1".to_owned(),
        format!("r.example/a@{digest}"),
        format!("r.example/a:1@{digest}"),
    ] {
        assert_eq!(in_full(&text).map(|read| read.to_string()), Some(text));
    }
    let long = format!("r.example/{}", "a".repeat(256));
    for text in ["alpine", "docker.io/alpine", "index.docker.io/a/b", "host/a", "r.example/A", "r.example/a:é", &long]
    {
        assert_eq!(in_full(text), None, "{text}");
    }
}

#[test]
fn short_names_are_completed_and_hosts_kept() {
    for (typed, host, full) in [
        ("alpine", None, "docker.io/library/alpine:latest"),
        ("alpine:3", Some("r.example:5000"), "r.example:5000/alpine:3"),
        ("team/app", Some("127.0.0.1:5000"), "127.0.0.1:5000/team/app:latest"),
        ("localhost/app:1", Some("r.example"), "localhost/app:1"),
        ("ghcr.io/a/b:1", Some("r.example"), "ghcr.io/a/b:1"),
    ] {
        assert_eq!(Reference::parse(typed, host).unwrap().to_string(), full);
    }
}

#[test]
fn a_digest_wins_over_a_tag_and_must_be_well_formed() {
    let digest = Digest::sha256(b"abc");
    let reference: Reference = format!("r.example/app:1@{digest}").parse().unwrap();
    assert_eq!(reference.name(), Name::Digest(digest));
    let upper = format!("r.example/app@sha256:{}", digest.hex().to_uppercase());
    assert!(matches!(upper.parse::<Reference>(), Err(ParseReferenceError::Digest { .. })));
}

#[test]
fn what_is_no_reference_is_refused_with_the_text() {
    for bad in ["", "UPPER/case", "a//b", "../etc/passwd", "host/repo:ta g", "repo@sha256:12"] {
        let error = bad.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")), "{error}");
    }
    for bad in ["", ".hidden", "a/b", "é", &"x".repeat(129)] {
        assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_repository_is_read_as_in_a_reference() {
    for (typed, registry, path) in
        [("alpine", "docker.io", "library/alpine"), ("r.example:5000/team/app", "r.example:5000", "team/app")]
    {
        let repository: Repository = typed.parse().unwrap();
        assert_eq!((repository.registry(), repository.path()), (registry, path));
        let reference = repository.named(&Name::Tag(Tag::latest()));
        assert_eq!(reference, format!("{typed}:latest").parse().unwrap());
    }
    for bad in ["", "r.example/", "r.example/A", "r.example/a:1", "r.example/a@sha256:12"] {
        assert!(bad.parse::<Repository>().is_err(), "{bad:?}");
    }
}

#[test]
fn repository_names_follow_the_specification() {
    for good in ["a", "library/nginx", "a.b/c_d/e__f/g---h", "0/1"] {
        assert!(is_repository(good), "{good}");
    }
    for bad in ["", "/", "a/", "/a", "a//b", "..", "a/../b", "A", "a._b", "a___b", "-a", "a-", "a b", &"x".repeat(256)]
    {
        assert!(!is_repository(bad), "{bad}");
    }
}

#[test]
fn attached_artifacts_have_the_tags_that_cosign_and_the_specification_give_them() {
    let digest = Digest::sha256(b"abc");
    let hex = digest.hex();
    assert_eq!(Tag::referrers_fallback(&digest).as_str(), format!("sha256-{hex}"));
    assert_eq!(
        Tag::cosign(&digest).map(|t| t.to_string()),
        ["sig", "att", "sbom"].map(|s| format!("sha256-{hex}.{s}"))
    );
    let attached = Tag::cosign(&digest).into_iter().chain([Tag::referrers_fallback(&digest)]);
    assert!(attached.into_iter().all(|tag| tag.is_of_attached()));
    for other in ["latest", "sha256-abc", "a-b.sig", "sig"] {
        assert!(!other.parse::<Tag>().unwrap().is_of_attached(), "{other}");
    }
    let long = Digest::of(crate::oci::Algorithm::Sha512, b"abc");
    assert_eq!(Tag::referrers_fallback(&long).as_str().len(), "sha512-".len() + 64);
}
