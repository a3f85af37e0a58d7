//! Storage on real servers: what every provider must do, what refusals say, what breaks in the middle.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airlift::{
    content::{Code, Fault, read_at::read_whole},
    storage::{self, Error, Finish, Location, Object, Pinned, Settings, conformance},
};
use jiff::{Timestamp, ToSpan};
use tempfile::TempDir;

use crate::support::{
    azurite::{self, Account, Azurite, Grant},
    http::block_on,
    moto::{self, Moto},
    needs,
    proxy::Proxy,
    with,
};

fn settings(state: &TempDir) -> Settings {
    with(Settings::default(), |it| it.state = Some(state.path().to_owned()))
}

fn open(location: &Location) -> Arc<dyn Object> {
    storage::open(location, &Settings::default()).unwrap()
}

#[test]
fn azure_is_a_provider() {
    needs!("azurite-blob");
    let azurite = Azurite::start();
    azurite.create(Account::A, "objects");
    azurite.create(Account::A, "folders");
    let object = open(&azurite.location(Account::A, "objects", "some folder/b%20c+d.tar", &Grant::default()));
    let folder = azurite.location(Account::A, "folders", "", &Grant::default());
    let below = azurite.location(Account::A, "folders", "deep/er", &Grant::default());
    block_on(async {
        conformance::object(object).await;
        conformance::folder(&*storage::open_folder(&folder, &Settings::default()).unwrap()).await;
        conformance::folder(&*storage::open_folder(&below, &Settings::default()).unwrap()).await;
    });
}

#[test]
fn s3_is_a_provider() {
    needs!("moto_server");
    let moto = Moto::start();
    moto.create("objects");
    moto.create("folders");
    let state = TempDir::new().unwrap();
    let settings = with(settings(&state), |it| it.variables = moto.variables());
    let object = storage::open(&Location::parse("s3://objects/some folder/b+c.tar").unwrap(), &settings).unwrap();
    let folder = |text| storage::open_folder(&Location::parse(text).unwrap(), &settings).unwrap();
    block_on(async {
        conformance::object(object).await;
        conformance::folder(&*folder("s3://folders")).await;
        conformance::folder(&*folder("s3://folders/deep/er")).await;
        let object = |key: &str, attest| {
            let location = Location::parse(&format!("s3://objects/{key}")).unwrap();
            storage::open(&location, &with(settings.clone(), |it| it.attest = attest)).unwrap()
        };
        conformance::server_side(object("a b+c/source.tar", false), object("target.tar", false)).await;
        conformance::server_side(object("source.tar", true), object("a b+c/target.tar", true)).await;
        conformance::attested(object("attested.tar", true)).await;
    });
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "journals end with their uploads");
}

/// What happens with a signature that allows only `permissions`.
struct Limited(Arc<dyn Object>);

impl Limited {
    fn new(azurite: &Azurite, permissions: &'static str) -> Self {
        Self(open(&azurite.location(Account::A, "box", "there.tar", &Grant::only(permissions))))
    }

    fn read(&self) -> Result<(), Error> {
        block_on(async { Pinned::open(Arc::clone(&self.0)).await.map(drop) })
    }

    fn write(&self, overwrite: bool) -> Result<(), Error> {
        let finish = Finish { overwrite, ..Finish::default() };
        block_on(async { conformance::put(&*self.0, &conformance::sample(1, 10), finish).await })
    }

    fn delete(&self, full: &Azurite) -> Result<(), Error> {
        let version = block_on(open(&full.location(Account::A, "box", "there.tar", &Grant::default())).stat());
        block_on(self.0.delete(&version.unwrap().version))
    }
}

#[test]
fn a_missing_permission_is_named() {
    needs!("azurite-blob");
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    let full = Limited::new(&azurite, "racwdl");
    full.write(false).unwrap();
    let named = |result: Result<(), Error>, letter: &str| {
        let error = result.expect_err("it must be refused");
        assert_eq!(
            (error.code(), error.code().class()),
            (Code::StoragePermission, airlift::content::Class::Unauthorized)
        );
        assert!(error.to_string().contains(&format!("({letter})")), "{error}");
    };
    named(Limited::new(&azurite, "wcl").read(), "r");
    named(Limited::new(&azurite, "rl").write(true), "w");
    named(Limited::new(&azurite, "rcl").write(true), "w");
    named(Limited::new(&azurite, "wcl").write(true), "r");
    named(Limited::new(&azurite, "rwcl").delete(&azurite), "d");
    let unlisted = azurite.location(Account::A, "box", "", &Grant::only("rwcd"));
    let folder = storage::open_folder(&unlisted, &Settings::default()).unwrap();
    named(block_on(folder.list()).map(drop), "l");
    // With exactly what it takes, each of them works.
    Limited::new(&azurite, "r").read().unwrap();
    Limited::new(&azurite, "rw").write(true).unwrap();
    Limited::new(&azurite, "d").delete(&azurite).unwrap();
}

#[test]
fn a_signature_that_is_expired_or_for_something_else_is_told_apart() {
    needs!("azurite-blob");
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    azurite.create(Account::A, "other");
    let stat = |grant: &Grant| {
        let location = azurite.location(Account::A, "box", "x.tar", grant);
        let object = storage::open(&location, &Settings::default())?;
        block_on(object.stat()).map(drop)
    };
    let code = |grant: &Grant| {
        let error = stat(grant).unwrap_err();
        conformance::refusal(&error, &azurite::signature(&azurite.url(Account::A, "box", "x.tar", grant)));
        error.code()
    };
    assert!(stat(&Grant::default()).unwrap_err().is_not_found());
    let expired = Grant { expires: Timestamp::now() - 1.minute(), ..Grant::default() };
    assert_eq!(code(&expired), Code::StorageExpired);
    assert_eq!(code(&Grant { https_only: true, ..Grant::default() }), Code::StorageHttpsOnly);
    assert_eq!(code(&Grant { container: Some("other"), ..Grant::default() }), Code::StorageRefused);
    let absent = azurite.location(Account::A, "absent", "x.tar", &Grant::default());
    let absent = block_on(open(&absent).stat()).unwrap_err();
    assert!(absent.is_not_found() && absent.to_string().contains("x.tar"), "{absent}");
}

#[test]
fn a_read_goes_on_where_its_connection_broke() {
    needs!("azurite-blob", "moto_server");
    let (azurite, moto) = (Azurite::start(), Moto::start());
    azurite.create(Account::A, "box");
    moto.create("box");
    let state = TempDir::new().unwrap();
    let (wire, s3_wire) = (Proxy::before(azurite.address()), Proxy::before(&moto.endpoint()["http://".len()..]));
    let azure = Location::parse(&azurite::url(&wire.address(), Account::A, "box", "x.tar", &Grant::default())).unwrap();
    let variables = moto::variables(&format!("http://{}", s3_wire.address()));
    let s3 = with(settings(&state), |it| it.variables = variables);
    let content = conformance::sample(5, 6 << 20);
    for (object, wire) in
        [(open(&azure), &wire), (storage::open(&Location::parse("s3://box/x.tar").unwrap(), &s3).unwrap(), &s3_wire)]
    {
        block_on(async {
            conformance::put(&*object, &content, Finish::default()).await.unwrap();
            let pinned = Pinned::open(Arc::clone(&object)).await.unwrap();
            let before = wire.downloaded();
            wire.cut_after(1 << 20);
            wire.cut_after(2 << 20);
            assert_eq!(read_whole(&pinned, 1000..content.len() as u64).await.unwrap(), content.slice(1000..));
            assert_eq!(wire.cuts_left(), 0);
            let moved = wire.downloaded() - before;
            assert!(moved < content.len() as u64 + (4 << 20), "{moved} bytes came for {}", content.len());
        });
    }
}

#[test]
fn nothing_that_is_logged_shows_a_secret() {
    needs!("azurite-blob", "moto_server");
    let (mut azurite, mut moto) = (Azurite::start(), Moto::start());
    azurite.create(Account::A, "box");
    moto.create("box");
    let state = TempDir::new().unwrap();
    let patience = Duration::from_secs(1);
    let s3 = with(settings(&state), |it| {
        it.variables = moto.variables();
        it.patience = patience;
    });
    let url = azurite.url(Account::A, "box", "x.tar", &Grant::default());
    let signature = azurite::signature(&url);
    let objects = [
        open(&Location::parse(&url).unwrap()),
        storage::open(&Location::parse("s3://box/x.tar").unwrap(), &s3).unwrap(),
    ];
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let said = tracing::subscriber::with_default(subscriber, || {
        let mut said = String::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for object in &objects {
            runtime.block_on(async {
                conformance::object(Arc::clone(object)).await;
                tracing::trace!(?object, "printed");
            });
        }
        // Signed in the address, not in a header.
        let other = storage::open(&Location::parse("s3://box/y.tar").unwrap(), &s3).unwrap();
        runtime.block_on(conformance::server_side(Arc::clone(&objects[1]), other));
        azurite.process().kill();
        moto.process().kill();
        for object in &objects {
            let error = runtime.block_on(object.stat()).unwrap_err();
            assert_eq!(error.code(), Code::StorageUnreachable, "{error:?}");
            said = [said, error.to_string(), format!("{error:?}")].concat();
        }
        said
    });
    let log = log.text() + &said;
    assert!(log.contains("x.tar") && log.len() > 10_000, "the log was not taken: {log}");
    for (at, _) in log.match_indices("X-Amz-Signature=") {
        assert!(log[at..].starts_with("X-Amz-Signature=***"), "{}", &log[at.saturating_sub(500)..at + 100]);
    }
    for secret in [&*signature, &*signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="), moto::SECRET] {
        if let Some(at) = log.find(secret) {
            panic!("{}", &log[at.saturating_sub(500)..at + 100]);
        }
    }
}

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
