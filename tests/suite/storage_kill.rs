//! Bundles on their way into, between and out of storages, killed at any moment and run again.

use std::fs;

use crate::{
    storage_move::{azurite, references, source, with_source},
    support::{
        Airlift, Options, Registry,
        azurite::{self, Account, Grant},
        compare,
        google::{self, Google},
        kills::{kill_after, moments_of_leg},
        moto::{self, Moto},
        needs,
        proxy::Proxy,
    },
};

/// Bytes of a part.
const PART: u64 = 8 << 20;

/// Parts in memory at once.
const JOBS: u64 = 2;

/// HTTP's own bytes, block lists and heads that a second run moves again; generous.
const SMALL: u64 = 3 << 20;

/// A place that bundles go to, over a wire that counts.
struct Leg<'a> {
    airlift: &'a Airlift,
    wire: &'a Proxy,
    /// What the bundle must be.
    bundle: &'a [u8],
    /// How many legs share the kills.
    legs: usize,
    /// Bytes that pass the wire besides the bundle when nothing is moved twice.
    beside: u64,
}

impl Leg<'_> {
    /// Kills what `write` makes for a name at each moment, runs it to its end, and reads what is there by `read`.
    fn killed(&self, write: &dyn Fn(&str) -> Vec<String>, read: &dyn Fn(&str) -> String) {
        let whole = self.measured(&write("whole.tar"));
        for (round, moment) in moments_of_leg(whole, self.legs).into_iter().enumerate() {
            let name = format!("round-{round}.tar");
            let before = self.wire.uploaded();
            kill_after(self.wire, moment, || self.airlift.start(write(&name)));
            self.airlift.run(write(&name)).success();
            let sent = self.wire.uploaded() - before;
            let limit = self.beside + JOBS * PART + SMALL;
            assert!(sent <= limit, "{sent} bytes were sent, {limit} at the most, killed after {moment} bytes");
            let back = format!("{name}.back");
            self.airlift.run(["copy", &read(&name), &back]).success();
            let path = self.airlift.home().join(back);
            assert!(fs::read(&path).unwrap() == self.bundle, "another bundle, killed after {moment} bytes");
            fs::remove_file(path).unwrap();
        }
    }

    /// How many bytes pass the wire in a run that nothing stops.
    fn measured(&self, args: &[String]) -> u64 {
        let before = self.wire.passed();
        self.airlift.run(args).success();
        self.wire.passed() - before
    }

    /// Kills imports of `from`, which is behind the wire, at each moment.
    fn imported(&self, from: &str, source: &Registry) {
        let target = Registry::start(Options::default());
        let import = |to: &str| ["import", from, "--to", &format!("{}/{to}", target.address())].map(str::to_owned);
        let whole = self.measured(&import("whole"));
        for (round, moment) in moments_of_leg(whole, self.legs).into_iter().enumerate() {
            let args = import(&format!("round-{round}"));
            kill_after(self.wire, moment, || self.airlift.start(&args));
            self.airlift.run(&args).success();
            for (name, tag) in [("team/app", "v1"), ("team/tool", "v2")] {
                compare::same((source, name), (&target, &format!("round-{round}/{name}")), tag);
            }
        }
    }
}

#[test]
fn a_bundle_goes_from_account_to_account_and_into_a_registry_killed_at_any_moment() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, airlift) = (azurite(), source(), Airlift::new());
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    let here = fs::read(airlift.home().join("here.tar")).unwrap();
    let wire = Proxy::before(azurite.address());
    let beside = here.len() as u64;
    let leg = Leg { airlift: &airlift, wire: &wire, bundle: &here, legs: 3, beside };
    let jobs = JOBS.to_string();
    let url = |account, name: &str| azurite::url(&wire.address(), account, "box", name, &Grant::default());
    let at = |account, name: &str| azurite.url(account, "box", name, &Grant::only("rd"));
    let export = |name: &str| {
        let fixed = ["export", "--jobs", &jobs, "-o", &url(Account::A, name)].map(str::to_owned);
        fixed.into_iter().chain(references.iter().cloned()).collect::<Vec<_>>()
    };
    leg.killed(&export, &|name| at(Account::A, name));
    let from = at(Account::A, "whole.tar");
    let copy = |name: &str| ["copy", "--jobs", &jobs, &from, &url(Account::B, name)].map(str::to_owned).to_vec();
    leg.killed(&copy, &|name| at(Account::B, name));
    leg.imported(&url(Account::B, "whole.tar"), &registry);
}

#[test]
fn a_bundle_goes_through_s3_killed_at_any_moment() {
    needs!("moto_server", "docker-registry");
    let (moto, registry, mut airlift) = (Moto::start(), source(), Airlift::new());
    moto.create("box");
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    let here = fs::read(airlift.home().join("here.tar")).unwrap();
    let wire = Proxy::before(&moto.endpoint()["http://".len()..]);
    for (name, value) in moto::variables(&format!("http://{}", wire.address())) {
        airlift.set(&name, value);
    }
    let leg = Leg { airlift: &airlift, wire: &wire, bundle: &here, legs: 3, beside: here.len() as u64 };
    let jobs = JOBS.to_string();
    let export = |name: &str| {
        let fixed = ["export", "--jobs", &jobs, "-o", &format!("s3://box/{name}")].map(str::to_owned);
        fixed.into_iter().chain(references.iter().cloned()).collect::<Vec<_>>()
    };
    leg.killed(&export, &|name| format!("s3://box/{name}"));
    let copy =
        |name: &str| ["copy", "--jobs", &jobs, "here.tar", &format!("s3://box/in/{name}")].map(str::to_owned).to_vec();
    leg.killed(&copy, &|name| format!("s3://box/in/{name}"));
    // S3 takes from S3 by itself: nothing of the bundle passes the wire upwards.
    let taken = Leg { beside: 0, ..leg };
    let take = |name: &str| {
        ["copy", "--jobs", &jobs, "s3://box/whole.tar", &format!("s3://box/taken/{name}")].map(str::to_owned).to_vec()
    };
    taken.killed(&take, &|name| format!("s3://box/taken/{name}"));
    taken.imported("s3://box/taken/whole.tar", &registry);
}

#[test]
fn a_bundle_goes_through_google_killed_at_any_moment() {
    needs!("fake-gcs-server", "docker-registry");
    let (server, registry, mut airlift) = (Google::start(), source(), Airlift::new());
    server.create("box");
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    let here = fs::read(airlift.home().join("here.tar")).unwrap();
    let wire = Proxy::before(server.address());
    for (name, value) in google::variables(&wire.address()) {
        airlift.set(&name, value);
    }
    let beside = here.len() as u64;
    let leg = Leg { airlift: &airlift, wire: &wire, bundle: &here, legs: 3, beside };
    let jobs = JOBS.to_string();
    let export = |name: &str| {
        let fixed = ["export", "--jobs", &jobs, "-o", &format!("gs://box/{name}")].map(str::to_owned);
        fixed.into_iter().chain(references.iter().cloned()).collect::<Vec<_>>()
    };
    leg.killed(&export, &|name| format!("gs://box/{name}"));
    let copy =
        |name: &str| ["copy", "--jobs", &jobs, "here.tar", &format!("gs://box/in/{name}")].map(str::to_owned).to_vec();
    leg.killed(&copy, &|name| format!("gs://box/in/{name}"));
    leg.imported("gs://box/in/whole.tar", &registry);
}
