//! A machine that has the program and next to nothing else: a folder with the binary, the files that say where hosts are, and
//! one authority.
//!
//! `AIRLIFT_STATIC` names the binary that is shipped. Without it, the binary of the tests goes in with the libraries that it is
//! linked to, and none of those that look up hosts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::support::{Options, Ran, Registry, artifacts::Artifact, name_server::NameServer, needs, peers};

struct BareMachine(TempDir);

impl BareMachine {
    fn new(resolv_conf: &str, authority: &Path) -> Self {
        let machine = Self(TempDir::with_prefix("airlift-bare-").unwrap());
        match std::env::var_os("AIRLIFT_STATIC") {
            Some(binary) => machine.take(Path::new(&binary), "airlift"),
            None => machine.take_with_libraries(assert_cmd::cargo::cargo_bin!("airlift")),
        }
        machine.write("etc/resolv.conf", resolv_conf);
        machine.write("etc/hosts", "127.0.0.1 written.test registry.written.test\n");
        machine.write("etc/ssl/certs/ca-certificates.crt", &fs::read_to_string(authority).unwrap());
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn take(&self, file: &Path, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::hard_link(file, &path).is_err() {
            fs::copy(file, path).unwrap();
        }
    }

    fn take_with_libraries(&self, binary: &Path) {
        self.take(binary, "airlift");
        let needed = Ran::of(Command::new("ldd").arg(binary)).success().stdout;
        for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
            self.take(&fs::canonicalize(library).unwrap(), &library[1..]);
        }
    }

    /// `airlift ARGS` with nothing else in sight.
    fn run(&self, variables: &[(&str, &str)], args: &[&str]) -> Ran {
        let mut command = Command::new(peers::path("chroot"));
        command.arg(self.0.path()).arg("/airlift").args(args).env_clear().envs(variables.iter().copied());
        Ran::of(&mut command)
    }
}

/// The registry with TLS and one artifact; `None` where this person may not do what the test needs.
fn site() -> Option<(Registry, NameServer, u16)> {
    let names = NameServer::start(&["registry.test", "far.site.test"])?;
    let registry = Registry::start(Options { tls: true, ..Options::default() });
    Artifact::small(1, 900).push(&registry, "team/app", Some("v1"));
    let port = registry.address().rsplit_once(':').unwrap().1.parse().unwrap();
    Some((registry, names, port))
}

#[test]
fn names_are_resolved_and_authorities_found_without_a_library_of_the_system() {
    needs!("docker-registry", "chroot", "ldd");
    let Some((registry, names, port)) = site() else { return };
    let resolv_conf = format!("search site.test\nnameserver {}\n", names.address());
    let machine = BareMachine::new(&resolv_conf, &registry.ca());
    let reference = format!("registry.test:{port}/team/app:v1");
    let ran = machine.run(&[], &["export", &reference, "-o", "/b.tar", "--progress", "none"]).success();
    assert!(!ran.stderr.contains("authorit"), "{ran}");
    assert!(names.asked().contains(&"registry.test.".to_owned()), "{:?}", names.asked());
    machine.run(&[], &["verify", "/b.tar"]).success();

    // By the search domain the name server has the host; the certificate is not one of that name.
    let ran = machine.run(&[], &["export", &format!("far:{port}/team/app:v1"), "-o", "/c.tar"]).exits(1);
    ran.says(&["registry.tls"]);
    assert!(names.asked().contains(&"far.site.test.".to_owned()), "{:?}", names.asked());

    // The file of hosts comes first, and names of servers and of proxies go the same way.
    let before = names.asked().len();
    let ran = machine.run(&[], &["export", &format!("written.test:{port}/team/app:v1"), "-o", "/c.tar"]).exits(1);
    ran.says(&["registry.tls"]);
    let ran =
        machine.run(&[("HTTPS_PROXY", "http://registry.written.test:9")], &["export", &reference, "-o", "/c.tar"]);
    ran.exits(1).says(&["registry.unreachable", "registry.written.test:9"]);
    assert_eq!(names.asked().len(), before, "{:?}", names.asked());
    let taken = format!("written.test:{port}");
    machine.run(&[], &["serve", "--store", "/store", "--listen", &taken]).exits(1).says(&["serve.listen", &taken]);
    let unknown = machine.run(&[], &["serve", "--store", "/store", "--listen", "nowhere.test:5000"]).exits(1);
    unknown.says(&["serve.listen", "nowhere.test", &names.address().to_string()]);
}

#[test]
fn built_in_authorities_are_the_last_resort_and_public_name_servers_none() {
    needs!("docker-registry", "chroot", "ldd");
    let Some((registry, names, port)) = site() else { return };
    let machine = BareMachine::new(&format!("nameserver {}\n", names.address()), &registry.ca());
    let certificates = machine.path("etc/ssl/certs/ca-certificates.crt");
    fs::rename(&certificates, machine.path("elsewhere.pem")).unwrap();
    let reference = format!("registry.test:{port}/team/app:v1");
    let export = ["export", &reference, "-o", "/b.tar"];
    let ran = machine.run(&[], &export).exits(1).says(&["registry.tls", "the built-in list"]);
    assert_eq!(ran.stderr.matches("the built-in list").count(), 1, "it is said once: {ran}");
    machine.run(&[("SSL_CERT_FILE", "/elsewhere.pem")], &export).success();
    let again = machine.run(&[("SSL_CERT_FILE", "/missing.pem")], &["export", &reference, "-o", "/c.tar"]).exits(1);
    assert!(!again.stderr.contains("built-in"), "a place that was named is not replaced: {again}");
    assert!(again.stderr.contains("SSL_CERT_FILE=/missing.pem"), "{again}");

    for resolv_conf in [Some(""), None] {
        match resolv_conf {
            Some(text) => machine.write("etc/resolv.conf", text),
            None => fs::remove_file(machine.path("etc/resolv.conf")).unwrap(),
        }
        let before = names.asked().len();
        let ran = machine.run(&[], &["export", "registry.example.com/app:v1", "-o", "/d.tar"]).exits(1);
        ran.says(&["registry.unreachable", "registry.example.com", "/etc/resolv.conf names no name server"]);
        assert_eq!(names.asked().len(), before);
    }
}
