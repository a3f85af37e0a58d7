//! Registries behind the proxy that the environment names. Their name is known to the proxy alone.

use crate::support::{Airlift, Options, Registry, artifacts::Artifact, compare, forward::Forward, needs};

/// A registry that is reached as `registry.test`, and its name with the port.
fn behind(options: Options) -> (Registry, Forward, String) {
    let registry = Registry::start(options);
    Artifact::multi_platform(5, 20_000).push(&registry, "team/app", Some("v1"));
    let forward = Forward::to(registry.address());
    let port = registry.address().rsplit(':').next().unwrap().to_owned();
    (registry, forward, format!("registry.test:{port}"))
}

#[test]
fn https_goes_through_a_tunnel_of_the_proxy_whose_password_is_never_printed() {
    needs!("docker-registry");
    let (registry, forward, name) = behind(Options { tls: true, ..Options::default() });
    let mut airlift = Airlift::new();
    airlift.set("HTTPS_PROXY", format!("http://ada:canary-51@{}", forward.address()));
    let ca = registry.ca().display().to_string();
    let reference = format!("{name}/team/app:v1");
    let to = format!("{name}/mirror");
    for args in [
        vec!["export", &reference, "-o", "b.tar", "--ca-cert", &ca, "--log", "trace"],
        vec!["import", "b.tar", "--to", &to, "--ca-cert", &ca, "--log", "trace"],
    ] {
        let before = forward.asked().len();
        let ran = airlift.run(args).success();
        let asked = forward.asked().split_off(before);
        assert!(
            !asked.is_empty() && asked.iter().all(|head| head.starts_with(&format!("CONNECT {name} "))),
            "{asked:?}"
        );
        // `ada:canary-51`
        let grant = "proxy-authorization: basic ywrhomnhbmfyes01mq==";
        assert!(asked.iter().all(|head| head.to_lowercase().contains(grant)), "{asked:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("canary-51") && !said.contains("YWRhOmNhbmFyeS01MQ"), "{ran}");
    }
    compare::same((&registry, "team/app"), (&registry, "mirror/team/app"), "v1");
}

#[test]
fn plain_http_goes_through_the_proxy_and_hosts_that_are_excepted_do_not() {
    needs!("docker-registry");
    let (registry, forward, name) = behind(Options::default());
    let mut airlift = Airlift::new();
    airlift.set("http_proxy", format!("http://{}", forward.address()));
    let reference = format!("{name}/team/app:v1");
    let args = ["export", &reference, "-o", "b.tar", "--plain-http", &name];
    airlift.run(args).success();
    airlift.run(["verify", "b.tar"]).success();
    let asked = forward.asked();
    assert!(
        asked.iter().all(|head| head.starts_with(&format!("GET http://{name}/v2/"))
            || head.starts_with(&format!("HEAD http://{name}/v2/"))),
        "{asked:?}"
    );

    // Loopback is never a proxy's business.
    airlift.run(["import", "b.tar", "--to", registry.address()]).success();
    assert_eq!(forward.asked().len(), asked.len());

    airlift.set("NO_PROXY", "registry.test");
    let args = ["export", &reference, "-o", "c.tar", "--plain-http", &name];
    airlift.run(args).exits(1).says(&["registry.unreachable", &name, "HTTPS_PROXY"]);
    assert_eq!(forward.asked().len(), asked.len());
}

#[test]
fn a_proxy_that_is_not_there_is_named_as_the_way_that_failed() {
    let mut airlift = Airlift::new();
    for variable in ["HTTPS_PROXY", "HTTP_PROXY"] {
        airlift.set(variable, "http://ada:canary-52@127.0.0.1:1");
    }
    airlift.set("AWS_ACCESS_KEY_ID", "key").set("AWS_SECRET_ACCESS_KEY", "canary-54").set("AWS_REGION", "us-east-1");
    let said = "by way of the proxy http://127.0.0.1:1, which the environment names";
    let export = ["export", "registry.test/team/app:v1", "-o", "b.tar"];
    let plain = ["export", "registry.test/team/app:v1", "-o", "c.tar", "--plain-http", "registry.test"];
    let inspect = ["inspect", "s3://bucket/b.tar"];
    // All at once, for each tries as long as it does.
    std::thread::scope(|scope| {
        for (args, token, place) in [
            (&export[..], "registry.unreachable", "registry.test/team/app"),
            (&plain, "registry.unreachable", "registry.test/team/app"),
            (&inspect, "storage.unreachable", "s3://bucket/b.tar"),
        ] {
            let airlift = &airlift;
            scope.spawn(move || {
                let ran = airlift.run(args).exits(1).says(&[token, place, said]);
                assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("canary"), "{ran}");
            });
        }
    });
    // Past the proxy nobody speaks of it.
    airlift.set("NO_PROXY", "registry.test");
    let ran = airlift.run(export).exits(1);
    assert!(!ran.stderr.contains("by way of"), "{ran}");
}

#[test]
fn a_variable_that_names_no_proxy_is_told_and_nothing_goes_past_it() {
    needs!("docker-registry");
    let (_registry, forward, name) = behind(Options::default());
    let reference = format!("{name}/team/app:v1");
    for (variable, value) in [
        ("HTTPS_PROXY", format!("http//ada:canary-55@{}", forward.address())),
        ("http_proxy", "socks5://canary-55:1080".to_owned()),
        ("ALL_PROXY", "the proxy canary-55".to_owned()),
    ] {
        let mut airlift = Airlift::new();
        airlift.set(variable, value).set("AZURE_STORAGE_SAS_TOKEN", "sv=2026-01-01&sp=rl&sig=x");
        airlift.set("AWS_ACCESS_KEY_ID", "key").set("AWS_SECRET_ACCESS_KEY", "x").set("AWS_REGION", "us-east-1");
        let export = ["export", &reference, "-o", "b.tar", "--plain-http", &name];
        for args in [&export[..], &["inspect", "az://account/container/b.tar"], &["inspect", "s3://bucket/b.tar"]] {
            let ran = airlift.run(args).exits(2).says(&["usage.proxy", variable, "http://HOST:PORT"]);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("canary"), "{ran}");
        }
    }
    assert_eq!(forward.asked(), Vec::<String>::new());
}
